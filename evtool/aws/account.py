"""Reads what an account of AWS has of EventBridge: buses, rules with their targets, archives and schemas."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from evtool.aws.client import AwsSettings, explain_errors, open_client
from evtool.errors import UsageError

# The registry of AWS's own events has more than a thousand schemas.
AWS_REGISTRY = "aws.events"
_FORMATS = ("OpenApi3", "JSONSchemaDraft4")

OpenClient = Callable[[str], Any]


class Schema(NamedTuple):
    """A schema of a registry: its content is JSON text."""

    registry: str
    name: str
    content: str


class Account(NamedTuple):
    """The content of an account in a region, in the form of EventBridge's API.

    Each rule has its targets under `Targets`. `notes` say what could not be read.
    """

    region: str
    buses: list[Mapping[str, Any]]
    rules: list[Mapping[str, Any]]
    archives: list[Mapping[str, Any]]
    schemas: list[Schema]
    notes: list[str]


def read_account(settings: AwsSettings, open_service: OpenClient | None = None) -> Account:
    """Reads the rules of all buses, the archives and the schemas. Raises UsageError if the rules cannot be read."""
    if open_service is None:
        open_service = partial(open_client, settings=settings)
    events = open_service("events")
    notes: list[str] = []
    with _explain("events:ListEventBuses"):
        buses = list(_list_pages(events.list_event_buses, "EventBuses"))
    rules: list[Mapping[str, Any]] = []
    for bus in buses:
        with _explain("events:ListRules, events:ListTargetsByRule"):
            rules += list(_list_rules(events, str(bus["Name"])))
    archives = _try("archives", notes, partial(_list_pages, events.list_archives, "Archives"))
    schemas = _try("schemas", notes, partial(_list_schemas, open_service))
    return Account(str(events.meta.region_name), buses, rules, archives, schemas, notes)


def _list_rules(client: Any, bus: str) -> Iterator[Mapping[str, Any]]:
    for page in client.get_paginator("list_rules").paginate(EventBusName=bus):
        for rule in page["Rules"]:
            targets: list[Mapping[str, Any]] = []
            for part in client.get_paginator("list_targets_by_rule").paginate(Rule=rule["Name"], EventBusName=bus):
                targets += part["Targets"]
            yield {**rule, "EventBusName": bus, "Targets": targets}


def _list_pages(operation: Callable[..., Mapping[str, Any]], key: str) -> Iterator[Mapping[str, Any]]:
    """Yields the items of an operation that boto3 has no paginator for."""
    page = operation()
    yield from page.get(key, ())
    while page.get("NextToken"):
        page = operation(NextToken=page["NextToken"])
        yield from page.get(key, ())


def _list_schemas(open_service: OpenClient) -> Iterator[Schema]:
    """Yields the schemas of all registries but that of AWS's own events."""
    client = open_service("schemas")
    for page in client.get_paginator("list_registries").paginate():
        for registry in page["Registries"]:
            if registry["RegistryName"] != AWS_REGISTRY:
                yield from _list_registry(client, registry["RegistryName"])


def _list_registry(client: Any, registry: str) -> Iterator[Schema]:
    for page in client.get_paginator("list_schemas").paginate(RegistryName=registry):
        for summary in page["Schemas"]:
            schema = client.describe_schema(RegistryName=registry, SchemaName=summary["SchemaName"])
            if schema.get("Type") in _FORMATS:
                yield Schema(registry, summary["SchemaName"], schema["Content"])


def _explain(action: str) -> Any:
    return explain_errors(f"AWS ({action})")


def _try(name: str, notes: list[str], read: Callable[[], Iterator[Any]]) -> list[Any]:
    """Reads an optional part of an account: a policy may not allow it, and an endpoint may not have it."""
    from botocore.exceptions import ClientError  # noqa: PLC0415  (an extra, and slow to import)

    try:
        with explain_errors(f"AWS ({name})"):
            return list(read())
    except (ClientError, UsageError) as error:
        notes.append(f"{name} are not imported: {' '.join(str(error).split())}")
        return []
