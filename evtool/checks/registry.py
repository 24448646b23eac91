"""The table of checks: each is a function that takes a CheckContext and yields findings."""

from evtool.checks import (
    event_types,
    handlers,
    loading,
    loops,
    route_overlap,
    samples,
    scenarios,
    schemas,
    second_opinion,
)
from evtool.checks.base import Check
from evtool.checks.patterns import pattern_vs_schema

# In the order in which they run. The runner sorts the findings by location.
CHECKS: tuple[Check, ...] = (
    Check(loading.report_loading, ("EV0", "EV2", "EV403")),
    Check(schemas.check_schemas, ("EV601", "EV602", "EV603", "EV604", "EV608")),
    Check(schemas.check_regular_expressions, ("EV605",)),
    Check(schemas.check_satisfiability, ("EV606",)),
    Check(samples.check_samples, ("EV1",)),
    Check(second_opinion.check_agreement, ("EV607",)),
    Check(samples.check_invalid_samples, ("EV609",)),
    Check(pattern_vs_schema.check_patterns, ("EV3",)),
    Check(route_overlap.check_overlap, ("EV401", "EV402", "EV405")),
    Check(handlers.check_use, ("EV404",)),
    Check(event_types.check_unmatched, ("EV406",)),
    Check(event_types.check_unsent, ("EV407",)),
    Check(loops.check_loops, ("EV408",)),
    Check(handlers.check_loading, ("EV501", "EV502", "EV503")),
    Check(handlers.check_plugins, ("EV506",)),
    Check(handlers.check_secrets, ("EV504",)),
    Check(scenarios.check_scenarios, ("EV0", "EV108", "EV2", "EV7")),
)
