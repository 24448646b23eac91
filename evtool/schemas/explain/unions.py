"""Chooses the form of a `oneOf` or `anyOf` that a value was meant to have, and describes a choice of forms."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from jsonschema_rs import ValidationError
from jsonschema_rs import ValidationErrorKind as Kind

from evtool.findings.phrases import shorten
from evtool.findings.spelling import did_you_mean
from evtool.schemas.explain.messages import (
    Violation,
    describe_typed,
    describe_wrong_type,
    describe_wrong_value,
    find_violations,
    format_value,
    is_same,
    json_type,
)
from evtool.schemas.subschemas import Subschemas, child

UNIONS = (Kind.AnyOf, Kind.OneOfNotValid)
_MAX_NAME = 40  # characters of a form's name that a message shows
_MAX_LISTED = 4  # forms that a message lists


class Form(NamedTuple):
    """One of the alternatives, its name in messages, and what it does not allow of the value."""

    uri: str
    name: str
    errors: Sequence[ValidationError]


class Tag(NamedTuple):
    """A property that tells forms apart: its allowed values in each form that has it, by the form's URI."""

    name: str
    values: dict[str, list[Any]]


def list_forms(subschemas: Subschemas, uri: str, branches: Sequence[Sequence[ValidationError]]) -> list[Form]:
    """The forms below the keyword with a URI, with the errors of each."""
    return [
        Form(child(uri, index), _name_form(subschemas.get(child(uri, index)), subschemas, uri, index, branches), errors)
        for index, errors in enumerate(branches)
    ]


def _name_form(schema: dict[str, Any], subschemas: Subschemas, uri: str, index: int, branches: Sequence[object]) -> str:
    titles = (part.get("title") for _, part in subschemas.expand(child(uri, index)))
    title = next((title for title in titles if isinstance(title, str) and title), None)
    reference = str(schema.get("$ref", "")).rpartition("#")
    name = title or (reference[2].rpartition("/")[2] or reference[0].rpartition("/")[2])
    if name:
        return shorten(name, _MAX_NAME)
    return f"{index + 1} of {len(branches)}"


def choose_form(subschemas: Subschemas, uri: str, forms: Sequence[Form], value: Any, depth: int) -> Form | Violation:
    """The form that a value was meant to have, or one violation if nothing tells the forms apart.

    `uri` is that of the keyword, `depth` the length of the path to the value. A form whose type fits comes first, then
    one whose tag fits, then the one with the fewest errors, then the one that knows more of the value's properties.
    """
    path = tuple(forms[0].errors[0].instance_path)[:depth]
    fitting = [form for form in forms if _fits_type(form.errors, value, depth)]
    if not fitting:
        return _describe_allowed(path, forms, forms, value, depth)
    if len(fitting) > 1 and isinstance(value, dict):
        tags = _find_tags(subschemas, uri, fitting)
        fitting = _narrow_by_tags(tags, fitting, value)
        if len(fitting) > 1 and (tag := _find_wrong_tag(tags, fitting, value, depth)):
            known = {name for form in forms for name in _list_known(subschemas, form)}
            return _describe_tag(tag, fitting, value, path, known)
    fitting = _keep_best(fitting, lambda form: _count(form.errors))
    if len(fitting) > 1 and isinstance(value, dict):
        fitting = _keep_best(fitting, lambda form: -len(_list_known(subschemas, form) & set(value)))
    if len(fitting) == 1:
        return fitting[0]
    return _describe_allowed(path, forms, fitting, value, depth)


def _keep_best(forms: Sequence[Form], rank: Any) -> list[Form]:
    best = min(rank(form) for form in forms)
    return [form for form in forms if rank(form) == best]


def _fits_type(errors: Iterable[ValidationError], value: Any, depth: int) -> bool:
    for error in errors:
        if len(error.instance_path) != depth:
            continue
        match error.kind:
            case Kind.Type() | Kind.FalseSchema():
                return False
            case Kind.Enum(options=options) if all(json_type(o) != json_type(value) for o in options):
                return False
            case Kind.Constant(expected_value=expected) if json_type(expected) != json_type(value):
                return False
            case Kind.AnyOf(context=branches) | Kind.OneOfNotValid(context=branches):
                if not any(_fits_type(branch, value, depth) for branch in branches):
                    return False
    return True


