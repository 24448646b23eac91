"""Explains why routes match or do not match an event, as records for machines and as lines for people.

tell-declined  does not match: 1 of 2 conditions fails  routes.yaml:56:3
  ok    source       "shop.checkout"  (wanted: prefix "shop.")
  FAIL  detail-type  "order.created" is not "payment.declined"
  change: detail-type = "payment.declined"
"""

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from evtool.errors import ConfigError
from evtool.events.event import Event
from evtool.findings.finding import Finding
from evtool.patterns.compiler import EQUALS
from evtool.patterns.explain.descriptions import quote
from evtool.patterns.explain.event_structure import read_structure
from evtool.patterns.explain.explanation import ConditionResult, Explanation, explain
from evtool.patterns.explain.suggestions import SchemaCheck
from evtool.patterns.json_values import to_python
from evtool.patterns.pattern import Pattern
from evtool.routes.pattern_text import locate_in_pattern
from evtool.routes.project import Project, without_gc
from evtool.routes.routes import Routes
from evtool.schemas.validation import Rules
from evtool.terminal.screen import Screen, Segment, format_count

# Routes that are shown condition by condition.
MAX_DETAILED = 3
# Routes that are shown, unless the user asks for all.
MAX_SHOWN = 10
# Routes for which a change is looked for. That takes longer than everything else.
MAX_CHANGED = 100
# Values of a field that are shown.
MAX_VALUES = 3
# Columns that paths may take.
MAX_PATH_WIDTH = 44
# The marks of conditions, in the order in which conditions are shown.
MARKS: dict[bool | None, Segment] = {
    True: ("  ok    ", "green"),
    None: ("  ?     ", "cyan"),
    False: ("  FAIL  ", "bold red"),
}
MARK_ORDER = list(MARKS)
# Where a route names its bus; also the path of this condition.
BUS_KEYS = ("event-bus",)


class Candidate(NamedTuple):
    """A pattern that is explained: that of a route, or one from the command line."""

    pattern: Pattern
    route: str | None = None
    enabled: bool = True
    project: Project | None = None
    # The bus of the events that the route takes; None if it takes those of every bus.
    event_bus: str | None = None

    @property
    def file(self) -> str | None:
        """The file with the route, as messages name it."""
        if self.project is None:
            return None
        return self.project.source_of(str(self.route)).display_name

    def locate(self, keys: tuple[str | int, ...] = ()) -> dict[str, Any]:
        """Returns line and column, in routes.yaml or a rule source, of the route or of a part of its pattern."""
        if self.project is None:
            return {"line": None, "column": None}
        path: tuple[str | int, ...] = ("routes", str(self.route))
        if keys == BUS_KEYS:
            path += keys
        elif keys:
            # A pattern may be JSON in a string of the YAML document, in which the document knows no positions.
            if isinstance(self.project.document.value["routes"][self.route]["pattern"], str):
                location = locate_in_pattern(self.project, str(self.route), keys)
                return {"line": location["line"], "column": location["column"]}
            path += ("pattern",) + keys
        document = self.project.source_of(str(self.route)).document
        line, column = document.position_of(path, key=not keys)
        return {"line": line, "column": column}


def list_candidates(routes: Routes, project: Project) -> list[Candidate]:
    """Lists all routes as candidates."""
    candidates = []
    for route in routes.routes.values():
        candidates.append(Candidate(route.pattern, route.name, route.enabled, project, route.event_bus))
    return candidates


def build_schema_check(rules: Rules, event: Event) -> SchemaCheck:
    """Returns the check of changes to an event by the schema of its type.

    It allows every change if the schema cannot be used, if the document is nested too deeply to be converted, or if the
    type or source changes: then another schema applies.
    """

    def find_violations(document: Any) -> list[Finding]:
        with suppress(ConfigError, RecursionError):
            changed = event._replace(document=to_python(document), source_map=None)
            if all(changed.document.get(key) == event.document.get(key) for key in ("type", "detail-type", "source")):
                return [finding for finding in rules.check(changed) if finding.severity == "error"]
        return []

    return SchemaCheck(find_violations, partial(rules.is_forbidden, event))


