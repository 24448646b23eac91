"""Why routes match or do not match an event, as records for machines and as lines for people."""

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from evtool.errors import ConfigError
from evtool.events.event import Event
from evtool.findings.finding import Finding
from evtool.patterns.compiler import EQUALS
from evtool.patterns.explain.event_structure import read_structure
from evtool.patterns.explain.explanation import ConditionResult, Explanation, explain
from evtool.patterns.explain.mismatches import quote
from evtool.patterns.explain.suggestions import SchemaCheck
from evtool.patterns.json_values import to_python
from evtool.patterns.pattern import Pattern
from evtool.routes.pattern_text import locate_in_pattern
from evtool.routes.project import Project, without_gc
from evtool.routes.routes import Routes
from evtool.schemas.validation import Rules
from evtool.terminal.screen import Screen, Segment, format_count

MAX_DETAILED = 3  # routes that are shown condition by condition
MAX_SHOWN = 10  # routes that are shown at all, unless all are asked for
MAX_CHANGED = 100  # routes for which a change is looked for, which takes longer than everything else
MAX_VALUES = 3  # of a field that are shown
MAX_PATH_WIDTH = 44  # columns that paths may take
MARKS: dict[bool | None, Segment] = {  # of conditions, in the order in which they are shown
    True: ("  ok    ", "green"),
    None: ("  ?     ", "cyan"),
    False: ("  FAIL  ", "bold red"),
}
BUS_KEYS = ("event-bus",)  # where a route names its bus; also the path of this condition


class Candidate(NamedTuple):
    """A pattern that is explained: that of a route, or one that stands in no file."""

    pattern: Pattern
    route: str | None = None
    enabled: bool = True
    project: Project | None = None
    event_bus: str | None = None  # the bus of the events that the route takes; None if it takes those of every bus

    def locate(self, *keys: str | int) -> dict[str, Any]:
        """Line and column in routes.yaml or a rule source of the route, or of a part of its pattern."""
        if self.project is None:
            return {"line": None, "column": None}
        if keys and keys != BUS_KEYS and isinstance(self.project.document.value["routes"][self.route]["pattern"], str):
            location = locate_in_pattern(self.project, str(self.route), keys)
            return {"line": location["line"], "column": location["column"]}
        parts = keys if keys == BUS_KEYS else ("pattern", *keys) if keys else ()
        document = self.project.source_of(str(self.route)).document
        line, column = document.position_of(("routes", str(self.route), *parts), key=not keys)
        return {"line": line, "column": column}


def list_candidates(routes: Routes, project: Project) -> list[Candidate]:
    """All routes, to be explained."""
    return [
        Candidate(route.pattern, route.name, route.enabled, project, route.event_bus)
        for route in routes.routes.values()
    ]


def build_schema_check(rules: Rules, event: Event) -> SchemaCheck:
    """What the schema of an event says of changes to it; nothing where it cannot be used.

    It says nothing either of a document that is nested too deeply to be converted, or of one that is of another type.
    """

    def find_violations(document: Any) -> list[Finding]:
        with suppress(ConfigError, RecursionError):
            changed = event._replace(document=to_python(document), source_map=None)
            if all(changed.document.get(key) == event.document.get(key) for key in ("type", "detail-type", "source")):
                return [finding for finding in rules.check(changed) if finding.severity == "error"]
        return []

    return SchemaCheck(find_violations, partial(rules.is_forbidden, event))


@without_gc()  # of thousands of explanations nothing is garbage
def explain_candidates(
    raw: bytes,
    bus: str,
    candidates: Sequence[Candidate],
    schema: SchemaCheck | None = None,
    max_changed: int = MAX_CHANGED,
) -> list[tuple[Candidate, Explanation]]:
    """Why each pattern matches an event of a bus or does not, the nearest first.

    The nearest `max_changed` have changes, which keep to the schema, if the event itself does.
    """
    structure = read_structure(raw)
    if schema is not None and schema.find_violations(structure.document):
        schema = None

    def explain_candidate(candidate: Candidate, *, with_changes: bool) -> Explanation:
        explanation = explain(candidate.pattern, structure, schema, with_changes=with_changes)
        return _explain_bus(explanation, bus, candidate.event_bus)

    pairs = [(candidate, explain_candidate(candidate, with_changes=False)) for candidate in candidates]
    pairs.sort(key=lambda pair: pair[1].distance)
    nearest = [(candidate, explain_candidate(candidate, with_changes=True)) for candidate, _ in pairs[:max_changed]]
    return nearest + pairs[max_changed:]


