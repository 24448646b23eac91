"""evtool validate, as a user calls it: its findings, its input, and its exit codes."""

import gzip
import json
import os
import re
import stat
from pathlib import Path
from typing import Any
from unicodedata import combining, east_asian_width

import pytest

from evtool.commands import block_workers
from tests.conftest import ROOT, Evtool

SAMPLES = ROOT / "samples"
SCHEMA = {
    "type": "object",
    "required": ["id"],
    "properties": {"id": {"type": "string"}, "count": {"type": "integer", "minimum": 1}},
    "additionalProperties": False,
}


def planted() -> list[tuple[str, int | None, int | None, str]]:
    """Reads the table of samples/invalid/README.md: file, code, and line and column if they are certain."""
    rows = re.findall(
        r"^\| (\S+) \| (\d*):?(\d*) \| (EV\d+) \|", (SAMPLES / "invalid/README.md").read_text("utf-8"), re.MULTILINE
    )
    return [
        (file, int(line) if line else None, int(column) if column else None, code) for file, line, column, code in rows
    ]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a schema for the type `t`, and no samples."""
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas/t.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
    (tmp_path / "routes.yaml").write_text("version: 1\nschemas: schemas\n", encoding="utf-8")
    return tmp_path


def envelope(detail: Any, **more: Any) -> dict[str, Any]:
    """An EventBridge envelope around a payload."""
    return {"id": "1", "source": "s", "detail-type": "t", "detail": detail, **more}


def found(ran: Any) -> list[tuple[str, int, int, str]]:
    """Returns the findings of a run, as file, line, column and code."""
    return [(f["file"], f["line"], f["column"], f["code"]) for f in ran.json["findings"]]


# --- the shop --------------------------------------------------------------------------------------------------------


def test_validate_without_arguments_checks_the_samples(evtool: Evtool, shop: Path) -> None:
    """Without arguments the samples of the project are checked, and nothing is wrong with them."""
    ran = evtool("validate", cwd=shop)

    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "checked 12 events in 7 files: all valid\n"
    assert evtool("validate", "-q", cwd=shop).out == ""


def test_every_deliberate_mistake_is_found_and_nothing_else(evtool: Evtool, shop: Path) -> None:
    """Each row of the table is one finding at its location."""
    ran = evtool("validate", "samples/invalid", "-o", "json", cwd=shop)
    expected = planted()
    exact = {(Path(file).name, line, column, code) for file, line, column, code in found(ran)}

    assert ran.code == 1
    assert len(expected) == len(found(ran)) > 20
    for file, line, column, code in expected:
        assert any(f == file and line in (None, n) and column in (None, c) and k == code for f, n, c, k in exact), file
    assert ran.json["summary"]["files"] == len({row[0] for row in expected})


def test_the_project_of_a_parent_folder_is_used(evtool: Evtool, shop: Path) -> None:
    """Findings name the files as the command line does."""
    ran = evtool("validate", "order-wrong-type.json", cwd=shop / "samples/invalid")

    assert ran.out.startswith("order-wrong-type.json:42:21: EV104 ")


# --- what is found ---------------------------------------------------------------------------------------------------


def test_every_error_of_every_event_is_reported(evtool: Evtool, project: Path) -> None:
    """Not only the first of an event, nor only those of the first event."""
    wrong = {"coumt": 1, "count": 0}
    (project / "e.jsonl").write_text(f"{json.dumps(envelope(wrong))}\n{json.dumps(envelope({'id': 5, 'x': 1}))}\n")
    ran = evtool("validate", "e.jsonl", "-o", "json")

    assert [(f["line"], f["code"], f["pointer"]) for f in ran.json["findings"]] == [
        (1, "EV102", "/detail"),
        (1, "EV103", "/detail/coumt"),
        (1, "EV106", "/detail/count"),
        (2, "EV104", "/detail/id"),
        (2, "EV103", "/detail/x"),
    ]
    assert ran.json["summary"] == {"events": 2, "valid": 0, "invalid": 2, "files": 1}
    assert {(f["event_id"], f["event_type"]) for f in ran.json["findings"]} == {("1", "t")}


@pytest.mark.parametrize(
    ("line", "marked"),
    [
        ('{"id": "a", "count": "5"}', '"5"'),
        ('{"id": "a",\t\t"count":\t"5"}', '"5"'),
        ('{"id": "\\u0007 \u202e\u200b\x7f", "count": "5"}', '"5"'),
        ('{"id": "注文 😀 e\u0301", "count": "5"}', '"5"'),
        ('{"id": "a", "cou\tnt": 5}'.replace("\t", "\\t"), '"cou\\tnt"'),
        ('{"id": "a", "zähler\u202e": 5}', '"zähler\u202e"'),
        ('{"id": "' + "a" * 400 + '", "count": "5"}', '"5"'),
        ('{"id": "' + "a" * 400 + '", "count": "5", "zzz": "' + "b" * 400 + '"}', '"5"'),
        ('{"id": "##[error]", "count": "5"}', '"5"'),
    ],
)
def test_the_caret_is_below_the_mistake(evtool: Evtool, project: Path, line: str, marked: str) -> None:
    """Also after tabs, wide and invisible characters, and far to the right in a long line."""

    def columns(text: str) -> int:
        return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)

    (project / "e.json").write_text(f"{line}\n", encoding="utf-8")
    shown, caret = evtool("validate", "e.json", "--type", "t", env={"COLUMNS": "120"}).out.splitlines()[1:3]
    visible = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in marked)
    start = columns(shown[: shown.index(visible)])

    assert caret.index("^") == start
    assert caret.count("^") == columns(visible)


def test_no_schema_decides_how_a_type_without_a_schema_is_reported(evtool: Evtool, project: Path) -> None:
    """A similar type is suggested."""
    (project / "schemas/order.created.json").write_text("true", encoding="utf-8")
    event = json.dumps(envelope({}, **{"detail-type": "order.craeted"})).encode()
    error, warn, ignore = (
        evtool("validate", "-", "--no-schema", how, "-o", "json", stdin=event) for how in ("error", "warn", "ignore")
    )

    assert (error.code, warn.code, ignore.code) == (1, 0, 0)
    assert [(f["code"], f["severity"], f["suggestion"]) for f in error.json["findings"] + warn.json["findings"]] == [
        ("EV101", "error", 'did you mean "order.created"?'),
        ("EV101", "warning", 'did you mean "order.created"?'),
    ]
    assert ignore.json["findings"] == []
    assert evtool("validate", "-", stdin=event).code == 1


# --- what is given ---------------------------------------------------------------------------------------------------

GOOD = {"id": "a", "count": 1}
BAD = {"id": "a", "count": 0}
CLOUD = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}
FORMS = {  # name of the file -> its text with a valid and an invalid event, and where the fault is
    "array.json": (json.dumps([envelope(GOOD), envelope(BAD)]), (1, "/detail/count")),
    "lines.jsonl": ("\n".join(map(json.dumps, [envelope(GOOD), envelope(BAD)])), (2, "/detail/count")),
    "lines.ndjson": ("\r\n".join(map(json.dumps, [envelope(GOOD), envelope(BAD)])), (2, "/detail/count")),
    "cloud.jsonl": ("\n".join(json.dumps({**CLOUD, "data": data}) for data in (GOOD, BAD)), (2, "/data/count")),
    "put.json": (
        json.dumps({"Entries": [{"Source": "s", "DetailType": "t", "Detail": json.dumps(d)} for d in (GOOD, BAD)]}),
        (1, "/detail/count"),
    ),
    "entries.jsonl": (
        "\n".join(json.dumps({"Source": "s", "DetailType": "t", "Detail": d}) for d in (GOOD, BAD)),
        (2, "/detail/count"),
    ),
}


@pytest.mark.parametrize("way", ["file", "gz", "stdin", "folder"])
@pytest.mark.parametrize("name", FORMS)
def test_every_input_form_is_read_from_every_kind_of_source(evtool: Evtool, project: Path, name: str, way: str) -> None:
    """Both envelopes, PutEvents requests and entries; in arrays, lines, gzip files, pipes and folders."""
    text, (line, pointer) = FORMS[name]
    folder = project / "in/deeper"
    folder.mkdir(parents=True)
    (folder / name).write_text(text)
    (folder / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    if way in ("gz", "folder"):
        (folder / name).unlink()
    path = {"file": folder / name, "gz": folder / f"{name}.gz", "stdin": "-", "folder": "in"}[way]
    ran = evtool("validate", path, "-o", "json", stdin=text.encode())

    assert [(f["line"], f["code"], f["pointer"]) for f in ran.json["findings"]] == [(line, "EV106", pointer)]
    assert (ran.code, ran.json["summary"]) == (1, {"events": 2, "valid": 1, "invalid": 1, "files": 1})


def test_a_bare_payload_needs_a_type(evtool: Evtool, project: Path) -> None:
    """--type selects the schema, --source the sender. Without a type it is not an event."""
    (project / "schemas/shop@t.json").write_text("false", encoding="utf-8")
    text = json.dumps(GOOD).encode()

    assert evtool("validate", "-", "--type", "t", stdin=text).code == 0
    assert evtool("validate", "-", "--type", "t", "--source", "shop", stdin=text).code == 1
    refused = evtool("validate", "-", stdin=text)
    assert (refused.code, "EV009" in refused.out, "--type" in refused.out) == (1, True, True)


def test_routes_yaml_maps_types_to_schemas(evtool: Evtool, project: Path) -> None:
    """For types that cannot be file names; with or without a folder."""
    (project / "all.json").write_text(json.dumps({"$defs": {"T": {"$anchor": "t", **SCHEMA}}}), encoding="utf-8")
    event = b'{"id": "1", "source": "s", "detail-type": "a/b", "detail": {"id": 5}}'
    mappings = ("[schemas, {a/b: 'all.json#/$defs/T'}]", "{s@a/b: 'all.json#/%24defs/T'}", "{a/b: 'all.json#t'}")
    for schemas in mappings:
        (project / "routes.yaml").write_text(f"version: 1\nschemas: {schemas}\n", encoding="utf-8")
        ran = evtool("validate", "-", "-o", "json", stdin=event)
        assert [finding["code"] for finding in ran.json["findings"]] == ["EV104"]
    (project / "routes.yaml").write_text("version: 1\nschemas: {a/b: 'all.json#/$defs/X'}\n", encoding="utf-8")
    ran = evtool("validate", "-", stdin=event)
    assert (ran.code, "all.json has no /$defs/X" in ran.err) == (2, True)


def test_schema_accepts_the_export_of_a_registry(evtool: Evtool, tmp_path: Path) -> None:
    """The schema of the event's type in it, or the only one."""
    parts = {"S": SCHEMA}
    for name in "AB":
        fields = {"detail": {"$ref": "#/components/schemas/S"}, "region": {"type": "string"}}
        parts[name] = {"x-amazon-events-detail-type": name, "required": ["region"], "properties": fields}
    (tmp_path / "all.json").write_text(json.dumps({"openapi": "3.0.0", "components": {"schemas": parts}}))
    del parts["B"]
    (tmp_path / "one.json").write_text(json.dumps({"openapi": "3.0.0", "components": {"schemas": parts}}))
    for file, name, codes in (("all", "A", ["EV102", "EV102"]), ("one", "C", ["EV102", "EV102"])):
        event = json.dumps({"id": "1", "source": "s", "detail-type": name, "detail": {}}).encode()
        ran = evtool("validate", "-", "--schema", f"{file}.json", "-o", "json", stdin=event)
        assert [finding["code"] for finding in ran.json["findings"]] == codes
    ran = evtool("validate", "-", "--schema", "all.json", stdin=event)
    assert (ran.code, "EV602 this document describes several types" in ran.err) == (2, True)


