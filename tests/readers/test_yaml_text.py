"""YAML text: its meaning, what is refused, and where.

The corpus is tests/cases/yaml: y_*.yaml means the same as y_*.json, n_CODE_LINE-COLUMN_*.yaml is refused there.
"""

import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from evtool.errors import ConfigError
from evtool.findings.codes import CODES
from evtool.findings.finding import Finding
from evtool.readers import yaml_text
from evtool.readers.yaml_text import load_yaml
from tests.conftest import ROOT

CASES = sorted((ROOT / "tests/cases/yaml").glob("*.yaml"))
GOOD = [case for case in CASES if case.name.startswith("y_")]
BAD = [case for case in CASES if case.name.startswith("n_")]


def findings(raw: bytes) -> tuple[Finding, ...]:
    """Returns the findings of a text."""
    with pytest.raises(ConfigError) as caught:
        load_yaml(raw, "routes.yaml")
    return caught.value.findings


def outcome(raw: bytes) -> tuple[Finding, ...]:
    """Returns the findings of a text, or None."""
    try:
        load_yaml(raw, "f")
    except ConfigError as error:
        return error.findings or (Finding("", "nothing is told"),)
    return ()


@pytest.fixture(params=["CSafeLoader", "SafeLoader"])
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both parsers: that of libyaml, and that of PyYAML, which is used without libyaml."""
    monkeypatch.setattr(yaml_text, "_Loader", getattr(yaml, request.param))
    return str(request.param)


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.stem)
def test_scalars_have_the_meaning_of_yaml_1_2(case: Path) -> None:
    """Of its core schema."""
    wanted = json.loads(case.with_suffix(".json").read_text(encoding="utf-8"))

    assert repr(load_yaml(case.read_bytes(), case.name).value) == repr(wanted)


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.stem)
def test_refused_text_has_code_and_position(case: Path, loader: str) -> None:
    """And the source line."""
    _, code, place, _ = case.stem.split("_")
    raw = case.read_bytes()

    (found,) = findings(raw)

    assert (found.code, found.line) == (code, int(place.split("-")[0]))
    assert loader == "SafeLoader" or found.column == int(place.split("-")[1])
    assert found.code in CODES
    assert found.file == "routes.yaml"
    assert found.message
    lines = raw.decode("utf-8-sig", "replace").replace("\r\n", "\n").split("\n")
    assert found.excerpt == lines[(found.line or 0) - 1]
    assert 1 <= found.width <= max(1, len(found.excerpt))


def test_all_problems_are_reported_at_once() -> None:
    """In the order of the file, up to a syntax error."""
    raw = b"""\
a: &x 1
b: *x
404: c
<<: {d: 1}
e: !!str 1
a: .inf
f: [1
"""

    found = [(one.code, one.line, one.column) for one in findings(raw)]

    assert found == [
        ("EV020", 1, 4),
        ("EV020", 2, 4),
        ("EV020", 3, 1),
        ("EV020", 4, 1),
        ("EV020", 5, 4),
        ("EV003", 6, 1),
        ("EV005", 6, 4),
        ("EV020", 7, 4),
    ]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"a: 1\nb: 2\na: 3\n", 'the key "a" occurs twice, first at 1:1'),
        (b"404: x\n", 'quote this key: "404"'),
        (b"a:\n\tb: 1\n", "not tabs"),
        (b"a: @x\n", "begins with @ in quotes"),
        (b"a: b: c\n", "put a value with"),
        (b"a: [1,\n2}\n", "that begins at 1:4"),
        (b"a: 'x\n", "is a quote not closed?"),
        (b"", "the file is empty"),
        (b"a: \xff", "save the file as UTF-8"),
        (b"a: \0", "U+0000"),
        (b"a: 1\n---\n", "a second document"),
        (b"a: " + b"x" * 5 * 1024 * 1024, "longer than 5242880 bytes"),
    ],
)
def test_a_problem_has_a_message_or_hint_that_helps(raw: bytes, said: str) -> None:
    (found,) = findings(raw)

    assert said in f"{found.message} ({found.suggestion})"


PLACES = b"""\
version: 1
handlers: {card: {python: 'a:b'}}

routes:
  pay:
    to: [card,
         ship]
    pattern:
      "detail-type":
      - order.created
  ship:
"""


@pytest.mark.parametrize(
    ("path", "key", "place"),
    [
        ([], False, (1, 1)),
        (["version"], True, (1, 1)),
        (["version"], False, (1, 10)),
        (["handlers", "card", "python"], False, (2, 27)),
        (["handlers", "card", "python"], True, (2, 19)),
        (["routes", "pay", "to", 1], False, (7, 10)),
        (["routes", "pay", "to", 1], True, (7, 10)),
        (["routes", "pay", "pattern", "detail-type"], True, (9, 7)),
        (["routes", "pay", "pattern", "detail-type", 0], False, (10, 9)),
        (["routes", "ship"], True, (11, 3)),
        (["routes", "pay", "retry", "max_age"], True, (5, 3)),
        (["routes", "pay", "retry", "max_age"], False, (6, 5)),
        (["routes", "pay", "to", 7], False, (6, 9)),
        (["routes", "pay", "to", "card"], False, (6, 9)),
        (["version", "x"], False, (1, 10)),
    ],
)
def test_a_path_has_the_position_of_its_key_or_value(path: list[str | int], key: bool, place: tuple[int, int]) -> None:
    """For a path that does not exist, that of its last existing part."""
    assert load_yaml(PLACES, "routes.yaml").position_of(path, key=key) == place


@pytest.mark.usefixtures("loader")
def test_aliases_are_refused_before_they_are_expanded() -> None:
    """So a file cannot grow in memory."""
    layers = "".join(f"b{n}: &b{n} [{', '.join([f'*b{n - 1}'] * 9)}]\n" for n in range(1, 9))
    merges = "".join(f"m{n}: &m{n}\n  <<: [{', '.join([f'*m{n - 1}'] * 9)}]\n" for n in range(1, 20))

    for raw in (f"b0: &b0 x\n{layers}", f"m0: &m0 {{x: 1}}\n{merges}"):
        found = findings(raw.encode())
        assert {"EV020"} == {one.code for one in found}
        assert len(found) <= yaml_text.MAX_FINDINGS


def test_the_number_of_findings_is_limited() -> None:
    assert len(findings(b"- *x\n" * 100_000)) == yaml_text.MAX_FINDINGS


def test_a_json_text_has_the_same_value_as_yaml() -> None:
    chance = random.Random(4)
    letters = "aN01:#-'\"\\ \n\té日"

    def value(depth: int) -> Any:
        inner = [value(depth - 1) for _ in range(chance.randrange(4))] if depth else []
        text = "".join(chance.choices(letters, k=chance.randrange(8)))
        return chance.choice([inner, dict(zip("abc", inner, strict=False)), text, {text: 1}, 12, -1.5, None, True])

    for _ in range(300):
        wanted = value(4)
        assert load_yaml(json.dumps(wanted, indent=chance.choice([None, 2])).encode(), "f").value == wanted
