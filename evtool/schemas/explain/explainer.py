"""Explains the errors of a schema: those of forms and of unevaluated parts by their causes, all others one by one."""

from collections.abc import Iterator, Sequence
from typing import Any

from jsonschema_rs import ValidationError
from jsonschema_rs import ValidationErrorKind as Kind

from evtool.schemas.explain.messages import Violation, find_unknown, find_violations, format_value
from evtool.schemas.explain.unions import Form, choose_form, list_forms
from evtool.schemas.subschemas import Path, Subschemas, child

_UNEVALUATED = (Kind.UnevaluatedProperties, Kind.UnevaluatedItems)
_MAX_ELEMENTS = 5  # indices of elements that a message lists


class Explainer:
    """Converts the errors of one schema to violations."""

    def __init__(self, subschemas: Subschemas):
        self._subschemas = subschemas

    def explain(self, errors: Sequence[ValidationError], prefix: Path = ()) -> list[Violation]:
        """The violations that errors report, each once. `prefix` leads to the value that was validated.

        A part of the value with an error counts as unevaluated for the engine, too: that is left out unless it is the
        only error.
        """
        violations = [
            violation
            for error in errors
            if not isinstance(error.kind, _UNEVALUATED)
            for violation in self._explain_error(error, prefix)
        ]
        unevaluated = [error for error in errors if isinstance(error.kind, _UNEVALUATED)]
        for error in unevaluated:
            violations += self._explain_unevaluated(error, prefix)
        if not violations:
            for error in unevaluated:
                violations += self._explain_unevaluated(error, prefix, strictly=True)
        return list(dict.fromkeys(violations))

    def _explain_error(self, error: ValidationError, prefix: Path) -> Iterator[Violation]:
        uri = error.absolute_keyword_location or ""
        path = (*prefix, *error.instance_path)
        match error.kind:
            case Kind.AnyOf(context=branches) | Kind.OneOfNotValid(context=branches):
                forms = list_forms(self._subschemas, uri, branches)
                form = choose_form(self._subschemas, uri, forms, error.instance, len(error.instance_path))
                if isinstance(form, Violation):
                    yield form._replace(path=(*prefix, *form.path))
                    return
                for violation in self.explain(form.errors, prefix):
                    yield violation._replace(forms=(form.name, *violation.forms))
            case Kind.OneOfMultipleValid(context=branches):
                names = [form.name for form in list_forms(self._subschemas, uri, branches) if not form.errors]
                message = f"matches {len(names)} forms, of which the schema allows exactly one: "
                yield Violation("EV109", path, message + " and ".join(f"form {name}" for name in names))
            case Kind.Contains():
                yield Violation("EV109", path, self._describe_contains(uri.rpartition("/")[0], error.instance))
            case _:
                for violation in find_violations(
                    error, self._subschemas.get(uri.rpartition("/")[0]), lambda: self._subschemas.known_names(path)
                ):
                    yield violation._replace(path=(*prefix, *violation.path))

    def _describe_contains(self, uri: str, elements: Any) -> str:
        schema = self._subschemas.get(uri)
        at_least, at_most = schema.get("minContains", 1), schema.get("maxContains")
        part = child(uri, "contains")
        fitting = [i for i, element in enumerate(elements) if not self._subschemas.find_errors(part, element)]
        shown = ", ".join(f"[{index}]" for index in fitting[:_MAX_ELEMENTS])
        more = ""
        if len(fitting) > _MAX_ELEMENTS:
            more = ", …"
        if len(fitting) < at_least:
            bound = f"at least {at_least}"
        else:
            bound = f"at most {at_most}"
        expected = schema.get("contains")
        return (
            f"should have {bound} element{'' if bound.endswith(' 1') else 's'} of the form {format_value(expected)}, "
            f"has {len(fitting) or 'none'}{f' ({shown}{more})' if fitting else ''}"
        )

    # --- unevaluated parts -------------------------------------------------------------------------------------------

    def _explain_unevaluated(
        self, error: ValidationError, prefix: Path, *, strictly: bool = False
    ) -> Iterator[Violation]:
        """The parts of the value that the schema does not describe; `strictly`: all that the engine reports."""
        keyword = error.absolute_keyword_location or ""
        uri, path = keyword.rpartition("/")[0], (*prefix, *error.instance_path)
        value: Any = error.instance
        steps: list[Any]
        if isinstance(error.kind, Kind.UnevaluatedProperties):
            steps = [
                step for step in error.kind.unexpected if strictly or not self._describes(uri, value, step, {keyword})
            ]
            if self._subschemas.is_false(keyword):
                known = self._subschemas.known_names(path)
                yield from find_unknown(path, value, steps, sorted(known), known)
                return
        else:
            steps = [index for index in range(len(value)) if not self._describes(uri, value, index, {keyword})]
            if strictly and not steps:
                yield Violation("EV103", path, "has elements that are not allowed here")
        for step in steps:
            yield from self.explain(self._subschemas.find_errors(keyword, value[step]), (*path, step))

    def _describes(self, uri: str, value: Any, step: str | int, seen: set[str]) -> bool:
        """Whether a schema describes a part of a value, be that part valid or not.

        Of forms those count that are valid, else the one that the value was meant to have. `seen` are the parts of the
        schema that are not asked again.
        """
        for current, schema in self._subschemas.expand(uri):
            for part in self._subschemas.find_children(current, schema, step):
                is_contained = part.endswith("/contains")
                if part not in seen and not (is_contained and self._subschemas.find_errors(part, value[step])):
                    return True
            for form in self._find_forms(current, schema, value):
                if form not in seen and self._describes(form, value, step, seen | {form}):
                    return True
        return False

    def _find_forms(self, uri: str, schema: dict[str, Any], value: Any) -> Iterator[str]:
        """The parts of a schema that apply to this value in place."""
        for keyword in ("anyOf", "oneOf"):
            if isinstance(schema.get(keyword), list):
                yield from self._find_valid_forms(child(uri, keyword), len(schema[keyword]), value)
        if "if" in schema:
            is_valid = not self._subschemas.find_errors(child(uri, "if"), value)
            yield from (child(uri, key) for key in (("if", "then") if is_valid else ("else",)) if key in schema)
        if isinstance(schema.get("dependentSchemas"), dict):
            yield from (child(uri, "dependentSchemas", key) for key in schema["dependentSchemas"] if key in value)

    def _find_valid_forms(self, uri: str, count: int, value: Any) -> list[str]:
        branches = [self._subschemas.find_errors(child(uri, index), value) for index in range(count)]
        forms = list_forms(self._subschemas, uri, branches)
        valid = [form.uri for form in forms if not form.errors]
        if valid or not forms:
            return valid
        chosen = choose_form(self._subschemas, uri, forms, value, 0)
        if isinstance(chosen, Form):
            return [chosen.uri]
        return [form.uri for form in forms]