def test_schema_option_applies_to_every_type(evtool: Evtool, tmp_path: Path) -> None:
    """It needs no project, and the file may refer to files next to it."""
    (tmp_path / "own.json").write_text('{"properties": {"a": {"$ref": "beside.json"}}}', encoding="utf-8")
    (tmp_path / "beside.json").write_text('{"type": "integer"}', encoding="utf-8")
    event = json.dumps(envelope({"a": "x"}, **{"detail-type": "anything"})).encode()
    ran = evtool("validate", "-", "--schema", "own.json", "-o", "json", stdin=event)

    assert [f["code"] for f in ran.json["findings"]] == ["EV104"]


def test_fail_fast_stops_at_the_first_invalid_event(evtool: Evtool, project: Path) -> None:
    """All of its errors are reported."""
    lines = [envelope(GOOD), envelope({"count": 0}), envelope(BAD)]
    (project / "e.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    ran = evtool("validate", "e.jsonl", "--fail-fast", "-o", "json")

    assert [f["line"] for f in ran.json["findings"]] == [2, 2]
    assert ran.json["summary"] == {"events": 2, "valid": 1, "invalid": 1, "files": 1}


def test_an_event_that_is_too_long_does_not_lose_the_others(evtool: Evtool, project: Path) -> None:
    """--max-bytes limits one event; the default is 1 MiB."""
    lines = [envelope(GOOD), envelope({"id": "x" * 500}), envelope(BAD)]
    (project / "e.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    assert found(evtool("validate", "e.jsonl", "--max-bytes", "300", "-o", "json")) == [
        ("e.jsonl", 2, 1, "EV008"),
        ("e.jsonl", 3, json.dumps(lines[2]).rindex("0") + 1, "EV106"),
    ]
    (project / "long.json").write_text(json.dumps(envelope({"id": "x" * (1 << 20)})))
    assert found(evtool("validate", "long.json", "-o", "json")) == [("long.json", 1, 1, "EV008")]


@pytest.mark.parametrize(
    ("entry", "code", "said"),
    [
        ({"Resources": 5}, "EV108", "Resources must be a list of strings, not a number"),
        ({"Resources": [5]}, "EV108", "Resources must be a list of strings, not an array"),
        ({"Time": "yesterday"}, "EV108", 'time is not an RFC 3339 time such as 2026-11-23T10:00:00Z: "yesterday"'),
        ({"Time": True}, "EV108", "time is not an RFC 3339 time such as 2026-11-23T10:00:00Z: true"),
        ({"Time": 1e300}, "EV108", "time is not an RFC 3339 time such as 2026-11-23T10:00:00Z: 1e+300"),
        ({"Detail": "{nonsense"}, "EV002", "Detail is not well-formed JSON"),
        ({"Detail": "[]"}, "EV108", "detail must be a JSON object, not an array"),
        ({"DetailType": ""}, "EV108", "detail-type must be a string that is not empty, not an empty string"),
        ({"Source": None}, "EV108", "Source must be a string that is not empty, not null"),
    ],
)
def test_invalid_put_events_entries_are_located_in_the_request(
    evtool: Evtool, project: Path, entry: dict[str, Any], code: str, said: str
) -> None:
    """Those that EventBridge would refuse, or that cannot be understood."""
    request = json.dumps({"Entries": [{"Source": "s", "DetailType": "t", "Detail": '{"id": "a"}', **entry}]})
    [key] = entry
    [finding] = evtool("validate", "-", "-o", "json", stdin=request.encode()).json["findings"]

    assert (finding["code"], said in finding["message"]) == (code, True)
    assert request[finding["column"] - 1 :].startswith(json.dumps(entry[key]))
    assert request[: finding["column"] - 1].endswith(f'"{key}": ')


def test_times_of_put_events_may_be_numbers(evtool: Evtool, project: Path) -> None:
    """SDKs write them as seconds since 1970."""
    entry = {"Source": "s", "DetailType": "t", "Detail": '{"id": "a"}', "Time": 1700000000.5}

    assert evtool("validate", "-", stdin=json.dumps(entry).encode()).code == 0


@pytest.mark.parametrize("name", ["mark.json", "mark.jsonl"])
def test_byte_order_marks_are_ignored(evtool: Evtool, project: Path, name: str) -> None:
    """At the beginning of a file, a line or a detail."""
    lines = [GOOD, envelope(GOOD), {"Source": "s", "DetailType": "t", "Detail": "\ufeff" + json.dumps(GOOD)}]
    texts = ["\ufeff" + json.dumps(line) for line in lines]
    (project / name).write_text("\n".join(texts if name.endswith("l") else texts[:1]), encoding="utf-8")
    ran = evtool("validate", name, "--type", "t", "-o", "json")

    assert (ran.code, ran.json["findings"]) == (0, [])


# --- what is written, and how it ends --------------------------------------------------------------------------------


def test_several_reports_are_written_at_once(evtool: Evtool, shop: Path) -> None:
    """Each file is complete and only its owner can read it. One report may go to standard output."""
    out = shop / "out"
    out.mkdir()
    kinds = ["json", "jsonl", "github", "junit"]
    ran = evtool(
        "validate", "samples/invalid", *(w for k in kinds for w in ("-o", f"{k}=out/{k}")), "-o", "text", cwd=shop
    )

    assert (ran.code, ran.out.splitlines()[-1]) == (1, "checked 28 events in 23 files: 25 invalid")
    assert sorted(file.name for file in out.iterdir()) == sorted(kinds)
    assert {stat.S_IMODE(file.stat().st_mode) for file in out.iterdir()} == {0o600}
    assert json.loads((out / "json").read_text())["summary"]["invalid"] == 25


def test_a_report_replaces_a_link_and_not_its_target(evtool: Evtool, project: Path) -> None:
    """So nobody can redirect a report with a link."""
    (project / "precious").write_text("precious")
    (project / "report.json").symlink_to("precious")
    evtool("validate", "-", "-o", "json=report.json", stdin=json.dumps(envelope(GOOD)).encode())

    assert (project / "precious").read_text() == "precious"
    assert json.loads((project / "report.json").read_text())["findings"] == []


def test_an_interrupted_command_leaves_the_old_report(evtool: Evtool, project: Path) -> None:
    """A file appears only when it is complete."""
    (project / "report.json").write_text("old")
    (project / "schemas/t.json").write_text('{"type": "strng"}')
    ran = evtool("validate", "-", "-o", "json=report.json", stdin=json.dumps(envelope(GOOD)).encode())

    assert (ran.code, (project / "report.json").read_text()) == (2, "old")
    assert sorted(file.name for file in project.iterdir()) == ["report.json", "routes.yaml", "schemas"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "xml"], "-o xml: validate has the formats text, json, jsonl, github, junit"),
        (["-o", "json", "-o", "text"], "only one -o can go to standard output"),
        (["-o", "json=none/report.json"], "cannot write none/report.json: No such file or directory"),
        (["-o", "json=routes.yaml/report.json"], "cannot write routes.yaml/report.json: Not a directory"),
        (["-o", "json=r", "-o", "junit=r"], "cannot write r: File exists"),
        (["--no-schema", "perhaps"], "perhaps"),
        (["--schema", "none.json"], "there is no file none.json"),
        (["--schema", "schemas"], "there is no file schemas"),
        (["--schema", "x" * 300], "there is no file xxx"),
        (["--routes", "x" * 300], "there is no file xxx"),
        (["--max-bytes", "many"], "many"),
        (["--fail-fats"], "--fail-fats"),
        (["--routes", "none.yaml"], "there is no file none.yaml"),
        ([], "name events to validate, or set `samples:` in routes.yaml"),
    ],
)
def test_a_usage_error_of_validate_is_exit_code_2(
    evtool: Evtool, project: Path, arguments: list[str], said: str
) -> None:
    """It prints no result and leaves no file."""
    ran = evtool("validate", *arguments, *(["-"] if arguments else []), stdin=json.dumps(envelope(GOOD)).encode())

    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert sorted(file.name for file in project.iterdir()) == ["routes.yaml", "schemas"]


