"""Faults of files, streams, memory and signals: evtool ends with the right exit code, and without a traceback."""

import gzip
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from evtool.events.event import EventDefaults
from evtool.reports.formats.registry import KINDS
from tests.conftest import ROOT, Evtool

pytestmark = pytest.mark.slow

SAMPLES = ROOT / "samples"
STAMP = EventDefaults(lambda: "id", lambda: "2026-11-23T10:00:00Z")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def evtool_process(*arguments: str | Path, cwd: Path, **options: Any) -> "subprocess.Popen[bytes]":
    """Starts evtool and returns the running process."""
    words = [sys.executable, "-m", "evtool", *map(str, arguments)]
    return subprocess.Popen(words, cwd=cwd, env=ENVIRONMENT, **options)


def shell(command: str, cwd: Path) -> tuple[int, str]:
    """Runs a shell command in which `evtool` is evtool. Returns the exit code and the text of both streams.

    `unread` starts a command after the reader of its standard output has closed the pipe.
    """
    functions = (
        f'evtool() {{ "{sys.executable}" -m evtool "$@"; }}',
        "unread() { (trap '' PIPE; while echo 2>/dev/null; do :; done); \"$@\"; }",
    )
    script = "; ".join([*functions, "set -o pipefail", command])
    done = subprocess.run(["bash", "-c", script], cwd=cwd, env=ENVIRONMENT, capture_output=True, timeout=60)
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a valid event, and a file with many that are not."""
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas/t.json").write_text('{"properties": {"a": {"type": "string"}}}', encoding="utf-8")
    (tmp_path / "routes.yaml").write_text("version: 1\nschemas: schemas\n", encoding="utf-8")
    (tmp_path / "good.json").write_text(event({"a": "x"}), encoding="utf-8")
    (tmp_path / "bad.jsonl").write_text(event({"a": 1}) * 5000, encoding="utf-8")
    (tmp_path / "broken.yaml").write_text("version: 2\n", encoding="utf-8")
    return tmp_path


def event(detail: Any) -> str:
    """Returns a line with an event."""
    return json.dumps({"id": "1", "source": "s", "detail-type": "t", "detail": detail}) + "\n"


# --- streams ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_closed_pipe_ends_evtool_without_a_message(project: Path, kind: str) -> None:
    """The exit code is 141, as for every program whose output is closed, for example by `| head -1`.

    A short report may be written completely before the pipe is closed.
    """
    code, said = shell(f"evtool validate bad.jsonl -o {kind} | head -c 1 > /dev/null", project)

    assert code == 141 or (code == 1 and kind in ("github", "markdown"))
    assert said == ""


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("evtool validate good.json <&-", 0, "checked 1 event in 1 file: all valid\n"),
        ("evtool validate - --allow-empty <&-", 0, "checked 0 events in 1 file\n"),
        ("evtool validate good.json >&-", 0, ""),
        ("evtool validate bad.jsonl >&-", 1, ""),
        ("evtool validate bad.jsonl -o json >&-", 1, ""),
        ("evtool validate none.json -q 2>&-", 2, "none.json: EV001 cannot be read: No such file or directory\n"),
        ("evtool validate --routes broken.yaml 2>&-", 2, ""),
        ("evtool validate bad.jsonl -o json <&- >&- 2>&-", 1, ""),
        ("evtool validate --routes broken.yaml 2>/dev/full", 2, ""),
        (
            "evtool validate good.json >/dev/full",
            4,
            "evtool: cannot read or write: [Errno 28] No space left on device\n",
        ),
        (
            "evtool validate bad.jsonl >/dev/full",
            4,
            "evtool: cannot read or write: [Errno 28] No space left on device\n",
        ),
        ("evtool validate bad.jsonl -o junit >/dev/full 2>&1", 4, ""),
        ("evtool validate --routes broken.yaml 2>&1 >/dev/null | true", 2, ""),
        ("evtool --help >/dev/full", 4, "evtool: cannot read or write: [Errno 28] No space left on device\n"),
        ("evtool validate --help >&-", 0, ""),
        ("unread evtool --help | true", 141, ""),
        ("evtool --version >/dev/full", 4, "evtool: cannot read or write: [Errno 28] No space left on device\n"),
        ("evtool --version >&-", 0, ""),
        ("unread evtool --version | true", 141, ""),
        ("evtool nonsense 2>/dev/full", 2, ""),
        ("evtool validate --nonsense 2>&1 | true", 2, ""),
    ],
)
def test_closed_and_full_streams(project: Path, command: str, code: int, said: str) -> None:
    """A closed stream gets nothing, a full one is reported, and the exit code is right without any open stream."""
    assert shell(command, project) == (code, said)


def test_the_report_of_a_closed_output_does_not_reach_another_file(project: Path) -> None:
    """With a closed standard output the next opened file has its number. It must not get the text report."""
    shell("evtool validate bad.jsonl -o json=report.json -o text >&-", project)

    assert len(json.loads((project / "report.json").read_text())["findings"]) == 5000


@pytest.mark.parametrize("number", [signal.SIGINT])
def test_ctrl_c_ends_evtool_with_130(project: Path, number: signal.Signals) -> None:
    """One line, no traceback, and no partial report."""
    process = evtool_process(
        *("validate", "-", "-o", "json=report.json"),
        cwd=project,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin
    process.stdin.write(event({"a": "x"}).encode() * 20000)  # more than a pipe holds: when it is written, it is read
    process.stdin.flush()
    process.send_signal(number)
    out, err = process.communicate(timeout=30)

    assert (process.returncode, out, err) == (130, b"", b"evtool: interrupted\n")
    assert not list(project.glob("*report*")) + list(project.glob(".report*"))


SIGNALLING = """
import os, sys

