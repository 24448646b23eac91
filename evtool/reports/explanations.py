"""Reasons: why routes do or do not take an event, as records, and as lines for people."""

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from evtool.patterns.compiler import EQUALS
from evtool.patterns.explain.event_structure import read_structure
from evtool.patterns.explain.explanation import Explanation, explain
from evtool.patterns.explain.mismatches import quote
from evtool.patterns.pattern import Pattern
from evtool.routes.project import Project
from evtool.routes.routes import Routes
from evtool.terminal.screen import Screen, Segment, counted

IN_FULL = 3  # routes that are shown condition by condition
VALUES = 3  # of a field that are shown
MARGIN = 44  # columns that paths may take


class Candidate(NamedTuple):
    """A pattern that is explained: that of a route, or one that stands in no file."""

    pattern: Pattern
    route: str | None = None
    enabled: bool = True
    project: Project | None = None

    def place(self, *keys: str | int) -> dict[str, Any]:
        """Line and column in routes.yaml of the route, or of a part of its pattern."""
        if self.project is None:
            return {"line": None, "column": None}
        path = ("routes", str(self.route), *(("pattern", *keys) if keys else ()))
        line, column = self.project.document.place(path, key=not keys)
        return {"line": line, "column": column}


def candidates_of(routes: Routes, project: Project) -> list[Candidate]:
    """All routes, to be explained."""
    return [Candidate(each.pattern, each.name, each.enabled, project) for each in routes.routes.values()]


def explained(raw: bytes, candidates: Sequence[Candidate]) -> list[tuple[Candidate, Explanation]]:
    """Why each pattern matches an event or does not, the nearest first."""
    anatomy = read_structure(raw)
    found = [(each, explain(each.pattern, anatomy)) for each in candidates]
    return sorted(found, key=lambda pair: pair[1].distance)


def record_of(candidate: Candidate, explanation: Explanation) -> dict[str, Any]:
    """What became of a pattern, as machines read it."""
    several = explanation.branches > 1
    return {
        "route": candidate.route,
        "enabled": candidate.enabled,
        "file": candidate.project.display_name if candidate.project else None,
        **candidate.place(),
        "matches": explanation.matches,
        "branch": {"number": explanation.branch, "of": explanation.branches} if several else None,
        "conditions": [
            {
                "path": tried.path,
                "operator": tried.operator,
                "expected": tried.expected,
                "wanted": tried.description,
                "actual": tried.actual,
                "ok": tried.ok,
                "reason": tried.reason,
                **candidate.place(*tried.keys),
            }
            for tried in explanation.conditions
        ],
        "change": None
        if explanation.changes is None
        else [{**change.as_dict(), "words": change.text} for change in explanation.changes],
    }


class Others:
    """Tells below what an event has fired why the other routes do not take it: what -v adds.

    `noted` are the last two sets of events that may be told about; reports lag one behind.
    """

    def __init__(self, candidates: Sequence[Candidate], *, in_full: int | None = IN_FULL):
        self._candidates, self._in_full = candidates, in_full
        self._noted: deque[Mapping[str, bytes]] = deque(maxlen=2)

    def note(self, events: Mapping[str, bytes]) -> None:
        """Takes events that are told about next, by their ids."""
        self._noted.append(events)

    def tell(
        self, screen: Screen, event: str, taken: Collection[str], above: Sequence[Segment], *, indent: str = ""
    ) -> None:
        """Shows the conditions that fail of the routes that have not taken an event; `above` leads in."""
        raw = next(noted[event] for noted in self._noted if event in noted)
        others = [each for each in self._candidates if each.route not in taken]
        records = [record_of(*pair) for pair in explained(raw, others)]
        if records:
            screen.line(*above)
        for record in records[: self._in_full]:
            screen.line(indent, "  ", *headline(record, named=False))
            tell_conditions(screen, record, indent=f"{indent}  ", failing=True)
        left = len(records) - len(records[: self._in_full])
        if left:
            screen.line(f"{indent}  and by {counted(left, 'more route')}; -vv shows all")


def tell_conditions(
    screen: Screen, record: Mapping[str, Any], *, places: bool = False, failing: bool = False, indent: str = ""
) -> None:
    """Shows the conditions of a pattern, or only those that fail, and the change that would make it match."""
    conditions = [each for each in record["conditions"] if not (failing and each["ok"])]
    width = min(MARGIN, max((len(each["path"]) for each in conditions), default=0))
    for each in sorted(conditions, key=lambda each: not each["ok"]):
        said = _values_of(each["actual"]) if each["ok"] else each["reason"]
        plain = each["wanted"] in said or (each["ok"] and each["operator"] == EQUALS)
        mark = ("  ok    ", "green") if each["ok"] else ("  FAIL  ", "bold red")
        wanted = "" if plain else f"  (wanted: {each['wanted']})"
        place = f"  {_place_of({**record, **each})}" if places and not each["ok"] else ""
        screen.line(indent, mark, f"{each['path']:<{width}}  {said}", (wanted + place, "dim"))
    if record["change"]:
        changes = ", ".join(each["words"] for each in record["change"])
        screen.line(indent, "  ", ("change", "cyan"), f": {changes}")


def headline(record: Mapping[str, Any], *, named: bool) -> list[Segment]:
    """What became of a pattern in a line; `named` has it name the conditions that fail."""
    failed = [each["path"] for each in record["conditions"] if not each["ok"]]
    name = record["route"] or "the pattern"
    said: list[Segment] = [(name, "bold")]
    if record["matches"]:
        said.append(("  matches", "green"))
    else:
        total = counted(len(record["conditions"]), "condition")
        verb = "fails" if len(failed) == 1 else "fail"
        said.append((f"  does not match: {len(failed)} of {total} {verb}", "red"))
    if named and failed:
        said.append(f": {', '.join(failed)}")
    if not record["enabled"]:
        said.append(("  disabled: it takes nothing", "yellow"))
    if record["branch"]:
        nearest = "" if record["matches"] else "nearest: "
        said.append(f"  ({nearest}branch {record['branch']['number']} of {record['branch']['of']} of its $or)")
    return [*said, (f"  {_place_of(record)}", "dim")] if record["file"] else said


def _place_of(record: Mapping[str, Any]) -> str:
    return f"{record['file']}:{record['line']}:{record['column']}"


def _values_of(values: list[Any]) -> str:
    """What a field has: its first values, or that it has none."""
    more = f" and {len(values) - VALUES:,} more" if len(values) > VALUES else ""
    return (", ".join(quote(value) for value in values[:VALUES]) or "is not there") + more
