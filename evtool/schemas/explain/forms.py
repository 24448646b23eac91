"""The forms of a `oneOf` or `anyOf`: their names in messages, the errors of a value in each, and their properties."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from jsonschema_rs import ValidationError
from jsonschema_rs import ValidationErrorKind as Kind

from evtool.findings.phrases import shorten
from evtool.schemas.subschemas import Subschemas, child, list_keys

# Characters of a form's name that a message shows.
_MAX_NAME = 40


class Form(NamedTuple):
    """One of the alternatives: the URI of its schema, its name in messages, and the errors of the value in it."""

    uri: str
    name: str
    errors: Sequence[ValidationError]


def list_forms(subschemas: Subschemas, uri: str, branches: Sequence[Sequence[ValidationError]]) -> list[Form]:
    """The forms below the keyword with a URI, with the errors of each."""
    forms = []
    for index, errors in enumerate(branches):
        form_uri = child(uri, index)
        name = _find_name(subschemas, form_uri) or f"{index + 1} of {len(branches)}"
        forms.append(Form(form_uri, name, errors))
    return forms


def _find_name(subschemas: Subschemas, uri: str) -> str | None:
    """The title of a form, or else the last name in its reference: `Card` for `#/$defs/Card`."""
    name = _find_title(subschemas, uri)
    if name is None:
        address, _, fragment = str(subschemas.get(uri).get("$ref", "")).rpartition("#")
        name = fragment.rpartition("/")[2] or address.rpartition("/")[2]
    if name:
        return shorten(name, _MAX_NAME)
    return None


def _find_title(subschemas: Subschemas, uri: str) -> str | None:
    for _, schema in subschemas.expand(uri):
        title = schema.get("title")
        if isinstance(title, str) and title:
            return title
    return None


def count_errors(errors: Iterable[ValidationError]) -> int:
    """Counts errors. A nested `oneOf` or `anyOf` counts as much as the best of its forms."""
    total = 0
    for error in errors:
        match error.kind:
            case Kind.AnyOf(context=branches) | Kind.OneOfNotValid(context=branches):
                total += min(map(count_errors, branches))
            case Kind.AdditionalProperties(unexpected=names):
                # The engine reports all unknown properties as one error.
                total += len(names)
            case _:
                total += 1
    return total


def list_known_names(subschemas: Subschemas, form: Form) -> set[str]:
    """The names of the properties that a form describes."""
    names: set[str] = set()
    for _, schema in subschemas.expand(form.uri, all_forms=True):
        names.update(list_keys(schema, "properties"))
    return names