class Finder:
    def find_spec(name, path=None, target=None):
        if name == os.environ["SIGNAL_AT"]:
            os.kill(os.getpid(), int(os.environ["SIGNAL"]))

sys.meta_path.insert(0, Finder)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    "module", ["evtool.cli.error_handler", "typer", "apsw", "pydantic_core", "decimal", "evtool.cli.runtime"]
)
def test_a_signal_while_modules_load_ends_evtool(
    evtool: Evtool, project: Path, module: str, number: signal.Signals
) -> None:
    """The exit code is that of the signal, and nothing is printed, also in the import of an extension module."""
    (project / "sitecustomize.py").write_text(SIGNALLING)
    env = {"PYTHONPATH": f"{project}:{ROOT}", "SIGNAL_AT": module, "SIGNAL": str(int(number))}
    ran = evtool("publish", "good.json", cwd=project, env=env)

    assert ran == (128 + number, "", "")


def test_a_signal_while_routes_yaml_is_checked_ends_evtool(evtool: Evtool, project: Path) -> None:
    """The command imports the models of routes.yaml at that time."""
    (project / "sitecustomize.py").write_text(SIGNALLING)
    env = {"PYTHONPATH": f"{project}:{ROOT}", "SIGNAL_AT": "evtool.routes.models", "SIGNAL": "15"}
    ran = evtool("validate", "--routes", "broken.yaml", cwd=project, env=env)

    assert ran == (143, "", "evtool: ended by SIGTERM\n")


def test_a_terminal_gets_colours_and_no_escape_sequences_of_events(project: Path) -> None:
    """On a terminal, too, an event brings no escape sequence of its own."""
    (project / "e.json").write_text(event({"a": ["\x1b]0;title\x07", "\u202e"]}), encoding="utf-8")
    ours, theirs = pty.openpty()
    process = evtool_process("validate", "e.json", cwd=project, stdout=theirs, stderr=theirs, stdin=theirs)
    os.close(theirs)
    seen = b""
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        while True:
            try:
                seen += terminal.read(4096)
            except OSError:  # the other side has hung up
                break

    assert process.wait(30) == 1
    assert b"\x1b[" in seen
    assert b"\x1b]" not in seen
    assert "\u202e".encode() not in seen


