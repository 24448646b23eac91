"""Generates JSON values that fit a schema in the canonical form of jsonschema-rs.

The canonical form has a view for each kind of schema: constants, lists of values, types with their limits, and
combinations. The generator chooses a value by the view. It does not follow every rule (`oneOf` with overlapping forms,
several patterns), so callers check the value and try again.

Example: {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}, "note": {"type": "string"}}}
has an object view. The generator always adds `id`, an integer from 1 to 101, and adds `note`, a word, in three of four
values.
"""

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from random import Random
from typing import Any, NamedTuple

from jsonschema_rs import CanonicalSchema, FancyRegexOptions, canonical, validator_for

from evtool.errors import EXIT_FINDINGS, EvtoolError
from evtool.schemas.algebra.strings import MAX_TRIES, WORDS, iter_strings

# Levels of nested values. Beyond them only required parts are generated, so that recursive schemas end.
MAX_DEPTH = 6
# Integers that are tried where elements have to differ.
MAX_LISTED = 1000
# The probability of a property that is not required.
_OPTIONAL = 0.75
# The preferred types first.
_TYPES = ("string", "integer", "number", "boolean", "object", "array", "null")
_ELEMENT = "[]"

# Names of properties, and `[]` for the elements of an array.
Path = tuple[str, ...]
Examples = Mapping[Path, Sequence[Any]]


class CannotGenerate(EvtoolError):  # noqa: N818  (it says what happened)
    """No value was found. The message gives the place and the reason."""

    exit_code = EXIT_FINDINGS


def generate_value(schema: CanonicalSchema, rng: Random, examples: Examples) -> Any:
    """Generates a value that probably fits a schema: the caller checks it. Raises CannotGenerate.

    `examples` are values that the author of the schema gave for a path.
    """
    return _Generator(rng, examples).generate(schema, _Place())


class _Place(NamedTuple):
    path: Path = ()
    depth: int = 0

    def step(self, name: str) -> "_Place":
        return _Place(self.path + (name,), self.depth + 1)

    def __str__(self) -> str:
        return ".".join(self.path).replace(".[]", "[]") or "the value"


@lru_cache(maxsize=10_000)
def _build_validator(schema: CanonicalSchema) -> Any:
    options = FancyRegexOptions(backtrack_limit=100_000)
    document: Any = schema.to_json_schema()
    return validator_for(document, validate_formats=True, pattern_options=options)


def fits(schema: CanonicalSchema, value: Any) -> bool:
    """Whether a value fits a schema."""
    return bool(_build_validator(schema).is_valid(value))


