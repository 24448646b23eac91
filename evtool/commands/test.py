"""The command `evtool test`: runs scenarios and measures which routes and alternatives they cover."""

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple, NoReturn

from evtool.cli.options import Argument, Option
from evtool.cli.runtime import load_routes
from evtool.cli.session import Session
from evtool.errors import EXIT_FINDINGS, EXIT_OK, ConfigError, EvtoolError, UsageError
from evtool.findings.finding import Finding, has_errors, list_finding_records
from evtool.paths import display_path
from evtool.reports.base import Subject, open_nothing
from evtool.reports.scenarios import ScenariosReport, build_coverage_record, build_scenario_record
from evtool.routes.project import Project, find_routes_file
from evtool.routes.routes import Routes
from evtool.scenarios.batch import run_scenarios
from evtool.scenarios.changes import Snapshot, list_states, take_snapshot, wait_for_change
from evtool.scenarios.coverage import Covered, Section, measure
from evtool.scenarios.files import list_scenario_files
from evtool.scenarios.loading import Scenario, build_rules, load_scenarios
from evtool.schemas.validation import Rules
from evtool.terminal.progress import Progress
from evtool.terminal.screen import Screen, format_count

# Seconds between two looks for changed files.
LOOK_INTERVAL = 0.3


class _Options(NamedTuple):
    """The options of a run."""

    paths: Sequence[str]
    text: str | None
    coverage: bool
    fail_under: int | None
    jobs: int


def test(
    session: Session,
    paths: Annotated[
        list[str], Argument("[PATH]...", "scenario files or folders; default: `scenarios` of the project")
    ] = [],  # noqa: B006  (never changed)
    *,
    text: Annotated[str | None, Option("-k", "only scenarios with this text in their name", "TEXT")] = None,
    coverage: Annotated[bool, Option("--coverage", "show what the scenarios cover, and what they miss")] = False,
    fail_under: Annotated[
        int | None, Option("--fail-under", "fail if less than N percent of the alternatives are covered", "N")
    ] = None,
    jobs: Annotated[int, Option("--jobs", "maximum number of scenarios that run at the same time", "N", least=1)] = 1,
    watch: Annotated[bool, Option("--watch", "run again when a file changes, until Ctrl-C")] = False,
) -> int:
    """Run scenarios: given events, and what must and must not result from them, along the whole chain.

    Each scenario has its own store, and a clock that jumps to the next due time. Handlers are called unless the
    scenario mocks them. Exit code 1 if an expectation does not hold or the coverage is too low, 2 if a scenario file
    cannot be used or no scenario is found.

    Example: evtool test --coverage
    """
    if fail_under is not None and fail_under > 100:
        raise UsageError(f"--fail-under {fail_under}: it is a percentage, at most 100")
    options = _Options(paths, text, coverage or fail_under is not None, fail_under, jobs)
    run = partial(_run, session, options)
    if not watch:
        return run()
    if any(name != "text" for name in session.list_formats()):
        raise UsageError("--watch prints text only; leave out -o")
    routes_file = find_routes_file(session.routes)
    # Without a project the run raises the error that says so.
    if routes_file is None:
        return run()
    files = [Path(path) for path in paths]
    _watch(session, run, files + [routes_file])
    return EXIT_OK


# --- watch -----------------------------------------------------------------------------------------------------------


def _watch(session: Session, run: Callable[[], int], files: Sequence[Path]) -> NoReturn:
    """Runs the scenarios, and again after each change of a file, until a signal."""
    take = partial(_take_snapshot, session, files)
    while True:
        # The snapshot is taken before the run, so that a change during the run causes another run.
        snapshot = take()
        _run_once(session, run)
        session.print_note("waiting for a change; Ctrl-C ends it")
        changed = wait_for_change(snapshot, take, partial(time.sleep, LOOK_INTERVAL))
        title = f"{datetime.now().astimezone():%H:%M:%S} {display_path(Path(changed))} changed"
        output = Screen(sys.stdout, color=session.color)
        output.print_line("")
        output.print_line((f"--- {title} ", "bold"), ("-" * 20, "dim"))


