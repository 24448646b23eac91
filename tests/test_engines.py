"""The comparison of evtool with other engines: its data, its programs, and the recorded differences."""

import importlib
import json
import subprocess
import sys
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.patterns.test_pattern import answer, vectors

BENCH = ROOT / "bench"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a program of bench/."""
    monkeypatch.syspath_prepend(BENCH / "engines")
    monkeypatch.syspath_prepend(BENCH)
    return importlib.import_module


def test_recorded_answers_of_other_engines_belong_to_the_vectors() -> None:
    """The committed answers have the number and the names of the vectors."""
    ids = [row["id"] for name in ("aws", "curated", "multirule") for row in vectors(name)]
    engines = json.loads((ROOT / "docs/conformance.json").read_text(encoding="utf-8"))["engines"]
    assert set(engines) == {"event-ruler", "LocalStack", "moto"}
    for name, found in engines.items():
        assert found["cases"] == len(ids) == len(set(ids)), f"{name}: run `make conformance`"
        assert set(found["wrong"]) <= set(ids), f"{name}: run `make conformance`"
        assert found["version"] in (ROOT / "docs/conformance.md").read_text(encoding="utf-8")


def test_the_program_of_evtool_answers_the_benchmark(load: Any, tmp_path: Any) -> None:
    """The program loads events, accepts rules and counts the matches of each rule."""
    citylots = load("citylots")
    citylots.write(tmp_path / "lots.jsonl", 300)
    lots = [json.loads(line) for line in (tmp_path / "lots.jsonl").read_text().splitlines()]
    rules = ['{"properties":{"ODD_EVEN":["O"]}}', '{"geometry":{"firstCoordinates":{"x":[{"numeric":[">",-122.45]}]}}}']
    asked = [
        {"load": str(tmp_path / "lots.jsonl")},
        {"rules": rules},
        {"pass": True},
        {"judge": [[rules[0], '{"properties":{"ODD_EVEN":"O"}}'], ["{}", "{}"]]},
    ]
    ran = subprocess.run(
        [sys.executable, BENCH / "engines/ours.py"],
        input="".join(json.dumps(one) + "\n" for one in asked),
        capture_output=True,
        text=True,
        check=True,
    )
    loaded, ruled, passed, judged = map(json.loads, ran.stdout.splitlines())

    assert (loaded, ruled) == ({"events": 300}, {})
    assert passed["hits"] == [
        sum(lot["properties"]["ODD_EVEN"] == "O" for lot in lots),
        sum(lot["geometry"]["firstCoordinates"]["x"] > -122.45 for lot in lots),
    ]
    assert judged["verdicts"][0] is True
    assert judged["verdicts"][1].startswith("refused: ")


def test_random_cases_have_all_three_answers(load: Any) -> None:
    """A seed always generates the same patterns and events."""
    cases = load("cases")
    maker, again = cases.Cases(5), cases.Cases(5)
    made = [maker.next() for _ in range(400)]
    assert made == [again.next() for _ in range(400)]
    answers = [answer(pattern, event) for pattern, event in made]
    assert set(answers) == {True, False, "invalid"}
    assert min(answers.count(each) for each in set(answers)) > 20
