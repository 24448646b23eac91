"""Puts random patterns and events to event-ruler, each rule alone, and tells where evtool answers otherwise.

Every difference is made as small as it can be and still be one. Of the kinds of differences that are known and meant
(docs/patterns.md, "Where evtool differs") only the number and the smallest case are told. The exit code is 1 if
there is one of no known kind.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, product
from typing import Any, NamedTuple

from cases import Cases, text_of
from ours import verdict
from peers import RULER, Running, UnavailableError, start

from evtool.patterns.compiler import EQUALS
from evtool.patterns.flatten import flatten_event
from evtool.patterns.json_values import ARRAY, OBJECT, NumberText, Pairs, kind_of, parse_lossless
from evtool.patterns.pattern import Pattern

BATCH = 1000  # cases that are asked for at once
STEP = 50  # and when a case is made smaller
TOO_COMPLEX = "Rule is too complex"
MAX_COMPLEXITY = 10


Answer = bool | str  # of an engine; in words when it refuses or fails


class Case(NamedTuple):
    """A pattern, an event, and what event-ruler and evtool say of them."""

    pattern: str
    event: str
    theirs: Answer
    ours: Answer

    @property
    def differs(self) -> bool:
        """Whether the answers differ; all that refuse a pattern agree, in whatever words."""
        return _plainly(self.theirs) != _plainly(self.ours)


def _plainly(answer: Answer) -> Answer:
    return answer if isinstance(answer, bool) else answer.partition(":")[0]


def judged(engine: Running, cases: Sequence[tuple[str, str]]) -> list[Case]:
    """Cases with both answers. Of a pattern that only evtool refuses as too complex, event-ruler's measure decides."""
    theirs = engine.ask("judge", cases)["verdicts"]
    found = [Case(*case, their, verdict(*case)) for case, their in zip(cases, theirs, strict=True)]
    complex_ = [case for case in found if case.differs and TOO_COMPLEX in str(case.ours)]
    asked = {"limit": MAX_COMPLEXITY + 1, "patterns": [case.pattern for case in complex_]}
    measured = engine.ask("complexity", asked)["complexities"] if complex_ else []
    refused = {case.pattern for case, how in zip(complex_, measured, strict=True) if how > MAX_COMPLEXITY}
    return [case._replace(theirs=f"refused: {TOO_COMPLEX}") if case.pattern in refused else case for case in found]


# --- making a case small ---------------------------------------------------------------------------------------------


def _without(items: list[Any]) -> Iterator[list[Any]]:
    yield from (items[:at] + items[at + 1 :] for at in range(len(items)))


def smaller(value: Any) -> Iterator[Any]:
    """A JSON value with one thing less: without a member or an element, or with what is in one of those instead."""
    kind = kind_of(value)
    if kind == OBJECT:
        yield from map(Pairs, _without(value))
        for at, (key, item) in enumerate(value):
            if kind_of(item) == OBJECT:
                yield Pairs([*value[:at], *item, *value[at + 1 :]])
            yield from (Pairs([*value[:at], (key, less), *value[at + 1 :]]) for less in smaller(item))
    elif kind == ARRAY:
        yield from _without(value)
        for at, item in enumerate(value):
            yield from ([*value[:at], less, *value[at + 1 :]] for less in smaller(item))
        yield from value if len(value) == 1 else ()
    elif type(value) is str:
        yield from ("".join(less) for less in _without(list(value)))


def smallest(engine: Running, case: Case) -> Case:
    """The case, made smaller until every smaller one is answered alike."""
    while True:
        tries = [(text_of(less), case.event) for less in smaller(parse_lossless(case.pattern))]
        tries += [
            (case.pattern, text_of(less)) for less in smaller(parse_lossless(case.event)) if kind_of(less) == OBJECT
        ]
        answers = (_plainly(case.theirs), _plainly(case.ours))
        found = (
            less
            for at in range(0, len(tries), STEP)
            for less in judged(engine, tries[at : at + STEP])
            if (_plainly(less.theirs), _plainly(less.ours)) == answers
        )
        less = next(found, None)
        if less is None:
            return case
        case = less


# --- telling ---------------------------------------------------------------------------------------------------------


def _scalars(value: Any) -> Iterator[Any]:
    kind = kind_of(value)
    if kind in (OBJECT, ARRAY):
        for item in (item for _, item in value) if kind == OBJECT else value:
            yield from _scalars(item)
    else:
        yield value


def _numbers(text: str) -> list[NumberText]:
    return [value for value in _scalars(parse_lossless(text)) if isinstance(value, NumberText)]


