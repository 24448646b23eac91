"""Checks patterns against the schemas of the types that they match: EV301 to EV307.

Only what is proven is reported. A condition below `$or` is reported if it is wrong in every combination it is part of.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

from evtool.checks.base import CheckContext
from evtool.checks.patterns.aws_names import find_misspelled_aws_names, may_come_from_aws
from evtool.checks.patterns.envelope_fields import find_envelope_problems, find_mixed_names
from evtool.checks.patterns.payload_fields import find_field_problems
from evtool.checks.patterns.subject import Keys, PatternProblem, find_steps
from evtool.findings.finding import Finding
from evtool.findings.phrases import list_some
from evtool.findings.spelling import did_you_mean
from evtool.patterns.conditions import Branch, Field
from evtool.patterns.pattern import Pattern
from evtool.routes.pattern_text import locate_in_pattern
from evtool.schemas.algebra.conditions import TooLong, describe_field, split_path
from evtool.schemas.algebra.matched_types import (
    TYPE_KEYS,
    EventType,
    find_matched_types,
    find_payload_key,
    is_literal,
    list_known_types,
    list_literals,
)
from evtool.schemas.algebra.types import TypeSchema, is_impossible, list_names, load_type

MAX_BRANCHES = 200  # of a pattern; one with more is not checked against schemas

FindType = Callable[[EventType, str], TypeSchema | None]  # the schema of a type, with the key of the payload


def check_patterns(context: CheckContext) -> Iterator[Finding]:
    """What is wrong with the patterns of all routes, each at its place."""
    known = list_known_types(context.schemas, context.samples)
    loaded: dict[tuple[EventType, str], TypeSchema | None] = {}

    def find_type(event_type: EventType, payload_key: str) -> TypeSchema | None:
        key = (event_type, payload_key)
        if key not in loaded:
            compiled = context.find_schema(event_type.type, event_type.source or "", payload_key)
            schema = None
            if compiled:
                schema = load_type(compiled, *event_type, payload_key)
            is_usable = schema is not None and not is_impossible(schema.schema, [])  # else that is another finding
            loaded[key] = schema if is_usable else None
        return loaded[key]

    for name, route in context.routes.items():
        problems = find_problems(route.pattern, known, find_type) + list(find_misspelled_aws_names(route.pattern))
        if context.schemas is not None and route.enabled:
            problems += find_types_without_schema(route.pattern, known, context)
        for problem in problems:
            location = locate_in_pattern(context.project, name, problem.keys, key=problem.at_key)
            message = f"route {name}: {problem.message}"
            yield Finding(
                problem.code, message, problem.severity, route=name, suggestion=problem.suggestion, **location
            )


def find_problems(pattern: Pattern, known: Sequence[EventType], find_type: FindType) -> list[PatternProblem]:
    """What is wrong with a pattern. `known` are the types of the project with their sources."""
    if len(pattern.branches) > MAX_BRANCHES:
        return []
    checker = _Checker(known, find_type)
    counts: Counter[PatternProblem] = Counter()
    for branch in pattern.branches:
        counts.update(dict.fromkeys(checker.check(branch), 1))
    uses = Counter(field.keys for branch in pattern.branches for field in branch)
    return [problem for problem, count in counts.items() if count == _count_uses(problem.keys, uses)]


def _count_uses(keys: Keys, uses: Counter[Keys]) -> int:
    """In how many branches the field stands that keys lead to, or the fields below them."""
    if keys in uses or keys[:-1] in uses:
        return uses[keys] or uses[keys[:-1]]
    return max(count for field_keys, count in uses.items() if field_keys[: len(keys)] == keys)


class _Checker:
    """Checks branches; a field that several branches share is checked once for the same types."""

    def __init__(self, known: Sequence[EventType], find_type: FindType):
        self._known, self._find_type = known, find_type
        self._results: dict[tuple[Keys, tuple[EventType, ...]], list[PatternProblem]] = {}

    def check(self, branch: Branch) -> list[PatternProblem]:
        payload_key = find_payload_key(branch)
        if payload_key:
            types = self._find_types(branch, payload_key)
        else:
            types = []
        names = self._list_payload_names(types)
        problems = [*find_mixed_names(branch)]
        payload_fields = []
        for field in branch:
            if payload_key and field.path.startswith(f"{payload_key}."):
                payload_fields.append(field)
                problems += self._check_field(field, types)
            else:
                problems += find_envelope_problems(field, payload_key, names)
        is_possible = all(problem.severity != "error" for problem in problems)
        return problems + (list(_find_contradictions(payload_fields, types)) if is_possible else [])

    def _find_types(self, branch: Branch, payload_key: str) -> list[TypeSchema]:
        """The schemas of all types that a branch matches; none if one of them is not known."""
        matched = find_matched_types(branch, self._known, payload_key)
        found = [self._find_type(event_type, payload_key) for event_type in matched.types]
        known = [schema for schema in found if schema is not None]
        if matched.is_certain and len(known) == len(found):
            return known
        return []

    def _list_payload_names(self, types: Sequence[TypeSchema]) -> list[str]:
        """The names at the top of the payloads: of the matched types, or of all that the project has."""
        schemas = types or [
            schema for event_type in self._known if (schema := self._find_type(event_type, "detail")) is not None
        ]
        return [name for schema in schemas for name in list_names(schema.document, schema.steps_of(()))]

    def _check_field(self, field: Field, types: Sequence[TypeSchema]) -> list[PatternProblem]:
        key = (field.keys, tuple(EventType(schema.type, schema.source) for schema in types))
        if key not in self._results:
            self._results[key] = find_field_problems(field, types)
        return self._results[key]


def _find_contradictions(fields: Sequence[Field], types: Sequence[TypeSchema]) -> Iterator[PatternProblem]:
    """Conditions on several fields that no event satisfies together."""
    if len(fields) < 2 or not types or any(find_steps(field, types) is None for field in fields):
        return
    if any(field.unknown for field in fields):
        return
    if not _exclude_each_other(fields, types):
        return
    pair = next((pair for pair in combinations(fields, 2) if _exclude_each_other(pair, types)), tuple(fields))
    names = list_some(list(dict.fromkeys(schema.type for schema in types)), 2)
    paths = " and ".join(field.path for field in pair)
    is_alternative = any("$or" in field.keys for field in fields)
    consequence = "the route never matches"
    if is_alternative:
        consequence = "this alternative of $or never matches"
    message = f"no valid {names} satisfies the conditions on {paths} together: {consequence}"
    yield PatternProblem("EV304", pair[-1].keys, message, at_key=True)


def _exclude_each_other(fields: Sequence[Field], types: Sequence[TypeSchema]) -> bool:
    try:
        return all(
            is_impossible(
                schema.schema,
                [
                    describe_field(field, schema.steps_of(split_path(field.path)[1:]), from_above=True)
                    for field in fields
                ],
            )
            for schema in types
        )
    except TooLong:
        return False


# --- types without a schema -------------------------------------------------------------------------------------------


def find_types_without_schema(
    pattern: Pattern, known: Sequence[EventType], context: CheckContext
) -> list[PatternProblem]:
    """The types that a pattern names and that have no schema, though the project has schemas."""
    assert context.schemas is not None
    entries = context.schemas.list_entries()
    described = {name for name, _ in entries}
    problems: dict[PatternProblem, None] = {}
    for branch in pattern.branches:
        payload_key = find_payload_key(branch) or "detail"
        fields = {field.path: field for field in branch}
        type_field, sources = fields.get(TYPE_KEYS[payload_key]), list_literals(fields.get("source"))
        for index, condition in enumerate(type_field.conditions if type_field else ()):
            if not is_literal(condition) or any(source.startswith("aws.") for source in sources):
                continue
            name = condition.expected
            if not sources and may_come_from_aws(name, fields.get("source")):
                continue
            candidates = sources or [entry.source or "" for entry in known if entry.type == name] or [""]
            if not sources and name in described:
                continue
            if any((name, source) in entries for source in (None, *candidates)):
                continue
            origin = f' from "{sources[0]}"' if len(sources) == 1 else ""
            message = f'the type "{name}"{origin} has no schema: its events are not checked'
            assert type_field is not None
            keys = (*type_field.keys, index)
            others = [f'"{source}"' for described_name, source in entries if described_name == name]
            hint = f"there is one for events from {list_some(others, 2)}" if others else did_you_mean(name, described)
            problems[PatternProblem("EV307", keys, message, hint, "warning")] = None
    return list(problems)
