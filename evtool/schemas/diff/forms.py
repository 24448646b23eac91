"""Pairs the forms of `oneOf`, `anyOf` and `allOf` in two versions of a schema, and names them for messages."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from evtool.schemas.diff.keywords import ALL_TYPES

Name = Callable[[Any], str | None]  # of a form in the definitions of its document
Pairs = list[tuple[Any, Any]]


def pair_forms(
    before: Sequence[Any], after: Sequence[Any], names: tuple[Name, Name]
) -> tuple[Pairs, list[Any], list[Any]]:
    """The changed forms of both versions that belong together, those that are gone and those that are new.

    Forms belong together by the value of a field such as `kind`, by their name, or by their type. A form that stays
    alone in each version is the same one.
    """
    old = [form for form in before if form not in after]
    new = [form for form in after if form not in before]
    pairs: Pairs = []
    for describe, describe_other in (
        (_find_constant, _find_constant),
        names,
        (_find_type, _find_type),
        (_same, _same),
    ):
        keys = [_describe_all(old, describe), _describe_all(new, describe_other)]
        for key in [key for key in keys[0] if key in keys[1]]:
            first, second = old[keys[0][key]], new[keys[1][key]]
            pairs.append((first, second))
        old = [form for form in old if not any(form is first for first, _ in pairs)]
        new = [form for form in new if not any(form is second for _, second in pairs)]
    return pairs, old, new


def _describe_all(forms: Sequence[Any], describe: Name) -> dict[str, int]:
    """The indices of forms by their description, of those that have one that no other form has."""
    descriptions = [describe(form) for form in forms]
    return {
        text: index for index, text in enumerate(descriptions) if text is not None and descriptions.count(text) == 1
    }


def name_form(form: Any, find_name: Name) -> str | None:
    """What a message calls a form."""
    return find_name(form) or _find_constant(form) or _find_type(form)


def _find_constant(form: Any) -> str | None:
    """The first required field that can have one value only, with the value: `kind "card"`."""
    if isinstance(form, dict):
        properties = form.get("properties", {})
    else:
        properties = {}
    for name in form.get("required", ()) if properties else ():
        field = properties.get(name)
        if isinstance(field, dict) and "const" in field:
            values = [field["const"]]
        else:
            values = []
        if isinstance(field, dict) and not values and "enum" in field:
            values = field["enum"]
        if len(values) == 1:
            return f"{name} {json.dumps(values[0], ensure_ascii=False)}"
    return None


def _find_type(form: Any) -> str | None:
    types = None
    if isinstance(form, dict):
        types = form.get("type")
    if isinstance(types, str) and types in ALL_TYPES:
        return types
    return None


def _same(_: Any) -> str | None:
    return ""
