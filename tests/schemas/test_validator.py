"""Schemas: the findings of events, the schemas that are refused, and that nothing is fetched.

The corpora are in tests/cases/schemas. A folder of `described` has schemas, and events with their findings; a folder of
`refused` has a schema `t.json` and its findings; `wording.jsonl` has schemas and events with the words of their
findings; `pairs.jsonl` has schemas and values that another implementation validates as well.
"""

import http.server
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import referencing.jsonschema

from evtool.errors import ConfigError
from evtool.events.envelopes import parse_event, read_events
from evtool.events.event import Event, EventDefaults
from evtool.findings.finding import Finding
from evtool.readers.files import SourceText
from evtool.schemas.documents.declarations import NamedSchema
from evtool.schemas.validator import Schemas
from tests.conftest import ROOT, Evtool

CASES = ROOT / "tests/cases/schemas"
DESCRIBED = sorted((CASES / "described").iterdir())
REFUSED = sorted((CASES / "refused").iterdir())
WORDING = [json.loads(line) for line in (CASES / "wording.jsonl").read_text(encoding="utf-8").splitlines()]
PAIRS = [json.loads(line) for line in (CASES / "pairs.jsonl").read_text(encoding="utf-8").splitlines()]
DRAFTS = [
    "http://json-schema.org/draft-04/schema#",
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
]
# A format, a string that has it, and one that does not.
FORMATS = [
    ("date-time", "2026-03-01T20:41:00Z", "2026-03-01 at 20:41"),
    ("date", "2026-02-28", "2026-02-30"),
    ("time", "20:41:00Z", "25:00:00Z"),
    ("email", "joe@shop.example", "[email protected]"),
    ("uri", "https://shop.example/a?b#c", "shop.example"),
    ("ipv4", "192.0.2.1", "192.0.2.256"),
    ("ipv6", "2001:db8::1", "2001:db8::g"),
    ("hostname", "shop.example", "-shop-.example"),
    ("uuid", "76270a23-6943-4191-8246-75dc05ddb793", "76270a23"),
]
NESTED_REPETITIONS = ["^(a+)+$", r"^(a|aa)+\1?$", r"^(?=(a+)+$)b", r"^(([a-z])+.)+[A-Z]$"]
LOOPS_IN_PLACE = [
    {"allOf": [{"$ref": "#"}]},
    {"anyOf": [{"$ref": "#"}]},
    {"not": {"$ref": "#"}},
    {"if": {"$ref": "#"}, "then": True},
    {"$dynamicAnchor": "x", "$dynamicRef": "#x"},
    {"$defs": {"a": {"oneOf": [{"$ref": "#/$defs/b"}]}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"},
]


def make_event(detail: Any, name: str = "t") -> Event:
    """Makes an event of a type with a payload."""
    return parse_event(json.dumps({"id": "1", "source": "s", "detail-type": name, "detail": detail}).encode())


def write_schemas(folder: Path, **files: Any) -> Schemas:
    """Writes schemas to a folder. `t` is the schema of the events here."""
    for name, schema in files.items():
        (folder / f"{name}.json").write_text(json.dumps(schema), encoding="utf-8")
    return Schemas([folder])


def format_finding(finding: Finding) -> str:
    """A finding as the corpus has it."""
    if finding.suggestion:
        return f"{finding.code} {finding.message} ({finding.suggestion})"
    return f"{finding.code} {finding.message}"


def read_refusal(folder: Path) -> ConfigError:
    """The error of a schema that is refused."""
    with pytest.raises(ConfigError) as caught:
        Schemas([folder]).check(make_event({}))
    return caught.value


# --- events ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", WORDING, ids=lambda case: str(case["findings"][0]))
def test_each_violation_is_one_finding_with_a_hint(tmp_path: Path, case: dict[str, Any]) -> None:
    """The message is a sentence. The hint says what the author probably meant."""
    findings = write_schemas(tmp_path, t=case["schema"]).check(make_event(case["detail"]))

    assert sorted(map(format_finding, findings)) == sorted(case["findings"])


@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize(("name", "good", "bad"), FORMATS, ids=lambda value: value)
def test_formats_are_asserted(tmp_path: Path, draft: str, name: str, good: str, bad: str) -> None:
    """Every draft checks formats; `uuid` exists since draft 2019-09."""
    known = name != "uuid" or draft in DRAFTS[3:]
    schemas = write_schemas(tmp_path, t={"$schema": draft, "properties": {"a": {"format": name}}})

    assert schemas.check(make_event({"a": good})) == []
    assert [finding.code for finding in schemas.check(make_event({"a": bad}))] == ["EV107"] * known


@pytest.mark.parametrize("case", PAIRS, ids=lambda case: json.dumps(case["schema"])[:60])
def test_another_implementation_agrees(tmp_path: Path, case: dict[str, Any]) -> None:
    """The package `jsonschema` accepts the same values in each draft."""
    for draft in case["drafts"] or [None]:
        schema = {"$schema": draft, **case["schema"]} if draft else case["schema"]
        validator = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
        validator.check_schema(schema)
        inside = {"properties": {"a": {"$ref": "v.json"}}, **({"$schema": draft} if draft else {})}
        schemas = write_schemas(tmp_path, t=inside, v=schema)
        other = validator(schema, registry=referencing.jsonschema.EMPTY_REGISTRY)
        for value in case["instances"]:
            assert (schemas.check(make_event({"a": value})) == []) is other.is_valid(value), (draft, value)


def test_references_are_followed_in_the_folder(tmp_path: Path) -> None:
    """Relative to the file, by `$id`, by anchor, by pointer, into subfolders and back, and to a part with a name."""
    (tmp_path / "shared").mkdir()
    write_schemas(tmp_path / "shared", money={"$defs": {"amount": {"type": "number", "$ref": "limits.json#positive"}}})
    write_schemas(
        tmp_path / "shared", limits={"$id": "limits.json", "$defs": {"p": {"$anchor": "positive", "minimum": 0}}}
    )
    write_schemas(
        tmp_path / "shared", known={"$id": "urn:shop:known", "$defs": {"x": {"$ref": "#/$defs/y"}, "y": False}}
    )
    properties = {
        "relative": {"$ref": "shared/money.json#/$defs/amount"},
        "id": {"$ref": "urn:shop:known#/$defs/x"},
        "up": {"$ref": "shared/../u.json"},
        "part": {"$ref": "https://shop.example/part"},
    }
    parts = {"p": {"$id": "https://shop.example/part", "enum": ["a"]}}
    schemas = write_schemas(tmp_path, t={"properties": properties, "$defs": parts}, u={"type": "string"})

    assert schemas.check(make_event({"relative": 1, "up": "", "part": "a"})) == []
    findings = schemas.check(make_event({"relative": -1, "id": 1, "up": 1, "part": "b"}))
    assert {(finding.code, finding.pointer) for finding in findings} == {
        ("EV106", "/detail/relative"),
        ("EV103", "/detail/id"),
        ("EV104", "/detail/up"),
        ("EV105", "/detail/part"),
    }


def test_hints_know_the_properties_behind_references(tmp_path: Path) -> None:
    """A misspelled property is recognized in a part of the schema that is in another file."""
    shared = {"$defs": {"a": {"properties": {"zipCode": {}}, "additionalProperties": False}}}
    schemas = write_schemas(tmp_path, t={"properties": {"a": {"$ref": "shared.json#/$defs/a"}}}, shared=shared)

    [finding] = schemas.check(make_event({"a": {"zipcode": 1}}))
    assert finding.suggestion == 'did you mean "zipCode"?'


def make_cloudevent(**members: Any) -> Event:
    """Makes a CloudEvent of the type that has a schema here."""
    return parse_event(json.dumps({"specversion": "1.0", "id": "1", "source": "s", "type": "t", **members}).encode())


@pytest.mark.parametrize(
    ("schema", "members", "codes"),
    [
        ({"required": ["a"]}, {"data": "text", "datacontenttype": "text/plain"}, ["EV108"]),
        ({"required": ["a"]}, {"data_base64": "AAH/", "datacontenttype": "application/avro"}, ["EV108"]),
        ({"required": ["a"]}, {"data_base64": "AAH/"}, ["EV108"]),
        ({"required": ["a"]}, {"data_base64": "e30=", "datacontenttype": "application/json"}, ["EV102"]),
        ({"required": ["a"]}, {"data_base64": "eyJhIjogMX0="}, []),
        ({"type": "string"}, {"data": "text", "datacontenttype": "text/plain"}, []),
        ({"type": ["null", "string"]}, {"data": "text", "datacontenttype": "text/plain"}, []),
        ({"type": "string", "maxLength": 2}, {"data": "text", "datacontenttype": "text/plain"}, ["EV106"]),
        ({"type": "object"}, {"data": {}, "datacontenttype": "text/plain"}, []),
    ],
)
def test_data_that_is_not_json_does_not_pass_a_schema(
    tmp_path: Path, schema: dict[str, Any], members: dict[str, Any], codes: list[str]
) -> None:
    """Most keywords would hold for a string. JSON in Base64 is decoded; a schema of a string describes text."""
    findings = write_schemas(tmp_path, t=schema).check(make_cloudevent(**members))

    assert [finding.code for finding in findings] == codes


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ([], {"a", "b", "list", "map"}),
        (["a"], {"zipCode"}),
        (["b"], {"x", "y"}),
        (["list", 3], {"price"}),
        (["map", "anything"], {"zipCode"}),
        (["nothing"], set()),
        (["a", "zipCode", "deeper"], set()),
    ],
)
def test_list_properties_follows_references_and_forms(tmp_path: Path, path: list[str | int], names: set[str]) -> None:
    """Also elements and maps. A schema that refers to itself ends."""
    shared = {"$defs": {"a": {"properties": {"zipCode": {}}}, "loop": {"allOf": [{"$ref": "#/$defs/loop"}]}}}
    schema = {
        "properties": {
            "a": {"$ref": "shared.json#/$defs/a"},
            "list": {"items": {"properties": {"price": {}}}},
            "map": {"additionalProperties": {"$ref": "shared.json#/$defs/a"}},
        },
        "anyOf": [{"properties": {"b": {"oneOf": [{"properties": {"x": {}}}, {"properties": {"y": {}}}]}}}],
        "allOf": [{"$ref": "shared.json#/$defs/loop"}],
    }
    schemas = write_schemas(tmp_path, t=schema, shared=shared)

    assert schemas.list_properties(make_event({}), path) == names
    assert schemas.list_properties(make_event({}, "unknown"), path) == set()