def _count(errors: Iterable[ValidationError]) -> int:
    """How many errors there are, those of the best form where a form has forms."""
    total = 0
    for error in errors:
        match error.kind:
            case Kind.AnyOf(context=branches) | Kind.OneOfNotValid(context=branches):
                total += min(_count(branch) for branch in branches)
            case Kind.AdditionalProperties(unexpected=names):
                total += len(names)
            case _:
                total += 1
    return total


def _list_known(subschemas: Subschemas, form: Form) -> set[str]:
    """The properties that a form describes."""
    parts = [schema.get("properties") for _, schema in subschemas.expand(form.uri, all_forms=True)]
    return {name for properties in parts if isinstance(properties, dict) for name in properties}


# --- tags ------------------------------------------------------------------------------------------------------------


def _find_tags(subschemas: Subschemas, uri: str, forms: Sequence[Form]) -> list[Tag]:
    """The properties that tell forms apart, by one value in each form, or by several that no other form has."""
    tags: dict[str, Tag] = {}
    for form in forms:
        for name, values in _list_fixed(subschemas, form.uri):
            tags.setdefault(name, Tag(name, {})).values.setdefault(form.uri, values)
    _add_discriminator(subschemas, uri, forms, tags)
    return [tag for tag in tags.values() if _tells_apart(list(tag.values.values()))]


def _list_fixed(subschemas: Subschemas, uri: str) -> Iterator[tuple[str, list[Any]]]:
    """The properties of a form that allow certain values only."""
    for current, schema in subschemas.expand(uri):
        properties = schema.get("properties")
        for name in properties if isinstance(properties, dict) else ():
            for _, part in subschemas.expand(child(current, "properties", name)):
                if "const" in part:
                    yield name, [part["const"]]
                elif isinstance(part.get("enum"), list):
                    yield name, part["enum"]


def _tells_apart(value_lists: list[list[Any]]) -> bool:
    if len(value_lists) < 2:
        return False
    if all(len(values) == 1 for values in value_lists):
        return any(not is_same(values[0], value_lists[0][0]) for values in value_lists)
    every = [value for values in value_lists for value in values]
    return not any(is_same(value, other) for index, value in enumerate(every) for other in every[:index])


def _add_discriminator(subschemas: Subschemas, uri: str, forms: Sequence[Form], tags: dict[str, Tag]) -> None:
    """Add the tag that OpenAPI's `discriminator` beside the keyword names."""
    discriminator = subschemas.get(uri.rpartition("/")[0]).get("discriminator")
    if not isinstance(discriminator, dict) or not isinstance(name := discriminator.get("propertyName"), str):
        return
    mapping = discriminator.get("mapping")
    tag = tags.setdefault(name, Tag(name, {}))
    for form in forms:
        reference = str(subschemas.get(form.uri).get("$ref", ""))
        own_name = reference.rpartition("/")[2]
        values = [
            key
            for key, target in (mapping.items() if isinstance(mapping, dict) else ())
            if target in (reference, own_name)
        ]
        if values or own_name:
            tag.values.setdefault(form.uri, values or [own_name])


def _narrow_by_tags(tags: Sequence[Tag], forms: Sequence[Form], value: dict[str, Any]) -> list[Form]:
    """The forms whose tags fit, as far as there are any; a form without a tag fits if no other does."""
    remaining = list(forms)
    for tag in tags:
        if tag.name in value:
            given = value[tag.name]
            fitting = [f for f in remaining if any(is_same(given, v) for v in tag.values.get(f.uri, ()))]
            remaining = fitting or [form for form in remaining if form.uri not in tag.values] or remaining
    return remaining


def _find_wrong_tag(tags: Sequence[Tag], forms: Sequence[Form], value: dict[str, Any], depth: int) -> Tag | None:
    """A tag that all forms have and whose value is missing or fits none of them."""
    for tag in tags:
        value_lists = [tag.values[form.uri] for form in forms if form.uri in tag.values]
        if len(value_lists) < len(forms) or not _tells_apart(value_lists):
            continue
        if tag.name not in value and all(_requires(form, tag.name, depth) for form in forms):
            return tag
        if tag.name in value and not any(is_same(value[tag.name], v) for values in value_lists for v in values):
            return tag
    return None


