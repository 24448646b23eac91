"""The way in: `python -m proofs [NAME...]` runs proofs, with `--sabotage` against evtools broken on purpose."""

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
    "kills-of-publish": kills.publishing,
    "kills-of-deliver": kills.delivering,
    "kills-of-serve": serving.prove,
    "powercuts": powercuts.prove,
    "faults": faults.prove,
    "fulldisk": fulldisk.prove,
    "workers": workers.prove,
    "bitflips": bitflips.prove,
    "cells": cells.prove,
    "model": model.prove,
    "texts": texts.judged,
    "texts-through-evtool": texts.processes,
    "hostile": hostile.prove,
    "offline": offline.prove,
    "waiting": waiting.prove,
    "zoo": zoo.prove,
}
SIMULATED = (
    "powercuts",
    "faults",
    "bitflips",
    "cells",
)  # bring their own disk; the machine's would only slow them down
MEMORY = "/dev/shm"
EXIT_BROKEN = 1


def main() -> int:
    """Runs what the arguments name; the exit code says whether it holds."""
    parser = argparse.ArgumentParser(prog="python -m proofs", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(PROOFS)}; with --sabotage, of sabotages")
    parser.add_argument("--seed", type=int, default=1, help="of the random moments and places (1)")
    parser.add_argument("--quick", action="store_true", help="small numbers, in seconds")
    parser.add_argument("--sabotage", action="store_true", help="each bug put in on purpose must be caught")
    wanted = parser.parse_args()
    known = SABOTAGES if wanted.sabotage else PROOFS
    if unknown := set(wanted.names) - set(known):
        parser.error(f"{', '.join(unknown)}: there are {', '.join(known)}")
    if wanted.sabotage:
        try:
            return max([_catch(name, wanted.seed) for name in wanted.names or known])
        except Unfit as unfit:
            parser.error(f"a sabotage fits no more: {unfit}")
    return max([_prove(name, wanted.seed, quick=wanted.quick) for name in wanted.names or known])


def _prove(name: str, seed: int, *, quick: bool) -> int:
    """Runs a proof and tells its figures."""
    begun = time.monotonic()
    place = MEMORY if name in SIMULATED and Path(MEMORY).is_dir() else None
    with tempfile.TemporaryDirectory(prefix=f"proof-{name}-", dir=place, ignore_cleanup_errors=True) as folder:
        try:
            figures = PROOFS[name](Trial(Path(folder), Random(seed), quick))
            verdict = "holds: " + ", ".join(f"{number:,} {what}" for what, number in figures.items())
        except Broken as broken:
            figures, verdict = {}, f"BROKEN: {broken}"
    seconds = time.monotonic() - begun
    print(f"{name} {verdict} (seed {seed}, {seconds:.0f} s, SQLite {apsw.sqlite_lib_version()})", flush=True)
    return 0 if figures else EXIT_BROKEN


def _catch(name: str, seed: int) -> int:
    """Runs the proof that must catch a sabotage, and tells whether it did."""
    with tempfile.TemporaryDirectory(prefix="sabotage-", ignore_cleanup_errors=True) as folder:
        code, said = sabotages.prove(name, Path(folder), seed)
    verdict = {0: "NOT CAUGHT", EXIT_BROKEN: "caught"}.get(code, "the proof itself failed")
    print(f"{name}: {verdict} by {said.strip()}", flush=True)
    return 0 if code == EXIT_BROKEN and " BROKEN: " in said else EXIT_BROKEN


if __name__ == "__main__":
    sys.exit(main())
