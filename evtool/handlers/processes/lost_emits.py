"""Reads which events handlers emitted outside a running call, where no code saw the exception of `emit`.

The worker, its threads and its children append a line for each such event to a file (see worker.py). The first event
creates the file, so usually it does not exist. A line for a call whose answer is not taken yet makes this call fail. A
later line is kept for `take`. Example:

    [4, 12, "mail.sent is lost: ..."]    call 4 is not answered yet: its outcome becomes Failed
    [3, 11, "mail.sent is lost: ..."]    call 3 is answered: `take` returns LostEmit(11, "mail.sent is lost: ...")
"""

import json
import os
import tempfile
from contextlib import suppress
from threading import Lock
from typing import NamedTuple


class LostEmit(NamedTuple):
    """An event that was emitted after its call was reported: the delivery's number in the store, and the error."""

    delivery: int
    error: str


class LostEmits:
    """The reports for the calls of one handler. One thread asks for each call, another one may take late reports."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._late: list[LostEmit] = []
        self._start_file()

    def of_call(self, number: int) -> str | None:
        """Returns the error of a call that emitted outside the call, or None. The answer of the call has come."""
        with self._lock:
            self._read()
            self._answered = number
            return self._errors.pop(number, None)

    def take(self) -> list[LostEmit]:
        """Takes the events that were emitted after their call was reported. Returns each of them once."""
        with self._lock:
            self._read()
            late, self._late = self._late, []
        return late

    def restart(self) -> None:
        """Starts a new file, and numbers of calls from 1, since the process has ended."""
        with self._lock:
            self._read()
            with suppress(OSError):
                os.unlink(self.file)  # noqa: PTH108
            self._start_file()

    def _start_file(self) -> None:
        self.file = ""
        # Without a folder for temporary files, nothing can be reported.
        with suppress(OSError):
            self.file = os.path.join(tempfile.gettempdir(), f"evtool-lost-{os.urandom(16).hex()}")  # noqa: PTH118
        self._offset = self._answered = 0
        # The errors of calls that are not answered yet.
        self._errors: dict[int, str] = {}

    def _read(self) -> None:
        # This runs for each answer, and pathlib takes longer.
        try:
            if os.stat(self.file).st_size <= self._offset:  # noqa: PTH116
                return
            with open(self.file, "rb") as file:  # noqa: PTH123
                file.seek(self._offset)
                lines = file.read().splitlines(keepends=True)
        except OSError:
            return
        for line in lines:
            # A process is still writing this line.
            if not line.endswith(b"\n"):
                return
            self._offset += len(line)
            with suppress(ValueError, TypeError):
                number, delivery, error = json.loads(line)
                if number > self._answered:
                    self._errors[number] = str(error)
                else:
                    self._late.append(LostEmit(int(delivery), str(error)))