def test_without_a_project_validate_says_what_is_missing(evtool: Evtool, tmp_path: Path) -> None:
    """There are no schemas without a routes.yaml or --schema."""
    assert "no routes.yaml here" in evtool("validate", "-").err
    (tmp_path / "routes.yaml").write_text("version: 1\n")
    ran = evtool("validate", "-")
    assert (ran.code, "there are no schemas" in ran.err) == (2, True)


def test_an_unreadable_file_is_reported_and_the_rest_is_checked(evtool: Evtool, project: Path) -> None:
    """Exit code 2."""
    (project / "bad.json").write_text(json.dumps(envelope(BAD)))
    ran = evtool("validate", "none.json", "bad.json", "-o", "json")

    assert (ran.code, [f["code"] for f in ran.json["findings"]]) == (2, ["EV001", "EV106"])
    assert ran.json["summary"] == {"events": 1, "valid": 0, "invalid": 1, "files": 2}
    alone = evtool("validate", "none.json")
    assert (alone.code, alone.out.splitlines()[-1]) == (2, "checked 0 events in 1 file")


def test_a_second_location_in_a_message_counts_lines_of_the_file(evtool: Evtool, tmp_path: Path) -> None:
    """Not those of the event."""
    lines = [b'{"a":1}', b'{"detail-type":"x","x":1,"x":2}', b'{"detail-type":"x","x":[1,']
    (tmp_path / "lines.jsonl").write_bytes(b"\n".join(lines))
    (tmp_path / "any.json").write_text("{}")
    ran = evtool("validate", "lines.jsonl", "--schema", "any.json")

    assert 'lines.jsonl:2:26: EV003 the key "x" occurs twice in this object, first at 2:20' in ran.out
    assert "lines.jsonl:3:27: EV002 the text ends inside the array that begins at 3:24" in ran.out


