"""Collects the results of a run of deliveries, from the store or from a bus, for the report and the exit code.

A delivery may be attempted several times in one run. It is counted once, by its last state:

    attempt 1 fails, the delivery is ready again   it is kept as unfinished
    attempt 2 succeeds, the delivery is done       it is not unfinished any more, and counted as done
    the run ends                                   unfinished deliveries are counted as ready, and as failed

So the counts of a summary add up to the number of deliveries.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from evtool.cli.runtime import take_load_findings
from evtool.cli.session import Session
from evtool.delivery.pool import HandlerPool
from evtool.findings.finding import Finding, list_finding_records
from evtool.reports.records import build_summary, count_delivery
from evtool.routes.project import Project

FINAL_STATES = ("done", "dead")


class RunResults:
    """The counts and findings of a run. Each finding is shown when it is added."""

    def __init__(self, session: Session, project: Project, handlers: HandlerPool):
        self._session, self._project, self._handlers = session, project, handlers
        self.counts: Counter[str] = Counter()
        self.findings: list[Finding] = []
        self._unfinished: dict[Hashable, dict[str, Any]] = {}

    def add_delivery(self, key: Hashable, record: Mapping[str, Any]) -> None:
        """Adds the record of an attempted delivery. `key` is the same for all attempts of a delivery."""
        self._unfinished.pop(key, None)
        if record["state"] in FINAL_STATES:
            count_delivery(self.counts, record)
        else:
            # Thousands of deliveries may wait: only the counts are kept.
            self._unfinished[key] = {"state": record["state"], "error": record["error"]}

    def add_findings(self, findings: Iterable[Finding]) -> None:
        """Shows and keeps findings."""
        for finding in findings:
            self.findings.append(finding)
            self._session.show_findings([finding])

    def add_load_findings(self) -> None:
        """Shows and keeps a finding for each handler that could not be loaded since the last call."""
        self.add_findings(take_load_findings(self._handlers, self._project))

    def build_tail(self) -> dict[str, Any]:
        """Ends the counting, and returns the findings and the summary for the report."""
        for delivery in self._unfinished.values():
            count_delivery(self.counts, delivery)
        summary = build_summary(self.counts)
        # A run does not count events: one event has several deliveries, also in different runs.
        del summary["events"]
        return {"findings": list_finding_records(self.findings), "summary": summary}
