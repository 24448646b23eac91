"""Measures which routes, alternatives of patterns, handlers and types the events of scenarios have covered.

An alternative is one element of a condition's list, or one branch of an `$or`. It is covered when it held in an event
that its route matched. In arrays it counts only in an element in which all fields of the pattern hold:

    pattern  {"items": {"sku": ["a", "b"], "price": [{"numeric": [">", 5]}]}}
    event    {"items": [{"sku": "a", "price": 9}, {"sku": "b", "price": 1}]}      covers "a", not "b"
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from evtool.patterns.array_consistency import is_consistent
from evtool.patterns.compiler import OR
from evtool.patterns.conditions import Branch, Field
from evtool.patterns.flatten import flatten_event
from evtool.patterns.pattern import Pattern
from evtool.patterns.unknown import to_known
from evtool.readers.field_paths import format_path
from evtool.readers.json_text import parse_json
from evtool.routes.pattern_text import locate_in_pattern
from evtool.routes.project import Project
from evtool.routes.routes import Route, Routes
from evtool.schemas.validation import Rules

Keys = tuple[str | int, ...]


class Covered(NamedTuple):
    """What events have covered: names of routes, alternatives by route and keys, names of handlers, types."""

    routes: frozenset[str] = frozenset()
    alternatives: frozenset[tuple[str, Keys]] = frozenset()
    handlers: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()

    def merge(self, other: "Covered") -> "Covered":
        """What both have covered together."""
        return Covered(
            self.routes | other.routes,
            self.alternatives | other.alternatives,
            self.handlers | other.handlers,
            self.types | other.types,
        )


class Section(NamedTuple):
    """One part of the coverage: how many there are, and those that were missed."""

    covered: int
    all: int
    missed: tuple[Mapping[str, Any], ...]

    @property
    def percent(self) -> int:
        """The covered share in percent, rounded down; 100 if there is nothing to cover."""
        if self.all:
            return self.covered * 100 // self.all
        return 100

    def as_dict(self) -> dict[str, Any]:
        """The section as machines read it."""
        return {**self._asdict(), "percent": self.percent}


# --- what events cover ----------------------------------------------------------------------------------------------


def find_covered(events: Iterable[tuple[bytes, str, str]], routes: Routes, handlers: Collection[str]) -> Covered:
    """What events have covered, each given as its bytes, bus and type, and the handlers that were called."""
    matched: set[str] = set()
    alternatives: set[tuple[str, Keys]] = set()
    types: set[str] = set()
    for raw, bus, event_type in events:
        types.add(event_type)
        for route in routes.match_checked(raw, bus):
            matched.add(route.name)
            alternatives |= {(route.name, keys) for keys in _find_held(route.pattern, raw)}
    return Covered(frozenset(matched), frozenset(alternatives), frozenset(handlers), frozenset(types))


def _find_held(pattern: Pattern, raw: bytes) -> set[Keys]:
    """The keys of the alternatives that hold in an event, each together with the fields by which the pattern matches.

    An alternative also counts if the branch of `$or` that it is in does not hold as a whole.
    """
    leaves = flatten_event(raw, pattern.paths)
    possible = [
        (keys, [(field.keys, match) for field, match in zip(fields, matches, strict=True)])
        for keys, fields in _list_alternative_fields(pattern)
        if is_consistent(matches := [field.find_match(leaves) for field in fields])
    ]
    held: set[Keys] = set()
    for branch in pattern.branches:
        matching = {field.keys: field.find_match(leaves) for field in branch}
        if is_consistent([*matching.values()]):
            held |= {
                keys
                for keys, fields in possible
                if keys not in held and is_consistent([*{**matching, **dict(fields)}.values()])
            }
    return held


def _list_alternative_fields(pattern: Pattern) -> Iterator[tuple[Keys, Branch]]:
    """The keys of each alternative, and the fields that have to hold for it: one condition, or those of a branch."""
    for field in {field.keys: field for branch in pattern.branches for field in branch}.values():
        yield from ((keys, (single,)) for keys, single in _split(field))
    parts: dict[tuple[Keys, ...], tuple[Keys, Branch]] = {}
    for branch in pattern.branches:
        for keys in dict.fromkeys(keys for field in branch for keys in _list_or_keys(field)):
            part = tuple(field for field in branch if field.keys[: len(keys)] == keys)
            parts[keys, *(field.keys for field in part)] = keys, part
    yield from parts.values()


def _split(field: Field) -> Iterator[tuple[Keys, Field]]:
    """The field with each of its conditions alone."""
    for index, condition in enumerate(field.conditions):
        is_absence = condition.operator == "exists" and condition.expected is False
        keys = (*field.keys, index)
        yield keys, Field(field.path, (condition,), condition.test, is_absence, field.keys)


def _list_or_keys(field: Field) -> Iterator[Keys]:
    """The keys of the branches of `$or` that a field is in."""
    for number, key in enumerate(field.keys):
        if key == OR and number + 1 < len(field.keys) and isinstance(field.keys[number + 1], int):
            yield field.keys[: number + 2]


# --- what there is to cover -----------------------------------------------------------------------------------------


def measure(covered: Covered, routes: Routes, rules: Rules, project: Project) -> dict[str, Section]:
    """The coverage of a project by section. Disabled routes, and handlers of these only, do not count."""
    enabled = [route for route in routes.routes.values() if route.enabled]
    if rules.schemas:
        types = rules.schemas.list_types()
    else:
        types = []
    return {
        "routes": _build_section(
            (route.name in covered.routes, {"route": route.name, **_locate(project, "routes", route.name)})
            for route in enabled
        ),
        "alternatives": _build_section(
            ((route.name, keys) in covered.alternatives, record)
            for route in enabled
            for keys, record in _list_alternatives(route, project)
        ),
        "handlers": _build_section(
            (name in covered.handlers, {"handler": name, **_locate(project, "handlers", name)})
            for name in _list_handlers(routes)
        ),
        "types": _build_section((name in covered.types, {"type": name}) for name in types),
    }


def _list_handlers(routes: Routes) -> list[str]:
    """The handlers, without those that only disabled routes name."""
    enabled, disabled = (
        {handler for route in routes.routes.values() if route.enabled == is_enabled for handler in route.to}
        for is_enabled in (True, False)
    )
    return [name for name in routes.handlers if name in enabled or name not in disabled]


def _build_section(entries: Iterable[tuple[bool, Mapping[str, Any]]]) -> Section:
    entries = list(entries)
    missed = tuple(record for is_covered, record in entries if not is_covered)
    return Section(len(entries) - len(missed), len(entries), missed)


def _locate(project: Project, *path: str) -> dict[str, Any]:
    location = project.locate(path, key=True)
    return {key: location[key] for key in ("file", "line", "column")}


def _list_alternatives(route: Route, project: Project) -> list[tuple[Keys, dict[str, Any]]]:
    """The alternatives of a route with their records, in the order of the file."""
    fields = {field.keys: field for branch in route.pattern.branches for field in branch}
    branches = {keys for branch in route.pattern.branches for keys in _list_known_branches(branch)}
    found: list[tuple[Keys, str, str, Any]] = [
        ((*keys, index), field.path, condition.operator, condition.expected)
        for keys, field in fields.items()
        for index, condition in enumerate(field.conditions)
        if condition.unknown is None
    ]
    source = project.document.value["routes"][route.name]["pattern"]
    if isinstance(source, str):
        document = parse_json(source.encode())
    else:
        document = source
    found += [(keys, format_path(keys), OR, to_known(_follow(document, keys))) for keys in branches]
    entries = []
    for keys, path, operator, value in found:
        location = locate_in_pattern(project, route.name, keys)
        record = {
            "route": route.name,
            "path": path,
            "operator": operator,
            "value": value,
            **{key: location[key] for key in ("file", "line", "column")},
        }
        entries.append((keys, record))
    return sorted(entries, key=lambda entry: (entry[1]["line"], entry[1]["column"], len(entry[0])))


def _follow(document: Any, keys: Keys) -> Any:
    for key in keys:
        document = document[key]
    return document


def _list_known_branches(branch: Branch) -> Iterator[Keys]:
    """The branches of `$or` that a combination consists of, without those that can never match for certain."""
    fields_of: dict[Keys, list[Field]] = {}
    for field in branch:
        for keys in _list_or_keys(field):
            fields_of.setdefault(keys, []).append(field)
    yield from (keys for keys, fields in fields_of.items() if all(field.known_conditions for field in fields))
