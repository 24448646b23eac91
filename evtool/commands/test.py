"""The command `evtool test`: runs scenarios and measures which routes and alternatives they cover."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated

from evtool.cli.options import Argument, Option
from evtool.cli.runtime import load_routes
from evtool.cli.session import Session
from evtool.errors import EXIT_FINDINGS, EXIT_OK, ConfigError, EvtoolError, UsageError
from evtool.findings.finding import Finding
from evtool.paths import display_path
from evtool.reports.base import Subject
from evtool.reports.scenarios import NoText, ScenariosReport, build_coverage_record, build_scenario_record
from evtool.routes.project import find_routes_file
from evtool.scenarios.batch import run_scenarios
from evtool.scenarios.changes import Snapshot, list_states, take_snapshot, wait_for_change
from evtool.scenarios.coverage import Covered, Section, measure
from evtool.scenarios.files import list_scenario_files
from evtool.scenarios.loading import Scenario, build_rules, load_scenarios
from evtool.terminal.progress import Progress
from evtool.terminal.screen import Screen, format_count, open_stderr
from evtool.terminal.snippets import show_finding

LOOK_INTERVAL = 0.3  # seconds between two looks for changed files


def test(
    session: Session,
    paths: Annotated[
        list[str], Argument("[PATH]...", "scenario files or folders; by default the project's `scenarios`")
    ] = [],  # noqa: B006  (never changed)
    *,
    text: Annotated[str | None, Option("-k", "only scenarios with this text in their name", "TEXT")] = None,
    coverage: Annotated[bool, Option("--coverage", "show what the scenarios cover, and what they miss")] = False,
    fail_under: Annotated[
        int | None, Option("--fail-under", "fail if less than N percent of the alternatives are covered", "N")
    ] = None,
    jobs: Annotated[int, Option("--jobs", "number of scenarios that run at the same time", "N", least=1)] = 1,
    watch: Annotated[bool, Option("--watch", "run again when a file changes, until Ctrl-C")] = False,
) -> int:
    """Run scenarios: given events, and what must and must not result from them, along the whole chain.

    Each scenario has its own store and a clock that jumps to the next due time. Handlers are called unless the
    scenario mocks them. Exit code 1 if an expectation does not hold or the coverage is too low, 2 if a scenario file
    cannot be used or there is no scenario.

    Example: evtool test --coverage
    """
    if fail_under is not None and fail_under > 100:
        raise UsageError(f"--fail-under {fail_under}: it is a percentage, at most 100")
    run = partial(
        _run, session, paths, text, coverage=coverage or fail_under is not None, fail_under=fail_under, jobs=jobs
    )
    if not watch:
        return run()
    if any(output.partition("=")[0] != "text" for output in session.output):
        raise UsageError("--watch prints text only; leave out -o")
    screen = Screen(open_stderr(), color=session.color)
    routes_file = find_routes_file(session.routes)
    if routes_file is None:
        return run()  # which says so
    take = partial(_take_snapshot, session, [*map(Path, paths), routes_file])
    while True:
        snapshot = take()  # before the run: what is changed during it is run again
        _run_once(run, screen)
        session.print_note("waiting for a change; Ctrl-C ends it")
        changed = wait_for_change(snapshot, take, lambda: time.sleep(LOOK_INTERVAL))
        title = f"{datetime.now().astimezone():%H:%M:%S} {display_path(Path(changed))} changed"
        output = Screen(sys.stdout, color=session.color)
        output.print_line("")
        output.print_line((f"--- {title} ", "bold"), ("-" * 20, "dim"))


def _run_once(run: Callable[[], int], screen: Screen) -> None:
    """Runs, and shows an error that would end the command: the next change may correct it."""
    try:
        run()
    except EvtoolError as error:
        for finding in getattr(error, "findings", ()):
            show_finding(screen, finding)
        screen.print_line(("evtool: ", "bold"), str(error))


def _take_snapshot(session: Session, files: Sequence[Path]) -> Snapshot:
    """The state of the files. While routes.yaml is broken or away, as some editors save, only those given count."""
    try:
        return take_snapshot(session.load_project(), files)
    except EvtoolError:
        return list_states(files)


def _run(
    session: Session, paths: list[str], text: str | None, *, coverage: bool, fail_under: int | None, jobs: int
) -> int:
    """Loads, runs and reports once."""
    project = session.load_project()
    routes, rules = load_routes(session, project), build_rules(project)
    loaded, findings = load_scenarios(list_scenario_files(project, paths), project, rules)
    if any(finding.severity == "error" for finding in findings):
        _report_unusable(session, findings, measure(Covered(), routes, rules, project))
        raise ConfigError("the scenarios cannot be used", findings)
    scenarios = _choose(loaded, text, searched=", ".join(paths) or display_path(project.scenarios))
    passed, covered, warnings = 0, Covered(), dict.fromkeys(findings)
    progress = Progress("testing", "scenario", total=partial(len, scenarios), quiet=session.quiet)
    subject = Subject(
        "test", "scenarios", lambda screen: ScenariosReport(screen, warnings, quiet=session.quiet, coverage=coverage)
    )
    with session.open_report(subject) as report, closing(run_scenarios(scenarios, project, jobs=jobs)) as results:
        for result in results:
            report.add(build_scenario_record(result))
            progress.add(1)
            passed += not result.failures
            covered = covered.merge(result.covered)
            warnings |= dict.fromkeys(result.warnings)
        progress.erase()
        sections = measure(covered, routes, rules, project)
        is_reached = fail_under is None or sections["alternatives"].percent >= fail_under
        report.end(
            {
                "findings": [finding.as_dict() for finding in warnings],
                "coverage": build_coverage_record(sections),
                "summary": {
                    "scenarios": len(scenarios),
                    "passed": passed,
                    "failed": len(scenarios) - passed,
                    "fail_under": fail_under,
                },
            }
        )
    if passed == len(scenarios) and is_reached:
        return EXIT_OK
    return EXIT_FINDINGS


def _report_unusable(session: Session, findings: Sequence[Finding], coverage: Mapping[str, Section]) -> None:
    """Writes the reports for machines, without scenarios: no scenario is run. For people, the error shows all."""
    with session.open_report(Subject("test", "scenarios", lambda _screen: NoText())) as report:
        report.end(
            {
                "findings": [finding.as_dict() for finding in findings],
                "coverage": build_coverage_record(coverage),
                "summary": {"scenarios": 0, "passed": 0, "failed": 0, "fail_under": None},
            }
        )


def _choose(scenarios: Sequence[Scenario], text: str | None, *, searched: str) -> list[Scenario]:
    """The scenarios with a text in their name. Raises UsageError if there is none."""
    if not scenarios:
        raise UsageError(f"no scenario was found: {searched} has no *.yaml with scenarios")
    chosen = [scenario for scenario in scenarios if text is None or text.lower() in scenario.name.lower()]
    if not chosen:
        raise UsageError(f'no name of {format_count(len(scenarios), "scenario")} contains "{text}"')
    return chosen