def _describe_tag(
    tag: Tag, forms: Sequence[Form], value: dict[str, Any], path: tuple[str | int, ...], known: Collection[str]
) -> Violation:
    """What the tag should be; `known` are the properties of all forms."""
    options = [option for form in forms for option in tag.values[form.uri]]
    options = [option for index, option in enumerate(options) if not any(is_same(option, o) for o in options[:index])]
    if tag.name in value:
        return describe_wrong_value((*path, tag.name), options, value[tag.name])
    misspelled = next((key for key in value if key not in known and did_you_mean(tag.name, [key])), None)
    allowed = ", ".join(format_value(option) for option in options)
    if misspelled:
        hint = f'"{misspelled}" looks like it'
    else:
        hint = f"it is one of {allowed}"
    return Violation("EV102", path, f"has no {format_value(tag.name)}, which is required", hint)


def _requires(form: Form, name: str, depth: int) -> bool:
    """Whether a form reports that a property is missing."""
    return any(
        isinstance(error.kind, Kind.Required) and error.kind.property == name and len(error.instance_path) == depth
        for error in form.errors
    )


# --- no choice -------------------------------------------------------------------------------------------------------


def describe_all(error: ValidationError) -> Violation:
    """One violation for an error of `oneOf` or `anyOf`, whose forms are not told apart."""
    assert isinstance(error.kind, UNIONS), "the caller checks the kind"
    forms = [Form("", f"{index + 1}", errors) for index, errors in enumerate(error.kind.context)]
    return _describe_allowed(tuple(error.instance_path), forms, forms, error.instance, len(error.instance_path))


def _describe_allowed(
    path: tuple[str | int, ...], forms: Sequence[Form], fitting: Sequence[Form], value: Any, depth: int
) -> Violation:
    """What all forms together allow, if nothing tells the fitting ones apart."""
    forms = [form for form in forms if not any(_is_false(error, depth) for error in form.errors)] or forms
    types, options = _list_allowed((e for form in forms for e in form.errors), depth)
    is_simple = all(any(_is_about_value(error, depth) for error in form.errors) for form in forms)
    if is_simple and types and not options:
        return describe_wrong_type(path, types, value)
    if is_simple and options and not types:
        return describe_wrong_value(path, options, value)
    if is_simple and types:
        one_of = ", ".join(format_value(option) for option in options)
        is_wrong_type = all(json_type(option) != json_type(value) for option in options)
        if is_wrong_type:
            got = describe_typed(value)
        else:
            got = format_value(value)
        message = f"should be {' or '.join(types)}, or one of {one_of}, got {got}"
        hint = None
        if isinstance(value, str):
            hint = did_you_mean(value, [o for o in options if isinstance(o, str)])
        return Violation("EV104" if is_wrong_type else "EV105", path, message, hint)
    shown = "; ".join(f"form {form.name}{_describe_first(form.errors, depth)}" for form in fitting[:_MAX_LISTED])
    more = ""
    if len(fitting) > _MAX_LISTED:
        more = "; …"
    return Violation("EV109", path, f"matches none of the forms that the schema allows: {shown}{more}")


def _describe_first(errors: Sequence[ValidationError], depth: int) -> str:
    """Why a value has not a form, in brackets."""
    error = next((error for error in errors if not isinstance(error.kind, UNIONS)), None)
    if error is None:
        return ""
    violation = next(find_violations(error, {}))
    path = ".".join(str(step) for step in violation.path[depth:])
    if path:
        return f" ({path} {violation.message})"
    return f" ({violation.message})"


def _is_false(error: ValidationError, depth: int) -> bool:
    """Whether a form is `false`."""
    return isinstance(error.kind, Kind.FalseSchema) and len(error.instance_path) == depth


def _is_about_value(error: ValidationError, depth: int) -> bool:
    """Whether an error says which types or values are allowed instead of the value itself."""
    kinds = (Kind.Type, Kind.Enum, Kind.Constant, *UNIONS)
    return len(error.instance_path) == depth and isinstance(error.kind, kinds)


def _list_allowed(errors: Iterable[ValidationError], depth: int) -> tuple[list[str], list[Any]]:
    """The types and the values that forms allow."""
    types: list[str] = []
    options: list[Any] = []
    for error in errors:
        if len(error.instance_path) != depth:
            continue
        match error.kind:
            case Kind.Type(types=names):
                types += [str(name) for name in names if str(name) not in types]
            case Kind.Enum(options=values):
                options += values
            case Kind.Constant(expected_value=expected):
                options.append(expected)
            case Kind.AnyOf(context=branches) | Kind.OneOfNotValid(context=branches):
                more_types, more_options = _list_allowed((e for branch in branches for e in branch), depth)
                types += [name for name in more_types if name not in types]
                options += more_options
    return types, options
