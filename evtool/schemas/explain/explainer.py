"""Explains the errors of a schema: those of forms and of unevaluated parts by their causes, all others one by one.

Two kinds of errors say little by themselves. An error of `oneOf` or `anyOf` is replaced by the errors of the form that
the value was meant to have (unions.py). An error of `unevaluatedProperties` is often only a consequence, as here:

    {"allOf": [{"properties": {"id": {"type": "string"}}}], "unevaluatedProperties": false}

For `{"id": 5, "x": 1}` the engine reports two errors: `id` should be a string; `id` and `x` are not allowed. That `id`
is not allowed follows from the first error: for the engine, a part of the schema that failed describes nothing. So the
explanation asks which properties the schema describes, be they valid or not, and reports only `x` as not allowed.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from jsonschema_rs import ValidationError
from jsonschema_rs import ValidationErrorKind as Kind

from evtool.schemas.explain.forms import Form, list_forms
from evtool.schemas.explain.messages import Violation, find_unknown, find_violations, format_value
from evtool.schemas.explain.unions import choose_form
from evtool.schemas.subschemas import Path, Subschemas, child, count_parts, list_keys

_UNEVALUATED = (Kind.UnevaluatedProperties, Kind.UnevaluatedItems)
# Indices of elements that a message lists.
_MAX_ELEMENTS = 5


class Explainer:
    """Converts the errors of one schema to violations."""

    def __init__(self, subschemas: Subschemas):
        self._subschemas = subschemas

    def explain(self, errors: Sequence[ValidationError], prefix: Path = ()) -> list[Violation]:
        """The violations that errors report, each once. `prefix` leads to the value that was validated."""
        violations: list[Violation] = []
        unevaluated = []
        for error in errors:
            if isinstance(error.kind, _UNEVALUATED):
                unevaluated.append(error)
            else:
                violations += self._explain_error(error, prefix)
        for error in unevaluated:
            violations += self._explain_unevaluated(error, prefix)
        # An invalid event must have a finding, so without another one the consequences are reported after all.
        if not violations:
            for error in unevaluated:
                violations += self._explain_unevaluated(error, prefix, strictly=True)
        return list(dict.fromkeys(violations))

    def _explain_error(self, error: ValidationError, prefix: Path) -> Iterator[Violation]:
        uri = error.absolute_keyword_location or ""
        schema_uri = uri.rpartition("/")[0]
        path = prefix + tuple(error.instance_path)
        match error.kind:
            case Kind.AnyOf(context=branches) | Kind.OneOfNotValid(context=branches):
                forms = list_forms(self._subschemas, uri, branches)
                form = choose_form(self._subschemas, uri, forms, error.instance, len(error.instance_path))
                if isinstance(form, Violation):
                    yield form._replace(path=prefix + form.path)
                    return
                for violation in self.explain(form.errors, prefix):
                    yield violation._replace(forms=(form.name,) + violation.forms)
            case Kind.OneOfMultipleValid(context=branches):
                names = [form.name for form in list_forms(self._subschemas, uri, branches) if not form.errors]
                listed = " and ".join(f"form {name}" for name in names)
                message = f"matches {len(names)} forms, of which the schema allows exactly one: {listed}"
                yield Violation("EV109", path, message)
            case Kind.Contains():
                yield Violation("EV109", path, self._describe_contains(schema_uri, error.instance))
            case _:
                known_names = partial(self._subschemas.known_names, path)
                for violation in find_violations(error, self._subschemas.get(schema_uri), known_names):
                    yield violation._replace(path=prefix + violation.path)

    def _describe_contains(self, uri: str, elements: Any) -> str:
        schema = self._subschemas.get(uri)
        at_least, at_most = schema.get("minContains", 1), schema.get("maxContains")
        part = child(uri, "contains")
        fitting = [i for i, element in enumerate(elements) if not self._subschemas.find_errors(part, element)]
        if len(fitting) < at_least:
            bound = f"at least {at_least}"
        else:
            bound = f"at most {at_most}"
        noun = "elements"
        if bound.endswith(" 1"):
            noun = "element"
        expected = format_value(schema.get("contains"))
        return f"should have {bound} {noun} of the form {expected}, has {_describe_indices(fitting)}"

    # --- unevaluated parts -------------------------------------------------------------------------------------------

    def _explain_unevaluated(
        self, error: ValidationError, prefix: Path, *, strictly: bool = False
    ) -> Iterator[Violation]:
        """The violations of the parts of a value that the schema does not describe.

        With `strictly`, of all parts that the engine reports.
        """
        keyword = error.absolute_keyword_location or ""
        path = prefix + tuple(error.instance_path)
        value: Any = error.instance
        steps: list[Any]
        if isinstance(error.kind, Kind.UnevaluatedProperties):
            steps = list(error.kind.unexpected)
            if not strictly:
                steps = self._list_undescribed(keyword, value, steps)
            if self._subschemas.is_false(keyword):
                known = self._subschemas.known_names(path)
                yield from find_unknown(path, value, steps, sorted(known), known)
                return
        else:
            # The engine does not say which elements it means.
            steps = self._list_undescribed(keyword, value, range(len(value)))
            if strictly and not steps:
                yield Violation("EV103", path, "has elements that are not allowed here")
        for step in steps:
            yield from self.explain(self._subschemas.find_errors(keyword, value[step]), path + (step,))

    def _list_undescribed(self, keyword: str, value: Any, steps: Sequence[Any]) -> list[Any]:
        """The properties or elements that no keyword next to an unevaluated keyword describes."""
        uri = keyword.rpartition("/")[0]
        return [step for step in steps if not self._describes(uri, value, step, {keyword})]

    def _describes(self, uri: str, value: Any, step: str | int, seen: set[str]) -> bool:
        """Whether a schema describes a part of a value, be that part valid or not.

        Of the forms, those count that are valid; without one, the form that the value was meant to have. `seen` are the
        parts of the schema that are not examined again.
        """
        for current, schema in self._subschemas.expand(uri):
            for part in self._subschemas.find_children(current, schema, step):
                # `contains` describes only the elements that fit it.
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
                yield from self._find_valid_forms(child(uri, keyword), count_parts(schema, keyword), value)
        if "if" in schema:
            keywords = ["if", "then"]
            if self._subschemas.find_errors(child(uri, "if"), value):
                keywords = ["else"]
            for keyword in keywords:
                if keyword in schema:
                    yield child(uri, keyword)
        for name in list_keys(schema, "dependentSchemas"):
            if name in value:
                yield child(uri, "dependentSchemas", name)

    def _find_valid_forms(self, uri: str, count: int, value: Any) -> list[str]:
        branches = [self._subschemas.find_errors(child(uri, index), value) for index in range(count)]
        forms = list_forms(self._subschemas, uri, branches)
        valid = [form.uri for form in forms if not form.errors]
        if valid or not forms:
            return valid
        chosen = choose_form(self._subschemas, uri, forms, value, 0)
        if isinstance(chosen, Form):
            return [chosen.uri]
        # Nothing distinguishes the forms, so each of them may be meant.
        return [form.uri for form in forms]


def _describe_indices(indices: Sequence[int]) -> str:
    """The number of fitting elements and their indices: `2 ([0], [3])`."""
    if not indices:
        return "none"
    listed = ", ".join(f"[{index}]" for index in indices[:_MAX_ELEMENTS])
    if len(indices) > _MAX_ELEMENTS:
        listed += ", …"
    return f"{len(indices)} ({listed})"