def _explain_bus(explanation: Explanation, bus: str, expected: str | None) -> Explanation:
    """The explanation with the bus as a condition before those of the pattern, if the route takes events of one bus."""
    if expected is None:
        return explanation
    ok = bus == expected
    reason = None
    if not ok:
        reason = f'the event is on the bus "{bus}"'
    condition = ConditionResult(BUS_KEYS[0], EQUALS, expected, quote(expected), [bus], ok, reason, float(ok), BUS_KEYS)
    return explanation._replace(
        matches=explanation.matches if ok else False,
        conditions=(condition, *explanation.conditions),
        changes=explanation.changes if ok else None,
        conflict=explanation.conflict if ok else None,
    )


def build_explanation_record(candidate: Candidate, explanation: Explanation) -> dict[str, Any]:
    """What became of a pattern, as machines read it."""
    has_branches = explanation.branches > 1
    return {
        "route": candidate.route,
        "enabled": candidate.enabled,
        "file": candidate.project.source_of(str(candidate.route)).display_name if candidate.project else None,
        **candidate.locate(),
        "matches": explanation.matches,
        "branch": {"number": explanation.branch, "of": explanation.branches} if has_branches else None,
        "conditions": [
            {
                "path": condition.path,
                "operator": condition.operator,
                "expected": condition.expected,
                "wanted": condition.description,
                "actual": condition.actual,
                "ok": condition.ok,
                "reason": condition.reason,
                **candidate.locate(*condition.keys),
            }
            for condition in explanation.conditions
        ],
        "change": None
        if explanation.changes is None
        else [{**change.as_dict(), "words": change.text} for change in explanation.changes],
        "conflict": explanation.conflict and {**explanation.conflict._asdict(), "words": _describe(explanation)},
    }


def _describe(explanation: Explanation) -> str:
    """The conflict of a pattern with the schema in words; only a pattern of one type has no other events to match."""
    assert explanation.conflict is not None
    path, event_type, reason = explanation.conflict
    text = f"the schema of {event_type} allows no value that the pattern accepts in {path}: {reason}"
    has_one_type = any(
        condition.path in ("detail-type", "type") and condition.operator == EQUALS
        for condition in explanation.conditions
    )
    if has_one_type:
        return f"{text}; the rule is probably wrong"
    return text


class UnmatchedRoutes:
    """Tells below what an event has fired why the other routes do not take it: what -v adds.

    `_recent` holds the last two sets of events that may be told about; reports lag one behind.
    """

    def __init__(self, candidates: Sequence[Candidate], *, limit: int | None = MAX_DETAILED):
        self._candidates, self._limit = candidates, limit
        self._recent: deque[Mapping[str, tuple[bytes, str]]] = deque(maxlen=2)

    def remember(self, events: Mapping[str, tuple[bytes, str]]) -> None:
        """Takes the events that are reported next, by their ids: their bytes and buses."""
        self._recent.append(events)

    def show(
        self,
        screen: Screen,
        event: str,
        matched_routes: Collection[str],
        heading: Sequence[Segment],
        *,
        indent: str = "",
    ) -> None:
        """Shows the conditions that fail of the routes that have not taken an event, below `heading`."""
        raw, bus = next(events[event] for events in self._recent if event in events)
        candidates = [candidate for candidate in self._candidates if candidate.route not in matched_routes]
        records = [build_explanation_record(*pair) for pair in explain_candidates(raw, bus, candidates)]
        if records:
            screen.print_line(*heading)
        for record in records[: self._limit]:
            screen.print_line(indent, "  ", *format_headline(record, list_failed=False))
            show_conditions(screen, record, indent=f"{indent}  ", only_failing=True)
        hidden = len(records) - len(records[: self._limit])
        if hidden:
            screen.print_line(f"{indent}  and by {format_count(hidden, 'more route')}; -vv shows all")


