"""Reads the parameters of `POST /events`, which are those of `evtool publish`: `/events?intake=stripe`."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from starlette.datastructures import QueryParams

from evtool.events.payload_identity import POINTER_PATTERN, PayloadIdentity, suggest_pointer
from evtool.findings.spelling import did_you_mean
from evtool.routes.project import Project
from evtool.server.http.errors import HttpError

PARAMETERS = ("type", "source", "type-at", "id-at", "intake", "event-bus", "unwrap")


class Query(NamedTuple):
    """What a request says about its events: the identity of payloads, the bus of events that name none, wrappers."""

    identity: PayloadIdentity = PayloadIdentity()
    bus: str | None = None
    unwrap: bool = False


NO_QUERY = Query()


def read_query(parameters: QueryParams, project: Project) -> Query:
    """Returns the parameters of a request. Raises HttpError for one that cannot be used."""
    if not parameters:
        return NO_QUERY
    for name in parameters:
        if name not in PARAMETERS:
            hint = did_you_mean(name, PARAMETERS) or f"there are {', '.join(PARAMETERS)}"
            raise HttpError(400, f"there is no parameter {name[:100]!r}; {hint}")
    for pointer_name in ("type-at", "id-at"):
        if pointer_name in parameters and not re.fullmatch(POINTER_PATTERN, parameters[pointer_name]):
            message = f"{pointer_name} is a JSON Pointer such as /id"
            suggestion = suggest_pointer(parameters[pointer_name])
            if suggestion:
                message += f"; {suggestion}"
            raise HttpError(400, message)
    if "type" in parameters and "type-at" in parameters:
        raise HttpError(400, "give type or type-at, not both")
    unwrap = parameters.get("unwrap", "false")
    if unwrap not in ("true", "false", ""):
        raise HttpError(400, "unwrap is true or false")
    return Query(_read_identity(parameters, project), parameters.get("event-bus") or None, unwrap != "false")


def _read_identity(parameters: QueryParams, project: Project) -> PayloadIdentity:
    named: Mapping[str, str] = {}
    if "intake" in parameters:
        intakes = project.document.value.get("intake") or {}
        name = parameters["intake"]
        if name not in intakes:
            hint = did_you_mean(name, intakes) or f"there are {', '.join(intakes) or 'none'}"
            raise HttpError(400, f"routes.yaml has no intake {name[:100]!r}; {hint}")
        named = intakes[name]
    type_at = parameters.get("type-at")
    # A type that the request names replaces the place where the intake finds it.
    if not type_at and "type" not in parameters:
        type_at = named.get("type-at")
    identity = PayloadIdentity(
        parameters.get("type"),
        parameters.get("source") or named.get("source"),
        type_at or None,
        parameters.get("id-at") or named.get("id-at"),
    )
    if identity.id_at is not None and not identity.has_type:
        raise HttpError(400, "the type of the payloads is not known: give type or type-at")
    return identity
