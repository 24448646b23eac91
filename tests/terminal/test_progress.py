"""The progress line: its content, when it is drawn, and that it is removed."""

import io
import json
import re
from pathlib import Path

import pytest

from evtool.terminal.progress import ERASE, Progress
from tests.conftest import ROOT, Evtool
from tests.support.terminal import run_on_terminal

AT_ONCE = "import evtool.terminal.progress as p\np.DELAY = p.INTERVAL = 0\n"
ROUTES = 'version: 1\nhandlers: {ok: {command: ["true"]}}\nroutes: {all: {pattern: {source: [s]}, to: [ok]}}\n'
COMMANDS = [
    (("validate", "e.jsonl", "--no-schema", "ignore", "--schema", "any.json"), "validating", "3 events"),
    (("publish", "e.jsonl", "--no-deliver"), "publishing", "3 events"),
    (("deliver",), "delivering", "3 deliveries"),
    (("replay",), "replaying", "3 events"),
    (("doctor",), "checking", "3 events"),
    (("backup", "copy.db"), "copying", "pages"),
]


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


class Clock:
    """A clock whose seconds a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_line_has_a_bar_a_count_and_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is drawn after a delay, not too often, and erased at the end."""
    monkeypatch.setenv("COLUMNS", "80")
    stream, clock = Terminal(), Clock()
    progress = Progress("publishing", "event", total=lambda: 200, stream=stream, clock=clock)
    for number in range(4):
        progress.advance(25)
        clock.now += 0.5 if number else 0.1
        assert bool(stream.getvalue()) == (number > 1)
        progress.count(1000)
    lines = stream.getvalue().split(ERASE)
    assert lines[-1] == "publishing  [##########..........]  50%  4,000 events  2,500/s"
    progress.erase()
    assert stream.getvalue().endswith(ERASE)
    progress.erase()
    assert stream.getvalue().count(ERASE + ERASE) == 0


def test_without_a_total_the_line_has_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the count and the rate, and is not wider than the terminal."""
    monkeypatch.setenv("COLUMNS", "40")
    stream, clock = Terminal(), Clock()
    clock_items = Progress("delivering", "delivery", stream=stream, clock=clock).track(range(2))
    for _ in clock_items:
        clock.now += 1
    assert stream.getvalue().split(ERASE)[1:] == ["delivering  1 delivery  1/s", "delivering  2 deliveries  1/s", ""]
    monkeypatch.setenv("COLUMNS", "20")
    narrow = Terminal()
    progress = Progress("delivering", "delivery", stream=narrow, clock=clock)
    clock.now += 1
    progress.count()
    assert narrow.getvalue() == ERASE + "delivering  1 deliv"


def test_an_item_counts_after_it_was_used() -> None:
    """Not when it is read from the file."""
    stream, clock = Terminal(), Clock()
    progress = Progress("publishing", "event", total=lambda: 4, stream=stream, clock=clock)
    for _ in progress.track(range(4), lambda _: 1):
        clock.now += 1
    shares = [line.split("]")[1].split()[0] for line in stream.getvalue().split(ERASE)[1:-1]]
    assert shares == ["25%", "50%", "75%", "100%"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with three events in a file, in which progress is shown at once."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(AT_ONCE)
    (tmp_path / "routes.yaml").write_text(ROUTES)
    (tmp_path / "any.json").write_text("true")
    rows = [json.dumps({"id": str(n), "source": "s", "detail-type": "t", "detail": {}}) for n in range(3)]
    (tmp_path / "e.jsonl").write_text("\n".join(rows))
    return tmp_path


def test_long_work_shows_progress_on_a_terminal_and_none_in_a_pipe(evtool: Evtool, project: Path) -> None:
    """Each command has its label. Other output begins on an empty line."""
    env = {"PYTHONPATH": f"{project / 'site'}:{ROOT}"}
    for words, label, count in COMMANDS:
        shown = run_on_terminal(*words, cwd=project, env=env)
        assert shown.code == 0
        drawn = re.findall(rf"{label}  .*?(?=\r\x1b\[2K)", shown.raw)
        assert count in drawn[-1]
        assert re.search(r"\d/s$", drawn[-1])
        assert label not in "".join(line.rpartition(ERASE)[2] for line in shown.raw.split("\n"))
        if words[0] == "backup":
            (project / "copy.db").unlink()
        quiet = run_on_terminal(*words, "-q", cwd=project, env=env)
        assert label not in quiet.raw
        if words[0] == "backup":
            (project / "copy.db").unlink()
        piped = evtool(*words, cwd=project, env=env)
        assert label not in piped.out + piped.err
