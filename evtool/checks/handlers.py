"""Checks the handlers of a project: that a route names each one, and that each can be loaded. Calls no handler."""

from collections.abc import Iterator
from contextlib import closing

from evtool.checks.base import CheckContext, list_strings, read_section
from evtool.findings.finding import Finding
from evtool.findings.spelling import find_similar
from evtool.handlers.plugins.kinds import describe_output, describe_refused_plugins
from evtool.routes.problems import describe_load_failure


def check_use(context: CheckContext) -> Iterator[Finding]:
    """EV404: handlers of the project file that no route names, not even a disabled one, nor in a misspelled form."""
    # The functions of a template may have other triggers than rules.
    if context.project.is_rule_source:
        return
    named: set[str | None] = set()
    for route in read_section(context.project, "routes").values():
        for handler in list_strings(route.get("to")):
            named.add(handler)
            # Another finding reports a misspelled name. It would not help to call its handler unused, too.
            named.add(find_similar(handler, context.handlers))
    for name in context.handlers:
        location = context.project.locate(("handlers", name), key=True)
        if name not in named and location["file"] == context.project.display_name:
            hint = "name it in `to` of a route, or remove it"
            yield Finding("EV404", f"no route names the handler {name}", "warning", suggestion=hint, **location)


def check_loading(context: CheckContext) -> Iterator[Finding]:
    """EV501, EV502 and EV503: handlers that cannot be loaded."""
    for name, entry in context.handlers.items():
        if name in context.project.template_functions:
            # Its packages and its client need not be installed where its template is checked.
            continue
        with closing(entry.open()) as handler:
            failure = handler.check()
        if failure and failure.code:
            yield describe_load_failure(context.project, name, failure)


def check_plugins(context: CheckContext) -> Iterator[Finding]:
    """EV506: plugins that the project uses and that are ignored, or print while they are imported."""
    refused = describe_refused_plugins()
    seen: set[str] = set()
    for name, entry in context.handlers.items():
        problem = refused.get(entry.kind) or describe_output(entry.kind)
        if problem and entry.kind not in seen:
            location = context.project.locate(("handlers", name, entry.kind), key=True)
            yield Finding("EV506", problem, "warning", suggestion="report it to the author", **location)
        seen.add(entry.kind)


def check_secrets(context: CheckContext) -> Iterator[Finding]:
    """EV504: http handlers that do not sign their requests."""
    for name, entry in context.handlers.items():
        if entry.kind == "http" and not getattr(entry.options, "secret", None):
            message = f"handler {name} sends requests without a signature: the receiver cannot verify the sender"
            location = context.project.locate(("handlers", name, "http"), key=True)
            yield Finding("EV504", message, "note", suggestion="set `secret: ${NAME}`", **location)
