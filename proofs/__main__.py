"""Command line: `python -m proofs [NAME...]` runs proofs; `--sabotage` runs them on deliberately broken copies."""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from random import Random

import apsw

from proofs import (
    bitflips,
    cells,
    faults,
    fulldisk,
    hostile,
    kills,
    model,
    offline,
    powercuts,
    sabotages,
    serving,
    texts,
    waiting,
    workers,
    zoo,
)
from proofs.sabotages import SABOTAGES, Unfit
from proofs.trial import Broken, Prove, Trial

PROOFS: dict[str, Prove] = {
    "kills-of-publish": kills.prove_publish,
    "kills-of-deliver": kills.prove_deliver,
    "kills-of-serve": serving.prove,
    "powercuts": powercuts.prove,
    "faults": faults.prove,
    "fulldisk": fulldisk.prove,
    "workers": workers.prove,
    "bitflips": bitflips.prove,
    "cells": cells.prove,
    "model": model.prove,
    "texts": texts.prove_in_process,
    "texts-through-evtool": texts.prove_with_evtool,
    "hostile": hostile.prove,
    "offline": offline.prove,
    "waiting": waiting.prove,
    "zoo": zoo.prove,
}
# These proofs simulate their disk or damage copies of a file. The machine's own disk would only slow them down.
SIMULATED = ("powercuts", "faults", "bitflips", "cells")
MEMORY = "/dev/shm"
EXIT_BROKEN = 1


def main() -> int:
    """Runs proofs or sabotages. Returns 1 if a promise does not hold or a sabotage is not caught."""
    parser = argparse.ArgumentParser(prog="python -m proofs", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(PROOFS)}; with --sabotage, of sabotages")
    parser.add_argument("--seed", type=int, default=1, help="of the random moments and places (1)")
    parser.add_argument("--quick", action="store_true", help="small numbers, in seconds")
    parser.add_argument("--sabotage", action="store_true", help="break copies of evtool; each bug must be caught")
    arguments = parser.parse_args()
    known = list(PROOFS)
    if arguments.sabotage:
        known = list(SABOTAGES)
    unknown = set(arguments.names) - set(known)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; the names are: {', '.join(known)}")

    code = 0
    for name in arguments.names or known:
        if not arguments.sabotage:
            code = max(code, _prove(name, arguments.seed, quick=arguments.quick))
            continue
        try:
            code = max(code, _catch(name, arguments.seed))
        except Unfit as unfit:
            parser.error(f"the edit of a sabotage does not fit the code: {unfit}")
    return code


def _prove(name: str, seed: int, *, quick: bool) -> int:
    """Runs a proof and prints its figures. Returns the exit code."""
    started = time.monotonic()
    parent = None
    if name in SIMULATED and Path(MEMORY).is_dir():
        parent = MEMORY
    code = 0
    with tempfile.TemporaryDirectory(prefix=f"proof-{name}-", dir=parent, ignore_cleanup_errors=True) as folder:
        try:
            figures = PROOFS[name](Trial(Path(folder), Random(seed), quick))
            verdict = "holds: " + ", ".join(f"{number:,} {what}" for what, number in figures.items())
        except Broken as broken:
            verdict = f"BROKEN: {broken}"
            code = EXIT_BROKEN
    seconds = time.monotonic() - started
    print(f"{name} {verdict} (seed {seed}, {seconds:.0f} s, SQLite {apsw.sqlite_lib_version()})", flush=True)
    return code


def _catch(name: str, seed: int) -> int:
    """Runs the proof that must catch a sabotage and prints whether it did. Returns the exit code."""
    with tempfile.TemporaryDirectory(prefix="sabotage-", ignore_cleanup_errors=True) as folder:
        proof_code, output = sabotages.prove(name, Path(folder), seed)
    verdict = {0: "NOT CAUGHT", EXIT_BROKEN: "caught"}.get(proof_code, "the proof itself failed")
    print(f"{name}: {verdict} by {output.strip()}", flush=True)
    # Python ends with 1 after a traceback, too. Only the word BROKEN shows that the proof has found the bug.
    if proof_code == EXIT_BROKEN and " BROKEN: " in output:
        return 0
    return EXIT_BROKEN


if __name__ == "__main__":
    sys.exit(main())