def test_the_schema_of_the_source_comes_first(tmp_path: Path) -> None:
    """`SOURCE@TYPE.json` describes the events of that source, `TYPE.json` the others."""
    schemas = write_schemas(tmp_path, **{"t": True, "s@t": False})

    assert [finding.code for finding in schemas.check(make_event({}))] == ["EV103"]
    assert schemas.check(make_event({})._replace(source="other")) == []
    assert schemas.list_types() == ["t"]


@pytest.mark.parametrize("pattern", NESTED_REPETITIONS)
def test_exponential_expressions_end(tmp_path: Path, pattern: str) -> None:
    """Evtool decides or gives up at once on a pattern that needs exponential time in other engines."""
    schemas = write_schemas(tmp_path, t={"properties": {"a": {"pattern": pattern}}})
    begun = time.process_time()
    findings = schemas.check(make_event({"a": "a" * 5000 + "!"}))

    assert [finding.code for finding in findings] == ["EV107"]
    assert time.process_time() - begun < 2


def test_recursive_schema_checks_every_level_of_an_event(tmp_path: Path) -> None:
    """The event is nested as deeply as events may be."""
    schemas = write_schemas(tmp_path, t={"properties": {"next": {"$ref": "#"}, "value": {"type": "integer"}}})
    good: dict[str, Any] = {"value": 1}
    bad: dict[str, Any] = {"value": "x"}
    for _ in range(195):
        good, bad = {"next": good}, {"next": bad}

    assert schemas.check(make_event(good)) == []
    assert [finding.pointer for finding in schemas.check(make_event(bad))] == ["/detail" + "/next" * 195 + "/value"]


