"""YAML text: what it means, what is refused and where.

The corpus is tests/cases/yaml: y_*.yaml means what y_*.json says, n_CODE_LINE-COLUMN_*.yaml is refused with that there.
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
    """Everything that is wrong with a text."""
    with pytest.raises(ConfigError) as caught:
        load_yaml(raw, "routes.yaml")
    return caught.value.findings


def outcome(raw: bytes) -> tuple[Finding, ...]:
    """What is wrong with a text, if anything is."""
    try:
        load_yaml(raw, "f")
    except ConfigError as error:
        return error.findings or (Finding("", "nothing is told"),)
    return ()


@pytest.fixture(params=["CSafeLoader", "SafeLoader"])
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each parser: the one of libyaml, and the one of PyYAML for where there is no libyaml."""
    monkeypatch.setattr(yaml_text, "_Loader", getattr(yaml, request.param))
    return str(request.param)


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.stem)
def test_means_what_yaml_1_2_says(case: Path) -> None:
    """Well-formed YAML gives plain Python values, resolved as the core schema of YAML 1.2 has it."""
    wanted = json.loads(case.with_suffix(".json").read_text(encoding="utf-8"))

    assert repr(load_yaml(case.read_bytes(), case.name).value) == repr(wanted)


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.stem)
def test_refuses_with_code_and_place(case: Path, loader: str) -> None:
    """What is refused says why and where, with the line it is in."""
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


def test_tells_everything_at_once() -> None:
    """All that can be told is told, in the order of the file, up to where the syntax breaks."""
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
def test_says_what_helps(raw: bytes, said: str) -> None:
    """The message or the hint names the thing and what to do about it."""
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
def test_place_of_a_path(path: list[str | int], key: bool, place: tuple[int, int]) -> None:
    """A path leads to its key or value; where it does not exist, to the last thing on it that does."""
    assert load_yaml(PLACES, "routes.yaml").position_of(path, key=key) == place


@pytest.mark.usefixtures("loader")
def test_bombs_do_not_go_off() -> None:
    """Aliases and merges are refused where they stand, before they are followed."""
    layers = "".join(f"b{n}: &b{n} [{', '.join([f'*b{n - 1}'] * 9)}]\n" for n in range(1, 9))
    merges = "".join(f"m{n}: &m{n}\n  <<: [{', '.join([f'*m{n - 1}'] * 9)}]\n" for n in range(1, 20))

    for raw in (f"b0: &b0 x\n{layers}", f"m0: &m0 {{x: 1}}\n{merges}"):
        found = findings(raw.encode())
        assert {"EV020"} == {one.code for one in found}
        assert len(found) <= yaml_text.MAX_FINDINGS


def test_a_file_that_is_all_wrong_is_told_in_part() -> None:
    """There are never more findings than a person can use."""
    assert len(findings(b"- *x\n" * 100_000)) == yaml_text.MAX_FINDINGS


def test_what_json_tools_write_is_taken() -> None:
    """A JSON text is a YAML text of the same value."""
    chance = random.Random(4)
    letters = "aN01:#-'\"\\ \n\té日"

    def value(depth: int) -> Any:
        inner = [value(depth - 1) for _ in range(chance.randrange(4))] if depth else []
        text = "".join(chance.choices(letters, k=chance.randrange(8)))
        return chance.choice([inner, dict(zip("abc", inner, strict=False)), text, {text: 1}, 12, -1.5, None, True])

    for _ in range(300):
        wanted = value(4)
        assert load_yaml(json.dumps(wanted, indent=chance.choice([None, 2])).encode(), "f").value == wanted
