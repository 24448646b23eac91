"""Lines, tables and findings on a terminal of 80 columns, and in a pipe."""

import json
from io import StringIO
from pathlib import Path

import pytest

from evtool.terminal.screen import Screen
from tests.conftest import ROOT, Evtool
from tests.support.terminal import run_on_terminal

TYPE = "a.type.with.a.name.that.is.rather.long"
LONG = "w" * 420  # a word that fits on no line
HANDLER = "a-handler-with-a-rather-long-name-of-which-nothing-is-cut"
ROUTES = f"""version: 1
schemas: schemas
handlers:
  {HANDLER}: {{command: [sh, -c, "echo there is no stock of {LONG} in the warehouse >&2; exit 1"]}}
  ok: {{command: ["true"]}}
routes:
  goes-to-the-handler-with-the-long-name: {{pattern: {{source: [s]}}, to: [{HANDLER}], retry: {{max_attempts: 1}}}}
  t: {{pattern: {{source: [s], detail-type: [t]}}, to: [ok]}}
"""
SCHEMA = {"properties": {"the_state_of_the_order": {"enum": [f"state-{n}" for n in range(30)]}}}
COMMANDS = [
    ("events",),
    ("events", "1"),
    ("events", "--summary"),
    ("dlq", "list"),
    ("dlq", "show"),
    ("explain", "1"),
    ("replay", "-vv"),
    ("validate", "wrong.json"),
    ("doctor",),
]


@pytest.fixture
def project(tmp_path: Path, evtool: Evtool) -> Path:
    """A project with long names, two stored events and a dead letter."""
    (tmp_path / "schemas").mkdir()
    # No progress line, which would be among the lines if the machine is busy.
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text("import evtool.terminal.progress as p\np.DELAY = 1e9\n")
    (tmp_path / f"schemas/{TYPE}.json").write_text(json.dumps(SCHEMA))
    (tmp_path / "routes.yaml").write_text(ROUTES)
    wrong = {"id": "9", "source": "s", "detail-type": TYPE, "detail": {"the_state_of_the_order": "state 1"}}
    (tmp_path / "wrong.json").write_text(json.dumps(wrong, indent=2))
    events = [{"id": str(n), "source": "s", "detail-type": name, "detail": {}} for n, name in enumerate(("t", TYPE))]
    evtool("publish", "-", "--no-validate", stdin="\n".join(map(json.dumps, events)).encode())
    return tmp_path


@pytest.mark.parametrize("columns", [80, 50])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_words_stay_whole_on_a_terminal(evtool: Evtool, project: Path, command: tuple[str, ...], columns: int) -> None:
    """A line is wrapped between words. A word that is longer than a line is not broken."""
    piped = evtool(*command, cwd=project)
    shown = run_on_terminal(*command, cwd=project, columns=columns, env={"PYTHONPATH": f"{project / 'site'}:{ROOT}"})
    source_lines = [line for line in piped.out.splitlines() if " | " in line[:9] and ":" in line]
    words = {word for line in piped.out.splitlines() if line not in source_lines for word in line.split()}

    assert shown.code == piped.code
    # the times of the table are shorter than those of the lines
    assert {word for word in words - words_of(shown.lines) if not word.startswith("20")} == set()
    assert [line for line in shown.lines if len(line) > columns and len(line.split()) > 1] == []


def words_of(lines: list[str]) -> set[str]:
    return {word for line in lines for word in line.split()}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_lines_in_a_pipe_are_not_wrapped(evtool: Evtool, project: Path, command: tuple[str, ...]) -> None:
    """Neither between words nor within a long word, for any COLUMNS."""
    narrow = evtool(*command, cwd=project, env={"COLUMNS": "40"})
    wide = evtool(*command, cwd=project)

    assert [line for line in narrow.out.splitlines() if " | " not in line] == [
        line for line in wide.out.splitlines() if " | " not in line
    ]


def test_a_tree_in_a_pipe_keeps_long_words(evtool: Evtool, project: Path) -> None:
    """The error of a handler is one line."""
    event = json.dumps({"id": "5", "source": "s", "detail-type": "x", "detail": {}}).encode()
    ran = evtool("publish", "-", "--no-validate", stdin=event, env={"COLUMNS": "40"}, cwd=project)

    assert f"there is no stock of {LONG} in the warehouse" in ran.out


def test_the_list_of_events_is_a_table_with_colored_states(project: Path) -> None:
    """It has a header and columns on a terminal. done is green, dead is red."""
    shown = run_on_terminal("events", cwd=project, columns=160)

    assert shown.lines[0].split() == ["stored", "(UTC)", "id", "type", "states"]
    first, second = shown.lines[1:3]
    assert first.index(" t ") == second.index(f" {TYPE}")
    assert "\x1b[32m1 done\x1b[0m" in shown.raw
    assert "\x1b[1;31m1 dead\x1b[0m" in shown.raw
    plain = run_on_terminal("events", cwd=project, columns=160, env={"NO_COLOR": "1"})
    assert "\x1b" not in plain.raw
    assert plain.lines == shown.lines


def test_a_table_in_a_pipe_looks_like_one_of_rich() -> None:
    """rich is only used for color and for text that is not ASCII."""
    rows = [["r1", ("ready", "bold"), "3"], ["a longer route", [("dead ", "red"), "letter"], "1,204"], ["", "", ""]]
    tables = []
    for first in ("route e", "route \u00e9"):
        file = StringIO()
        Screen(file, color="never").print_table([first, "state", "count"], rows, right_aligned=[2])
        tables.append(file.getvalue().replace("\u00e9", "e"))

    assert tables[0] == tables[1]
    assert tables[0].splitlines()[2] == "a longer route  dead letter  1,204"