# --- where the schema is ---------------------------------------------------------------------------------------------


def test_schema_names_a_part_of_a_file(evtool: Evtool, project: Path) -> None:
    """FILE#/POINTER is one schema of a file; one that does not exist is an error."""
    (project / "all.json").write_text(json.dumps({"$defs": {"t": SCHEMA, "any": {"$anchor": "any"}}}))
    (project / "e.json").write_text(json.dumps(envelope({"id": 5})))
    arguments = ("validate", "e.json", "--schema")
    assert "EV104 detail.id should be string" in evtool(*arguments, "all.json#/$defs/t").out
    assert evtool(*arguments, "all.json#/$defs/any").code == 0
    assert evtool(*arguments, "all.json#any").code == 0
    ran = evtool(*arguments, "all.json#/$defs/u")
    assert (ran.code, ran.out) == (2, "")
    assert 'all.json: EV603 the schema "all.json#/$defs/u" leads to nothing: all.json has no /$defs/u' in ran.err
    ran = evtool(*arguments, "none.json#/$defs/u")
    assert (ran.code, ran.err) == (2, "evtool: --schema: there is no file none.json\n")


def test_a_missing_file_of_the_schema_mapping_is_located_in_routes_yaml(evtool: Evtool, project: Path) -> None:
    """By every command, also for a part of a file that does not exist."""
    (project / "e.json").write_text(json.dumps(envelope({"id": "5"})))
    routes = project / "routes.yaml"
    routes.write_text("version: 1\nschemas:\n  - schemas\n  - u: none.json\n    v: gone/none.yaml#/a\n")
    for arguments in (("validate", "e.json"), ("publish", "e.json", "--dry-run")):
        ran = evtool(*arguments)
        assert (ran.code, ran.out) == (2, "")
        assert "routes.yaml:4:8: EV601 the schema of u cannot be read: the file none.json does not exist" in ran.err
        assert (
            "routes.yaml:5:8: EV601 the schema of v cannot be read: the file gone/none.yaml does not exist" in ran.err
        )
    routes.write_text("version: 1\nschemas:\n  t: schemas/t.json#/$defs/none\n")
    ran = evtool("validate", "e.json")
    assert ran.code == 2
    assert "routes.yaml:3:6: EV603" in ran.err
    assert "schemas/t.json has no /$defs/none" in ran.err