def test_the_c_locale_gets_escaped_characters(evtool: Evtool, project: Path) -> None:
    """JSON is the same in all locales."""
    ascii_only = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    (project / "é.json").write_text('{"source": "s", "detail-type": "t", "detail": {"a": ["é😀"]}}', encoding="utf-8")
    ran = evtool("validate", ".", "-o", "text", "-o", "json=out.json", env=ascii_only)

    assert (ran.code, ran.err) == (1, "")
    assert r"\xe9\U0001f600" in ran.out
    assert "é😀" in json.loads((project / "out.json").read_bytes())["findings"][-1]["message"]


# --- files -----------------------------------------------------------------------------------------------------------


def test_files_that_cannot_contain_events_are_reported(evtool: Evtool, project: Path) -> None:
    """A pipe, links to a missing file, to themselves and to a parent folder, and damaged or incomplete gzip files."""
    box = project / "box"
    box.mkdir()
    os.mkfifo(box / "a-pipe.json")
    (box / "b-nowhere.json").symlink_to("nowhere.json")
    (box / "c-self.json").symlink_to("c-self.json")
    (box / "d-around").symlink_to("../box")
    packed = gzip.compress(event({"a": "x" * 100}).encode())
    (box / "e-cut.jsonl.gz").write_bytes(packed[:-20])
    (box / "f-damaged.json.gz").write_bytes(b"no gzip at all")
    (box / "g-good.json").write_text(event({"a": "x"}))
    ran = evtool("validate", "box", "box/none", "box/g-good.json/x", "", "-o", "json")

    told = {f["file"]: (f["code"], f["message"].removeprefix("cannot be read: ")) for f in ran.json["findings"]}
    assert ran.code == 2
    assert told == {
        "box/a-pipe.json": ("EV001", "it is a pipe, a socket or a device, not a file"),
        "box/b-nowhere.json": ("EV001", "No such file or directory"),
        "box/c-self.json": ("EV001", "Too many levels of symbolic links"),
        "box/d-around": ("EV001", "it is a link to a folder that it is in"),
        "box/e-cut.jsonl.gz": ("EV001", "its compressed text is cut off"),
        "box/f-damaged.json.gz": ("EV001", "it is damaged, or not gzip"),
        "box/none": ("EV001", "No such file or directory"),
        "box/g-good.json/x": ("EV001", "Not a directory"),
        "": ("EV001", "No such file or directory"),
    }
    assert ran.json["summary"]["events"] == ran.json["summary"]["valid"] == 1


def test_a_file_without_read_permission_is_reported(project: Path) -> None:
    """A folder or a file is a finding. For routes.yaml the exit code is 2."""
    powerless = "setpriv --bounding-set=-dac_override,-dac_read_search" if os.geteuid() == 0 else ""
    if powerless and not shutil.which("setpriv"):
        pytest.skip("root may read everything")
    evtool = f'{powerless} "{sys.executable}" -m evtool'
    (project / "locked").mkdir()
    (project / "locked.json").write_text(event({}))
    for name in ("locked", "locked.json"):
        (project / name).chmod(0)
    code, said = shell(f"{evtool} validate locked locked.json good.json", project)
    (project / "routes.yaml").chmod(0)
    refused = shell(f"{evtool} validate good.json", project)
    (project / "locked").chmod(0o755)  # so that it can be removed

    assert (code, said.splitlines()) == (
        2,
        [
            "locked: EV001 cannot be read: Permission denied",
            "locked.json: EV001 cannot be read: Permission denied",
            "checked 1 event in 3 files: all valid",
        ],
    )
    assert refused == (2, "evtool: cannot read routes.yaml: Permission denied\n")


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_name_that_is_not_utf_8_is_read_and_escaped(evtool: Evtool, project: Path, kind: str) -> None:
    """A file with such a name is read, and named with the byte spelled out."""
    name = os.fsdecode(b"caf\xe9.json")
    (project / name).write_text(event({"a": 1}))
    ran = evtool("validate", name, "none\udcff.json", "-o", kind)

    assert (ran.code, ran.err) == (2, "")
    names = unquote(ran.out) if kind == "sarif" else ran.out  # whose locations are URIs
    assert r"caf\xe9.json" in names.replace("\\\\", "\\")
    assert r"none\xff.json" in names.replace("\\\\", "\\")


