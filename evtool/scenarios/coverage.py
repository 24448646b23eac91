"""Measures which routes, alternatives of patterns, handlers and types the events of scenarios have covered.

An alternative is one element of a condition's list, or one branch of an `$or`. It is covered when it held in an event
that its route matched. In arrays it counts only in an element in which all fields of the pattern hold:

    pattern  {"items": {"sku": ["a", "b"], "price": [{"numeric": [">", 5]}]}}
    event    {"items": [{"sku": "a", "price": 9}, {"sku": "b", "price": 1}]}      covers "a", not "b"
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Any, NamedTuple

from evtool.patterns.array_consistency import FieldMatch, is_consistent
from evtool.patterns.compiler import OR
from evtool.patterns.conditions import Branch, Field
from evtool.patterns.flatten import Leaves, flatten_event
from evtool.patterns.pattern import Pattern
from evtool.patterns.unknown import to_known
from evtool.readers.field_paths import format_path
from evtool.readers.json_text import parse_json
from evtool.routes.pattern_text import locate_in_pattern
from evtool.routes.project import Project
from evtool.routes.routes import Route, Routes
from evtool.scenarios.files import select_position
from evtool.schemas.validation import Rules

# The path of an alternative in its pattern: ("items", "sku", 0) is "a" in the example above.
Keys = tuple[str | int, ...]


Matches = dict[Keys, FieldMatch]


class Covered(NamedTuple):
    """What events have covered: names of routes, alternatives by route and keys, names of handlers, types."""

    routes: frozenset[str] = frozenset()
    alternatives: frozenset[tuple[str, Keys]] = frozenset()
    handlers: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()

    def merge(self, other: "Covered") -> "Covered":
        """Returns what both have covered together."""
        return Covered(
            self.routes | other.routes,
            self.alternatives | other.alternatives,
            self.handlers | other.handlers,
            self.types | other.types,
        )


class Section(NamedTuple):
    """One part of the coverage: the numbers of all and of the covered ones, and a record for each missed one."""

    covered: int
    all: int
    missed: tuple[Mapping[str, Any], ...]

    @property
    def percent(self) -> int:
        """The covered share in percent, 100 for an empty section."""
        # It is rounded down, so that 100 % means that nothing was missed.
        if self.all:
            return self.covered * 100 // self.all
        return 100

    def as_dict(self) -> dict[str, Any]:
        """Returns the section as machines read it."""
        return self._asdict() | {"percent": self.percent}


# --- what events cover ----------------------------------------------------------------------------------------------


def find_covered(events: Iterable[tuple[bytes, str, str]], routes: Routes, handlers: Collection[str]) -> Covered:
    """Finds what events have covered, each given as its bytes, bus and type, and what the called `handlers` have."""
    matched: set[str] = set()
    alternatives: set[tuple[str, Keys]] = set()
    types: set[str] = set()
    for raw, bus, event_type in events:
        types.add(event_type)
        for route in routes.match_checked(raw, bus):
            matched.add(route.name)
            for keys in _find_held(route.pattern, raw):
                alternatives.add((route.name, keys))
    return Covered(frozenset(matched), frozenset(alternatives), frozenset(handlers), frozenset(types))


def _find_held(pattern: Pattern, raw: bytes) -> set[Keys]:
    """Finds the alternatives that hold in an event, each together with the fields by which the pattern matches.

    An alternative also counts if the branch of `$or` that it is in does not hold as a whole.
    """
    leaves = flatten_event(raw, pattern.paths)
    # An alternative that does not even hold alone need not be tested together with each branch.
    possible: list[tuple[Keys, Matches]] = []
    for keys, fields in _list_alternative_fields(pattern):
        matches = _find_matches(fields, leaves)
        if is_consistent(list(matches.values())):
            possible.append((keys, matches))
    held: set[Keys] = set()
    for branch in pattern.branches:
        branch_matches = _find_matches(branch, leaves)
        if is_consistent(list(branch_matches.values())):
            for keys, matches in possible:
                # The conditions of the alternative replace those of the same fields, so that both are looked for in
                # the same elements of arrays.
                if keys not in held and is_consistent(list((branch_matches | matches).values())):
                    held.add(keys)
    return held


def _find_matches(fields: Iterable[Field], leaves: Leaves) -> Matches:
    return {field.keys: field.find_match(leaves) for field in fields}


def _list_alternative_fields(pattern: Pattern) -> Iterator[tuple[Keys, Branch]]:
    """Yields the keys of each alternative, and the fields that have to hold for it.

    For an element of a list that is its field with this condition only, for a branch of `$or` all fields of the branch.
    """
    for field in _list_fields(pattern).values():
        for index, condition in enumerate(field.conditions):
            is_absence = condition.operator == "exists" and condition.expected is False
            single = Field(field.path, (condition,), condition.test, is_absence, field.keys)
            yield field.keys + (index,), (single,)
    # A pattern with several `$or` has one branch for each combination of theirs, so the same part occurs often.
    parts: dict[tuple[Keys, ...], tuple[Keys, Branch]] = {}
    for branch in pattern.branches:
        for keys, fields in _group_by_or_branch(branch).items():
            names = tuple(field.keys for field in fields)
            parts[(keys,) + names] = keys, tuple(fields)
    yield from parts.values()


def _list_fields(pattern: Pattern) -> dict[Keys, Field]:
    """Lists the fields of all branches by their keys. A field outside of `$or` is in every branch, but listed once."""
    return {field.keys: field for branch in pattern.branches for field in branch}


def _group_by_or_branch(branch: Branch) -> dict[Keys, list[Field]]:
    """Groups the fields of a combination by the branches of `$or` that they are in."""
    groups: dict[Keys, list[Field]] = {}
    for field in branch:
        for keys in _list_or_keys(field):
            groups.setdefault(keys, []).append(field)
    return groups


def _list_or_keys(field: Field) -> Iterator[Keys]:
    """Yields the keys of the branches of `$or` that a field is in: `$or` may be nested."""
    for number, key in enumerate(field.keys):
        if key == OR and number + 1 < len(field.keys) and isinstance(field.keys[number + 1], int):
            yield field.keys[: number + 2]


# --- what can be covered --------------------------------------------------------------------------------------------


def measure(covered: Covered, routes: Routes, rules: Rules, project: Project) -> dict[str, Section]:
    """Measures the coverage of a project by section. Disabled routes, and handlers of these only, do not count."""
    sections = {name: _SectionBuilder() for name in ("routes", "alternatives", "handlers", "types")}
    for route in routes.routes.values():
        if route.enabled:
            record = {"route": route.name} | _locate(project, "routes", route.name)
            sections["routes"].add(record, is_covered=route.name in covered.routes)
            for alternative in _list_alternatives(route, project):
                is_covered = (route.name, alternative.keys) in covered.alternatives
                sections["alternatives"].add(alternative.as_record(route.name), is_covered=is_covered)
    for name in _list_handlers(routes):
        record = {"handler": name} | _locate(project, "handlers", name)
        sections["handlers"].add(record, is_covered=name in covered.handlers)
    if rules.schemas:
        for name in rules.schemas.list_types():
            sections["types"].add({"type": name}, is_covered=name in covered.types)
    return {name: section.build() for name, section in sections.items()}


class _SectionBuilder:
    """Counts everything that can be covered, and records the parts that were missed."""

    def __init__(self) -> None:
        self._all = 0
        self._missed: list[Mapping[str, Any]] = []

    def add(self, record: Mapping[str, Any], *, is_covered: bool) -> None:
        self._all += 1
        if not is_covered:
            self._missed.append(record)

    def build(self) -> Section:
        return Section(self._all - len(self._missed), self._all, tuple(self._missed))


def _list_handlers(routes: Routes) -> list[str]:
    """Lists the handlers, without those that only disabled routes name."""
    enabled: set[str] = set()
    disabled: set[str] = set()
    for route in routes.routes.values():
        if route.enabled:
            enabled.update(route.to)
        else:
            disabled.update(route.to)
    return [name for name in routes.handlers if name in enabled or name not in disabled]


def _locate(project: Project, section: str, name: str) -> dict[str, Any]:
    return select_position(project.locate((section, name), key=True))


class _Alternative(NamedTuple):
    """One element of a condition's list, or one branch of an `$or`, and where it is."""

    keys: Keys
    path: str
    operator: str
    value: Any
    location: Mapping[str, Any]

    @property
    def position(self) -> tuple[int, int, int]:
        """The order in the file. A branch of `$or` begins where its first condition begins, and comes before it."""
        return self.location["line"], self.location["column"], len(self.keys)

    def as_record(self, route: str) -> dict[str, Any]:
        """Returns the alternative as machines read it."""
        record = {"route": route, "path": self.path, "operator": self.operator, "value": self.value}
        return record | select_position(self.location)


