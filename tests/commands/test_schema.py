"""evtool schema diff and schema infer, as a user calls them."""

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Evtool


def write(file: Path, value: Any) -> None:
    """Writes JSON."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value, indent=2))


def edit_cart(shop: Path, **properties: Any) -> None:
    """Changes properties of the schema of abandoned carts; None removes one."""
    file = shop / "samples/schemas/cart.abandoned.json"
    schema = json.loads(file.read_text())
    for name, value in properties.items():
        if value is None:
            del schema["properties"][name]
            schema["required"].remove(name)
        else:
            schema["properties"][name] = value
    write(file, schema)


@pytest.fixture
def repository(shop: Path) -> Path:
    """The shop in a git repository, with a commit."""
    identity = ["-c", "user.name=Joe", "-c", "user.email=joe@example.com", "-c", "init.defaultBranch=main"]
    for arguments in (["init"], ["add", "."], ["commit", "-m", "first"]):
        subprocess.run(["git", *identity, *arguments], cwd=shop, check=True, capture_output=True)
    return shop


# --- diff ------------------------------------------------------------------------------------------------------------


def test_schema_diff_compares_two_files(evtool: Evtool, tmp_path: Path) -> None:
    """Each change has its location and what it breaks. The exit code depends on --compatibility."""
    write(tmp_path / "old.json", {"type": "object", "properties": {"total": {"type": "number"}}})
    write(tmp_path / "new.json", {"type": "object", "properties": {"total": {"type": "integer"}}})
    ran = evtool("schema", "diff", "old.json", "new.json", "-o", "json")

    assert ran.code == 1
    assert ran.json["compatible"] == {"backward": False, "forward": True, "full": False}
    [change] = ran.json["changes"]
    assert (change["pointer"], change["kind"], change["breaks"]) == (
        "/properties/total/type",
        "type-narrowed",
        ["backward"],
    )
    assert (change["file"], change["line"]) == ("new.json", 5)
    assert change["message"] == "total: the type was number, now integer"
    assert evtool("schema", "diff", "old.json", "new.json", "--compatibility", "forward").code == 0
    assert evtool("schema", "diff", "old.json", "new.json", "--compatibility", "full").code == 1
    assert evtool("schema", "diff", "new.json", "old.json").code == 0


def test_relaxed_omits_an_added_field_of_an_open_schema(evtool: Evtool, tmp_path: Path) -> None:
    """It breaks only events that have the field without declaring it."""
    write(tmp_path / "old.json", {"type": "object", "properties": {"a": {"type": "string"}}})
    write(tmp_path / "new.json", {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}})

    assert evtool("schema", "diff", "old.json", "new.json").code == 1
    relaxed = evtool("schema", "diff", "old.json", "new.json", "--relaxed", "-o", "json")
    assert relaxed.code == 0
    assert [(change["kind"], change["breaks"]) for change in relaxed.json["changes"]] == [("property-added", [])]


def test_an_undecided_change_is_not_compatible(evtool: Evtool, tmp_path: Path) -> None:
    """Two regular expressions with look-ahead: undecided, null in JSON, exit code 1."""
    write(tmp_path / "old.json", {"type": "string", "pattern": "^AB(?=-)-[0-9]+$"})
    write(tmp_path / "new.json", {"type": "string", "pattern": "^[A-Z]+(?=-)-[0-9]+$"})
    ran = evtool("schema", "diff", "old.json", "new.json", "-o", "json")

    assert ran.code == 1
    assert ran.json["compatible"]["backward"] is None
    assert ran.json["changes"][0]["undecided"] == ["backward", "forward"]
    assert "backward undecided" in evtool("schema", "diff", "old.json", "new.json").out


@pytest.mark.parametrize(
    ("properties", "broken"),
    [
        ({"cartTotal": None}, ["win-back-cart"]),
        ({"cartTotal": {"type": "string"}}, ["win-back-cart"]),
        ({"cartTotal": {"type": "number", "maximum": 10}}, ["win-back-cart"]),
        ({"cartTotal": {"type": "number", "maximum": 30}}, []),
        ({"currency": {"enum": ["EUR"]}}, []),
    ],
)
def test_broken_routes_are_listed(
    evtool: Evtool, repository: Path, properties: dict[str, Any], broken: list[str]
) -> None:
    """A condition that becomes impossible, or a removed field. A route that can still match is not listed."""
    edit_cart(repository, **properties)
    ran = evtool("schema", "diff", "git:HEAD", "-o", "json", cwd=repository)

    assert ran.code == 1
    assert ran.json["routes"] == broken
    assert {change["schema"] for change in ran.json["changes"]} == {"cart.abandoned.json"}


def test_references_are_resolved_in_the_revision(evtool: Evtool, repository: Path) -> None:
    """A change in a shared file appears in every schema that refers to it, located in that file."""
    file = repository / "samples/schemas/shared/money.json"
    file.write_text(file.read_text().replace("100000", "50000"))
    ran = evtool("schema", "diff", "git:HEAD", "-o", "json", cwd=repository)
    one = evtool("schema", "diff", "git:HEAD", "samples/schemas/cart.abandoned.json", "-o", "json", cwd=repository)

    assert ran.json["compatible"] == {"backward": False, "forward": True, "full": False}
    assert {change["file"] for change in ran.json["changes"]} == {"samples/schemas/shared/money.json"}
    assert len({change["schema"] for change in ran.json["changes"]}) > 1
    assert {change["message"] for change in one.json["changes"]} >= {"cartTotal: the maximum was 100000, now 50000"}
    reverse = evtool("schema", "diff", "samples/schemas/cart.abandoned.json", "git:HEAD", cwd=repository)
    assert reverse.code == 0


def test_equal_versions_are_compatible(evtool: Evtool, repository: Path) -> None:
    """The project and its last commit; a folder and itself."""
    ran = evtool("schema", "diff", "git:HEAD", cwd=repository)

    assert ran.code == 0
    assert "0 changes, backward compatible, forward compatible" in ran.out
    assert evtool("schema", "diff", "samples/schemas", "samples/schemas", cwd=repository).code == 0


def test_a_removed_schema_breaks_its_events(evtool: Evtool, repository: Path) -> None:
    """Events of a type without a schema are refused. A new schema breaks nothing."""
    (repository / "samples/schemas/cart.abandoned.json").rename(repository / "samples/schemas/cart.left.json")
    changes = evtool("schema", "diff", "git:HEAD", "-o", "json", cwd=repository).json["changes"]

    assert {(change["kind"], tuple(change["breaks"])) for change in changes} == {
        ("schema-removed", ("backward",)),
        ("schema-added", ()),
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["one.json"], "give two files or folders, or one git revision"),
        (["nowhere.json", "one.json"], "there is no file or folder nowhere.json"),
        (["one.json", "broken.json"], "broken.json:1:2: EV601"),
        (["one.json", "wrong.json"], "EV602 not a valid JSON Schema"),
        (["one.json", "lost.json"], 'EV603 reference "x.json"'),
        (["empty", "empty"], "no file describes an event type"),
        (["git:HEAD"], "there is no routes.yaml"),
        (["one.json", "git:HEAD"], "is not in a git repository"),
    ],
)
def test_mistakes_are_explained(evtool: Evtool, tmp_path: Path, arguments: list[str], message: str) -> None:
    """Exit code 2, and one line that says what to do."""
    write(tmp_path / "one.json", {"type": "string"})
    write(tmp_path / "wrong.json", {"type": 5})
    write(tmp_path / "lost.json", {"$ref": "x.json"})
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "empty").mkdir()
    ran = evtool("schema", "diff", *arguments)

    assert ran.code == 2
    assert message in ran.err
    assert "Traceback" not in ran.err


def test_files_with_only_definitions_are_compared_where_they_are_used(evtool: Evtool, tmp_path: Path) -> None:
    """They describe no type. A change in one names the type that uses it."""
    for side, maximum in (("old", 9), ("new", 5)):
        (tmp_path / side).mkdir()
        write(tmp_path / side / "common.json", {"$defs": {"Amount": {"type": "number", "maximum": maximum}}})
        for name in ("order.created", "refund"):
            write(tmp_path / side / f"{name}.json", {"properties": {"total": {"$ref": "common.json#/$defs/Amount"}}})
    ran = evtool("schema", "diff", "old", "new")

    assert ran.code == 1
    assert "total: the maximum was 9, now 5, in order.created.json  breaks backward" in ran.out
    assert ran.out.splitlines()[-1].startswith("2 schemas, 2 changes")


def test_documents_with_several_schemas_are_compared_by_type(evtool: Evtool, tmp_path: Path) -> None:
    """Each schema of an OpenAPI document that names its type."""
    for name, kind in (("old", "integer"), ("new", "string")):
        schemas = {
            event: {
                "x-amazon-events-source": "shop",
                "x-amazon-events-detail-type": event,
                "properties": {"detail": {"properties": {"n": {"type": kind if event == "b" else "integer"}}}},
            }
            for event in ("a", "b")
        }
        write(tmp_path / f"{name}.json", {"openapi": "3.0.0", "components": {"schemas": schemas}})
    ran = evtool("schema", "diff", "old.json", "new.json", "-o", "json")

    assert ran.json["summary"] == {"schemas": 2, "changes": 1}
    assert ran.json["changes"][0]["message"] == "detail.n: the type was integer, now string"


# --- infer -----------------------------------------------------------------------------------------------------------


def events(count: int) -> list[dict[str, Any]]:
    """Events of one type with values of every kind."""
    generator = random.Random(3)
    details = [
        {
            "id": f"{number:08x}-0000-4000-8000-000000000000",
            "at": f"2026-01-01T00:00:{number % 60:02}Z",
            "mail": f"joe{number}@example.com",
            "status": generator.choice(["open", "paid", "closed"]),
            "currency": "EUR",
            "total": generator.choice([1, 2.5]),
            "count": number,
            "note": generator.choice([None, "text"]),
            "tags": [generator.choice(["a", "b"]) for _ in range(number % 3)],
            "lines": [{"sku": f"s{number}-{n}", **({"gift": True} if n else {})} for n in range(number % 3)],
            "byDay": {f"d{number}-{n}": number for n in range(3)},
            **({"coupon": "X"} if number % 2 else {}),
        }
        for number in range(count)
    ]
    return [{"id": str(n), "detail-type": "order", "source": "shop", "detail": d} for n, d in enumerate(details)]


def test_the_inferred_schema_has_types_formats_and_required_fields(evtool: Evtool, tmp_path: Path) -> None:
    """Also nullable fields, maps and enums; no bounds, and no enum of a single value."""
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events(60)))
    ran = evtool("schema", "infer", "events.jsonl")
    schema = ran.json
    fields = schema["properties"]

    assert ran.code == 0
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "coupon" not in schema["required"]
    assert set(schema["required"]) == set(fields) - {"coupon"}
    assert {name: fields[name].get("format") for name in ("id", "at", "mail", "coupon")} == {
        "id": "uuid",
        "at": "date-time",
        "mail": "email",
        "coupon": None,
    }
    assert fields["status"] == {"type": "string", "enum": ["closed", "open", "paid"]}
    assert fields["currency"] == {"type": "string"}
    assert (fields["total"], fields["count"]) == ({"type": "number"}, {"type": "integer"})
    assert fields["note"] == {"type": ["string", "null"]}
    assert fields["lines"]["items"] == {
        "type": "object",
        "required": ["sku"],
        "properties": {"sku": {"type": "string"}, "gift": {"type": "boolean"}},
    }
    assert fields["byDay"] == {"type": "object", "additionalProperties": {"type": "integer"}}
    assert evtool("schema", "infer", "events.jsonl").out == ran.out


@pytest.mark.parametrize("count", [1, 2, 5, 60])
def test_the_inferred_schema_accepts_all_its_events(evtool: Evtool, tmp_path: Path, count: int) -> None:
    """For any number of events."""
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events(count)))
    evtool("schema", "infer", "events.jsonl", "--to", "schemas", "-q")
    (tmp_path / "routes.yaml").write_text("version: 1\nschemas: schemas\n")

    assert evtool("validate", "events.jsonl").code == 0


def random_value(generator: random.Random, depth: int = 0) -> Any:
    """Any JSON value."""
    kind = generator.randrange(9 if depth < 3 else 7)
    if kind < 7:
        texts = ["", "a", "2026-01-01", "2026-01-01T00:00:00Z", "joe@example.com", "https://a.example/x", "urn:x:1"]
        return [None, True, 3, 1.0, 2.5, -1e300, generator.choice(texts)][kind]
    if kind == 7:
        return [random_value(generator, depth + 1) for _ in range(generator.randrange(4))]
    return {generator.choice("abcde"): random_value(generator, depth + 1) for _ in range(generator.randrange(5))}


@pytest.mark.parametrize("seed", range(15))
def test_the_inferred_schema_accepts_details_with_values_of_any_types(
    evtool: Evtool, tmp_path: Path, seed: int
) -> None:
    """Of details with values of all types at the same places."""
    generator = random.Random(seed)
    documents = [
        {"id": str(n), "detail-type": "t", "source": "s", "detail": {"v": random_value(generator)}}
        for n in range(generator.choice([1, 3, 40]))
    ]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(document) + "\n" for document in documents))
    evtool("schema", "infer", "events.jsonl", "--to", "schemas", "-q")
    (tmp_path / "routes.yaml").write_text("version: 1\nschemas: schemas\n")

    assert evtool("validate", "events.jsonl").code == 0


def test_several_types_need_a_folder(evtool: Evtool, shop: Path) -> None:
    """Without --to: exit code 2 with the types. With --to: a file for each type, replaced only with --force."""
    several = evtool("schema", "infer", "samples/events", cwd=shop)
    written = evtool("schema", "infer", "samples/events", "--to", "inferred", "-o", "json", cwd=shop)
    again = evtool("schema", "infer", "samples/events", "--to", "inferred", cwd=shop)

    assert several.code == 2
    assert (
        "events of 4 types: cart.abandoned, order.created, payment.authorized, payment.declined; --to DIR"
        in several.err
    )
    assert written.json["summary"] == {"events": 12, "schemas": 4}
    assert written.json["schemas"][0]["file"] == "inferred/cart.abandoned.json"
    assert len(list((shop / "inferred").iterdir())) == 4
    assert again.code == 2
    assert "--force replaces it" in again.err
    assert evtool("schema", "infer", "samples/events", "--to", "inferred", "--force", cwd=shop).code == 0


def test_schema_infer_reports_invalid_lines(evtool: Evtool, tmp_path: Path) -> None:
    """A bad line does not stop the others. An input without events is exit code 2."""
    (tmp_path / "events.jsonl").write_text('{"detail-type": "a", "source": "s", "detail": {"n": 1}}\n{"x"\n')
    ran = evtool("schema", "infer", "events.jsonl")
    payload = evtool("schema", "infer", "-", "--type", "a", stdin=b'{"n": 1}')

    assert ran.code == 1
    assert json.loads(ran.out)["properties"] == {"n": {"type": "integer"}}
    assert "events.jsonl:2:" in ran.err
    assert payload.json["required"] == ["n"]
    (tmp_path / "empty.jsonl").write_text("")
    assert evtool("schema", "infer", "empty.jsonl").code == 2
    slash = evtool("schema", "infer", "-", "--type", "a/b", "--to", "x", stdin=b'{"n": 1}')
    assert (slash.code, "cannot be the name of a file" in slash.err) == (2, True)