class _Generator:
    def __init__(self, rng: Random, examples: Examples):
        self._rng = rng
        self._examples = examples

    def generate(self, schema: CanonicalSchema, place: _Place) -> Any:
        given = [value for value in self._examples.get(place.path, ()) if fits(schema, value)]
        if given:
            return self._rng.choice(given)
        return self._generate(schema, place)

    def _generate(self, schema: CanonicalSchema, place: _Place) -> Any:
        match schema.view():
            case canonical.ConstView(value):
                return value
            case canonical.EnumView(values):
                return self._rng.choice(values)
            case canonical.TrueView():
                return self._rng.choice(WORDS)
            case canonical.MultiTypeView(types):
                return self._generate_type(types)
            case canonical.TypedGroupView(_, body):
                return self._generate(body, place)
            case canonical.StringView():
                return self._generate_string(schema, place)
            case canonical.IntegerView() | canonical.NumberView():
                return self._generate_number(schema, place)
            case canonical.ArrayView():
                return self._generate_array(schema, place)
            case canonical.ObjectView():
                return self._generate_object(schema, place)
            case canonical.AnyOfView(branches) | canonical.OneOfView(branches) | canonical.AllOfView(branches):
                return self._generate_branch(schema, branches, place)
            case canonical.ReferenceView(uri):
                target = schema.definition(uri)
                if target is None or place.depth > 2 * MAX_DEPTH:
                    raise CannotGenerate(f"{place} refers to itself without an end")
                return self._generate(target, place._replace(depth=place.depth + 1))
            case canonical.FalseView():
                raise CannotGenerate(f"the schema allows no value for {place}")
        # A form without a view here, such as `not`.
        return self._first_fitting(schema, place, list(WORDS) + [1, True, None, {}, [], 0.5, ""])

    def _first_fitting(self, schema: CanonicalSchema, place: _Place, candidates: Iterable[Any]) -> Any:
        for value in candidates:
            if fits(schema, value):
                return value
        raise CannotGenerate(f"no value was found that fits the schema of {place}")

    def _generate_type(self, types: Collection[str]) -> Any:
        """A value of the preferred type among some."""
        values: dict[str, Any] = {"null": None, "object": {}, "array": [], "string": self._rng.choice(WORDS)}
        values |= {"integer": self._rng.randint(1, 100), "boolean": self._rng.random() < 0.5}
        values["number"] = round(self._rng.uniform(1, 100), 2)
        for name in _TYPES:
            if name in types:
                return values[name]
        raise ValueError(f"a type that JSON does not have: {types}")

    def _generate_branch(self, schema: CanonicalSchema, branches: Sequence[CanonicalSchema], place: _Place) -> Any:
        """A value of one branch that fits the whole. Arrays and null come last."""
        ranks = [(_rank(branch), self._rng.random()) for branch in branches]
        shuffled = [branches[index] for index in sorted(range(len(branches)), key=ranks.__getitem__)]
        problem = CannotGenerate(f"no value was found that fits the schema of {place}")
        for branch in shuffled * 3:
            try:
                value = self._generate(branch, place)
            except CannotGenerate as error:
                problem = error
                continue
            if fits(schema, value):
                return value
        raise problem

    # --- scalars -----------------------------------------------------------------------------------------------------

    def _generate_string(self, schema: CanonicalSchema, place: _Place) -> str:
        view: Any = schema.view()
        shortest = view.min_length or 0
        candidates = iter_strings(self._rng, view.formats, view.patterns, shortest, view.max_length)
        text: str = self._first_fitting(schema, place, candidates)
        return text

    def _generate_number(self, schema: CanonicalSchema, place: _Place) -> int | float:
        view: Any = schema.view()
        low, high = _find_range(view.minimum, view.maximum)
        step: float | None = None
        if view.multiple_of:
            step = float(view.multiple_of[0])
        elif isinstance(view, canonical.IntegerView):
            step = 1
        number: int | float = self._first_fitting(schema, place, self._iter_numbers(low, high, step))
        return number

    def _iter_numbers(self, low: float, high: float, step: float | None) -> Iterator[int | float]:
        if low > -1000:
            high = min(high, low + 1000)
        for _ in range(MAX_TRIES):
            number = self._rng.uniform(low, high)
            if step is None:
                yield _plain(round(number))
                yield _plain(round(number, 2))
            else:
                # 10 digits remove the error of a step such as 0.1.
                yield _plain(round(math.floor(number / step) * step, 10))
        yield from map(_plain, (low, high, (low + high) / 2))
        if step is not None:
            yield _plain(math.ceil(low / step) * step)

    # --- containers --------------------------------------------------------------------------------------------------

    def _generate_array(self, schema: CanonicalSchema, place: _Place) -> list[Any]:
        view: Any = schema.view()
        child = place.step(_ELEMENT)
        wanted = _list_contained(view)
        fewest = max(view.min_items or 0, len(wanted))
        most = fewest
        if place.depth < MAX_DEPTH:
            most += 2
        length = self._rng.randint(fewest or min(1, most), max(most, 1))
        if view.max_items is not None:
            length = min(length, view.max_items)
        elements: list[Any] = []
        for index in range(length):
            schemas = []
            if index < len(view.prefix_items):
                schemas.append(view.prefix_items[index])
            elif view.items:
                schemas.append(view.items)
            if index < len(wanted):
                schemas.append(wanted[index])
            try:
                elements.append(self._generate_element(view, schemas, elements, child))
            except CannotGenerate:
                if len(elements) < fewest:
                    raise
                break
        return elements

    def _generate_element(self, view: Any, schemas: Sequence[CanonicalSchema], before: list[Any], place: _Place) -> Any:
        """A value that fits all schemas and differs from the elements before it if it has to."""
        is_distinct = view.distinctness == canonical.Distinctness.ALL_DISTINCT
        for _ in range(MAX_TRIES):
            value = self._generate_all(schemas, place)
            if not is_distinct or value not in before:
                return value
        if schemas:
            rest = [value for value in _list_all(schemas[0]) if value not in before]
            fitting = [value for value in rest if all(fits(schema, value) for schema in schemas)]
            if fitting:
                return self._rng.choice(fitting)
        raise CannotGenerate(f"the elements of {place} have to differ, and too few values are known")

    def _generate_all(self, schemas: Sequence[CanonicalSchema], place: _Place) -> Any:
        """A value that fits all of some schemas."""
        if not schemas:
            return self._rng.choice(WORDS)
        schema = schemas[0]
        for other in schemas[1:]:
            try:
                schema = schema.intersect(other)
            except canonical.CanonicalizationError:
                raise CannotGenerate(f"the rules for {place} are too complex") from None
        return self.generate(schema, place)

    def _generate_object(self, schema: CanonicalSchema, place: _Place) -> dict[str, Any]:
        view: Any = schema.view()
        declared, required = view.properties, view.required
        is_small = place.depth >= MAX_DEPTH
        result: dict[str, Any] = {}
        for name in dict.fromkeys(self._in_order(declared, place) + list(required)):
            is_required = name in required
            is_wanted = is_required or (not is_small and self._rng.random() < _OPTIONAL)
            if not is_wanted or (view.max_properties and not is_required and len(result) >= view.max_properties):
                continue
            try:
                result[name] = self._generate_all(self._schemas_of(view, name), place.step(name))
            except CannotGenerate:
                if is_required:
                    raise
        self._add_properties(view, result, place)
        return result

    def _in_order(self, declared: Mapping[str, Any], place: _Place) -> list[str]:
        """The declared names in the order of the schema, which the canonical form does not keep."""
        # Every path of the schema is a key of the examples, in the order of the text.
        names = []
        for path in self._examples:
            if path and path[:-1] == place.path and path[-1] in declared:
                names.append(path[-1])
        return names + list(declared)

    def _schemas_of(self, view: Any, name: str) -> list[CanonicalSchema]:
        """The schemas of a property."""
        schemas = []
        if name in view.properties:
            schemas.append(view.properties[name])
        for pattern, schema in view.pattern_properties.items():
            if _matches(pattern, name):
                schemas.append(schema)
        if not schemas and view.additional_properties is not None:
            schemas.append(view.additional_properties)
        return schemas

    def _add_properties(self, view: Any, result: dict[str, Any], place: _Place) -> None:
        """Adds properties that the schema does not name, until the object has as many as it needs."""
        for number in range(1, 10 * (view.min_properties or 0)):
            if len(result) >= view.min_properties:
                return
            name = f"property{number}"
            if view.property_names is not None:
                name = str(self._generate(view.property_names, place))
            if name not in result:
                result[name] = self._generate_all(self._schemas_of(view, name), place.step(name))


