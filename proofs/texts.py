"""Proof: whatever text comes, it is taken or refused as documented, soon, in little memory, and without a traceback."""

import hashlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from random import Random

from proofs.trial import Broken, Figures, Trial, hold
from tests.conftest import ROOT
from tests.support.mutants import KINDS, mutants

NUMBERS = {  # kind of text -> how many, in the full form and in the quick one
    "json": (100_000, 5000),
    "events": (10_000, 500),
    "lines": (10_000, 500),
    "yaml": (20_000, 2000),
    "routes": (5000, 250),
}
SECONDS = 2.0  # of one text, as this process counts them
HANGING = 60  # seconds by the clock on the wall
MEGABYTES = 200
COMMANDS = {  # what a mutant is given to, and the kind of mutant
    "validate mutant.json": "events",
    "validate mutant.jsonl -o json": "lines",
    "validate - -o junit": "events",
    "publish mutant.json --no-deliver": "events",
    "publish mutant.jsonl --no-deliver -o jsonl": "lines",
    "explain mutant.json": "events",
    "validate --routes mutant.yaml": "routes",
    "explain mutant.json --routes mutant.yaml -o json": "routes",
}


def judged(trial: Trial) -> Figures:
    """Mutants of every kind of text, read in this process."""
    figures = {}
    signal.signal(signal.SIGALRM, _hangs)
    for name, (full, quick) in NUMBERS.items():
        figures[f"mutants of {name}"] = number = trial.size(full, quick)
        kind = KINDS[name]()
        for raw in islice(mutants(kind, trial.random), number):
            begun = time.process_time()
            signal.alarm(HANGING)
            try:
                kind.judge(raw, trial.folder)
            except BaseException as error:
                raise Broken(f"{name}: {error!r} {_kept(raw)}") from error
            finally:
                signal.alarm(0)
            if time.process_time() - begun > SECONDS:
                raise Broken(f"{name}: takes more than {SECONDS} s {_kept(raw)}")
    figures["megabytes at most"] = _most_memory()
    hold(figures["megabytes at most"] < MEGABYTES, f"took {figures['megabytes at most']} MB")
    return figures


def _most_memory() -> int:
    """How many megabytes this program has had at most. Linux counts what started it as part of ru_maxrss."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text(encoding="ascii").split("VmHWM:")[1].split()[0]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def processes(trial: Trial) -> Figures:
    """Mutants given to evtool as a user does: every exit code is documented, and nothing is a bug."""
    number = trial.size(1000, 40)
    shutil.copytree(ROOT / "samples", trial.folder / "samples", ignore=shutil.ignore_patterns(".data", "__pycache__"))
    shutil.copy(ROOT / "routes.yaml", trial.folder)
    texts = {name: mutants(KINDS[name](), Random(trial.random.random())) for name in set(COMMANDS.values())}
    runs = []
    for each in range(number):
        command, kind = list(COMMANDS.items())[each % len(COMMANDS)]
        runs.append((trial.folder / str(each), command, next(texts[kind])))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        codes = list(pool.map(_ran, *zip(*runs, strict=True)))
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    hold(memory < MEGABYTES, f"took {memory} MB")
    return {"processes": number, **{f"exit code {code}": codes.count(code) for code in sorted(set(codes))}}


def _ran(folder: Path, command: str, raw: bytes) -> int:
    """Runs a command on a mutant in a folder of its own; its exit code."""
    folder.mkdir()
    sample = (ROOT / "samples/events/order-created.json").read_bytes()
    for suffix in (".json", ".jsonl"):
        (folder / f"mutant{suffix}").write_bytes(sample if ".yaml" in command else raw)
    (folder / "mutant.yaml").write_bytes(raw)
    words = [sys.executable, "-m", "evtool", *command.split(), "--store", "store.db"]
    words = words if command.startswith("publish") else words[:-2]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(
            words, input=raw, cwd=folder, env=environment, capture_output=True, timeout=HANGING, check=False
        )
    except subprocess.TimeoutExpired:
        raise Broken(f"evtool {command} hangs {_kept(raw)}") from None
    said = done.stdout + done.stderr
    good = done.returncode in (0, 1, 2) and b"Traceback" not in said and b"a bug in evtool" not in said
    if not good:
        raise Broken(f"evtool {command} ends with {done.returncode}, {done.stderr[-300:]!r} {_kept(raw)}")
    return done.returncode


def _hangs(*_: object) -> None:
    raise TimeoutError(f"not done in {HANGING} s")


def _kept(raw: bytes) -> str:
    """Writes a text that broke something into a file, and says which."""
    file = Path(f"found-{hashlib.sha256(raw).hexdigest()[:12]}.txt").absolute()
    file.write_bytes(raw)
    return f"for {raw[:200]!r}, {len(raw)} bytes, kept in {file}"