def peak_megabytes(*arguments: str | Path, cwd: Path, stdin: Path | None = None) -> tuple[int, float, int]:
    """Returns the exit code of evtool, its peak memory in MB, and the number of bytes that it printed."""
    script = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run([sys.executable, '-m', 'evtool', *sys.argv[1:]], stdout=subprocess.PIPE)\n"
        "print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, len(done.stdout))"
    )
    with (stdin or Path(os.devnull)).open("rb") as file:
        words = [sys.executable, "-c", script, *map(str, arguments)]
        done = subprocess.run(words, cwd=cwd, env=ENVIRONMENT, stdin=file, capture_output=True, timeout=60, check=True)
    code, peak, size = done.stdout.split()
    return int(code), float(peak), int(size)


@pytest.mark.parametrize("form", ["lines", "array in one line", "packed", "one line", "standard input"])
def test_memory_does_not_grow_with_the_file(project: Path, form: str) -> None:
    """20 MB of events in each form need at most 16 MB more than a small file."""
    line = event({"a": "x" * 2000})[:-1]
    lines, one = "\n".join([line] * 9500), event({"a": "x" * 20_000_000})
    file = project / "big.jsonl"
    match form:
        case "lines" | "standard input":
            file.write_text(lines)
        case "array in one line":
            file = project / "big.json"
            file.write_text(f"[{lines.replace(chr(10), ',')}]")
        case "packed":
            file = project / "big.jsonl.gz"
            file.write_bytes(gzip.compress(lines.encode(), 1))
        case "one line":
            file.write_text(one + line)
    from_stdin = form == "standard input"
    name, small = ("-", project / "good.json") if from_stdin else (file.name, None)
    _, idle, _ = peak_megabytes("validate", "-" if from_stdin else "good.json", cwd=project, stdin=small)
    code, peak, _ = peak_megabytes("validate", name, cwd=project, stdin=file if from_stdin else None)

    assert code == (1 if form == "one line" else 0)
    assert peak < idle + 16


def test_findings_in_a_very_long_line_need_little_time_and_memory(project: Path) -> None:
    """An array has 10,000 invalid events in one line. Each finding shows only the text around it."""
    (project / "big.json").write_text("[" + ",".join([event({"a": 1})[:-1]] * 10_000) + "]")
    begun = time.monotonic()
    code, peak, printed = peak_megabytes("validate", "big.json", cwd=project)

    assert (code, printed < 10_000 * 500) == (1, True)
    assert peak < 120
    assert time.monotonic() - begun < 15


def test_a_report_beyond_the_limit_on_file_size_is_removed(project: Path) -> None:
    """Exit code 4, and no partial report."""
    code, said = shell("ulimit -f 8; trap '' XFSZ; evtool validate bad.jsonl -o json=report.json", project)

    assert (code, said) == (4, "evtool: cannot read or write: [Errno 27] File too large\n")
    assert not list(project.glob("*report*")) + list(project.glob(".report*"))


def test_few_descriptors_and_little_stack_suffice(project: Path) -> None:
    """24 descriptors and 1 MB of stack are enough for 200 files and a deep event."""
    box = project / "box"
    box.mkdir()
    for number in range(200):
        (box / f"{number}.json").write_text(event({"a": "x"}))
    deep: Any = "x"
    for _ in range(190):
        deep = [deep]
    (box / "deep.json").write_text(event({"b": deep}))
    code, said = shell("ulimit -n 24; ulimit -s 1024; evtool validate box", project)

    assert (code, said) == (0, "checked 201 events in 201 files: all valid\n")


def test_the_result_of_a_line_is_printed_before_the_pipe_is_closed(project: Path) -> None:
    """A verdict is told when its line is there, not when the pipe is closed."""
    process = evtool_process("validate", "-", "-o", "jsonl", cwd=project, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin
    assert process.stdout
    giving_up = threading.Timer(30, process.kill)
    giving_up.start()
    process.stdin.write((event({"a": 1}) * 2).encode())
    process.stdin.flush()
    told = json.loads(process.stdout.readline())
    process.stdin.close()
    rest = process.stdout.read().splitlines()
    process.stdout.close()
    giving_up.cancel()

    assert (process.wait(30), told["line"], len(rest)) == (1, 1, 2)
