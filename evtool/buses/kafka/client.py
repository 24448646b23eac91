"""Opens clients of the Kafka library, and finds out within seconds why a cluster or a topic cannot be used."""

import logging
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from evtool.buses.kafka.connection import KafkaConnection
from evtool.errors import UsageError
from evtool.findings.spelling import did_you_mean

if TYPE_CHECKING:
    import confluent_kafka

INSTALL = "install it with: pip install 'evtool-workbench[kafka]'"
# Seconds until a cluster that does not answer counts as unusable.
CONNECT_TIMEOUT = 10.0
# Seconds, if every server refuses connections or has an unknown name.
REFUSAL_TIMEOUT = 3.0
# Bytes that a batch has in addition to its messages.
BATCH_OVERHEAD = 200
# Bytes. This is the library's own limit.
MAX_CLIENT_MESSAGE = 1_000_000_000
# Seconds for a single request for metadata.
_STEP = 0.25
# Without a logger, the library writes to standard error.
_LOG_NOTHING = logging.getLogger("evtool.kafka")
_LOG_NOTHING.addHandler(logging.NullHandler())
_LOG_NOTHING.propagate = False

Settings = dict[str, Any]


def import_library() -> Any:
    """Returns the module `confluent_kafka`. Raises UsageError with the install line."""
    try:
        import confluent_kafka  # noqa: PLC0415  (an extra, and it takes long to import)
    except ImportError:
        raise UsageError(f"Kafka needs the package confluent-kafka; {INSTALL}") from None
    return confluent_kafka


class ClientErrors:
    """The errors that a client reports by a callback: lost connections, wrong credentials.

    The client itself goes on trying, so only some of them end a command.
    """

    def __init__(self, connection: KafkaConnection):
        self._connection = connection
        self.last: confluent_kafka.KafkaError | None = None
        # The last error that says more than that no server is left.
        self.reason = ""
        # No server can be reached.
        self.is_cut_off = False

    def add(self, error: "confluent_kafka.KafkaError") -> None:
        """Takes an error: the `error_cb` of a client."""
        name = error.name()
        self.is_cut_off = self.is_cut_off or name == "_ALL_BROKERS_DOWN"
        if name != "_ALL_BROKERS_DOWN":
            self.reason = clean_reason(error)
        if self.last is None or name in _FINAL or self.last.name() not in _FINAL:
            self.last = error

    def check(self) -> None:
        """Raises UsageError if an error cannot go away by itself: wrong credentials or certificates."""
        if self.last is not None and (hint := _FINAL.get(self.last.name())):
            raise UsageError(f"{self._connection.name}: {clean_reason(self.last)}; {hint}")
        if self.last is not None and self.last.fatal():
            raise UsageError(f"{self._connection.name}: {clean_reason(self.last)}")

    def describe(self) -> str:
        """Returns the last reason why nothing can be reached."""
        return self.reason or "no answer"


_FINAL = {
    "_AUTHENTICATION": "check the user and the password (KAFKA_PASSWORD, EVENTHUBS_CONNECTION_STRING, or `buses`)",
    "SASL_AUTHENTICATION_FAILED": "check the user and the password",
    "UNSUPPORTED_SASL_MECHANISM": "check sasl in the URL",
    "_SSL": "check ca in the URL, and that the server speaks TLS on this port",
    "CLUSTER_AUTHORIZATION_FAILED": "the user may not use this cluster so",
}


def clean_reason(error: "confluent_kafka.KafkaError") -> str:
    """Returns the text of an error without the client's name for its connection, on one line."""
    text = " ".join(error.str().split())
    if text.startswith(("sasl_", "ssl://")) or "/bootstrap: " in text:
        text = text.partition(": ")[2] or text
    return text.rstrip(".")


def open_consumer(connection: KafkaConnection, errors: ClientErrors, **settings: Any) -> "confluent_kafka.Consumer":
    """Returns a consumer that neither joins a group nor commits, unless `settings` (with `_` for `.`) say otherwise."""
    own: Settings = {
        # The library requires a group. It is never joined.
        "group.id": f"evtool-{uuid.uuid4().hex}",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "allow.auto.create.topics": False,
        "isolation.level": "read_committed",
    }
    kind = import_library().Consumer
    consumer: confluent_kafka.Consumer = _open(kind, connection, errors, own | _dotted(settings))
    return consumer


def open_producer(
    connection: KafkaConnection, errors: ClientErrors, delivery_timeout: float, message_limit: int | None
) -> "confluent_kafka.Producer":
    """Returns a producer that confirms a message when all replicas have it, and writes it once.

    `delivery_timeout`: seconds until a message that is not confirmed is reported as failed. `message_limit`: the most
    bytes that the topic takes, if known.
    """
    defaults = {"enable.idempotence": True, "linger.ms": 5, "delivery.timeout.ms": round(delivery_timeout * 1000)}
    if message_limit is not None:
        # a broker refuses a whole batch if it is longer, so the client has to know the limit
        defaults["message.max.bytes"] = min(max(message_limit - BATCH_OVERHEAD, 1000), MAX_CLIENT_MESSAGE)
    own: Settings = {name: value for name, value in defaults.items() if name not in connection.settings}
    kind = import_library().Producer
    producer: confluent_kafka.Producer = _open(kind, connection, errors, {"acks": "all", **own})
    return producer


