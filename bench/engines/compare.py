"""How fast evtool finds the rules that take an event, beside AWS event-ruler and quamina, in the same run.

Each engine runs in a process of its own, in one thread, and gets the same events as JSON text. The rounds are
interleaved: first one pass of each engine, then the next round. What is told is the median of the rounds.
All engines must find the same number of events for every rule.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

import citylots
from ours import FORMS
from peers import EVTOOL, QUAMINA, RULER, Running, UnavailableError, start, start_all

RULES = Path(__file__).parent.parent / "citylots-rules.json"
WARM_UP = 2.0  # seconds that an engine gets for its rules before it is timed: a JIT compiler needs them
PASSES = 3  # that it makes at least, on a machine that is busy
PEERS = (RULER, QUAMINA)
FAMILY, WIDTH = 26, 12  # characters of a column


class Measured(NamedTuple):
    """Events a second, and how many events each rule has taken."""

    speed: float
    hits: list[int]


def measured(engines: Sequence[Running], rules: Sequence[str], events: int, rounds: int) -> dict[str, Measured]:
    """The speed of each engine that takes the rules."""
    taking = [engine for engine in engines if "refused" not in engine.ask("rules", rules)]
    for engine in taking:
        warm: list[float] = []
        while sum(warm) < WARM_UP or (len(warm) < PASSES and engine.name != EVTOOL.name):
            warm.append(engine.ask("pass", given=True)["seconds"])
    passes = [{engine.name: engine.ask("pass", given=True) for engine in taking} for _ in range(rounds)]
    return {
        name: Measured(events / median(one[name]["seconds"] for one in passes), first["hits"])
        for name, first in passes[0].items()
    }


def heading() -> list[str]:
    """The two lines above the rows."""
    names = [peer.name for peer in PEERS]
    groups = "".join(
        f"{group:>{WIDTH * count}}" for group, count in (("events a second", 3), ("evtool :", 2), ("hits", 3))
    )
    heads = "".join(f"{head:>{WIDTH}}" for head in (*names, "evtool", *names, *names, "evtool"))
    return [f"{'':<{FAMILY}}{groups}", f"{'family':<{FAMILY}}{heads}"]


def row(family: str, found: dict[str, Measured]) -> str:
    """A family: the speed of each engine, evtool's as a multiple of each peer's, and the hits of each."""
    ours = found["evtool"]
    peers = [found.get(peer.name) for peer in PEERS]
    speeds = [f"{one.speed:,.0f}" if one else "-" for one in (*peers, ours)]
    ratios = [f"{ours.speed / one.speed:.3f}" if one else "-" for one in peers]
    hits = [f"{sum(one.hits):,}" if one else "-" for one in (*peers, ours)]
    return f"{family:<{FAMILY}}" + "".join(f"{cell:>{WIDTH}}" for cell in (*speeds, *ratios, *hits))


def disagreement(found: dict[str, Measured]) -> str | None:
    """What each engine has found, when they do not agree."""
    if all(one.hits == found["evtool"].hits for one in found.values()):
        return None
    return "; ".join(f"{name} {one.hits}" for name, one in found.items())


def options(families: Sequence[str]) -> argparse.Namespace:
    """What the caller asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=50_000, help="of 213,068 (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="timed passes of each engine (default: %(default)s)")
    parser.add_argument("--family", action="append", choices=families, help="only this one; may be repeated")
    parser.add_argument("--form", choices=FORMS, default=next(iter(FORMS)), help="how evtool is called")
    return parser.parse_args()


def main() -> int:
    """Prints the table; the exit code is 1 when the engines do not agree."""
    families = json.loads(RULES.read_text(encoding="utf-8"))
    asked = options(list(families))
    peers = start_all(PEERS)
    if not peers:
        return 0
    engines = [*peers, start(EVTOOL, asked.form)]
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "citylots.jsonl"
        citylots.write(file, asked.events)
        events = {engine.ask("load", str(file))["events"] for engine in engines}.pop()
    print(f"{events:,} events as JSON text, 5 rules, one thread, median of {asked.rounds} interleaved rounds")
    print("\n".join(heading()))
    for name in asked.family or families:
        family = name.removesuffix("_RULES").lower().replace("_", "-")
        found = measured(engines, families[name], events, asked.rounds)
        print(row(family, found), flush=True)
        if difference := disagreement(found):
            wrong.append(f"error: {family}: the engines do not find the same events: {difference}")
    for engine in engines:
        engine.close()
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UnavailableError as error:
        sys.exit(str(error))