# Thousands of explanations are built and none of them is garbage, so collecting it only takes time.
@without_gc()
def explain_candidates(
    raw: bytes,
    bus: str,
    candidates: Sequence[Candidate],
    schema: SchemaCheck | None = None,
    max_changed: int = MAX_CHANGED,
) -> list[tuple[Candidate, Explanation]]:
    """Explains why each pattern matches an event of a bus or does not, the nearest first.

    The nearest `max_changed` have changes. These keep to the schema, if the event itself is valid.
    """
    structure = read_structure(raw)
    # A change for a pattern does not repair an invalid event, so the schema would forbid every change.
    if schema is not None and schema.find_violations(structure.document):
        schema = None

    def explain_candidate(candidate: Candidate, *, with_changes: bool) -> Explanation:
        explanation = explain(candidate.pattern, structure, schema, with_changes=with_changes)
        return _explain_bus(explanation, bus, candidate.event_bus)

    pairs = [(candidate, explain_candidate(candidate, with_changes=False)) for candidate in candidates]
    pairs.sort(key=_get_distance)
    nearest = [(candidate, explain_candidate(candidate, with_changes=True)) for candidate, _ in pairs[:max_changed]]
    return nearest + pairs[max_changed:]


def _get_distance(pair: tuple[Candidate, Explanation]) -> tuple[int, int, float]:
    return pair[1].distance


def _explain_bus(explanation: Explanation, bus: str, expected: str | None) -> Explanation:
    """Adds the bus as a condition before those of the pattern, if the route takes events of one bus."""
    if expected is None:
        return explanation
    ok = bus == expected
    reason = None
    if not ok:
        reason = f'the event is on the bus "{bus}"'
    condition = ConditionResult(BUS_KEYS[0], EQUALS, expected, quote(expected), [bus], ok, reason, float(ok), BUS_KEYS)
    explanation = explanation._replace(conditions=(condition,) + explanation.conditions)
    if ok:
        return explanation
    # No change of the event moves it to another bus.
    return explanation._replace(matches=False, changes=None, conflict=None)


def build_explanation_record(candidate: Candidate, explanation: Explanation) -> dict[str, Any]:
    """Builds the record of a pattern and its conditions."""
    record: dict[str, Any] = {"route": candidate.route, "enabled": candidate.enabled, "file": candidate.file}
    record |= candidate.locate()
    record["matches"] = explanation.matches
    record["branch"] = None
    if explanation.branches > 1:
        record["branch"] = {"number": explanation.branch, "of": explanation.branches}
    record["conditions"] = [_build_condition_record(candidate, condition) for condition in explanation.conditions]
    record["change"] = None
    if explanation.changes is not None:
        record["change"] = [change.as_dict() | {"words": change.text} for change in explanation.changes]
    record["conflict"] = explanation.conflict
    if explanation.conflict:
        record["conflict"] = explanation.conflict._asdict() | {"words": _describe_conflict(explanation)}
    return record


def _build_condition_record(candidate: Candidate, condition: ConditionResult) -> dict[str, Any]:
    record = {
        "path": condition.path,
        "operator": condition.operator,
        "expected": condition.expected,
        "wanted": condition.description,
        "actual": condition.actual,
        "ok": condition.ok,
        "reason": condition.reason,
    }
    return record | candidate.locate(condition.keys)


def _describe_conflict(explanation: Explanation) -> str:
    """Describes the conflict of a pattern with the schema."""
    assert explanation.conflict is not None
    path, event_type, reason = explanation.conflict
    text = f"the schema of {event_type} allows no value that the pattern accepts in {path}: {reason}"
    for condition in explanation.conditions:
        # A pattern of several types may be meant for the events of another one.
        if condition.path in ("detail-type", "type") and condition.operator == EQUALS:
            return f"{text}; the rule is probably wrong"
    return text