@pytest.mark.parametrize("schema", LOOPS_IN_PLACE, ids=json.dumps)
def test_a_schema_that_contains_itself_in_place_ends(tmp_path: Path, schema: dict[str, Any]) -> None:
    """It neither hangs nor exhausts the stack, whether it is accepted or refused."""
    write_schemas(tmp_path, t=schema).check(make_event({"a": {"b": [1]}}))


@pytest.mark.slow
def test_thousands_of_findings_take_seconds(tmp_path: Path, evtool: Evtool) -> None:
    """An event with 20,000 violations is reported within seconds: work that serves all findings is done once."""
    write_schemas(tmp_path, s={"properties": {"a": {"items": {"type": "string"}}}, "additionalProperties": False})
    detail = {"a": list(range(10_000)), **{f"key{n}": n for n in range(10_000)}}
    (tmp_path / "e.json").write_text(json.dumps(detail), encoding="utf-8")
    begun = time.monotonic()
    ran = evtool("validate", "e.json", "--type", "x", "--schema", "s.json", "-o", "json")

    assert len(ran.json["findings"]) == 20_000
    assert time.monotonic() - begun < 15


@pytest.mark.parametrize("case", DESCRIBED, ids=lambda case: case.name)
def test_events_are_compared_with_the_schema_that_describes_them(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A document that declares its types comes first, then routes.yaml, then the name of the file."""
    monkeypatch.chdir(case)
    named = json.loads((case / "named.json").read_text()) if (case / "named.json").exists() else {}
    parts = {name: target.partition("#") for name, target in named.items()}
    schemas = Schemas(
        [Path("schemas")], named={name: NamedSchema(Path(f), part) for name, (f, _, part) in parts.items()}
    )
    defaults = EventDefaults(lambda: "1", lambda: "2026-03-01T20:41:00Z")
    for line in (case / "events.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        [read] = read_events(SourceText("events", 1, 1, json.dumps(row["event"]).encode()), defaults)
        assert isinstance(read, Event)
        assert sorted(format_finding(finding) for finding in schemas.check(read)) == sorted(row["findings"])


# --- schemas that are refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_refused_schema_has_located_findings(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each problem is one finding with its location, in the file that has the problem."""
    monkeypatch.chdir(case)
    findings = read_refusal(case).findings
    expected = (case / "expected.txt").read_text(encoding="utf-8").splitlines()

    assert len(findings) == len(expected)
    for finding, line in zip(findings, expected, strict=True):
        assert f"{finding.file}:{finding.line}:{finding.column} {finding.code} {finding.message}".startswith(line)


@pytest.mark.parametrize("case", ["unknown-type-in-another-file", "missing-file", "not-json", "loop-of-two"])
def test_a_refused_schema_ends_with_exit_code_2(evtool: Evtool, tmp_path: Path, case: str) -> None:
    """The command prints the findings of the schema, and no traceback."""
    (tmp_path / "e.jsonl").write_text('{"detail-type": "t", "source": "s", "detail": {}}\n' * 2, encoding="utf-8")
    (tmp_path / "routes.yaml").write_text(f"version: 1\nschemas: {CASES / 'refused' / case}\n", encoding="utf-8")
    ran = evtool("validate", "e.jsonl")

    assert (ran.code, ran.out) == (2, "")
    first = (CASES / "refused" / case / "expected.txt").read_text(encoding="utf-8").splitlines()[0]
    assert first.partition(" ")[2].split(" ")[0] in ran.err
    assert ran.err.splitlines()[-1].startswith("evtool: the schema ")


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    """A reference to a link counts as a reference to its target, which is outside."""
    inside = tmp_path / "schemas"
    inside.mkdir()
    write_schemas(tmp_path, outside={"canary": True})
    (inside / "link.json").symlink_to(tmp_path / "outside.json")
    (inside / "up").symlink_to(tmp_path)
    for reference in ("link.json", "up/outside.json"):
        write_schemas(inside, t={"$ref": reference})
        [finding] = read_refusal(inside).findings
        assert (finding.code, "canary" in str(finding)) == ("EV603", False)


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    """A pipe would never end; a folder and a link to itself cannot be read."""
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "loop.json").symlink_to("loop.json")
    schemas = Schemas([tmp_path])
    for name in ("pipe", "folder", "loop"):
        with pytest.raises(ConfigError) as caught:
            schemas.check(make_event({}, name))
        assert [finding.code for finding in caught.value.findings] == ["EV601"]
    write_schemas(tmp_path, t={"$ref": "urn:x"})
    assert [finding.code for finding in read_refusal(tmp_path).findings] == ["EV603"]


