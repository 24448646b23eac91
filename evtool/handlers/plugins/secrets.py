"""Hides the values of `${NAME}` in the options of a handler in the texts that its plugin returns."""

import os
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from evtool.handlers.base import Done, Failed, HandlerOptions, Unavailable
from evtool.handlers.processes.programs import VARIABLE

# Characters of the shortest value that is hidden: a shorter one is a part of many words.
MIN_LENGTH = 4

Result = TypeVar("Result", Done, Failed, Unavailable, Done | Failed | Unavailable)


class Secrets:
    """The variables in the options of a handler. Their values are read when a text is hidden."""

    def __init__(self, options: HandlerOptions):
        texts = " ".join(_iter_strings(options.model_dump()))
        self._names = sorted(set(VARIABLE.findall(texts)))

    def hide(self, outcome: Result) -> Result:
        """Returns the outcome with `${NAME}` in place of each value. Emitted events do not change."""
        changed: Any = {}
        for field in ("error", "reason", "output", "code"):
            text = getattr(outcome, field, None)
            if isinstance(text, str):
                changed[field] = self._hide(text)
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