def read_message_limit(connection: KafkaConnection, topic: str) -> int | None:
    """Returns the most bytes that a topic takes in one request; None if the cluster does not say."""
    library = import_library()
    admin_library: Any = import_module("confluent_kafka.admin")
    admin = open_admin(connection, ClientErrors(connection))
    resource = admin_library.ConfigResource(admin_library.ResourceType.TOPIC, topic)
    try:
        entries = admin.describe_configs([resource], request_timeout=CONNECT_TIMEOUT)[resource].result(CONNECT_TIMEOUT)
        return int(entries["max.message.bytes"].value)
    except (library.KafkaException, TimeoutError, KeyError, ValueError, TypeError):
        # The user may not ask for it, or Event Hubs does not answer it.
        return None


def open_admin(connection: KafkaConnection, errors: ClientErrors) -> Any:
    """Returns an admin client. Keep it in a variable until its futures are done."""
    import_library()
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415

    return _open(AdminClient, connection, errors, {})


def check_topics(connection: KafkaConnection, topics: Iterable[str] | None = None) -> dict[str, int]:
    """Returns the numbers of partitions of topics: by default those of the connection. Nothing is created.

    Raises UsageError within seconds if the cluster cannot be reached, refuses the credentials or lacks a topic.
    """
    errors = ClientErrors(connection)
    client = open_consumer(connection, errors)
    try:
        return read_partitions(client, connection, errors, connection.topics if topics is None else topics)
    finally:
        client.close()


def read_partitions(
    client: Any, connection: KafkaConnection, errors: ClientErrors, topics: Iterable[str]
) -> dict[str, int]:
    """`check_topics` with a client that is open: a consumer, so that asking does not create a topic."""
    partitions: dict[str, int] = {}
    missing = []
    for topic in topics:
        metadata = request_metadata(connection, errors, client, topic)
        entry = metadata.topics[topic]
        name = ""
        if entry.error:
            name = entry.error.name()
        if name in ("UNKNOWN_TOPIC_OR_PART", "UNKNOWN_TOPIC_OR_PARTITION", "_UNKNOWN_TOPIC"):
            missing.append(topic)
        elif name == "TOPIC_AUTHORIZATION_FAILED":
            raise UsageError(f"{connection.name}: the user may not read the {connection.topic_word} {topic}")
        elif entry.error and not entry.partitions:
            raise UsageError(f"{connection.name}: the {connection.topic_word} {topic}: {clean_reason(entry.error)}")
        partitions[topic] = len(entry.partitions)
    if missing:
        raise UsageError(_describe_missing(connection, client, missing))
    return partitions


def request_metadata(connection: KafkaConnection, errors: ClientErrors, client: Any, topic: str | None = None) -> Any:
    """Returns the metadata of a topic, or of all. Raises UsageError within seconds if there is no answer."""
    library = import_library()
    start = time.monotonic()
    while True:
        try:
            if topic is None:
                return client.list_topics(timeout=_STEP)
            return client.list_topics(topic, timeout=_STEP)
        except library.KafkaException as error:
            problem = error.args[0]
        # The library calls the error callback in `poll`.
        client.poll(0)
        errors.check()
        seconds = time.monotonic() - start
        if seconds > CONNECT_TIMEOUT or (errors.is_cut_off and seconds > REFUSAL_TIMEOUT):
            reason = errors.reason or clean_reason(problem)
            servers = connection.settings["bootstrap.servers"]
            hint = "check the address, whether the port expects TLS, and whether the broker runs"
            raise UsageError(f"{connection.name}: no answer from {servers}: {reason}; {hint}") from None


def _open(kind: Callable[..., Any], connection: KafkaConnection, errors: ClientErrors, own: Mapping[str, Any]) -> Any:
    library = import_library()
    common = {"client.id": "evtool", "error_cb": errors.add, "logger": _LOG_NOTHING}
    try:
        return kind({**common, **connection.settings, **own})
    except (library.KafkaException, TypeError, ValueError) as error:
        problem = error.args[0]
        if hasattr(problem, "str"):
            reason = clean_reason(problem)
        else:
            reason = str(problem)
        raise UsageError(f"{connection.name}: the client does not take these settings: {reason}") from None


def _dotted(settings: Mapping[str, Any]) -> Settings:
    return {name.replace("_", "."): value for name, value in settings.items()}


def _describe_missing(connection: KafkaConnection, client: Any, missing: list[str]) -> str:
    """Returns a message about missing topics, and what to do."""
    library = import_library()
    try:
        known = [name for name in client.list_topics(timeout=2).topics if not name.startswith("__")]
    except library.KafkaException:
        known = []
    word = connection.topic_word
    if len(missing) == 1:
        names = f"{word} {missing[0]}"
    else:
        names = f"{word}s {', '.join(missing)}"
    hint = None
    if len(missing) == 1:
        hint = did_you_mean(missing[0], known)
    action = "create it first (kafka-topics.sh --create)"
    if connection.is_event_hubs:
        action = "create it in Azure first"
    return f"{connection.name}: there is no {names}; {hint or action}"
