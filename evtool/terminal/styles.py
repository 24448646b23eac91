"""The styles of all colored terminal output, as rich names them."""

SEVERITY_STYLES = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan"}

# By state of a delivery.
STATE_STYLES = {
    "done": "green",
    "ready": "yellow",
    "waiting": "yellow",
    "leased": "cyan",
    "dead": "bold red",
    "external": "cyan",
}

# By status of a handler.
HANDLER_STYLES = {"ready": "green", "missing": "bold red", "unreachable": "yellow", "external": "cyan"}

# By outcome of a call. All other outcomes are failures.
OUTCOME_STYLES = {"done": "green", "unavailable": "yellow"}

# By action of a replay, planned or done.
ACTION_STYLES = {
    "would fire": "green",
    "done": "green",
    "failed": "bold red",
    "waiting": "yellow",
    "leased": "cyan",
    "skipped": "dim",
}
