"""Finds the properties that distinguish the forms of a `oneOf` or `anyOf`, such as `kind`.

A tag is a property that has one value in each form, or several values that no other form has. Example:

    {"oneOf": [{"properties": {"kind": {"const": "card"}, "number": {"type": "string"}}},
               {"properties": {"kind": {"const": "bank"}, "iban": {"type": "string"}}}]}

`kind` is a tag: its values are ["card"] in the first form and ["bank"] in the second. For the value
`{"kind": "card", "number": 5}` only the first form fits, so the message is about `number` and does not mention `iban`.
For `{"kind": "cash"}` no form fits, so the message is about `kind` alone: it should be one of "card", "bank".
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

from jsonschema_rs import ValidationErrorKind as Kind

from evtool.schemas.explain.forms import Form
from evtool.schemas.explain.messages import (
    Violation,
    describe_missing,
    describe_wrong_value,
    find_misspelled_key,
    format_values,
    is_one_of,
    is_same,
)
from evtool.schemas.subschemas import Path, Subschemas, child, list_keys


class Tag(NamedTuple):
    """A property that distinguishes forms, and its allowed values in each form that has it, by the form's URI."""

    name: str
    values: dict[str, list[Any]]


def find_tags(subschemas: Subschemas, uri: str, forms: Sequence[Form]) -> list[Tag]:
    """The tags of the forms below the keyword with a URI."""
    tags: dict[str, Tag] = {}
    for form in forms:
        for name, values in _list_fixed(subschemas, form.uri):
            tags.setdefault(name, Tag(name, {})).values.setdefault(form.uri, values)
    _add_discriminator(subschemas, uri, forms, tags)
    return [tag for tag in tags.values() if _are_distinct(list(tag.values.values()))]


def _list_fixed(subschemas: Subschemas, uri: str) -> Iterator[tuple[str, list[Any]]]:
    """The properties of a form that allow certain values only."""
    for current, schema in subschemas.expand(uri):
        for name in list_keys(schema, "properties"):
            for _, part in subschemas.expand(child(current, "properties", name)):
                if "const" in part:
                    yield name, [part["const"]]
                elif isinstance(part.get("enum"), list):
                    yield name, part["enum"]


def _are_distinct(value_lists: Sequence[list[Any]]) -> bool:
    """Whether the values of a property distinguish forms."""
    if len(value_lists) < 2:
        return False
    # One value in each form is a tag even if two forms share it: the others are still excluded by it.
    if all(len(values) == 1 for values in value_lists):
        first = value_lists[0][0]
        return not all(is_same(values[0], first) for values in value_lists)
    seen: list[Any] = []
    for value in chain.from_iterable(value_lists):
        if is_one_of(value, seen):
            return False
        seen.append(value)
    return True


def _add_discriminator(subschemas: Subschemas, uri: str, forms: Sequence[Form], tags: dict[str, Tag]) -> None:
    """Adds the tag that OpenAPI's `discriminator` next to the keyword names.

    Its `mapping` gives the value of each form. Without a mapping, the value is the name of the form's schema.
    """
    discriminator = subschemas.get(uri.rpartition("/")[0]).get("discriminator")
    if not isinstance(discriminator, dict):
        return
    name = discriminator.get("propertyName")
    if not isinstance(name, str):
        return
    mapping = discriminator.get("mapping")
    if not isinstance(mapping, dict):
        mapping = {}
    tag = tags.setdefault(name, Tag(name, {}))
    for form in forms:
        reference = str(subschemas.get(form.uri).get("$ref", ""))
        schema_name = reference.rpartition("/")[2]
        values = [key for key, target in mapping.items() if target in (reference, schema_name)]
        if not values and schema_name:
            values = [schema_name]
        if values:
            tag.values.setdefault(form.uri, values)


def narrow_by_tags(tags: Sequence[Tag], forms: Sequence[Form], value: dict[str, Any]) -> list[Form]:
    """The forms whose tags fit a value.

    Without such a form, those that do not have the tag fit. If every form has it with another value, all remain.
    """
    remaining = list(forms)
    for tag in tags:
        if tag.name not in value:
            continue
        fitting = [form for form in remaining if is_one_of(value[tag.name], tag.values.get(form.uri, ()))]
        if not fitting:
            fitting = [form for form in remaining if form.uri not in tag.values]
        if fitting:
            remaining = fitting
    return remaining


def find_wrong_tag(tags: Sequence[Tag], forms: Sequence[Form], value: dict[str, Any], depth: int) -> Tag | None:
    """Finds a tag that all forms have, and that is missing in the value or has a value that no form allows."""
    for tag in tags:
        value_lists = [tag.values[form.uri] for form in forms if form.uri in tag.values]
        if len(value_lists) < len(forms) or not _are_distinct(value_lists):
            continue
        if tag.name in value:
            is_wrong = not is_one_of(value[tag.name], chain.from_iterable(value_lists))
        else:
            is_wrong = all(_requires(form, tag.name, depth) for form in forms)
        if is_wrong:
            return tag
    return None


def describe_tag(
    tag: Tag, forms: Sequence[Form], value: dict[str, Any], path: Path, known: Collection[str]
) -> Violation:
    """The violation of a value whose tag is wrong; `known` are the properties of all forms."""
    options: list[Any] = []
    for form in forms:
        for option in tag.values[form.uri]:
            if not is_one_of(option, options):
                options.append(option)
    if tag.name in value:
        return describe_wrong_value(path + (tag.name,), options, value[tag.name])
    misspelled = find_misspelled_key(tag.name, value, known)
    if misspelled is None:
        return describe_missing(path, tag.name, f"it is one of {format_values(options)}")
    return describe_missing(path, tag.name, f'"{misspelled}" looks like it')


def _requires(form: Form, name: str, depth: int) -> bool:
    """Whether a form reports that a property is missing."""
    for error in form.errors:
        is_missing = isinstance(error.kind, Kind.Required) and error.kind.property == name
        if is_missing and len(error.instance_path) == depth:
            return True
    return False
