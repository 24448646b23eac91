"""evtool's engine, asked in JSON lines as the others are: the requests are told in bench/engines/README.md."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from evtool.patterns.compiler import PatternError
from evtool.patterns.pattern import Pattern
from evtool.routes.routes import Route, Routes

# how a caller may ask which routes take an event; each makes a function of the event's JSON text
FORMS: dict[str, Callable[[Routes], Callable[[bytes], list[Route]]]] = {
    "match_checked": lambda routes: routes.match_checked,
    "match": lambda routes: routes.match,
}


class Engine:
    """The events and the rules that were given last."""

    def __init__(self, form: str):
        self._form = FORMS[form]
        self._events: list[bytes] = []
        self._routes = Routes([])

    def load(self, file: str) -> dict[str, Any]:
        """Reads events, one a line."""
        self._events = Path(file).read_bytes().splitlines()
        return {"events": len(self._events)}

    def rules(self, patterns: Sequence[str]) -> dict[str, Any]:
        """Takes rules instead of those before."""
        try:
            self._routes = Routes([Route(str(n), Pattern(pattern), ("h",)) for n, pattern in enumerate(patterns)])
        except PatternError as error:
            return {"refused": str(error)}
        return {}

    def pass_(self, _: object) -> dict[str, Any]:
        """Routes every event once, and counts by rule."""
        hits = dict.fromkeys(self._routes.routes, 0)
        route = self._form(self._routes)
        begun = time.perf_counter()
        for event in self._events:
            for taker in route(event):
                hits[taker.name] += 1
        return {"seconds": time.perf_counter() - begun, "hits": list(hits.values())}

    def judge(self, cases: Sequence[Sequence[str]]) -> dict[str, Any]:
        """For each pattern and event, by itself: true, false, or in words why the pattern is refused."""
        return {"verdicts": [verdict(pattern, event) for pattern, event in cases]}


def verdict(pattern: str, event: str) -> bool | str:
    """What evtool says of one pattern and one event."""
    try:
        return Pattern(pattern).matches(event)
    except PatternError as error:
        return f"refused: {error}"


def main() -> None:
    """Answers requests until there are no more."""
    engine = Engine(sys.argv[1] if len(sys.argv) > 1 else "match")
    answers = {"load": engine.load, "rules": engine.rules, "pass": engine.pass_, "judge": engine.judge}
    for line in sys.stdin:
        for asked, given in json.loads(line).items():
            print(json.dumps(answers[asked](given)), flush=True)


if __name__ == "__main__":
    main()