def _is_printed_otherwise(number: NumberText) -> bool:
    """Whether Java may print the double with other digits than the fewest that give it back."""
    digits = number.lower().partition("e")[0].strip("-0.").replace(".", "")
    return len(digits) > 15 or 0 < abs(float(number)) < 1e-322


def _twice(event: str) -> bool:
    """Whether a field of an event stands both inside an array and outside it, or inside several."""
    arrays: dict[str, set[tuple[int, ...]]] = {}
    for path, leaves in flatten_event(event).items():
        arrays.setdefault(path, set()).update(tuple(array for array, _ in leaf.trail) for leaf in leaves)
    return any(len(ways) > 1 for ways in arrays.values())


def _names(pattern: Any) -> Iterator[str]:
    """The names of the fields of a pattern."""
    if kind_of(pattern) == OBJECT:
        for name, item in pattern:
            yield name
            yield from _names(item)
    elif kind_of(pattern) == ARRAY:
        yield from (name for item in pattern for name in _names(item))


# in the order in which they are tried on a small case; docs/patterns.md tells why each is meant
KINDS: dict[str, Callable[[Case], bool]] = {
    "the engine fails or stops half-way": lambda case: str(case.theirs).startswith("failed"),
    "an empty list in anything-but, which makes the engine fail or stop": lambda case: (
        "Empty arrays are not allowed" in str(case.ours) and "anything-but" in case.pattern
    ),
    "a block of addresses and the form of a number": lambda case: (
        '"cidr"' in case.pattern and bool(_numbers(case.event))
    ),
    "digits of a number as Java prints them": lambda case: any(
        _is_printed_otherwise(number) for number in _numbers(case.pattern) + _numbers(case.event)
    ),
    "a field both inside an array and outside it": lambda case: _twice(case.event),
    "a name with an empty part": lambda case: any(
        "" in name.split(".") for name in _names(parse_lossless(case.pattern))
    ),
}


def _alternatives(pattern: str) -> list[str]:
    """Patterns with one condition for each field, one of which has to hold if the pattern holds."""
    every = (combined for branch in Pattern(pattern).branches for combined in product(*(f.conditions for f in branch)))
    return [
        json.dumps(
            {one.path: [one.expected if one.operator == EQUALS else {one.operator: one.expected}] for one in each}
        )
        for each in islice(every, BATCH)
    ]


def _contradicts_itself(engine: Running, case: Case) -> bool:
    """Whether event-ruler itself answers as evtool when it is asked for each alternative alone."""
    if not (isinstance(case.theirs, bool) and isinstance(case.ours, bool)):
        return False
    alone = engine.ask("judge", [[pattern, case.event] for pattern in _alternatives(case.pattern)])["verdicts"]
    return any(verdict is True for verdict in alone) == case.ours


def kind_of_difference(engine: Running, case: Case) -> str | None:
    """The known kind of difference that a small case is of."""
    if _contradicts_itself(engine, case):
        return "event-ruler contradicts itself: asked for each alternative alone it answers as evtool"
    return next((kind for kind, holds in KINDS.items() if holds(case)), None)


def main() -> int:
    """Runs the cases and tells the differences."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000, help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(default: %(default)s)")
    asked = parser.parse_args()
    engine = start(RULER)
    maker = Cases(asked.seed)
    answers: dict[object, int] = {}
    known: dict[str, list[Case]] = {}
    unknown: list[Case] = []
    for begin in range(0, asked.cases, BATCH):
        for case in judged(engine, [maker.next() for _ in range(min(BATCH, asked.cases - begin))]):
            answers[_plainly(case.ours)] = answers.get(_plainly(case.ours), 0) + 1
            if case.differs:
                small = smallest(engine, case)
                kind = kind_of_difference(engine, small)
                (known.setdefault(kind, []) if kind else unknown).append(small)
    engine.close()
    print(f"{asked.cases:,} cases of seed {asked.seed}: " + ", ".join(f"{n:,} {a}" for a, n in answers.items()))
    for kind, cases in known.items():
        print(f"\n{len(cases):,} known: {kind}")
        show(min(cases, key=lambda case: len(case.pattern + case.event)))
    print(f"\n{len(unknown):,} differences of no known kind")
    for case in unknown:
        show(case)
    return 1 if unknown else 0


def show(case: Case) -> None:
    """Prints a case."""
    theirs = str(case.theirs).partition("\n")[0]
    print(f"  pattern {case.pattern}\n  event   {case.event}\n  event-ruler {theirs}; evtool {case.ours}")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UnavailableError as error:
        sys.exit(str(error))
