"""Compares two versions of a schema: every change with its location, and whether old and new events are accepted.

Backward compatible: the new schema accepts everything that the old one accepts. Forward compatible: the reverse. The
walk through both schemas finds the changes; the algebra (containment.py) confirms or clears what they break, at each
level: a change that another one makes up for breaks nothing. Without a proof the answer is None, undecided.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from evtool.schemas.diff.closing import close
from evtool.schemas.diff.containment import is_covered
from evtool.schemas.diff.forms import name_form, pair_forms
from evtool.schemas.diff.inlining import LISTS, LOOP, MAPS, SINGLE, InlinedSchema
from evtool.schemas.diff.keywords import BACKWARD, FORWARD, compare_keywords, list_companions, list_types

DIRECTIONS = (BACKWARD, FORWARD)
ROOT_NAME = "the value"
IN_PARTS = ("properties", "items", "prefixItems", "additionalProperties")  # compared part by part
WHOLE = tuple(key for key in (*SINGLE, *LISTS, *MAPS) if key not in IN_PARTS)


class Change(NamedTuple):
    """One difference between two schemas. `undecided` are directions that it may break."""

    pointer: str
    kind: str
    breaks: tuple[str, ...]
    message: str
    undecided: tuple[str, ...] = ()
    undeclared: tuple[str, ...] = ()  # directions in which it matters only for fields that a schema does not declare
    file: str | None = None
    line: int | None = None
    column: int | None = None

    def without(self, directions: tuple[str, ...]) -> "Change":
        """The change without what it breaks in some directions."""
        return self._replace(
            breaks=tuple(name for name in self.breaks if name not in directions),
            undecided=tuple(name for name in self.undecided if name not in directions),
        )


class SchemaDiff(NamedTuple):
    """The changes between two schemas; compatibility in both directions, None if it is undecided."""

    changes: tuple[Change, ...]
    backward: bool | None
    forward: bool | None


def diff_schemas(old: InlinedSchema, new: InlinedSchema, *, relaxed: bool = False) -> SchemaDiff:
    """Compares two schemas. With `relaxed` what affects only undeclared fields breaks nothing."""
    walk = _Walk(old, new, relaxed=relaxed)
    changes = list(walk.compare(old.value, new.value, ROOT_NAME))
    verdicts = []
    for direction in DIRECTIONS:
        verdict = walk.decide(direction, old.value, new.value)
        if verdict is None:
            is_broken = any(direction in change.breaks for change in changes)
            if is_broken:
                verdict = False
            elif any(direction in c.undecided for c in changes):
                verdict = None
            else:
                verdict = True
        verdicts.append(verdict)
        if verdict is False and not any(direction in change.breaks for change in changes):
            changes.append(_describe_hidden(direction, changes))
    return SchemaDiff(tuple(changes), verdicts[0], verdicts[1])


def _describe_hidden(direction: str, changes: list[Change]) -> Change:
    """A change for a break that no single difference explains."""
    if direction == BACKWARD:
        first, second = ("old", "new")
    else:
        first, second = ("new", "old")
    message = f"the {second} schema refuses values that the {first} one accepts"
    kind = "widened"
    if direction == BACKWARD:
        kind = "narrowed"
    change = Change("", kind, (direction,), message)
    if changes:
        return change._replace(file=changes[0].file, line=1, column=1)
    return change


class _Walk:
    """Two schemas on the way through them."""

    def __init__(self, old: InlinedSchema, new: InlinedSchema, *, relaxed: bool):
        self._old, self._new, self._relaxed = old, new, relaxed
        self._visited: set[tuple[int, int]] = set()
        self._kept: list[Any] = []  # objects made on the way, so that identities stay unique

    def decide(self, direction: str, old: Any, new: Any) -> bool | None:
        """Whether a part accepts everything that its other version accepts."""
        if direction == BACKWARD:
            inner, outer = (old, new)
        else:
            inner, outer = (new, old)
        if direction == BACKWARD:
            inner_schema, outer_schema = (self._old, self._new)
        else:
            inner_schema, outer_schema = (self._new, self._old)
        if self._relaxed:
            inner = close(inner)
            loops = {uri: close(target) for uri, target in inner_schema.loops.items()}
        else:
            loops = inner_schema.loops
        return is_covered(inner, outer, loops, outer_schema.loops)

    def compare(self, old: Any, new: Any, name: str) -> Iterator[Change]:
        """The changes between two parts, without the breaks that the parts as a whole disprove."""
        old, new = self._old.resolve(old), self._new.resolve(new)
        if old == new and LOOP not in str(old):
            return
        if (id(old), id(new)) in self._visited:
            return
        self._visited.add((id(old), id(new)))
        changes = list(self._compare_parts(_to_object(old), _to_object(new), name, (old, new)))
        if self._relaxed:
            changes = [change.without(change.undeclared) for change in changes]
        proven = tuple(
            direction
            for direction in DIRECTIONS
            if any(direction in (*change.breaks, *change.undecided) for change in changes)
            and self.decide(direction, old, new) is True
        )
        for change in changes:
            rest = change.without(proven)
            is_implied = change.kind.startswith("type-") and not (rest.breaks or rest.undecided)
            if not is_implied:  # the enum of the other version may have values of this type only
                yield rest

    def _compare_parts(
        self, old: Mapping[str, Any], new: Mapping[str, Any], name: str, parts: tuple[Any, Any]
    ) -> Iterator[Change]:
        for change in compare_keywords(old, new, name):
            breaks, undecided = change.breaks or (), tuple[str, ...]()
            if change.breaks is None:
                breaks, undecided = self._decide_keywords(old, new, (change.keyword, "contains"))
            yield self._build(parts, change.keyword, change.kind, breaks, change.message, undecided)
        if not list_types(old) & list_types(new):
            return
        yield from self._compare_properties(old, new, name, parts)
        yield from self._compare_additional(old, new, name, parts)
        yield from self._compare_elements(old, new, _prefix(name)[:-1])
        changed = [keyword for keyword in WHOLE if old.get(keyword) != new.get(keyword)]
        for number, keyword in enumerate(changed):
            if not any(keyword in list_companions(other) for other in changed[:number]):
                yield from self._compare_whole(keyword, old, new, name, parts)

    def _compare_elements(self, old: Mapping[str, Any], new: Mapping[str, Any], name: str) -> Iterator[Change]:
        """The elements of arrays, those of `prefixItems` one by one."""
        before, after = old.get("prefixItems", []), new.get("prefixItems", [])
        rest = old.get("items", True), new.get("items", True)
        for index in range(max(len(before), len(after))):
            if index < len(before):
                first = before[index]
            else:
                first = rest[0]
            if index < len(after):
                second = after[index]
            else:
                second = rest[1]
            yield from self.compare(first, second, f"{name}[{index}]")
        if "items" in old or "items" in new:
            yield from self.compare(*rest, f"{name}[]")

    # --- properties --------------------------------------------------------------------------------------------------

    def _compare_properties(
        self, old: Mapping[str, Any], new: Mapping[str, Any], name: str, parts: tuple[Any, Any]
    ) -> Iterator[Change]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for field in before:
            if field in after:
                yield from self.compare(before[field], after[field], f"{_prefix(name)}{field}")
            else:
                yield self._compare_undeclared(field, before[field], new, name, parts, is_removed=True)
        for field in after:
            if field not in before:
                yield self._compare_undeclared(field, after[field], old, name, parts, is_removed=False)

    def _compare_undeclared(
        self, field: str, schema: Any, other: Mapping[str, Any], name: str, parts: tuple[Any, Any], *, is_removed: bool
    ) -> Change:
        """A property that one version declares only. The other one has `additionalProperties` for it, or anything."""
        additional = self._find_additional(other, field)
        old, new = (schema, additional) if is_removed else (additional, schema)
        answers = {direction: self.decide(direction, old, new) for direction in DIRECTIONS}
        is_open = additional in (True, {})
        undeclared = ((FORWARD,) if is_removed else (BACKWARD,)) if is_open else ()
        breaks = tuple(direction for direction, answer in answers.items() if answer is False)
        undecided = tuple(direction for direction, answer in answers.items() if answer is None)
        verb = "is removed" if is_removed else "is added"
        detail = ", and the schema allows no other fields" if is_removed and additional is False else ""
        kind = "property-removed" if is_removed else "property-added"
        message = f"{_prefix(name)}{field} {verb}{detail}"
        side = 0 if is_removed else 1
        return self._build(parts, ("properties", field), kind, breaks, message, undecided, undeclared, side=side)

    def _find_additional(self, schema: Mapping[str, Any], field: str) -> Any:
        """What a schema says of a field that it does not declare."""
        for pattern, value in schema.get("patternProperties", {}).items():
            if is_covered({"const": field}, {"pattern": pattern}, {}, {}):
                return value
        return schema.get("additionalProperties", schema.get("unevaluatedProperties", True))

    def _compare_additional(
        self, old: Mapping[str, Any], new: Mapping[str, Any], name: str, parts: tuple[Any, Any]
    ) -> Iterator[Change]:
        before, after = (schema.get("additionalProperties", True) for schema in (old, new))
        if before == after:
            return
        if before and after and isinstance(before, dict) and isinstance(after, dict):
            yield from self.compare(before, after, f"{_prefix(name)}*")
            return
        answers = {direction: self.decide(direction, before, after) for direction in DIRECTIONS}
        breaks = tuple(direction for direction, answer in answers.items() if answer is False)
        undecided = tuple(direction for direction, answer in answers.items() if answer is None)
        subject = "other fields"
        if name != ROOT_NAME:
            subject = f"other fields of {name}"
        words = {False: "not allowed", True: "allowed"}
        texts = [words.get(value, "limited") if isinstance(value, bool) else "limited" for value in (before, after)]
        kind = "additional-properties-widened"
        if BACKWARD in breaks:
            kind = "additional-properties-narrowed"
        message = f"{subject} were {texts[0]}, now {texts[1]}"
        undeclared = (BACKWARD,) * (before in (True, {})) + (FORWARD,) * (after in (True, {}))
        yield self._build(parts, "additionalProperties", kind, breaks, message, undecided, undeclared)

    # --- keywords that contain schemas -------------------------------------------------------------------------------

    def _compare_whole(
        self, keyword: str, old: Mapping[str, Any], new: Mapping[str, Any], name: str, parts: tuple[Any, Any]
    ) -> Iterator[Change]:
        """A keyword that is compared as a whole; its forms are compared one by one where it is possible."""
        breaks, undecided = self._decide_keywords(old, new, list_companions(keyword))
        before, after = old.get(keyword), new.get(keyword)
        explained = set[str]()
        if (keyword in LISTS or keyword == "patternProperties") and before is not None and after is not None:
            for change in self._compare_forms(keyword, before, after, name):
                rest = change.without(tuple(set(DIRECTIONS).difference(breaks, undecided)))
                explained.update((*rest.breaks, *rest.undecided))
                yield rest
            if explained.issuperset((*breaks, *undecided)):
                return
        breaks = tuple(direction for direction in breaks if direction not in explained)
        undecided = tuple(direction for direction in undecided if direction not in explained)
        if keyword not in old:
            state = "added"
        elif keyword not in new:
            state = "removed"
        else:
            state = "changed"
        message = f"{name}: {keyword} was {state}"
        if keyword == "oneOf" and state == "changed":
            message = f"{name}: oneOf: a value may fit several forms {'now' if BACKWARD in breaks else 'before'}"
        yield self._build(parts, keyword, f"{keyword}-{state}", breaks, message, undecided)

    def _compare_forms(self, keyword: str, before: Any, after: Any, name: str) -> Iterator[Change]:
        """The schemas of a list such as `oneOf`, or of the expressions of `patternProperties`."""
        if isinstance(before, dict):
            for pattern in filter(after.__contains__, before):
                yield from self.compare(before[pattern], after[pattern], f"{_prefix(name)}/{pattern}/")
            return
        pairs, removed, added = pair_forms(before, after, (self._old.name, self._new.name))
        for first, second in pairs:
            label = name_form(first, self._old.name)
            for change in self.compare(first, second, name):
                yield change._replace(message=f"{change.message}, in the form {label}" if label else change.message)
        # the direction that a removed form breaks
        if keyword == "allOf":
            narrows = FORWARD
        else:
            narrows = BACKWARD
        if keyword == "allOf":
            widens = BACKWARD
        else:
            widens = FORWARD
        for forms, verb, direction, side in ((removed, "removed", narrows, 0), (added, "added", widens, 1)):
            schema = (self._old, self._new)[side]
            for form in forms:
                label = name_form(form, schema.name) or "of another kind"
                message = f"{name}: the form {label} was {verb}"
                yield self._build((form, form), (), f"{keyword}-{verb}", (direction,), message, side=side)

    def _decide_keywords(
        self, old: Mapping[str, Any], new: Mapping[str, Any], keywords: tuple[str, ...]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What a change of some keywords breaks, and in which directions that is undecided."""
        before, after = ({key: schema[key] for key in keywords if key in schema} for schema in (old, new))
        answers = {direction: self.decide(direction, before, after) for direction in DIRECTIONS}
        return (
            tuple(direction for direction, answer in answers.items() if answer is False),
            tuple(direction for direction, answer in answers.items() if answer is None),
        )

    def _build(
        self,
        parts: tuple[Any, Any],
        keys: str | tuple[str, ...],
        kind: str,
        breaks: tuple[str, ...],
        message: str,
        undecided: tuple[str, ...] = (),
        undeclared: tuple[str, ...] = (),
        *,
        side: int | None = None,
    ) -> Change:
        """A change, located in the new schema, or in the old one if the new one does not have the keyword."""
        steps = (keys,) if isinstance(keys, str) else keys
        if side is None:
            side = 1 if isinstance(parts[1], dict) and steps[0] in parts[1] else 0
        schema = (self._old, self._new)[side]
        location = schema.locate(parts[side], *steps)
        names = ("file", "line", "column")
        place = {name: location.get(name) for name in names}
        return Change(str(location.get("pointer", "")), kind, breaks, message, undecided, undeclared, **place)


def _to_object(schema: Any) -> Mapping[str, Any]:
    if isinstance(schema, dict):
        return schema
    if schema:
        return {}
    return {"not": {}, "type": []}


def _prefix(name: str) -> str:
    if name == ROOT_NAME:
        return ""
    return f"{name}."
