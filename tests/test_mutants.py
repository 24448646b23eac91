"""Invalid and hostile text: it is accepted or refused as documented, quickly, and without any other exception."""

import gzip
import re
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from evtool.readers import json_lines, json_text, yaml_text
from evtool.readers.json_text import JsonProblem, parse_json
from evtool.reports.formats.registry import KINDS as REPORTS
from tests.conftest import ROOT, Evtool
from tests.support.mutants import KINDS, Case, Kind, mutants, suite

SEED = 1


def check_json(raw: bytes) -> str:
    """Returns `taken` for a valid JSON text, else the code of its problem."""
    try:
        parse_json(raw)
    except JsonProblem as problem:
        return problem.code
    return "taken"


@pytest.mark.parametrize("case", suite(), ids=lambda case: case.name)
def test_jsontestsuite_has_the_documented_results(case: Case) -> None:
    """Each of the 318 cases has the result in the table of the suite."""
    assert check_json(case.raw) == case.verdict


def test_valid_json_is_accepted_and_invalid_json_is_refused() -> None:
    """All `n_` cases are refused. All `y_` cases are accepted except two with a duplicate key."""
    sums = {kind: [case.verdict for case in suite() if case.name.startswith(kind)] for kind in "yni"}

    assert {kind: len(verdicts) for kind, verdicts in sums.items()} == {"y": 95, "n": 188, "i": 35}
    assert (sums["y"].count("taken"), sums["y"].count("EV003")) == (93, 2)
    assert "taken" not in sums["n"]


def count_accepted(kind: Kind, number: int, folder: Path) -> int:
    """Returns how many of the mutants are accepted. An error names the mutant and the seed."""
    taken = 0
    for raw in islice(mutants(kind, Random(SEED)), number):
        begun = time.process_time()
        try:
            taken += kind.judge(raw, folder)
        except BaseException as error:
            error.add_note(f"for {raw!r}, seed {SEED}")
            raise
        assert time.process_time() - begun < 2, raw
    return taken


@pytest.mark.parametrize(
    ("name", "number", "least"),
    [("json", 10_000, 500), ("events", 2000, 20), ("lines", 1000, 0), ("yaml", 2000, 400), ("routes", 500, 10)],
)
def test_mutants_are_accepted_or_refused_as_documented(tmp_path: Path, name: str, number: int, least: int) -> None:
    """Some of the mutants are still well-formed."""
    assert least <= count_accepted(KINDS[name](), number, tmp_path) < number


def test_the_python_parser_of_yaml_refuses_mutants_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without libyaml, PyYAML's own parser is used."""
    monkeypatch.setattr(yaml_text, "_Loader", yaml.SafeLoader)

    assert 150 < count_accepted(KINDS["yaml"](), 1000, tmp_path) < 1000


@pytest.mark.parametrize(
    ("place", "attribute", "broken", "name"),
    [
        (json_text, "RecursionError", KeyError, "json"),
        (json_text, "_INFINITIES", (), "json"),
        (json_text, "_MAYBE_LONE_SURROGATE", re.compile(b"(?!)"), "json"),
        (yaml_text, "MAX_DEPTH", 10**6, "yaml"),
        (yaml_text, "_FORBIDDEN_CHARACTER", "(?!)", "yaml"),
        (json_lines, "detect_encoding", lambda _: "utf-16", "lines"),
    ],
    ids=[
        "RecursionError is let through",
        "infinite numbers are taken",
        "half of a surrogate pair is looked for in vain",
        "YAML is as deep as it likes",
        "characters that YAML has not are let through",
        "the lines after the first are lost",
    ],
)
def test_the_mutants_detect_broken_readers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Any, attribute: str, broken: Any, name: str
) -> None:
    """Each deliberate bug makes a check fail."""
    monkeypatch.setattr(place, attribute, broken, raising=attribute != "RecursionError")
    if attribute == "RecursionError":  # in that module the name now means another error
        monkeypatch.setattr(json_text, "_is_deeper", lambda *_: False)
    with pytest.raises((AssertionError, RecursionError, yaml.YAMLError)):
        count_accepted(KINDS[name](), 2000, tmp_path)


@pytest.mark.slow
def test_processes_end_with_a_documented_code(evtool: Evtool, tmp_path: Path) -> None:
    """150 changed events, as every kind of file and report, give exit code 0, 1 or 2, and no traceback."""
    names = ["m.json", "m.jsonl", "m.txt", "m.json.gz", "-"]
    routes = f"version: 1\nschemas: {ROOT / 'samples/schemas'}\n"
    (tmp_path / "routes.yaml").write_text(routes, encoding="utf-8")

    def run(number: int, text: bytes) -> tuple[int, str]:
        folder = tmp_path / str(number)
        folder.mkdir()
        name = names[number % len(names)]
        if name != "-":
            (folder / name).write_bytes(gzip.compress(text)[: -1 - number % 3] if name.endswith("gz") else text)
        kind = list(REPORTS)[number % len(REPORTS)] if number % 10 == 0 else None
        ran = evtool("validate", name, *(["-o", kind] if kind else []), stdin=text, cwd=folder)
        return ran.code, ran.err

    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(run, range(150), mutants(KINDS["events"](), Random(SEED))))

    assert {1, 2} <= {code for code, _ in ended} <= {0, 1, 2}
    assert {said for _, said in ended} == {""}
