"""The examples of findings: each bad one has its finding, each good one has none."""

from pathlib import Path

import pytest

from evtool.findings.codes import CODES
from evtool.findings.example import SCHEMA
from evtool.findings.examples import EXAMPLES
from evtool.patterns.compiler import PatternError
from evtool.patterns.pattern import Pattern
from tests.conftest import Evtool, Ran
from tests.support.projects import read_case

PROJECT = "version: 1\nschemas: schemas\n"


def run_example(evtool: Evtool, folder: Path, of: str, text: str) -> Ran:
    """Returns the output of evtool for an example in a new project."""
    if of == "project":
        folder.mkdir(parents=True)
        read_case(text if text.startswith("-- ") else f"-- routes.yaml --\n{text}").write(folder)
        return evtool("check", cwd=folder)
    files = {"routes.yaml": PROJECT, "schemas/order.created.json": SCHEMA, "event.json": EXAMPLES["EV102"].good}
    named = {"event": "event.json", "events": "event.json", "schema": "schemas/order.created.json"}
    for name, content in {**files, named.get(of, of): text}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    if of == "events":
        (folder / "event.json").rename(folder / "events.jsonl")
        return evtool("publish", "events.jsonl", "--no-deliver", cwd=folder)
    if of == "routes.yaml":
        return evtool("publish", "event.json", "--no-validate", "--dry-run", cwd=folder)
    return evtool("validate", "event.json", cwd=folder)


def test_every_code_has_examples() -> None:
    assert set(EXAMPLES) == set(CODES), "evtool/examples.py"
    assert all(example.bad and example.good and example.bad != example.good for example in EXAMPLES.values())


@pytest.mark.parametrize("code", [code for code, example in EXAMPLES.items() if example.of == "pattern"])
def test_a_bad_pattern_has_its_finding(code: str) -> None:
    """A bad pattern is refused with its code, or has a warning. A good one has neither."""
    assert not Pattern(EXAMPLES[code].good).warnings
    if code in ("EV205", "EV206"):
        assert {warning.code for warning in Pattern(EXAMPLES[code].bad).warnings} == {code}
        return
    with pytest.raises(PatternError) as caught:
        Pattern(EXAMPLES[code].bad)
    assert {problem.code for problem in caught.value.problems} == {code}
    assert Pattern(EXAMPLES[code].good)


@pytest.mark.parametrize("code", [c for c, example in EXAMPLES.items() if example.of not in ("pattern", "words")])
def test_a_bad_file_has_its_finding(evtool: Evtool, tmp_path: Path, code: str) -> None:
    """And no other finding. A good file has none."""
    of, bad, good = EXAMPLES[code]
    told = run_example(evtool, tmp_path / "bad", of, bad)
    found = {word.strip(":") for word in (told.out + told.err).split() if word.strip(":") in CODES}

    if of != "project":
        assert told.code in ((0,) if code == "EV604" else (1, 2))  # a warning
    assert found == {code}, told.out + told.err
    assert not {word.strip(":") for word in run_example(evtool, tmp_path / "good", of, good).out.split()} & CODES.keys()


def test_examples_in_words_have_their_finding(evtool: Evtool, tmp_path: Path) -> None:
    """A missing file, a file that is not UTF-8, a nested one and a long one."""
    (tmp_path / "latin.json").write_bytes('{"detail-type": "é"}'.encode("latin-1"))
    (tmp_path / "deep.json").write_text(
        '{"detail-type": "a", "source": "b", "detail": {"a": ' + "[" * 201 + "]" * 201 + "}}"
    )
    (tmp_path / "long.json").write_text('{"detail-type": "a", "source": "b", "detail": {}}')
    (tmp_path / "routes.yaml").write_text(PROJECT)
    (tmp_path / "schemas").mkdir()
    ran = [
        evtool("validate", f"{name}.json", "--max-bytes", "10" if name == "long" else "10000")
        for name in ("nowhere", "latin", "deep", "long")
    ]

    for code, each in zip(("EV001", "EV004", "EV007", "EV008"), ran, strict=True):
        assert code in each.out + each.err