@pytest.mark.parametrize("name", ["e.json", "e.jsonl", "list.json"])
def test_the_finding_of_a_long_event_names_max_bytes(evtool: Evtool, project: Path, name: str) -> None:
    """EV008 names --max-bytes, which helps."""
    text = json.dumps(envelope({"id": "x" * 2000}))
    (project / name).write_text(f"[{text}]" if name == "list.json" else text)
    ran = evtool("validate", name, "--max-bytes", "1000")
    assert ran.code == 1
    assert "EV008" in ran.out
    assert "--max-bytes N allows longer events" in ran.out
    assert evtool("validate", name, "--max-bytes", "3000").code == 0


@pytest.mark.parametrize("jobs", ["2", "3"])
def test_jobs_report_the_same_findings_in_the_same_order(evtool: Evtool, shop: Path, jobs: str) -> None:
    """And count the same events."""
    order = json.loads((shop / "samples/events/order-created.json").read_text("utf-8"))
    cart = json.loads((shop / "samples/events/cart-abandoned.json").read_text("utf-8"))
    lines = [json.dumps({**(cart if n % 3 else order), "id": f"id-{n}"}, separators=(",", ":")) for n in range(600)]
    for number in range(0, 600, 37):
        lines[number] = lines[number].replace("USD", "usd").replace('"time"', '"time":"x","time"')
    lines[100:100] = ["", "no JSON", '{"id": "\\u0041"}']
    (shop / "many.jsonl").write_text("\n".join(lines))
    one, several = (evtool("validate", "many.jsonl", "--jobs", number, cwd=shop) for number in ("1", jobs))

    assert one.code == several.code == 1
    assert one.out.count("EV003") == len(range(0, 600, 37))
    assert (several.out, several.err) == (one.out, one.err)


def test_the_work_of_a_killed_process_is_done_without_it(
    evtool: Evtool, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The main process proves the blocks of the killed process."""
    order = (shop / "samples/events/order-created.json").read_bytes()
    line = json.dumps(json.loads(order)).encode() + b"\n"
    (shop / "many.jsonl").write_bytes(line * 200)
    monkeypatch.setattr(block_workers, "_answer_blocks", lambda *_: os._exit(1))
    assert "checked 200 events in 1 file: all valid" in evtool("validate", "many.jsonl", "--jobs", "2", cwd=shop).out
