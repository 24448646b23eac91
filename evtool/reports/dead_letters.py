"""Text output for people: dead letters, with their event and history if wanted, and those that were changed."""

from collections.abc import Mapping
from typing import Any

from evtool.reports.base import Record
from evtool.reports.trees import format_delivery, print_document, print_history
from evtool.schemas.validation import ValidationResult
from evtool.terminal.screen import Screen


class DeadLetterList:
    """The text report of dead letters: a line each; with `full`, the event and every attempt."""

    def __init__(self, screen: Screen, *, full: bool = False, quiet: bool = False):
        self._screen, self._full, self._quiet = screen, full, quiet

    def add(self, record: Record) -> None:
        """Shows a dead letter."""
        assert not isinstance(record, ValidationResult)
        self._screen.print_line((record["type"], "bold"), f"  {record['event']}  ", *format_delivery(record))
        if self._full:
            print_history(self._screen, record)
            print_document(self._screen, record["document"])

    def end(self, tail: Mapping[str, Any]) -> None:
        """Says if there was none."""
        if not tail["summary"]["deliveries"] and not self._quiet:
            self._screen.print_line("no dead letters")


class ChangedDeadLetters(DeadLetterList):
    """The text report of dead letters that were redriven or deleted: with -q nothing."""

    def add(self, record: Record) -> None:
        """Shows what was changed."""
        if not self._quiet:
            super().add(record)
