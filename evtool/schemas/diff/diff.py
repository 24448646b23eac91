"""Compares two versions of a schema: every change with its location, and whether old and new events are accepted.

Backward compatible: the new schema accepts all values that the old one accepts. Forward compatible: the reverse. Three
steps decide, here for the change of {"type": "integer", "minimum": 1, "maximum": 9} to
{"type": "integer", "exclusiveMinimum": 0, "maximum": 8}:

1. The walk through both schemas finds the differences, and what each would break by itself (keywords.py): the lower
   bound accepts more, which breaks forward compatibility; the upper bound accepts less, which breaks backward.
2. The algebra compares the parts as a whole, at each level (containment.py). All integers from 1 to 8 are from 1 to 9,
   so forward compatibility is proven. The first change loses its break: an integer above 0 is at least 1.
3. The algebra compares the schemas as a whole, which gives the verdict: forward compatible, not backward compatible. If
   it cannot decide, the remaining changes do. Without a proof the verdict is None, undecided.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from evtool.schemas.diff.changes import DIRECTIONS, Change, Effect, SchemaDiff
from evtool.schemas.diff.closing import close
from evtool.schemas.diff.containment import is_covered
from evtool.schemas.diff.forms import name_form, pair_forms
from evtool.schemas.diff.inlining import LISTS, LOOP, MAPS, SINGLE, InlinedSchema
from evtool.schemas.diff.keywords import BACKWARD, FORWARD, compare_keywords, list_companions, list_types

ROOT_NAME = "the value"
# These keywords are compared part by part, all others with schemas as a whole.
IN_PARTS = ("properties", "items", "prefixItems", "additionalProperties")
WHOLE = tuple(key for key in SINGLE + LISTS + MAPS if key not in IN_PARTS)


def diff_schemas(old: InlinedSchema, new: InlinedSchema, *, relaxed: bool = False) -> SchemaDiff:
    """Compares two schemas. With `relaxed`, an effect on undeclared fields alone breaks nothing."""
    walk = _Walk(old, new, relaxed=relaxed)
    changes = list(walk.compare(old.value, new.value, ROOT_NAME))
    verdicts = []
    for direction in DIRECTIONS:
        is_broken = any(direction in change.breaks for change in changes)
        verdict = walk.decide(direction, old.value, new.value)
        if verdict is None:
            verdict = _decide_by_changes(direction, changes)
        if verdict is False and not is_broken:
            changes.append(_describe_hidden(direction, changes))
        verdicts.append(verdict)
    return SchemaDiff(tuple(changes), verdicts[0], verdicts[1])


def _decide_by_changes(direction: str, changes: Sequence[Change]) -> bool | None:
    if any(direction in change.breaks for change in changes):
        return False
    if any(direction in change.undecided for change in changes):
        return None
    return True


def _describe_hidden(direction: str, changes: Sequence[Change]) -> Change:
    """A change for a break that no single difference explains."""
    kind, message = "widened", "the old schema refuses values that the new one accepts"
    if direction == BACKWARD:
        kind, message = "narrowed", "the new schema refuses values that the old one accepts"
    change = Change("", kind, (direction,), message)
    if changes:
        return change._replace(file=changes[0].file, line=1, column=1)
    return change


class _Pair(NamedTuple):
    """The same part of both schemas, and its name in messages."""

    old: Any
    new: Any
    name: str

    @property
    def before(self) -> Mapping[str, Any]:
        return _to_object(self.old)

    @property
    def after(self) -> Mapping[str, Any]:
        return _to_object(self.new)

    @property
    def prefix(self) -> str:
        """The start of the names of its fields."""
        if self.name == ROOT_NAME:
            return ""
        return f"{self.name}."


class _Walk:
    def __init__(self, old: InlinedSchema, new: InlinedSchema, *, relaxed: bool):
        self._old, self._new, self._relaxed = old, new, relaxed
        self._visited: set[tuple[int, int]] = set()

    def decide(self, direction: str, old: Any, new: Any) -> bool | None:
        """Decides whether a part accepts all values that its other version accepts."""
        inner, outer, inner_loops, outer_loops = old, new, self._old.loops, self._new.loops
        if direction == FORWARD:
            inner, outer, inner_loops, outer_loops = new, old, self._new.loops, self._old.loops
        if self._relaxed:
            inner = close(inner)
            inner_loops = {uri: close(target) for uri, target in inner_loops.items()}
        return is_covered(inner, outer, inner_loops, outer_loops)

    def _decide_both(self, old: Any, new: Any) -> Effect:
        """The effect of a change of a part."""
        answers = {direction: self.decide(direction, old, new) for direction in DIRECTIONS}
        breaks = tuple(direction for direction in DIRECTIONS if answers[direction] is False)
        undecided = tuple(direction for direction in DIRECTIONS if answers[direction] is None)
        return Effect(breaks, undecided)

    def _decide_keywords(self, pair: _Pair, keywords: Sequence[str]) -> Effect:
        """The effect of a change of some keywords."""
        before = {key: pair.before[key] for key in keywords if key in pair.before}
        after = {key: pair.after[key] for key in keywords if key in pair.after}
        return self._decide_both(before, after)

    def compare(self, old: Any, new: Any, name: str) -> Iterator[Change]:
        """Yields the changes between two parts, without the breaks that the parts as a whole disprove."""
        old, new = self._old.resolve(old), self._new.resolve(new)
        # Equal loops may lead to different targets.
        if old == new and LOOP not in str(old):
            return
        if (id(old), id(new)) in self._visited:
            return
        self._visited.add((id(old), id(new)))
        changes = list(self._compare_parts(_Pair(old, new, name)))
        if self._relaxed:
            changes = [change.without(change.undeclared) for change in changes]
        proven = list(self._list_proven(changes, old, new))
        for change in changes:
            remaining = change.without(proven)
            # The values of an `enum` imply a type. If a change of types breaks nothing, a change of values says more.
            if remaining.directions or not change.kind.startswith("type-"):
                yield remaining

    def _list_proven(self, changes: Sequence[Change], old: Any, new: Any) -> Iterator[str]:
        """The directions in which two parts are compatible as a whole, although a change seems to break them."""
        for direction in DIRECTIONS:
            is_affected = any(direction in change.directions for change in changes)
            if is_affected and self.decide(direction, old, new) is True:
                yield direction

    def _compare_parts(self, pair: _Pair) -> Iterator[Change]:
        for change in compare_keywords(pair.before, pair.after, pair.name):
            effect = Effect(change.breaks or ())
            if change.breaks is None:
                # The number of elements that `minContains` counts depends on `contains`.
                effect = self._decide_keywords(pair, (change.keyword, "contains"))
            yield self._build(pair, (change.keyword,), change.kind, effect, change.message)
        # Without a common type, the parts have nothing to compare, and the change of the type says it all.
        if not list_types(pair.before) & list_types(pair.after):
            return
        yield from self._compare_properties(pair)
        yield from self._compare_additional(pair)
        yield from self._compare_elements(pair)
        compared: set[str] = set()
        for keyword in WHOLE:
            if pair.before.get(keyword) != pair.after.get(keyword):
                if keyword not in compared:
                    yield from self._compare_whole(keyword, pair)
                compared.update(list_companions(keyword))

    def _compare_elements(self, pair: _Pair) -> Iterator[Change]:
        """The changes of the elements of arrays, those of `prefixItems` one by one."""
        name = pair.prefix[:-1]
        old_elements, new_elements = pair.before.get("prefixItems", []), pair.after.get("prefixItems", [])
        old_rest, new_rest = pair.before.get("items", True), pair.after.get("items", True)
        # The shorter list goes on with `items`.
        missing = len(new_elements) - len(old_elements)
        old_elements = old_elements + [old_rest] * missing
        new_elements = new_elements + [new_rest] * -missing
        for index, (old, new) in enumerate(zip(old_elements, new_elements, strict=True)):
            yield from self.compare(old, new, f"{name}[{index}]")
        if "items" in pair.before or "items" in pair.after:
            yield from self.compare(old_rest, new_rest, f"{name}[]")

    # --- properties --------------------------------------------------------------------------------------------------

    def _compare_properties(self, pair: _Pair) -> Iterator[Change]:
        before, after = pair.before.get("properties", {}), pair.after.get("properties", {})
        for field in before:
            if field in after:
                yield from self.compare(before[field], after[field], pair.prefix + field)
            else:
                yield self._describe_removed(pair, field)
        for field in after:
            if field not in before:
                yield self._describe_added(pair, field)

    def _describe_removed(self, pair: _Pair, field: str) -> Change:
        """A property that only the old schema declares. The new one has a rule for undeclared fields, or no rule."""
        additional = self._find_additional(pair.after, field)
        effect = self._decide_both(pair.before["properties"][field], additional)
        message = f"{pair.prefix}{field} is removed"
        if additional is False:
            message += ", and the schema allows no other fields"
        undeclared: tuple[str, ...] = ()
        if _is_open(additional):
            undeclared = (FORWARD,)
        return self._build(pair, ("properties", field), "property-removed", effect, message, undeclared, side=0)

    def _describe_added(self, pair: _Pair, field: str) -> Change:
        """A property that only the new schema declares."""
        additional = self._find_additional(pair.before, field)
        effect = self._decide_both(additional, pair.after["properties"][field])
        undeclared: tuple[str, ...] = ()
        if _is_open(additional):
            undeclared = (BACKWARD,)
        message = f"{pair.prefix}{field} is added"
        return self._build(pair, ("properties", field), "property-added", effect, message, undeclared, side=1)

    def _find_additional(self, schema: Mapping[str, Any], field: str) -> Any:
        """The rule of a schema for a field that it does not declare."""
        for pattern, value in schema.get("patternProperties", {}).items():
            if is_covered({"const": field}, {"pattern": pattern}, {}, {}):
                return value
        return schema.get("additionalProperties", schema.get("unevaluatedProperties", True))

    def _compare_additional(self, pair: _Pair) -> Iterator[Change]:
        before, after = pair.before.get("additionalProperties", True), pair.after.get("additionalProperties", True)
        if before == after:
            return
        if before and after and isinstance(before, dict) and isinstance(after, dict):
            yield from self.compare(before, after, f"{pair.prefix}*")
            return
        effect = self._decide_both(before, after)
        subject = "other fields"
        if pair.name != ROOT_NAME:
            subject = f"other fields of {pair.name}"
        kind = "additional-properties-widened"
        if BACKWARD in effect.breaks:
            kind = "additional-properties-narrowed"
        message = f"{subject} were {_describe_additional(before)}, now {_describe_additional(after)}"
        undeclared: tuple[str, ...] = ()
        if _is_open(before):
            undeclared += (BACKWARD,)
        if _is_open(after):
            undeclared += (FORWARD,)
        yield self._build(pair, ("additionalProperties",), kind, effect, message, undeclared)

    # --- keywords that contain schemas -------------------------------------------------------------------------------

    def _compare_whole(self, keyword: str, pair: _Pair) -> Iterator[Change]:
        """The change of a keyword that is compared as a whole. Its forms are compared one by one where possible."""
        effect = self._decide_keywords(pair, list_companions(keyword))
        before, after = pair.before.get(keyword), pair.after.get(keyword)
        has_parts = keyword in LISTS or keyword == "patternProperties"
        if has_parts and before is not None and after is not None:
            # A change of a form explains a break of the whole, and does not break more than the whole.
            harmless = [direction for direction in DIRECTIONS if direction not in effect.directions]
            explained: set[str] = set()
            for change in self._compare_forms(keyword, before, after, pair.name):
                remaining = change.without(harmless)
                explained.update(remaining.directions)
                yield remaining
            effect = effect.without(explained)
            if not effect.directions:
                return
        if keyword not in pair.before:
            state = "added"
        elif keyword not in pair.after:
            state = "removed"
        else:
            state = "changed"
        message = f"{pair.name}: {keyword} was {state}"
        if keyword == "oneOf" and state == "changed":
            time = "before"
            if BACKWARD in effect.breaks:
                time = "now"
            message = f"{pair.name}: oneOf: a value may fit several forms {time}"
        yield self._build(pair, (keyword,), f"{keyword}-{state}", effect, message)

    def _compare_forms(self, keyword: str, before: Any, after: Any, name: str) -> Iterator[Change]:
        """The changes of the schemas of a list such as `oneOf`, or of the expressions of `patternProperties`."""
        if isinstance(before, dict):
            prefix = _Pair(before, after, name).prefix
            for pattern in before:
                if pattern in after:
                    yield from self.compare(before[pattern], after[pattern], f"{prefix}/{pattern}/")
            return
        pairs, removed, added = pair_forms(before, after, (self._old.name, self._new.name))
        for old, new in pairs:
            label = name_form(old, self._old.name)
            for change in self.compare(old, new, name):
                if label:
                    yield change._replace(message=f"{change.message}, in the form {label}")
                else:
                    yield change
        # A form of `allOf` is a rule, and fewer rules accept more. A form of the others is a choice.
        narrows, widens = BACKWARD, FORWARD
        if keyword == "allOf":
            narrows, widens = FORWARD, BACKWARD
        for form in removed:
            yield self._describe_form(keyword, form, name, "removed", narrows)
        for form in added:
            yield self._describe_form(keyword, form, name, "added", widens)

    def _describe_form(self, keyword: str, form: Any, name: str, verb: str, direction: str) -> Change:
        schema, side = self._old, 0
        if verb == "added":
            schema, side = self._new, 1
        label = name_form(form, schema.name) or "of another kind"
        message = f"{name}: the form {label} was {verb}"
        return self._build(_Pair(form, form, name), (), f"{keyword}-{verb}", Effect((direction,)), message, side=side)

    def _build(
        self,
        pair: _Pair,
        keys: tuple[str, ...],
        kind: str,
        effect: Effect,
        message: str,
        undeclared: tuple[str, ...] = (),
        *,
        side: int | None = None,
    ) -> Change:
        """A change, located in the new schema (side 1), or in the old one if the new one does not have the keyword."""
        if side is None:
            side = 0
            if isinstance(pair.new, dict) and keys[0] in pair.new:
                side = 1
        if side == 0:
            location = self._old.locate(pair.old, *keys)
        else:
            location = self._new.locate(pair.new, *keys)
        pointer = str(location.get("pointer", ""))
        change = Change(pointer, kind, effect.breaks, message, effect.undecided, undeclared)
        return change._replace(file=location.get("file"), line=location.get("line"), column=location.get("column"))


def _is_open(schema: Any) -> bool:
    """Whether a schema for other fields allows everything."""
    return schema in (True, {})


def _describe_additional(schema: Any) -> str:
    if schema is True:
        return "allowed"
    if schema is False:
        return "not allowed"
    return "limited"


def _to_object(schema: Any) -> Mapping[str, Any]:
    if isinstance(schema, dict):
        return schema
    if schema:
        return {}
    return {"not": {}, "type": []}
