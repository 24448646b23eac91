"""Chooses the form of a `oneOf` or `anyOf` that a value was meant to have, and describes a choice of forms.

For a value that fits no form, the engine reports the errors of every form. Most of them do not help: they belong to
forms that the author did not mean. The choice goes from the clearest sign to the weakest:

1. Its type: a form for strings is not meant if the value is an object.
2. Its tags: properties such as `kind` that distinguish the forms (tags.py).
3. The number of errors: fewer errors are nearer.
4. The properties of the value that the form knows: more are nearer.

If one form remains, its errors are reported. If several remain, one violation lists what all forms together allow.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from jsonschema_rs import ValidationError
from jsonschema_rs import ValidationErrorKind as Kind

from evtool.findings.spelling import did_you_mean
from evtool.schemas.explain.forms import Form, count_errors, list_known_names
from evtool.schemas.explain.messages import (
    Violation,
    describe_typed,
    describe_wrong_type,
    describe_wrong_value,
    find_violations,
    format_value,
    format_values,
    has_type_of,
)
from evtool.schemas.explain.tags import describe_tag, find_tags, find_wrong_tag, narrow_by_tags
from evtool.schemas.subschemas import Path, Subschemas

UNIONS = (Kind.AnyOf, Kind.OneOfNotValid)
# Forms that a message lists.
_MAX_LISTED = 4


def choose_form(subschemas: Subschemas, uri: str, forms: Sequence[Form], value: Any, depth: int) -> Form | Violation:
    """Chooses the form that a value was meant to have. Returns one violation if nothing distinguishes the forms.

    `uri` is that of the keyword, `depth` the length of the path to the value.
    """
    path = tuple(forms[0].errors[0].instance_path)[:depth]
    fitting = [form for form in forms if _fits_type(form.errors, value, depth)]
    if not fitting:
        return _describe_allowed(path, forms, forms, value, depth)
    if len(fitting) > 1 and isinstance(value, dict):
        tags = find_tags(subschemas, uri, fitting)
        fitting = narrow_by_tags(tags, fitting, value)
        wrong_tag = None
        if len(fitting) > 1:
            wrong_tag = find_wrong_tag(tags, fitting, value, depth)
        if wrong_tag is not None:
            known: set[str] = set()
            for form in forms:
                known |= list_known_names(subschemas, form)
            return describe_tag(wrong_tag, fitting, value, path, known)
    fitting = _keep_lowest(fitting, [count_errors(form.errors) for form in fitting])
    if len(fitting) > 1 and isinstance(value, dict):
        fitting = _keep_lowest(fitting, [len(value.keys() - list_known_names(subschemas, form)) for form in fitting])
    if len(fitting) == 1:
        return fitting[0]
    return _describe_allowed(path, forms, fitting, value, depth)


def _keep_lowest(forms: Sequence[Form], counts: Sequence[int]) -> list[Form]:
    lowest = min(counts)
    return [form for form, count in zip(forms, counts, strict=True) if count == lowest]


def _fits_type(errors: Iterable[ValidationError], value: Any, depth: int) -> bool:
    """Whether none of a form's errors is about the type of the value itself."""
    for error in errors:
        if len(error.instance_path) != depth:
            continue
        match error.kind:
            case Kind.Type() | Kind.FalseSchema():
                return False
            case Kind.Enum(options=options) if not has_type_of(value, options):
                return False
            case Kind.Constant(expected_value=expected) if not has_type_of(value, [expected]):
                return False
            case Kind.AnyOf(context=branches) | Kind.OneOfNotValid(context=branches):
                if not any(_fits_type(branch, value, depth) for branch in branches):
                    return False
    return True


# --- no choice -------------------------------------------------------------------------------------------------------


def describe_all(error: ValidationError) -> Violation:
    """One violation for an error of `oneOf` or `anyOf` without a choice of a form."""
    assert isinstance(error.kind, UNIONS), "the caller checks the kind"
    forms = [Form("", f"{index + 1}", errors) for index, errors in enumerate(error.kind.context)]
    return _describe_allowed(tuple(error.instance_path), forms, forms, error.instance, len(error.instance_path))


def _describe_allowed(path: Path, forms: Sequence[Form], fitting: Sequence[Form], value: Any, depth: int) -> Violation:
    """The violation of a value if nothing distinguishes the fitting forms: it lists what all forms together allow."""
    # A form that is `false` allows nothing, so it is left out unless all are.
    possible = [form for form in forms if not _is_false(form, depth)] or forms
    types: list[str] = []
    options: list[Any] = []
    for form in possible:
        _add_allowed(form.errors, depth, types, options)
    is_simple = all(_is_about_value(form, depth) for form in possible)
    if not is_simple or not (types or options):
        return _describe_forms(path, fitting, depth)
    if not options:
        return describe_wrong_type(path, types, value)
    if not types:
        return describe_wrong_value(path, options, value)
    return _describe_types_or_options(path, types, options, value)


def _describe_types_or_options(path: Path, types: Sequence[str], options: Sequence[Any], value: Any) -> Violation:
    code, given = "EV104", describe_typed(value)
    if has_type_of(value, options):
        code, given = "EV105", format_value(value)
    message = f"should be {' or '.join(types)}, or one of {format_values(options)}, got {given}"
    hint = None
    if isinstance(value, str):
        hint = did_you_mean(value, [option for option in options if isinstance(option, str)])
    return Violation(code, path, message, hint)


def _describe_forms(path: Path, forms: Sequence[Form], depth: int) -> Violation:
    listed = "; ".join(f"form {form.name}{_describe_first(form.errors, depth)}" for form in forms[:_MAX_LISTED])
    if len(forms) > _MAX_LISTED:
        listed += "; …"
    return Violation("EV109", path, f"matches none of the forms that the schema allows: {listed}")


def _describe_first(errors: Sequence[ValidationError], depth: int) -> str:
    """The first error of a form that is not itself about forms, in brackets."""
    for error in errors:
        if isinstance(error.kind, UNIONS):
            continue
        violation = next(find_violations(error, {}))
        path = ".".join(map(str, violation.path[depth:]))
        if path:
            return f" ({path} {violation.message})"
        return f" ({violation.message})"
    return ""


def _is_false(form: Form, depth: int) -> bool:
    """Whether the schema of a form is `false`."""
    return any(isinstance(error.kind, Kind.FalseSchema) and len(error.instance_path) == depth for error in form.errors)


def _is_about_value(form: Form, depth: int) -> bool:
    """Whether an error of a form says which types or values are allowed in place of the value itself."""
    kinds = (Kind.Type, Kind.Enum, Kind.Constant) + UNIONS
    return any(len(error.instance_path) == depth and isinstance(error.kind, kinds) for error in form.errors)


def _add_allowed(errors: Iterable[ValidationError], depth: int, types: list[str], options: list[Any]) -> None:
    """Adds the types and the values that a form allows, and the forms inside it, to two lists."""
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
                for branch in branches:
                    _add_allowed(branch, depth, types, options)
