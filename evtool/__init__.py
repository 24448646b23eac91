"""evtool: the command-line event workbench for event-driven systems.

From Python: `Pattern`, `PatternError`, `Routes` and `RoutesError`.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evtool.errors import RoutesError
    from evtool.patterns.compiler import PatternError
    from evtool.patterns.pattern import Pattern
    from evtool.routes.routes import Routes

__version__ = "0.1.0"
__all__ = ["Pattern", "PatternError", "Routes", "RoutesError", "__version__"]

# The module of each public name. `Routes` alone imports pydantic, which takes longer than `evtool validate FILE`.
HOMES = {
    "Pattern": "evtool.patterns.pattern",
    "PatternError": "evtool.patterns.compiler",
    "Routes": "evtool.routes.routes",
    "RoutesError": "evtool.errors",
}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used: the command line must start without it."""
    if name not in HOMES:
        raise AttributeError(f"module 'evtool' has no attribute {name!r}")
    return getattr(importlib.import_module(HOMES[name]), name)
