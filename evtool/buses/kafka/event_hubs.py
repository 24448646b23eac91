"""Azure Event Hubs through its Kafka endpoint: connection strings, and the limits that a Kafka broker does not have."""

import os
from collections.abc import Mapping
from typing import NamedTuple

from evtool.buses.settings import BusSettings
from evtool.errors import UsageError

CONNECTION_STRING = "EVENTHUBS_CONNECTION_STRING"
DEFAULT_PORT = 9093
# Bytes. Azure closes the connection for a request of more than 1,046,528 bytes.
MAX_MESSAGE = 1_000_000
COMPRESSIONS = ("none", "gzip")
_FORM = "Endpoint=sb://NAME.servicebus.windows.net/;SharedAccessKeyName=NAME;SharedAccessKey=KEY"

# Azure closes connections that are idle for 240 s; all times in milliseconds
SETTINGS = {
    "socket.keepalive.enable": "true",
    "metadata.max.age.ms": "180000",
    "connections.max.idle.ms": "180000",
    "request.timeout.ms": "60000",
    "session.timeout.ms": "30000",
    "message.max.bytes": str(MAX_MESSAGE),
    "compression.type": "none",
}
# settings that a user may change, and the limits of Event Hubs for them
_RANGES = {
    "session.timeout.ms": (6_000, 300_000),
    "request.timeout.ms": (20_001, 300_000),
    "metadata.max.age.ms": (1, 239_999),
    "connections.max.idle.ms": (1, 239_999),
    "message.max.bytes": (1, 1_046_528),
}


class ConnectionString(NamedTuple):
    """What a connection string of Event Hubs says."""

    host: str
    port: int
    # EntityPath, if the string is for one hub only.
    hub: str | None


def parse_connection_string(text: str) -> ConnectionString:
    """Returns the parts of a connection string. Raises UsageError, without the string: it contains a key."""
    parts: dict[str, str] = {}
    for part in text.strip().rstrip(";").split(";"):
        # A key may end with "=", so that only the first one separates.
        name, separator, value = part.partition("=")
        if not separator or not value:
            raise UsageError(f"{CONNECTION_STRING} is not a connection string of Event Hubs: {_FORM}")
        parts[name.strip().lower()] = value.strip()
    if "sharedaccesssignature" in parts:
        hint = "use a string with SharedAccessKeyName and SharedAccessKey"
        raise UsageError(f"{CONNECTION_STRING} has a SharedAccessSignature, which the Kafka endpoint refuses; {hint}")
    for required in ("Endpoint", "SharedAccessKeyName", "SharedAccessKey"):
        if required.lower() not in parts:
            raise UsageError(f"{CONNECTION_STRING} has no {required}; its form is {_FORM}")
    scheme, separator, address = parts["endpoint"].partition("://")
    host, colon, port = address.partition("/")[0].partition(":")
    if scheme.lower() != "sb" or not separator or not host or (colon and not port.isdigit()):
        raise UsageError(f"the Endpoint in {CONNECTION_STRING} is not sb://NAME.servicebus.windows.net/")
    return ConnectionString(host, int(port or DEFAULT_PORT), parts.get("entitypath"))


def build_settings(settings: BusSettings) -> tuple[tuple[str, ...], dict[str, str]]:
    """Returns the hubs and the client settings of an eventhubs URL. Raises UsageError if Azure would refuse them."""
    name, url = settings.display_name, settings.url
    for parameter in ("sasl", "user"):
        if parameter in url.parameters:
            raise UsageError(f"{name}: {parameter} is not for Event Hubs: the connection string has the credentials")
    text = settings.password or os.environ.get(CONNECTION_STRING)
    if not text:
        raise UsageError(f"{name}: set {CONNECTION_STRING} to the connection string of the namespace or of the hub")
    connection = parse_connection_string(text)
    hubs = tuple(entry for entry in url.host.split(",") if entry)
    if url.path:
        raise UsageError(f"{url} has a path; the URL names only hubs: eventhubs://HUB")
    if connection.hub and hubs and hubs != (connection.hub,):
        message = f"the connection string is only for the hub {connection.hub} (EntityPath), not for {','.join(hubs)}"
        raise UsageError(f"{name}: {message}")
    if not hubs and not connection.hub:
        raise UsageError(f"{name} names no hub: eventhubs://HUB")
    _check_client_settings(name, url.client)
    credentials = {
        "bootstrap.servers": f"{connection.host}:{connection.port}",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "$ConnectionString",
        "sasl.password": text.strip(),
    }
    if "ca" in url.parameters:
        ca = {"ssl.ca.location": url.parameters["ca"]}
    else:
        ca = {}
    return hubs or (str(connection.hub),), SETTINGS | credentials | ca


def _check_client_settings(name: str, client: Mapping[str, str]) -> None:
    """Raises UsageError for settings that Event Hubs refuses, or ignores until a connection breaks."""
    for key in ("compression.type", "compression.codec"):
        if client.get(key, "none") not in COMPRESSIONS:
            raise UsageError(f"{name}: {key}={client[key]}: Event Hubs takes messages with gzip or without compression")
    for key, (least, most) in _RANGES.items():
        value = client.get(key, str(least))
        if not value.isdigit() or not least <= int(value) <= most:
            raise UsageError(f"{name}: {key} is between {least} and {most} for Event Hubs, not {value}")
