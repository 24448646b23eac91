"""Sabotages: deliberate bugs in a copy of evtool. A proof must catch each of them; else the proof is useless.

Each bug is a list of edits of the source. The old text of an edit must occur exactly once in its file; otherwise the
code has changed and the edit must be rewritten.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent


class Edit(NamedTuple):
    """A replacement of text in a file of evtool."""

    file: str
    old: str
    new: str


class Sabotage(NamedTuple):
    """A bug, and the proof that must catch it."""

    proof: str
    edits: tuple[Edit, ...]


# evtool neither looks for nesting that is too deep for Python nor expects the resulting error.
DEEP = (
    Edit("readers/json_text.py", "_is_deeper(raw, max_depth) or (", "("),
    Edit("readers/json_text.py", "except (ValueError, RecursionError) as error:", "except ValueError as error:"),
)
SABOTAGES = {
    "acknowledged before the commit": Sabotage(
        "kills-of-publish",
        (
            Edit(
                "commands/publish.py",
                "with open_runtime(session, project, rules, worst_exit_code=inputs.worst_exit_code) as runtime:",
                "with open_runtime(session, project, rules) as runtime, runtime.store.transaction():",
            ),
        ),
    ),
    "serve acknowledges before the commit": Sabotage(
        "kills-of-serve",
        (
            Edit(
                "server/writer.py",
                "results: list[_Result] = [(job, job.work(store), None) for job in jobs]\n",
                "results: list[_Result] = [(job, job.work(store), None) for job in jobs]\n"
                "            _finish(results)\n            __import__('time').sleep(0.02)\n",
            ),
        ),
    ),
    "a lease that never ends": Sabotage(
        "kills-of-deliver",
        (Edit("store/queue.py", "due IS NOT NULL AND (state", "state <> 'leased' AND due > 0 AND (state"),),
    ),
    "an attempt is counted when it has ended": Sabotage(
        "kills-of-deliver",
        (
            Edit("store/queue.py", "attempts = attempts + 1, owner", "owner"),
            Edit("store/queue.py", "(row[:width] for", "((*row[:6], row[6] + 1, *row[7:width]) for"),
            Edit("store/queue.py", "INSERT INTO attempt", "INSERT OR REPLACE INTO attempt"),
            Edit("store/queue.py", "SELECT seq, attempts, :now", "SELECT seq, attempts + 1, :now"),
            Edit("store/queue.py", "AND attempts = :claimed_attempts", "AND attempts + 1 = :claimed_attempts"),
        ),
    ),
    "a started call is not logged": Sabotage(
        "kills-of-deliver",
        (
            Edit(
                "handlers/processes/worker.py", '        _write_call_log(call_log, b"\\nbegan %d\\n" % delivery)\n', ""
            ),
        ),
    ),
    "an answer is not logged": Sabotage(
        "kills-of-deliver",
        (Edit("handlers/processes/worker.py", "if len(answer) <= CALL_LOG_LIMIT:", "if not answer:"),),
    ),
    "an event without its deliveries": Sabotage(
        "powercuts",
        (
            Edit(
                "store/store.py",
                "self._insert_deliveries(zip(seqs, deliveries, strict=True), now, replay)",
                'self.connection.execute("COMMIT; BEGIN IMMEDIATE")\n'
                "        self._insert_deliveries(zip(seqs, deliveries, strict=True), now, replay)",
            ),
        ),
    ),
    "an outcome without the events that it emitted": Sabotage(
        "powercuts",
        (
            Edit(
                "delivery/loop.py",
                "with self._runtime.store.transaction():\n"
                "            settled = settle_answers(self._runtime, self._unsettled)\n",
                "if True:\n            settled = settle_answers(self._runtime, self._unsettled)\n",
            ),
        ),
    ),
    "synchronous=NORMAL instead of FULL": Sabotage(
        "powercuts", (Edit("store/sqlite/connection.py", '"FULL" if', '"NORMAL" if'),)
    ),
    "synchronous=OFF": Sabotage(
        "powercuts", (Edit("store/sqlite/connection.py", '"FULL" if journal_mode == "wal" else "EXTRA"', '"OFF"'),)
    ),
    "an error of the commit is ignored": Sabotage(
        "faults",
        (
            Edit(
                "store/sqlite/database.py",
                '            self._database.connection.execute("COMMIT")\n        except',
                '            try:\n                self._database.connection.execute("COMMIT")\n'
                "            except Exception:\n                pass\n        except",
            ),
        ),
    ),
    "a broken disk is reported as a bug": Sabotage(
        "faults", (Edit("store/sqlite/errors.py", "except apsw.IOError", "except apsw.NoMemError"),)
    ),
    "a full disk is reported as a bug": Sabotage(
        "fulldisk", (Edit("store/sqlite/errors.py", "except apsw.IOError", "except apsw.NoMemError"),)
    ),
    "a late worker changes a delivery": Sabotage(
        "workers",
        (
            Edit(
                "store/queue.py",
                "owner = :claimed_owner AND attempts = :claimed_attempts",
                ":claimed_owner <> '' AND :claimed_attempts > 0",
            ),
        ),
    ),
    "evtool does not wait for a lock": Sabotage(
        "workers", (Edit("store/sqlite/connection.py", "deadline = now + busy_timeout", "deadline = now"),)
    ),
    "doctor does not check the bytes": Sabotage(
        "bitflips", (Edit("store/rows.py", "if digest == self.sha256:", "if digest:"),)
    ),
    "rows are not checked when they are read": Sabotage(
        "cells", (Edit("store/store.py", "problem = value.damage()", "problem = None"),)
    ),
    "doctor does not check each row": Sabotage(
        "cells", (Edit("store/integrity.py", "problem = Delivery(*row).damage()", "problem = None"),)
    ),
    "the same key is stored again": Sabotage(
        "workers",
        (Edit("store/store.py", "WHERE seq = ? AND id = ? AND source = ?", "WHERE seq = ? AND id = ? AND 1 > ?"),),
    ),
    "preallocation overwrites the commits of others": Sabotage(
        "kills-of-publish", (Edit("store/sqlite/wal.py", "os.O_WRONLY | os.O_APPEND", "os.O_WRONLY"),)
    ),
    "there is one attempt too many": Sabotage(
        "model", (Edit("delivery/retry.py", "if attempts >= policy.max_attempts", "if attempts > policy.max_attempts"),)
    ),
    "a chain of events is cut off early": Sabotage(
        "model", (Edit("delivery/intake.py", "cause.depth > MAX_DEPTH", "cause.depth > 1"),)
    ),
    "a RecursionError is let through": Sabotage("texts", DEEP),
    "a line is lost": Sabotage(
        "texts", (Edit("readers/json_lines.py", "            elif raw:\n", "            elif len(raw) > 2:\n"),)
    ),
    "a malformed event ends evtool": Sabotage(
        "texts-through-evtool",
        (Edit("events/envelopes.py", "yield problem_to_finding(text, error)\n        return", "raise"),),
    ),
    "unprintable characters are printed": Sabotage(
        "hostile", (Edit("terminal/sanitize.py", "if text.isprintable():", "if True:"),)
    ),
    "commands for a CI runner are printed": Sabotage(
        "hostile", (Edit("terminal/sanitize.py", 'if "##" not in text and "::" not in text:', "if text:"),)
    ),
    "a schema is fetched": Sabotage(
        "offline",
        (
            Edit(
                "schemas/documents/references.py",
                "        return self._targets.get(uri)\n",
                "        with suppress(OSError):\n"
                "            __import__('urllib.request').request.urlopen(uri, timeout=1)\n"
                "        return self._targets.get(uri)\n",
            ),
        ),
    ),
    "looking for a handler uses an attempt": Sabotage(
        "waiting",
        (
            Edit(
                "store/queue.py",
                "            attempts -= 1\n",
                "            pass\n",
            ),
        ),
    ),
    "a waiting delivery ends too early": Sabotage(
        "waiting", (Edit("delivery/retry.py", "if age >= policy.max_age:", "if age >= policy.max_age / 2:"),)
    ),
    "only the process itself is ended": Sabotage(
        "zoo",
        (
            Edit(
                "handlers/processes/process.py",
                "os.killpg(self._process.pid, number)",
                "os.kill(self._process.pid, number)",
            ),
            Edit("handlers/processes/process.py", "        end_orphans(self._mark, self._earlier_children)\n", ""),
        ),
    ),
    "all output is kept": Sabotage(
        "zoo",
        (
            Edit(
                "handlers/processes/process.py",
                "del self._buffer[: max(len(self._buffer) - self._size - len(self._mark), 0)]",
                "",
            ),
            Edit("handlers/processes/process.py", "append(part[max(len(part) - self._size, 0) :])", "append(part)"),
            Edit("handlers/processes/process.py", "part[max(len(part) - self._size, 0) :].decode", "part.decode"),
        ),
    ),
    "memory has no limit": Sabotage(
        "zoo",
        (
            Edit(
                "handlers/processes/process.py",
                "resource.prlimit(pid, resource.RLIMIT_DATA, (limit, hard_limit))",
                "",
            ),
        ),
    ),
}


class Unfit(Exception):
    """The old text of an edit does not occur exactly once."""


def copy(folder: Path, edits: tuple[Edit, ...]) -> None:
    """Copies evtool and the proofs to a folder and applies the edits there. Raises Unfit."""
    # Copying the compiled files saves compiling. Other processes are still writing those with another suffix.
    for name in ("evtool", "proofs", "tests", "samples"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.pyc.*", ".data"))
    shutil.copy(ROOT / "routes.yaml", folder)
    for edit in edits:
        file = folder / "evtool" / edit.file
        text = file.read_text(encoding="utf-8")
        if text.count(edit.old) != 1:
            raise Unfit(f"evtool/{edit.file} contains this {text.count(edit.old)} times, not once: {edit.old}")
        file.write_text(text.replace(edit.old, edit.new), encoding="utf-8")
        for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*"):
            compiled.unlink()


def prove(name: str, folder: Path, seed: int) -> tuple[int, str]:
    """Runs the quick form of the proof that must catch a sabotage, on a copy. Returns the exit code and the output."""
    sabotage = SABOTAGES[name]
    copy(folder, sabotage.edits)
    words = [sys.executable, "-m", "proofs", sabotage.proof, "--quick", "--seed", str(seed)]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    return done.returncode, done.stdout + done.stderr
