"""Hides the values of the variables that the options of a handler name as `${NAME}` from what its plugin says."""

import os
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from evtool.handlers.base import Done, Failed, HandlerOptions, Unavailable
from evtool.handlers.processes.programs import VARIABLE

MIN_LENGTH = 4  # characters of a value that is hidden: a shorter one is part of many words

Result = TypeVar("Result", Done, Failed, Unavailable, Done | Failed | Unavailable)


class Secrets:
    """The variables that some options name."""

    def __init__(self, options: HandlerOptions):
        texts = " ".join(_iter_strings(options.model_dump()))
        self._names = sorted({match[1] for match in VARIABLE.finditer(texts)})

    def hide(self, outcome: Result) -> Result:
        """The outcome with `${NAME}` in place of each value. What it emits stays as it is."""
        texts = {field: getattr(outcome, field, None) for field in ("error", "reason", "output", "code")}
        changed: Any = {field: self._hide(text) for field, text in texts.items() if isinstance(text, str)}
        return outcome._replace(**changed)

    def _hide(self, text: str) -> str:
        for name in self._names:
            value = os.environ.get(name, "")
            if len(value) >= MIN_LENGTH:
                text = text.replace(value, f"${{{name}}}")
        return text


def _iter_strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _iter_strings(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _iter_strings(item)