def _find_range(minimum: Any, maximum: Any) -> tuple[float, float]:
    """The lowest and the highest number to try. Without a limit it is a small positive number, as in most events."""
    if maximum is None:
        low = 1.0
        if minimum is not None:
            low = float(minimum)
        return low, low + 100
    high = float(maximum)
    if minimum is not None:
        return float(minimum), high
    if high < 100:
        return high - 100, high
    return 1.0, high


def _list_contained(view: Any) -> list[Any]:
    """The schemas of the elements that an array has to contain."""
    schemas = []
    for part in view.contains:
        count = 1
        if part.min_contains is not None:
            count = part.min_contains
        schemas += [part.schema] * count
    return schemas


def _list_all(schema: CanonicalSchema) -> Sequence[Any]:
    """The values of a schema, if they are few and can be listed."""
    match schema.view():
        case canonical.EnumView(values):
            return list(values)
        case canonical.IntegerView() as view if view.minimum is not None and view.maximum is not None:
            return range(int(view.minimum), min(int(view.maximum), int(view.minimum) + MAX_LISTED) + 1)
    return ()


def _rank(schema: CanonicalSchema) -> int:
    """The rank of a branch: values and objects come first, then arrays, then null."""
    view = schema.view()
    if isinstance(view, canonical.ConstView) and view.value is None:
        return 2
    if isinstance(view, canonical.ArrayView):
        return 1
    return 0


def _matches(pattern: str, name: str) -> bool:
    try:
        return re.search(pattern, name) is not None
    except re.error:
        return False


def _plain(number: float) -> int | float:
    """A number as people write it: 1 rather than 1.0."""
    if number == int(number):
        return int(number)
    return number
