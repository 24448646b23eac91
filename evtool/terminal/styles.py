"""The styles of all coloured terminal output."""

SEVERITY_STYLES = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan"}

# of a delivery
STATE_STYLES = {
    "done": "green",
    "ready": "yellow",
    "waiting": "yellow",
    "leased": "cyan",
    "dead": "bold red",
    "external": "cyan",
}

# of a handler
HANDLER_STYLES = {"ready": "green", "missing": "bold red", "unreachable": "yellow", "external": "cyan"}

# of a single call; all others are failures
OUTCOME_STYLES = {"done": "green", "unavailable": "yellow"}

# of what a replay would do or did
ACTION_STYLES = {
    "would fire": "green",
    "done": "green",
    "failed": "bold red",
    "waiting": "yellow",
    "leased": "cyan",
    "skipped": "dim",
}
