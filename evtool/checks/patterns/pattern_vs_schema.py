"""Checks patterns against the schemas of the types that they match: EV301 to EV307.

Only proven problems are reported. A pattern with `$or` has one branch for each combination of its alternatives, and a
condition is reported if it is wrong in every branch that it is part of:

    {"detail": {"total": ["5"], "$or": [{"currency": ["EUR"]}, {"country": ["DE"]}]}}
        branches   total + currency, total + country
        "5"        wrong in both branches for a type whose total is a number: EV302
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

from evtool.checks.base import CheckContext, map_fields
from evtool.checks.patterns.aws_names import find_misspelled_aws_names, may_come_from_aws
from evtool.checks.patterns.envelope_fields import find_envelope_problems, find_mixed_names
from evtool.checks.patterns.payload_fields import find_field_problems
from evtool.checks.patterns.subject import Keys, PatternProblem, find_steps, list_type_names
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

# A pattern with more branches is not checked against schemas. Several `$or` multiply: three with ten alternatives each
# make a thousand branches.
MAX_BRANCHES = 200

# The types with a schema, each with the source that the schema is for, or None if it is for every source.
Entries = Sequence[tuple[str, str | None]]
# Returns the schema of a type, for events with this key of the payload.
FindType = Callable[[EventType, str], TypeSchema | None]


def check_patterns(context: CheckContext) -> Iterator[Finding]:
    """EV3: the problems of the patterns of all routes, each at its place."""
    known = list_known_types(context.schemas, context.samples)
    loaded: dict[tuple[EventType, str], TypeSchema | None] = {}

    def find_type(event_type: EventType, payload_key: str) -> TypeSchema | None:
        key = (event_type, payload_key)
        if key not in loaded:
            loaded[key] = _load_type(context, event_type, payload_key)
        return loaded[key]

    for name, route in context.routes.items():
        problems = find_problems(route.pattern, known, find_type) + list(find_misspelled_aws_names(route.pattern))
        if context.schemas is not None and route.enabled:
            problems += find_types_without_schema(route.pattern, context.schema_entries)
        for problem in problems:
            location = locate_in_pattern(context.project, name, problem.keys, key=problem.at_key)
            message = f"route {name}: {problem.message}"
            yield Finding(
                problem.code, message, problem.severity, route=name, suggestion=problem.suggestion, **location
            )


def _load_type(context: CheckContext, event_type: EventType, payload_key: str) -> TypeSchema | None:
    compiled = context.find_schema(event_type.type, event_type.source or "", payload_key)
    if not compiled:
        return None
    schema = load_type(compiled, event_type.type, event_type.source, payload_key)
    # If a schema allows no event, every condition is impossible. EV606 reports the schema instead.
    if schema is None or is_impossible(schema.schema, []):
        return None
    return schema


def find_problems(pattern: Pattern, known: Sequence[EventType], find_type: FindType) -> list[PatternProblem]:
    """Finds the problems of a pattern. `known` are the types of the project with their sources."""
    if len(pattern.branches) > MAX_BRANCHES:
        return []
    checker = _Checker(known, find_type)
    counts: Counter[PatternProblem] = Counter()
    uses: Counter[Keys] = Counter()
    for branch in pattern.branches:
        counts.update(dict.fromkeys(checker.check(branch), 1))
        uses.update(field.keys for field in branch)
    return [problem for problem, count in counts.items() if count == _count_uses(problem.keys, uses)]


def _count_uses(keys: Keys, uses: Counter[Keys]) -> int:
    """Counts the branches with the field that keys lead to, or with the fields below them."""
    if keys in uses or keys[:-1] in uses:
        return uses[keys] or uses[keys[:-1]]
    return max(count for field_keys, count in uses.items() if field_keys[: len(keys)] == keys)


class _Checker:
    """Checks branches; a field that several branches share is checked once for the same types."""

    def __init__(self, known: Sequence[EventType], find_type: FindType):
        self._known, self._find_type = known, find_type
        self._results: dict[tuple[Keys, tuple[tuple[str, str | None], ...]], list[PatternProblem]] = {}

    def check(self, branch: Branch) -> list[PatternProblem]:
        payload_key = find_payload_key(branch)
        types: list[TypeSchema] = []
        if payload_key:
            types = self._find_types(branch, payload_key)
        names = self._list_payload_names(types)
        problems = list(find_mixed_names(branch))
        payload_fields = []
        for field in branch:
            if payload_key and field.path.startswith(f"{payload_key}."):
                payload_fields.append(field)
                problems += self._check_field(field, types)
            else:
                problems += find_envelope_problems(field, payload_key, names)
        # An impossible condition contradicts every other one.
        if all(problem.severity != "error" for problem in problems):
            problems += _find_contradictions(payload_fields, types)
        return problems

    def _find_types(self, branch: Branch, payload_key: str) -> list[TypeSchema]:
        """Returns the schemas of all types that a branch matches; an empty list if one of them is not known."""
        matched = find_matched_types(branch, self._known, payload_key)
        if not matched.is_certain:
            return []
        schemas = []
        for event_type in matched.types:
            schema = self._find_type(event_type, payload_key)
            if schema is None:
                return []
            schemas.append(schema)
        return schemas

    def _list_payload_names(self, types: Sequence[TypeSchema]) -> list[str]:
        """Lists the names at the top of the payloads: of the matched types, or of all that the project has."""
        if not types:
            schemas = [self._find_type(event_type, "detail") for event_type in self._known]
            types = [schema for schema in schemas if schema is not None]
        names: list[str] = []
        for schema in types:
            names += list_names(schema.document, schema.steps_of(()))
        return names

    def _check_field(self, field: Field, types: Sequence[TypeSchema]) -> list[PatternProblem]:
        key = (field.keys, tuple((schema.type, schema.source) for schema in types))
        if key not in self._results:
            self._results[key] = find_field_problems(field, types)
        return self._results[key]


def _find_contradictions(fields: Sequence[Field], types: Sequence[TypeSchema]) -> Iterator[PatternProblem]:
    """Yields a problem if no event satisfies the conditions on several fields together."""
    if len(fields) < 2 or not types:
        return
    for field in fields:
        if field.unknown or find_steps(field, types) is None:
            return
    if not _exclude_each_other(fields, types):
        return
    culprits = _find_culprits(fields, types)
    names = list_type_names(types)
    paths = " and ".join(field.path for field in culprits)
    consequence = "the route never matches"
    if any("$or" in field.keys for field in fields):
        consequence = "this alternative of $or never matches"
    message = f"no valid {names} satisfies the conditions on {paths} together: {consequence}"
    yield PatternProblem("EV304", culprits[-1].keys, message, at_key=True)


def _find_culprits(fields: Sequence[Field], types: Sequence[TypeSchema]) -> Sequence[Field]:
    """Returns two fields that exclude each other, or all fields if only all of them together do."""
    for pair in combinations(fields, 2):
        if _exclude_each_other(pair, types):
            return pair
    return fields


def _exclude_each_other(fields: Sequence[Field], types: Sequence[TypeSchema]) -> bool:
    try:
        for schema in types:
            parts = []
            for field in fields:
                steps = schema.steps_of(split_path(field.path)[1:])
                parts.append(describe_field(field, steps, from_above=True))
            if not is_impossible(schema.schema, parts):
                return False
    except TooLong:
        return False
    return True


# --- types without a schema -------------------------------------------------------------------------------------------


def find_types_without_schema(pattern: Pattern, entries: Entries) -> list[PatternProblem]:
    """Lists the types that a pattern names and that have no schema. `entries` are the types with a schema."""
    # Branches of `$or` share the fields outside of it, so a problem may be found several times.
    problems: dict[PatternProblem, None] = {}
    for branch in pattern.branches:
        payload_key = find_payload_key(branch) or "detail"
        fields = map_fields(branch)
        type_field, source_field = fields.get(TYPE_KEYS[payload_key]), fields.get("source")
        if type_field is None:
            continue
        for index, condition in enumerate(type_field.conditions):
            if is_literal(condition) and not _has_schema(condition.expected, source_field, entries):
                keys = type_field.keys + (index,)
                problem = _describe_missing_schema(condition.expected, list_literals(source_field), keys, entries)
                problems[problem] = None
    return list(problems)


def _has_schema(name: str, source_field: Field | None, entries: Entries) -> bool:
    """Whether a type has a schema from one of the sources that a field lists, or needs none, since it is of AWS."""
    if (name, None) in entries:
        return True
    sources = list_literals(source_field)
    if not sources:
        return may_come_from_aws(name, source_field) or any(described == name for described, _ in entries)
    return any(source.startswith("aws.") or (name, source) in entries for source in sources)


def _describe_missing_schema(name: str, sources: Sequence[str], keys: Keys, entries: Entries) -> PatternProblem:
    origin = ""
    if len(sources) == 1:
        origin = f' from "{sources[0]}"'
    message = f'the type "{name}"{origin} has no schema: its events are not checked'
    hint = did_you_mean(name, {described for described, _ in entries})
    others = [f'"{source}"' for described, source in entries if described == name]
    if others:
        hint = f"there is one for events from {list_some(others, 2)}"
    return PatternProblem("EV307", keys, message, hint, "warning")
