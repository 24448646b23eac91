"""How a Kafka cluster or an Event Hubs namespace is reached: topics, group, key and client settings of a bus."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from evtool.buses.kafka import event_hubs
from evtool.buses.settings import BusSettings, Tiers, read_settings
from evtool.buses.urls import BusUrl
from evtool.errors import UsageError
from evtool.readers.field_paths import Steps, parse_path
from evtool.routes.project import Project

SCHEMES = ("kafka", "kafkas", "eventhubs")
PASSWORD_VARIABLE = "KAFKA_PASSWORD"  # noqa: S105  (its name)
DEFAULT_GROUP = "evtool"
DEFAULT_TIERS: Tiers = (5.0, 60.0, 600.0, 3600.0)
# Characters.
MAX_TOPIC = 249
PARAMETERS = {
    "group": "the consumer group of `deliver`",
    "key": "the path to the key of an event, such as $.detail.orderId",
    "ca": "a file with the certificates of the authorities to trust",
    "sasl": "plain, scram-sha-256, scram-sha-512 or oauthbearer",
    "user": "the user for sasl",
    "retry": "the pauses of the retry topics, such as 5s,1m, or none",
    "tombstones": "skip: messages without a value are counted and skipped",
}
MECHANISMS = {
    "plain": "PLAIN",
    "scram-sha-256": "SCRAM-SHA-256",
    "scram-sha-512": "SCRAM-SHA-512",
    "oauthbearer": "OAUTHBEARER",
}
# evtool promises something about each of these: no group and no commit when it reads, no lost event when it sends
FIXED_SETTINGS = frozenset(
    ("bootstrap.servers", "metadata.broker.list", "group.id", "group.protocol", "group.instance.id", "acks")
) | {
    *("request.required.acks", "enable.auto.commit", "enable.auto.offset.store", "enable.partition.eof"),
    *("auto.offset.reset", "allow.auto.create.topics", "transactional.id", "sasl.mechanism", "sasl.mechanisms"),
    *("sasl.username", "sasl.password", "security.protocol", "partition.assignment.strategy", "isolation.level"),
}


class KafkaConnection(NamedTuple):
    """A cluster and what is used of it. `settings` contain the password, so they are never printed."""

    # The name of the bus in messages.
    name: str
    # Events are sent to the first one.
    topics: tuple[str, ...]
    # Settings of the client library: how to connect, and `client.NAME` of the URL.
    settings: Mapping[str, str]
    group: str = DEFAULT_GROUP
    key_path: Steps | None = None
    tiers: Tiers = DEFAULT_TIERS
    skips_tombstones: bool = False
    # Event Hubs creates no topics and has its own limits.
    is_event_hubs: bool = False

    @property
    def topic(self) -> str:
        """The topic that events are sent to."""
        return self.topics[0]

    @property
    def kind(self) -> str:
        """What the bus is, for messages."""
        if self.is_event_hubs:
            return "Event Hubs"
        return "Kafka"

    @property
    def topic_word(self) -> str:
        """What the bus calls a topic."""
        if self.is_event_hubs:
            return "hub"
        return "topic"


def open_kafka(bus: str, project: Project | None, reason: str) -> KafkaConnection:
    """Returns the connection of a bus that the command line names. Raises UsageError with `reason` for other kinds."""
    settings = read_settings(bus, project)
    if settings.url.scheme not in SCHEMES:
        raise UsageError(f"{settings.display_name}: {reason}")
    return build_connection(settings)


def build_connection(settings: BusSettings) -> KafkaConnection:
    """Returns the connection that the settings of a bus describe. Raises UsageError if they are invalid."""
    url = settings.url
    url.check_parameters(PARAMETERS)
    for name in url.client:
        if name in FIXED_SETTINGS:
            raise UsageError(f"{settings.display_name}: evtool sets {name} itself; {_suggest_parameter(name)}")
    if url.scheme == "eventhubs":
        topics, client = event_hubs.build_settings(settings)
    else:
        topics, client = _read_topics(url), _build_settings(settings)
    for topic in topics:
        check_topic_name(topic)
    tombstones = url.parameters.get("tombstones")
    if tombstones not in (None, "skip"):
        raise UsageError(f"{settings.display_name}: tombstones={tombstones} means nothing; tombstones=skip skips them")
    tiers = settings.retry
    if tiers is None:
        tiers = DEFAULT_TIERS
    return KafkaConnection(
        name=settings.display_name,
        topics=topics,
        settings={**client, **url.client},
        group=url.parameters.get("group") or DEFAULT_GROUP,
        key_path=_read_key_path(url),
        tiers=tiers,
        skips_tombstones=tombstones is not None,
        is_event_hubs=url.scheme == "eventhubs",
    )


def check_topic_name(name: str) -> None:
    """Raises UsageError for what cannot be the name of a topic."""
    is_plain = all(character.isascii() and (character.isalnum() or character in "._-") for character in name)
    if not is_plain or not 0 < len(name) <= MAX_TOPIC or name in (".", ".."):
        rule = f'it has letters, digits, ".", "_" and "-", at most {MAX_TOPIC}'
        raise UsageError(f'"{name[:60]}" cannot be the name of a topic: {rule}')


def _read_topics(url: BusUrl) -> tuple[str, ...]:
    if not url.host:
        raise UsageError(f"{url} names no host: {url.scheme}://HOST:PORT/TOPIC")
    for server in url.host.split(","):
        port = server.rpartition(":")[2]
        if not server.rpartition(":")[0] or not port.isdigit() or not 0 < int(port) < 65536:
            raise UsageError(f'{url}: "{server}" is not HOST:PORT, such as localhost:9092')
    topics = tuple(url.path.split(","))
    if not url.path:
        raise UsageError(f"{url} names no topic: {url.scheme}://{url.host}/TOPIC")
    if len(set(topics)) < len(topics):
        raise UsageError(f"{url} names a topic twice")
    return topics


def _read_key_path(url: BusUrl) -> Steps | None:
    path = url.parameters.get("key")
    if path is None:
        return None
    try:
        return parse_path(path)
    except ValueError:
        raise UsageError(f"{url}: key={path} is not a path into the event, such as $.detail.orderId") from None


def _build_settings(settings: BusSettings) -> dict[str, str]:
    """Returns the client settings of a kafka or kafkas URL: the servers, TLS and SASL."""
    url, parameters = settings.url, settings.url.parameters
    has_tls, mechanism = url.scheme == "kafkas", parameters.get("sasl", "").lower()
    if mechanism and mechanism not in MECHANISMS:
        raise UsageError(f"{settings.display_name}: sasl is one of {', '.join(MECHANISMS)}, not {mechanism}")
    if "ca" in parameters and not has_tls:
        raise UsageError(f"{settings.display_name}: ca is for TLS; write kafkas:// instead of kafka://")
    protocol = "PLAINTEXT"
    if has_tls:
        protocol = "SSL"
    if mechanism:
        protocol = f"SASL_{protocol}"
    client = {"bootstrap.servers": url.host, "security.protocol": protocol}
    if "ca" in parameters:
        if not Path(parameters["ca"]).is_file():
            raise UsageError(f"{settings.display_name}: there is no file {parameters['ca']} (ca)")
        client["ssl.ca.location"] = parameters["ca"]
    if mechanism:
        client |= _build_sasl(settings, mechanism)
    elif "user" in parameters:
        raise UsageError(f"{settings.display_name}: user needs sasl={'|'.join(MECHANISMS)}")
    return client


def _build_sasl(settings: BusSettings, mechanism: str) -> dict[str, str]:
    user = settings.url.parameters.get("user")
    password = settings.password or os.environ.get(PASSWORD_VARIABLE)
    client = {"sasl.mechanism": MECHANISMS[mechanism]}
    # With method=oidc the secret is that of a client. Other methods need no secret.
    if mechanism == "oauthbearer":
        credentials = {"sasl.oauthbearer.client.id": user, "sasl.oauthbearer.client.secret": password}
        return client | {name: value for name, value in credentials.items() if value}
    if not user:
        raise UsageError(f"{settings.display_name}: sasl={mechanism} needs user=NAME in the URL")
    if not password:
        action = f"set {PASSWORD_VARIABLE}, or `password` of the bus in routes.yaml"
        raise UsageError(f"{settings.display_name}: no password for user {user}: {action}")
    return client | {"sasl.username": user, "sasl.password": password}


def _suggest_parameter(name: str) -> str:
    parameters = {"group.id": "group", "sasl.username": "user", "sasl.mechanism": "sasl", "sasl.mechanisms": "sasl"}
    if name == "sasl.password":
        return f"the password is in {PASSWORD_VARIABLE}"
    if name == "security.protocol":
        return "kafkas:// is with TLS, sasl=... with a user"
    if name in parameters:
        return f"use {parameters[name]}=..."
    return "leave it out"
