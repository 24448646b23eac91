"""The public names for packages that add kinds of handlers: docs/plugins.md describes the contract.

These names, their fields and the order of the fields are stable. A later version may add fields with a default.
"""

from evtool.handlers.base import Call, Done, Emitted, Failed, Handler, HandlerOptions, Kind, Outcome, Unavailable
from evtool.handlers.processes.programs import UnsetVariableError, expand_variables
from evtool.units import Duration, Size, TimeLimit, duration_field, size_field

__all__ = [
    "Call",
    "Done",
    "Duration",
    "Emitted",
    "Failed",
    "Handler",
    "HandlerOptions",
    "Kind",
    "Outcome",
    "Size",
    "TimeLimit",
    "Unavailable",
    "UnsetVariableError",
    "duration_field",
    "expand_variables",
    "size_field",
]