class UnmatchedRoutes:
    """Explains, below an event and what it fires, why the other routes do not match it. Reports show this with -v."""

    def __init__(self, candidates: Sequence[Candidate], *, limit: int | None = MAX_DETAILED):
        self._candidates, self._limit = candidates, limit
        # An event is reported when the next batch is already remembered, so the last two batches are kept.
        self._recent: deque[Mapping[str, tuple[bytes, str]]] = deque(maxlen=2)

    def remember(self, events: Mapping[str, tuple[bytes, str]]) -> None:
        """Remembers the bytes and buses of the events that are reported next, by their ids."""
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
        """Shows the failed conditions of the routes that do not match an event, below `heading`."""
        raw, bus = next(events[event] for events in self._recent if event in events)
        candidates = [candidate for candidate in self._candidates if candidate.route not in matched_routes]
        pairs = explain_candidates(raw, bus, candidates)
        if pairs:
            screen.print_line(*heading)
        shown = pairs[: self._limit]
        for candidate, explanation in shown:
            record = build_explanation_record(candidate, explanation)
            screen.print_line(indent, "  ", *format_headline(record, list_failed=False))
            show_conditions(screen, record, indent=f"{indent}  ", only_failing=True)
        hidden = len(pairs) - len(shown)
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
    conditions.sort(key=_get_mark_position)
    width = min(MAX_PATH_WIDTH, max(map(len, map(_name_field, conditions)), default=0))
    for condition in conditions:
        text = condition["reason"] or format_values(condition["actual"])
        if condition["ok"] is None and condition["actual"]:
            text = f"{format_values(condition['actual'])} is {text}"
        is_obvious = condition["wanted"] in text or (condition["ok"] and condition["operator"] == EQUALS)
        wanted_text = ""
        if not is_obvious:
            wanted_text = f"  (wanted: {condition['wanted']})"
        location = ""
        if show_locations and not condition["ok"]:
            location = f"  {_format_location(record | condition)}"
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


def _get_mark_position(condition: Mapping[str, Any]) -> int:
    return MARK_ORDER.index(condition["ok"])


def format_headline(record: Mapping[str, Any], *, list_failed: bool) -> list[Segment]:
    """Formats the result of a pattern in a line.

    `list_failed` adds the conditions that fail, or that leave the pattern undecided.
    """
    matches = record["matches"]
    failed = []
    for condition in record["conditions"]:
        if not condition["ok"] and condition["ok"] is matches:
            failed.append(_name_field(condition))
    name = record["route"] or "the pattern"
    segments: list[Segment] = [(name, "bold"), _format_match(len(failed), len(record["conditions"]), matches=matches)]
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
        segments.append((f"  {_format_location(record)}", "dim"))
    return segments


def _format_match(failed: int, conditions: int, *, matches: bool | None) -> Segment:
    if matches:
        return ("  matches", "green")
    count = f"{failed} of {format_count(conditions, 'condition')}"
    # The verb agrees with the number of failed conditions.
    ending = ""
    if failed == 1:
        ending = "s"
    if matches is None:
        return (f"  is undecided: {count} depend{ending} on unknown values", "cyan")
    return (f"  does not match: {count} fail{ending}", "red")


def _name_field(condition: Mapping[str, Any]) -> str:
    # An unknown pattern is one condition on the whole event, without a path.
    return condition["path"] or "the event"


def _format_location(record: Mapping[str, Any]) -> str:
    return f"{record['file']}:{record['line']}:{record['column']}"


def format_values(values: list[Any]) -> str:
    """Formats the first values of a field."""
    if not values:
        return "is not there"
    text = ", ".join(map(quote, values[:MAX_VALUES]))
    if len(values) > MAX_VALUES:
        text += f" and {len(values) - MAX_VALUES:,} more"
    return text
