"""Reads which events handlers emitted outside a running call, where nobody saw the exception of `emit`.

The worker, its threads and its children append a line to a file for each (see worker.py). The file is made by the first
of them: usually there is none. A line for a call whose answer is not taken yet has this call fail. Later ones are kept
for `take`.
"""

import json
import os
import tempfile
from contextlib import suppress
from threading import Lock
from typing import NamedTuple


class LostEmit(NamedTuple):
    """An event that was emitted after its call was reported: the delivery's number in the store, and what happened."""

    delivery: int
    error: str


class LostEmits:
    """What is reported for the calls of one handler. One thread answers calls, another one may take the later ones."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._late: list[LostEmit] = []
        self._start_file()

    def of_call(self, number: int) -> str | None:
        """What was emitted outside call `number`, whose answer has come, until now; None if nothing was."""
        with self._lock:
            self._read()
            self._answered = number
            return self._errors.pop(number, None)

    def take(self) -> list[LostEmit]:
        """What was emitted after its call was reported. Each is given once."""
        with self._lock:
            self._read()
            late, self._late = self._late, []
        return late

    def restart(self) -> None:
        """Continue with a new file and calls from 1: the process is over."""
        with self._lock:
            self._read()
            with suppress(OSError):
                os.unlink(self.file)  # noqa: PTH108
            self._start_file()

    def _start_file(self) -> None:
        self.file = ""
        with suppress(OSError):  # there is no folder for temporary files: nothing can be reported
            self.file = os.path.join(tempfile.gettempdir(), f"evtool-lost-{os.urandom(16).hex()}")  # noqa: PTH118
        self._offset = self._answered = 0
        self._errors: dict[int, str] = {}  # of calls that are not answered

    def _read(self) -> None:
        try:
            if os.stat(self.file).st_size <= self._offset:  # noqa: PTH116 - for each answer, and pathlib takes longer
                return
            with open(self.file, "rb") as file:  # noqa: PTH123
                file.seek(self._offset)
                lines = file.read().splitlines(keepends=True)
        except OSError:
            return
        for line in lines:
            if not line.endswith(b"\n"):
                return
            self._offset += len(line)
            with suppress(ValueError, TypeError):
                number, delivery, error = json.loads(line)
                if number > self._answered:
                    self._errors[number] = str(error)
                else:
                    self._late.append(LostEmit(int(delivery), str(error)))
