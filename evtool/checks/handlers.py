"""Checks the handlers of a project: that a route names each one, and that each can be loaded. None is called."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

from evtool.checks.base import CheckContext, read_section
from evtool.findings.finding import Finding
from evtool.findings.spelling import find_similar
from evtool.handlers.plugins.kinds import describe_output, describe_refused_plugins
from evtool.routes.problems import describe_load_failure


def check_use(context: CheckContext) -> Iterator[Finding]:
    """EV404: handlers of the project file that no route names, not even a disabled one, nor in a misspelled form."""
    if context.project.is_rule_source:
        return  # the functions of a template may have other triggers
    routes = read_section(context.project, "routes").values()
    named: set[str | None] = {handler for route in routes for handler in _list_handlers(route)}
    named |= {find_similar(str(name), context.handlers) for name in named}  # a misspelled name is another finding
    for name in context.handlers:
        location = context.project.locate(("handlers", name), key=True)
        if name not in named and location["file"] == context.project.display_name:
            hint = "name it in `to` of a route, or remove it"
            yield Finding("EV404", f"no route names the handler {name}", "warning", suggestion=hint, **location)


def _list_handlers(route: Mapping[str, Any]) -> list[str]:
    to = route.get("to")
    if isinstance(to, list):
        return [handler for handler in to if isinstance(handler, str)]
    return []


def check_loading(context: CheckContext) -> Iterator[Finding]:
    """EV501, EV502 and EV503: handlers that cannot be loaded."""
    for name, entry in context.handlers.items():
        if name in context.project.template_functions:
            continue  # its packages and its client need not be installed where its template is checked
        with closing(entry.open()) as handler:
            failure = handler.check()
        if failure and failure.code:
            yield describe_load_failure(context.project, name, failure.code, failure.reason)


def check_plugins(context: CheckContext) -> Iterator[Finding]:
    """EV506: plugins of the kinds that the project uses which are ignored, or print while they are imported."""
    refused, seen = describe_refused_plugins(), set[str]()
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
            message = f"handler {name} sends requests without a signature: the receiver cannot tell them from others"
            location = context.project.locate(("handlers", name, "http"), key=True)
            yield Finding("EV504", message, "note", suggestion="set `secret: ${NAME}`", **location)