def show_conditions(
    screen: Screen,
    record: Mapping[str, Any],
    *,
    show_locations: bool = False,
    only_failing: bool = False,
    indent: str = "",
) -> None:
    """Shows the conditions of a pattern, or only those that fail, and the change that would make it match."""
    conditions = [condition for condition in record["conditions"] if not (only_failing and condition["ok"])]
    width = min(MAX_PATH_WIDTH, max((len(_name_field(condition)) for condition in conditions), default=0))
    for condition in sorted(conditions, key=lambda condition: list(MARKS).index(condition["ok"])):
        text = condition["reason"] or format_values(condition["actual"])
        if condition["ok"] is None and condition["actual"]:
            text = f"{format_values(condition['actual'])} is {text}"
        is_obvious = condition["wanted"] in text or (condition["ok"] and condition["operator"] == EQUALS)
        wanted_text = ""
        if not is_obvious:
            wanted_text = f"  (wanted: {condition['wanted']})"
        location = ""
        if show_locations and not condition["ok"]:
            location = f"  {_format_location({**record, **condition})}"
        screen.print_line(
            indent,
            MARKS[condition["ok"]],
            f"{_name_field(condition):<{width}}  {text}",
            (wanted_text + location, "dim"),
        )
    if record["change"]:
        changes = ", ".join(change["words"] for change in record["change"])
        screen.print_line(indent, "  ", ("change", "cyan"), f": {changes}")
    if record["conflict"]:
        screen.print_line(indent, "  ", ("no change", "cyan"), f": {record['conflict']['words']}")


def format_headline(record: Mapping[str, Any], *, list_failed: bool) -> list[Segment]:
    """What became of a pattern in a line; `list_failed` adds the conditions that fail, or that leave it undecided."""
    matches = record["matches"]
    failed = [
        _name_field(condition)
        for condition in record["conditions"]
        if not condition["ok"] and condition["ok"] is matches
    ]
    name = record["route"] or "the pattern"
    segments: list[Segment] = [(name, "bold")]
    total = format_count(len(record["conditions"]), "condition")
    if matches:
        segments.append(("  matches", "green"))
    elif matches is None:
        verb = "depend"
        if len(failed) == 1:
            verb = "depends"
        segments.append((f"  is undecided: {len(failed)} of {total} {verb} on unknown values", "cyan"))
    else:
        verb = "fail"
        if len(failed) == 1:
            verb = "fails"
        segments.append((f"  does not match: {len(failed)} of {total} {verb}", "red"))
    if list_failed and failed:
        segments.append(f": {', '.join(failed)}")
    if not record["enabled"]:
        segments.append(("  disabled: it takes nothing", "yellow"))
    if record["branch"]:
        nearest = "nearest: "
        if matches:
            nearest = ""
        segments.append(f"  ({nearest}branch {record['branch']['number']} of {record['branch']['of']} of its $or)")
    if record["file"]:
        return [*segments, (f"  {_format_location(record)}", "dim")]
    return segments


def _name_field(condition: Mapping[str, Any]) -> str:
    """The path of a condition; one that is unknown may be on the whole event."""
    return condition["path"] or "the event"


def _format_location(record: Mapping[str, Any]) -> str:
    return f"{record['file']}:{record['line']}:{record['column']}"


def format_values(values: list[Any]) -> str:
    """What a field has: its first values, or that it has none."""
    rest = ""
    if len(values) > MAX_VALUES:
        rest = f" and {len(values) - MAX_VALUES:,} more"
    return (", ".join(quote(value) for value in values[:MAX_VALUES]) or "is not there") + rest
