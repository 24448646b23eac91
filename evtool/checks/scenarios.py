"""Checks the scenarios of a project without running them: their shape, the names in them, contradictions."""

from collections.abc import Iterator

from evtool.checks.base import CheckContext
from evtool.findings.finding import Finding
from evtool.scenarios.loading import find_scenario_problems


def check_scenarios(context: CheckContext) -> Iterator[Finding]:
    """EV701, EV702, and the other problems for which `evtool test` refuses a scenario file."""
    # A folder `scenarios` next to a rule source may belong to another program, or to a routes.yaml there.
    if not context.project.is_rule_source:
        yield from find_scenario_problems(context.project)
