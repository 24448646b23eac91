"""Pairs the forms of `oneOf`, `anyOf` and `allOf` in two versions of a schema, and names them for messages.

The order of forms has no meaning, so the forms of two versions are paired by their content. Example:

    old:  [{"properties": {"kind": {"const": "card"}}, "required": ["kind"]}, {"type": "null"}]
    new:  [{"type": "null"}, {"properties": {"kind": {"const": "card"}}, "required": ["kind", "number"]}]

The form {"type": "null"} is in both, so it has not changed. The other two have the same fixed field, `kind "card"`, so
they are two versions of one form: the change is that `number` is now required.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

from evtool.schemas.diff.keywords import ALL_TYPES
from evtool.schemas.documents.declarations import list_fixed_values

# Returns a name or another description of a form.
Name = Callable[[Any], str | None]
Pairs = list[tuple[Any, Any]]


def pair_forms(
    before: Sequence[Any], after: Sequence[Any], names: tuple[Name, Name]
) -> tuple[Pairs, list[Any], list[Any]]:
    """Pairs the changed forms of both versions. Returns the pairs, the removed forms, and the added ones.

    Two forms belong together by the value of a field such as `kind`, by their name, or by their type. If one form
    remains in each version, they belong together as well. `names` finds the name of a form in each version.
    """
    old = [form for form in before if form not in after]
    new = [form for form in after if form not in before]
    pairs: Pairs = []
    for describe, describe_other in (
        (_find_constant, _find_constant),
        names,
        (_find_type, _find_type),
        (_describe_as_same, _describe_as_same),
    ):
        old_forms, new_forms = _index_forms(old, describe), _index_forms(new, describe_other)
        for description, form in old_forms.items():
            if description in new_forms:
                other = new_forms[description]
                pairs.append((form, other))
                # By identity: equal forms may occur twice.
                old = [rest for rest in old if rest is not form]
                new = [rest for rest in new if rest is not other]
    return pairs, old, new


def _index_forms(forms: Sequence[Any], describe: Name) -> dict[str, Any]:
    """Forms by their description. Those without one, and those with one that others have as well, are left out."""
    by_description: dict[str, list[Any]] = {}
    for form in forms:
        description = describe(form)
        if description is not None:
            by_description.setdefault(description, []).append(form)
    return {description: same[0] for description, same in by_description.items() if len(same) == 1}


def name_form(form: Any, find_name: Name) -> str | None:
    """The name of a form in messages."""
    return find_name(form) or _find_constant(form) or _find_type(form)


def _find_constant(form: Any) -> str | None:
    """The first required field that can have one value only, with the value: `kind "card"`."""
    if not isinstance(form, dict):
        return None
    properties = form.get("properties", {})
    for name in form.get("required", ()):
        field = properties.get(name)
        values = None
        if isinstance(field, dict):
            values = list_fixed_values(field)
        if values is not None and len(values) == 1:
            return f"{name} {json.dumps(values[0], ensure_ascii=False)}"
    return None


def _find_type(form: Any) -> str | None:
    types = None
    if isinstance(form, dict):
        types = form.get("type")
    if isinstance(types, str) and types in ALL_TYPES:
        return types
    return None


def _describe_as_same(_: Any) -> str | None:
    return ""