def test_search_for_an_id_ignores_broken_files(tmp_path: Path) -> None:
    """A file that is not a schema is reported only if something refers to it."""
    (tmp_path / "broken.json").write_text("nonsense", encoding="utf-8")
    schemas = write_schemas(tmp_path, t={"$ref": "urn:x"}, x={"$id": "urn:x", "type": "string"})

    assert [finding.code for finding in schemas.check(make_event({}))] == ["EV104"]


@pytest.fixture
def requests() -> Iterator[tuple[str, list[str]]]:
    """A web server on this machine, and the paths of the requests that it gets."""
    requested_paths: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requested_paths.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", requested_paths
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "schema",
    [
        '{"$ref": "WEB/ref.json"}',
        '{"$id": "WEB/", "$ref": "ref.json"}',
        '{"$schema": "WEB/draft.json"}',
        '{"properties": {"a": {"$ref": "WEB/ref.json#/a"}}}',
        '{"$dynamicRef": "WEB/ref.json#a"}',
        '{"$schema": "http://json-schema.org/draft-04/schema#", "id": "WEB/", "items": {"$ref": "x.json"}}',
        '{"$defs": {"a": {"$id": "WEB/a", "$ref": "b"}}, "$ref": "#/$defs/a"}',
        '{"$ref": "FILE"}',
        '{"$id": "FILE", "$ref": "?x"}',
        '{"$dynamicRef": "FILE#a"}',
    ],
)
def test_nothing_is_fetched(evtool: Evtool, tmp_path: Path, requests: tuple[str, list[str]], schema: str) -> None:
    """A schema that refers to a server or to a file outside is refused, and no request arrives."""
    web, requested_paths = requests
    (tmp_path / "canary.json").write_text('{"canary": 1, "$defs": {"a": {"$anchor": "a"}}}', encoding="utf-8")
    (tmp_path / "schemas").mkdir()
    text = schema.replace("WEB", web).replace("FILE", (tmp_path / "canary.json").as_uri())
    (tmp_path / "schemas/t.json").write_text(text, encoding="utf-8")
    (tmp_path / "routes.yaml").write_text("version: 1\nschemas: schemas\n", encoding="utf-8")
    ran = evtool("validate", "-", stdin=b'{"detail-type": "t", "source": "s", "detail": {}}')

    assert requested_paths == []
    assert (ran.code, "EV60" in ran.err, "Traceback" in ran.err) == (2, True, False)


def test_references_work_in_a_folder_with_an_unusual_name(evtool: Evtool, tmp_path: Path) -> None:
    """The name has bytes that are not UTF-8, and characters with a meaning in URIs."""
    folder = Path(os.fsdecode(bytes(tmp_path) + b"/a \xff%41#"))
    folder.mkdir()
    (folder / "s.json").write_text('{"$ref": "other.json"}')
    (folder / "other.json").write_text('{"properties": {"a": {"$ref": "more.json#/$defs/n"}}}')
    (folder / "more.json").write_text('{"$defs": {"n": {"type": "integer"}}}')
    for detail, code in ((b'{"a": 1}', 0), (b'{"a": "x"}', 1)):
        words = ["validate", "-", "--schema", "s.json", "--type", "t"]
        ran = evtool(*words, stdin=detail, cwd=folder)
        assert (ran.code, "EV603" in ran.out + ran.err) == (code, False)
