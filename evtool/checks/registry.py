"""The table of checks: each is a function that takes a CheckContext and yields findings."""

from evtool.checks import loading
from evtool.checks.base import Check

# In the order of the codes; findings are sorted by location before they are reported.
CHECKS: tuple[Check, ...] = (Check(loading.report_loading, ("EV0", "EV2", "EV403")),)