def _run_once(session: Session, run: Callable[[], int]) -> None:
    """Runs, and shows an error that would end the command: the next change may correct it."""
    try:
        run()
    except EvtoolError as error:
        session.show_findings(getattr(error, "findings", ()))
        session.print_error(str(error))


def _take_snapshot(session: Session, files: Sequence[Path]) -> Snapshot:
    """Returns the state of the project's files and of the given files."""
    try:
        return take_snapshot(session.load_project(), files)
    except EvtoolError:
        # routes.yaml has an error now, or is missing for a moment: some editors save a file by replacing it.
        return list_states(files)


# --- one run ---------------------------------------------------------------------------------------------------------


def _run(session: Session, options: _Options) -> int:
    """Loads, runs and reports the scenarios once. Returns the exit code."""
    project = session.load_project()
    routes, rules = load_routes(session, project), build_rules(project)
    loaded, findings = load_scenarios(list_scenario_files(project, options.paths), project, rules)
    if has_errors(findings):
        _report_unusable(session, findings, measure(Covered(), routes, rules, project))
        raise ConfigError("the scenarios cannot be used", findings)
    searched = ", ".join(options.paths) or display_path(project.scenarios)
    scenarios = _choose(loaded, options.text, searched=searched)
    return _run_and_report(session, project, routes, rules, scenarios, options, findings)


def _run_and_report(
    session: Session,
    project: Project,
    routes: Routes,
    rules: Rules,
    scenarios: Sequence[Scenario],
    options: _Options,
    findings: Iterable[Finding],
) -> int:
    passed, covered = 0, Covered()
    # Many scenarios cause the same warning, which is shown once. The text report reads this dict at the end.
    warnings = dict.fromkeys(findings)
    progress = Progress("testing", "scenario", total=partial(len, scenarios), quiet=session.quiet)
    text_report = partial(ScenariosReport, findings=warnings, quiet=session.quiet, coverage=options.coverage)
    with (
        session.open_report(Subject("test", "scenarios", text_report)) as report,
        closing(run_scenarios(scenarios, project, jobs=options.jobs)) as results,
    ):
        for result in results:
            report.add_record(build_scenario_record(result))
            progress.add(1)
            passed += not result.failures
            covered = covered.merge(result.covered)
            warnings |= dict.fromkeys(result.warnings)
        progress.erase()
        sections = measure(covered, routes, rules, project)
        summary = {
            "scenarios": len(scenarios),
            "passed": passed,
            "failed": len(scenarios) - passed,
            "fail_under": options.fail_under,
        }
        report.end(_build_tail(warnings, sections, summary))
    is_reached = options.fail_under is None or sections["alternatives"].percent >= options.fail_under
    if passed == len(scenarios) and is_reached:
        return EXIT_OK
    return EXIT_FINDINGS


def _build_tail(
    findings: Iterable[Finding], coverage: Mapping[str, Section], summary: Mapping[str, int | None]
) -> dict[str, Any]:
    return {
        "findings": list_finding_records(findings),
        "coverage": build_coverage_record(coverage),
        "summary": summary,
    }


def _report_unusable(session: Session, findings: Sequence[Finding], coverage: Mapping[str, Section]) -> None:
    """Writes the reports for machines, without scenarios, since none is run. The error message informs people."""
    summary = {"scenarios": 0, "passed": 0, "failed": 0, "fail_under": None}
    with session.open_report(Subject("test", "scenarios", open_nothing)) as report:
        report.end(_build_tail(findings, coverage, summary))


def _choose(scenarios: Sequence[Scenario], text: str | None, *, searched: str) -> list[Scenario]:
    """Returns the scenarios with a text in their name. Raises UsageError if no scenario has it."""
    if not scenarios:
        raise UsageError(f"no scenario was found: {searched} has no *.yaml with scenarios")
    if text is None:
        return list(scenarios)
    chosen = [scenario for scenario in scenarios if text.lower() in scenario.name.lower()]
    if not chosen:
        raise UsageError(f'no name of {format_count(len(scenarios), "scenario")} contains "{text}"')
    return chosen