def _list_alternatives(route: Route, project: Project) -> list[_Alternative]:
    """Lists the alternatives of a route, in the order of the file, without those that can never match for certain."""
    alternatives: list[_Alternative] = []
    for field in _list_fields(route.pattern).values():
        for index, condition in enumerate(field.conditions):
            if condition.unknown is None:
                keys = field.keys + (index,)
                location = locate_in_pattern(project, route.name, keys)
                alternatives.append(_Alternative(keys, field.path, condition.operator, condition.expected, location))
    document = project.document.value["routes"][route.name]["pattern"]
    if isinstance(document, str):
        document = parse_json(document.encode())
    for keys in _list_known_or_branches(route.pattern):
        location = locate_in_pattern(project, route.name, keys)
        value = to_known(_follow(document, keys))
        alternatives.append(_Alternative(keys, format_path(keys), OR, value, location))
    return sorted(alternatives, key=attrgetter("position"))


def _follow(document: Any, keys: Keys) -> Any:
    for key in keys:
        document = document[key]
    return document


def _list_known_or_branches(pattern: Pattern) -> set[Keys]:
    """Lists the branches of `$or` whose fields each have a condition without an unknown value."""
    branches: set[Keys] = set()
    for branch in pattern.branches:
        for keys, fields in _group_by_or_branch(branch).items():
            if all(field.known_conditions for field in fields):
                branches.add(keys)
    return branches
