"""Runs many scenarios, some at a time, and yields their results in the order of the files."""

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Event, local

from evtool.routes.project import Project
from evtool.routes.routes import load_routes
from evtool.scenarios.loading import Scenario, build_rules
from evtool.scenarios.runner import ScenarioResult, run_scenario
from evtool.signals import stop_calls

# The kernel may pass a signal to any thread; the main thread, which handles it, sees it only when its wait ends.
POLL_INTERVAL = 0.2


def run_scenarios(scenarios: Sequence[Scenario], project: Project, *, jobs: int = 1) -> Generator[ScenarioResult]:
    """Yields the results of scenarios, in their order. `jobs` threads run them, each with its own routes and schemas.

    An exception, such as that of Ctrl-C, ends all of them.
    """
    if jobs == 1 or len(scenarios) < 2:
        routes, rules = load_routes(project), build_rules(project)
        for scenario in scenarios:
            yield run_scenario(scenario, project, routes, rules)
        return
    own, stopped = local(), Event()

    def run(scenario: Scenario) -> ScenarioResult:
        # Each thread loads routes and schemas for its first scenario, and keeps them for the others.
        if not hasattr(own, "rules"):
            own.routes, own.rules = load_routes(project), build_rules(project)
        return run_scenario(scenario, project, own.routes, own.rules, stopped.is_set)

    with ThreadPoolExecutor(min(jobs, len(scenarios)), "scenario") as pool:
        try:
            # The scenarios are submitted inside the `try`: a signal can come as soon as the first one runs.
            futures = [pool.submit(run, scenario) for scenario in scenarios]
            for future in futures:
                while not future.done():
                    wait([future], POLL_INTERVAL)
                yield future.result()
        except BaseException:
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            with stop_calls():
                pool.shutdown()
            raise
