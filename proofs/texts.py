"""Proof: any input is accepted or refused as documented, quickly, in little memory, and without a traceback.

The inputs are mutants: valid JSON, events, routes and other files with random changes (tests/support/mutants.py).
"""

import hashlib
import itertools
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

from proofs.trial import Broken, Figures, Trial, hold
from tests.conftest import ROOT
from tests.support.mutants import KINDS, mutants

# The number of mutants of each kind, in the full form and in the quick one.
NUMBERS = {
    "json": (100_000, 5000),
    "events": (10_000, 500),
    "lines": (10_000, 500),
    "yaml": (20_000, 2000),
    "routes": (5000, 250),
}
# CPU seconds for one mutant.
SECONDS = 2.0
# Seconds of real time after which evtool hangs.
HANGING = 60
MEGABYTES = 200
# The commands that read a mutant, and the kind of the mutant.
COMMANDS = {
    "validate mutant.json": "events",
    "validate mutant.jsonl -o json": "lines",
    "validate - -o junit": "events",
    "publish mutant.json --no-deliver": "events",
    "publish mutant.jsonl --no-deliver -o jsonl": "lines",
    "explain mutant.json": "events",
    "validate --routes mutant.yaml": "routes",
    "explain mutant.json --routes mutant.yaml -o json": "routes",
}


def prove_in_process(trial: Trial) -> Figures:
    """Reads mutants of every kind in this process, which is fast enough for many."""
    figures = {}
    signal.signal(signal.SIGALRM, _raise_timeout)
    for name, (full, quick) in NUMBERS.items():
        number = trial.size(full, quick)
        figures[f"mutants of {name}"] = number
        kind = KINDS[name]()
        for raw in itertools.islice(mutants(kind, trial.random), number):
            started = time.process_time()
            signal.alarm(HANGING)
            try:
                kind.judge(raw, trial.folder)
            except BaseException as error:
                raise Broken(f"{name}: {error!r} {_save(raw)}") from error
            finally:
                signal.alarm(0)
            if time.process_time() - started > SECONDS:
                raise Broken(f"{name}: takes more than {SECONDS} s {_save(raw)}")
    figures["megabytes at most"] = _measure_peak_memory()
    hold(figures["megabytes at most"] < MEGABYTES, f"took {figures['megabytes at most']} MB")
    return figures


def _measure_peak_memory() -> int:
    """Returns the peak memory of this process in megabytes."""
    # On Linux ru_maxrss includes the peak of the process that has started this one.
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text(encoding="ascii").split("VmHWM:")[1].split()[0]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def prove_with_evtool(trial: Trial) -> Figures:
    """Runs evtool on mutants as a user does: every exit code is documented, and none of them reports a bug."""
    number = trial.size(1000, 40)
    shutil.copytree(ROOT / "samples", trial.folder / "samples", ignore=shutil.ignore_patterns(".data", "__pycache__"))
    shutil.copy(ROOT / "routes.yaml", trial.folder)
    # Sorted, because the order of a set differs between processes and with it the mutants of a seed.
    texts = {name: mutants(KINDS[name](), Random(trial.random.random())) for name in sorted(set(COMMANDS.values()))}
    commands = list(itertools.islice(itertools.cycle(COMMANDS.items()), number))
    folders = [trial.folder / str(position) for position in range(number)]
    mutated = [next(texts[kind]) for _, kind in commands]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        codes = list(pool.map(_run_command, folders, [command for command, _ in commands], mutated))
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    hold(memory < MEGABYTES, f"took {memory} MB")
    figures = {"processes": number}
    for code in sorted(set(codes)):
        figures[f"exit code {code}"] = codes.count(code)
    return figures


def _run_command(folder: Path, command: str, raw: bytes) -> int:
    """Runs a command on a mutant in a new folder. Returns the exit code."""
    folder.mkdir()
    event = raw
    if ".yaml" in command:
        # The mutant is the routes file, and the event is valid.
        event = (ROOT / "samples/events/order-created.json").read_bytes()
    (folder / "mutant.json").write_bytes(event)
    (folder / "mutant.jsonl").write_bytes(event)
    (folder / "mutant.yaml").write_bytes(raw)
    words = [sys.executable, "-m", "evtool"] + command.split()
    if command.startswith("publish"):
        words += ["--store", "store.db"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(
            words, input=raw, cwd=folder, env=environment, capture_output=True, timeout=HANGING, check=False
        )
    except subprocess.TimeoutExpired:
        raise Broken(f"evtool {command} hangs {_save(raw)}") from None
    output = done.stdout + done.stderr
    is_bug = b"Traceback" in output or b"a bug in evtool" in output
    if is_bug or done.returncode not in (0, 1, 2):
        raise Broken(f"evtool {command} ends with {done.returncode}, {done.stderr[-300:]!r} {_save(raw)}")
    return done.returncode


def _raise_timeout(*_: object) -> None:
    raise TimeoutError(f"not done in {HANGING} s")


def _save(raw: bytes) -> str:
    """Saves an input that breaks evtool in the working folder. Returns the end of a message that describes it."""
    file = Path(f"found-{hashlib.sha256(raw).hexdigest()[:12]}.txt").absolute()
    file.write_bytes(raw)
    return f"for {raw[:200]!r}, {len(raw)} bytes, kept in {file}"
