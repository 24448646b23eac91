"""Resolves the functions of CloudFormation templates that need no deployment; all others become unknown values."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from evtool.interchange.texts.open_text import make_unknown, parse_open_json
from evtool.patterns.unknown import Unknown

VARIABLE = re.compile(r"\$\{(?!!)[^}]*\}")  # of Fn::Sub; `${!Name}` is the text `${Name}`
DYNAMIC_REFERENCE = re.compile(r"\{\{resolve:")  # to a parameter or secret, in a string


def is_function(value: Any) -> bool:
    """Returns whether a value is a function in its long form: `{"Ref": "Bus"}`, `{"Fn::Sub": "..."}`."""
    if not isinstance(value, Mapping) or len(value) != 1:
        return False
    [(name, argument)] = value.items()
    return name.startswith("Fn::") or (name in ("Ref", "Condition") and isinstance(argument, str))


def format_function(value: Any) -> str:
    """Formats a function as people write it in a template: `!Ref Bus`, `!GetAtt Charge.Arn`, `!Join ["-", ["a"]]`."""
    [(name, argument)] = value.items()
    if name == "Fn::GetAtt" and isinstance(argument, list):
        argument = ".".join(map(str, argument))
    if isinstance(argument, str):
        text = argument
    else:
        text = json.dumps(argument, ensure_ascii=False)
    return f"!{name.removeprefix('Fn::')} {text}"


class Resolver:
    """Resolves functions; the template's `Mappings` answer `Fn::FindInMap`. A string with a `variable` is unknown."""

    def __init__(self, mappings: Any = None, variable: re.Pattern[str] = DYNAMIC_REFERENCE):
        self._mappings, self._variable = mappings, variable

    def resolve(self, value: Any) -> Any:
        """Returns the value with every function in it resolved, or in its place an Unknown."""
        if is_function(value):
            [(name, argument)] = value.items()
            resolve_function: Callable[[Any], Any] | None = {
                "Fn::Sub": self._substitute,
                "Fn::Join": self._join,
                "Fn::Select": self._select,
                "Fn::Split": self._split,
                "Fn::If": self._choose,
                "Fn::FindInMap": self._find_in_map,
                "Fn::ToJsonString": self.resolve,  # a pattern may be an object as well
            }.get(name)
            resolved = None
            if resolve_function:
                resolved = resolve_function(argument)
            if resolved is None:
                return make_unknown(format_function(value))
            return resolved
        if isinstance(value, Mapping):
            return {key: self.resolve(item) for key, item in value.items()}
        if isinstance(value, str) and self._variable.search(value):
            return make_unknown(value)
        if isinstance(value, list):
            return [self.resolve(item) for item in value]
        return value

    def resolve_pattern(self, value: Any) -> Any:
        """The same for an event pattern: of a text with variables, the strings without any are known."""
        resolved = self.resolve(value)
        if isinstance(resolved, Unknown) and is_function(value) and "Fn::Sub" in value:
            text = self.insert_variables(value["Fn::Sub"])
            if text is not None:
                pattern = parse_open_json(text, VARIABLE)
            else:
                pattern = resolved
            if isinstance(pattern, Unknown):
                return resolved
            return pattern
        if isinstance(resolved, Unknown) and isinstance(value, str):
            return parse_open_json(value, self._variable)
        return resolved

    def _substitute(self, argument: Any) -> str | None:
        text = self.insert_variables(argument)
        if text is None or VARIABLE.search(text):
            return None
        return text.replace("${!", "${")

    def insert_variables(self, argument: Any) -> str | None:
        """Returns the text of a `Fn::Sub`, with the variables that the mapping beside it gives and that are known."""
        text = _get_text(argument)
        mapping = None
        if isinstance(argument, list) and len(argument) == 2:
            mapping = argument[1]
        if isinstance(mapping, Mapping) and not is_function(mapping):
            values = self.resolve(mapping)
        else:
            values = {}

        def insert(match: re.Match[str]) -> str:
            value = values.get(match[0][2:-1].strip())
            is_known = isinstance(value, str | int) and not isinstance(value, bool) and "${" not in str(value)
            if is_known:
                return str(value)
            return match[0]

        if text is None:
            return None
        return VARIABLE.sub(insert, text)

    def _join(self, argument: Any) -> str | None:
        match self.resolve(argument):
            case [str(delimiter), [*texts]] if all(isinstance(text, str) for text in texts):
                return delimiter.join(texts)
        return None

    def _select(self, argument: Any) -> Any:
        match self.resolve(argument):
            case [str() | int() as index, [*items]] if str(index).isdecimal() and int(index) < len(items):
                return items[int(index)]
        return None

    def _split(self, argument: Any) -> list[str] | None:
        match self.resolve(argument):
            case [str(delimiter), str(text)] if delimiter:
                return text.split(delimiter)
        return None

    def _choose(self, argument: Any) -> Any:
        match self.resolve(argument):
            case [str(), first, second] if first == second:
                return first
        return None

    def _find_in_map(self, argument: Any) -> Any:
        value = self._mappings
        keys = self.resolve(argument)
        if not isinstance(keys, list) or len(keys) != 3:
            return None
        for key in keys:
            if isinstance(value, Mapping) and isinstance(key, str | int):
                value = value.get(str(key))
            else:
                value = None
        if isinstance(value, str | int | float | list):
            return value
        return None


def _get_text(argument: Any) -> str | None:
    """Returns the text of a `Fn::Sub`, which may have a mapping of variables beside it."""
    if isinstance(argument, list) and argument:
        text = argument[0]
    else:
        text = argument
    if isinstance(text, str):
        return text
    return None
