"""The settings of buses: URLs, names in routes.yaml, client settings, connection strings of Event Hubs."""

from pathlib import Path

import pytest

from evtool.buses.kafka.connection import build_connection
from evtool.buses.kafka.event_hubs import parse_connection_string
from evtool.buses.registry import KINDS, open_bus
from evtool.buses.settings import read_settings
from evtool.errors import UsageError
from evtool.routes.models import parse_tiers
from evtool.routes.project import require_project
from tests.conftest import Evtool

KEY = "c2VjcmV0+/c2VjcmV0="
STRING = f"Endpoint=sb://shop.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey={KEY}"


def settings_of(url: str) -> dict[str, str]:
    return dict(build_connection(read_settings(url, None)).settings)


def test_a_kafka_url_names_servers_topics_group_and_key() -> None:
    parameters = "group=g&key=$.detail.orderId&retry=5s,1m&tombstones=skip"
    connection = build_connection(read_settings(f"kafka://a:9092,b:9093/orders,carts?{parameters}", None))

    assert connection.settings == {"bootstrap.servers": "a:9092,b:9093", "security.protocol": "PLAINTEXT"}
    assert connection.topics == ("orders", "carts")
    assert connection.topic == "orders"
    assert connection.group == "g"
    assert connection.key_path == ("detail", "orderId")
    assert connection.tiers == (5, 60)
    assert connection.skips_tombstones


def test_the_defaults() -> None:
    connection = build_connection(read_settings("kafka://a:9092/orders", None))

    assert connection.group == "evtool"
    assert connection.key_path is None
    assert connection.tiers == (5, 60, 600, 3600)


def test_credentials_and_tls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.touch()
    monkeypatch.setenv("KAFKA_PASSWORD", "hunter2")

    assert settings_of(f"kafkas://a:9092/t?ca={ca}&sasl=scram-sha-512&user=bob") == {
        "bootstrap.servers": "a:9092",
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": str(ca),
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "bob",
        "sasl.password": "hunter2",
    }
    assert settings_of("kafka://a:9092/t?sasl=plain&user=bob")["security.protocol"] == "SASL_PLAINTEXT"
    assert settings_of("kafkas://a:9092/t")["security.protocol"] == "SSL"


def test_oauth_gets_its_client_from_user_and_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", "hunter2")

    client = settings_of("kafkas://a:1/t?sasl=oauthbearer&user=shop&client.sasl.oauthbearer.method=oidc")

    assert client["sasl.mechanism"] == "OAUTHBEARER"
    assert client["sasl.oauthbearer.client.id"] == "shop"
    assert client["sasl.oauthbearer.client.secret"] == "hunter2"
    assert client["sasl.oauthbearer.method"] == "oidc"


def test_a_printed_url_has_no_values_of_client_settings() -> None:
    settings = read_settings("kafkas://a:1/t?user=u&client.ssl.key.password=hunter2", None)

    assert settings.display_name == "kafkas://a:1/t?user=u&client.ssl.key.password=..."


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("kafka://a:9092", "names no topic: kafka://a:9092/TOPIC"),
        ("kafka:///t", "names no host"),
        ("kafka://a/t", '"a" is not HOST:PORT, such as localhost:9092'),
        ("kafka://a:99999/t", '"a:99999" is not HOST:PORT'),
        ("kafka://a:1/t,t", "names a topic twice"),
        ("kafka://a:1/t t", '"t t" cannot be the name of a topic'),
        ("kafka://a:1/..", '".." cannot be the name of a topic'),
        (f"kafka://a:1/{'t' * 250}", "cannot be the name of a topic"),
        ("kafka://a:1/t?gruop=g", 'there is no parameter gruop; did you mean "group"?'),
        ("kafka://a:1/t?group=g&group=h", "the parameter group is in the URL of the bus twice"),
        ("kafka://a:1/t?key=a..b", "key=a..b is not a path into the event"),
        ("kafka://a:1/t?sasl=md5&user=u", "sasl is one of plain, scram-sha-256, scram-sha-512, oauthbearer, not md5"),
        ("kafka://a:1/t?sasl=plain&user=u", "no password for user u: set KAFKA_PASSWORD"),
        ("kafka://a:1/t?sasl=plain", "sasl=plain needs user=NAME"),
        ("kafka://a:1/t?user=u", "user needs sasl="),
        ("kafka://a:1/t?ca=x", "ca is for TLS; write kafkas:// instead of kafka://"),
        ("kafkas://a:1/t?ca=x", "there is no file x (ca)"),
        ("kafka://a:1/t?client.group.id=x", "evtool sets group.id itself; use group=..."),
        ("kafka://a:1/t?client.sasl.password=x", "the password is in KAFKA_PASSWORD"),
        ("kafka://a:1/t?client.acks=1", "evtool sets acks itself; leave it out"),
        ("kafka://a:1/t?tombstones=keep", "tombstones=skip skips them"),
        ("kafka://a:1/t?retry=1m,5s", "each pause should be longer than the one before"),
        ("kafka://a:1/t?retry=soon", "a length of time is a number with a unit"),
        ("kafak://a:1/t", "there is no kind of bus kafak; a bus is one of kafka://HOST:PORT/TOPIC"),
        ("file:events.json", "a file as a bus has a name that ends with .jsonl"),
        ("prod", "there is no bus prod in routes.yaml, which has no `buses`"),
    ],
)
def test_settings_that_cannot_be_right(url: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        open_bus(read_settings(url, None))

    assert message in str(error.value)


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(UsageError) as error:
        read_settings("kafka://bob:hunter2@a:1/t", None)

    assert "hunter2" not in str(error.value)
    assert "KAFKA_PASSWORD" in str(error.value)


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("eventbridge://bob:hunter2@orders", "AWS_PROFILE"),
        ("eventhubs://bob:hunter2@hub", "EVENTHUBS_CONNECTION_STRING"),
    ],
)
def test_advice_on_a_password_in_a_url_is_about_its_kind_of_bus(url: str, advice: str) -> None:
    with pytest.raises(UsageError, match=advice) as error:
        read_settings(url, None)

    assert "KAFKA" not in str(error.value)
    assert "hunter2" not in str(error.value)


def test_an_empty_bus_is_a_variable_that_is_not_set() -> None:
    with pytest.raises(UsageError, match="the name or URL of the bus is empty"):
        read_settings("", None)


def test_tiers() -> None:
    assert parse_tiers(["5s", "1m"]) == (5, 60)
    assert parse_tiers("none") == ()
    for wrong in ([], ["5s", "5s"], ["0s"], 5):
        with pytest.raises(ValueError, match="pause"):
            parse_tiers(wrong)


# --- names in routes.yaml --------------------------------------------------------------------------------------------

NAMED = """version: 1
buses:
  prod: {url: "kafkas://${KAFKA_HOST}/orders?sasl=plain&user=shop", password: "${SHOP_PASSWORD}", retry: [5s, 1m]}
  plain: {url: "kafka://a:1/orders", retry: none}
"""


@pytest.fixture
def named(tmp_path: Path) -> str:
    (tmp_path / "routes.yaml").write_text(NAMED)
    return str(tmp_path / "routes.yaml")


def test_a_name_has_its_settings_in_routes_yaml(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_HOST", "a:1")
    monkeypatch.setenv("SHOP_PASSWORD", "hunter2")
    project = require_project(named)

    connection = build_connection(read_settings("prod", project))

    assert connection.name == "prod"
    assert connection.settings["bootstrap.servers"] == "a:1"
    assert connection.settings["sasl.password"] == "hunter2"
    assert connection.tiers == (5, 60)
    assert build_connection(read_settings("plain", project)).tiers == ()


def test_a_variable_of_a_bus_that_is_not_set(named: str) -> None:
    with pytest.raises(UsageError, match=r"buses.prod: \$\{KAFKA_HOST\} is not set in the environment"):
        read_settings("prod", require_project(named))


def test_a_misspelled_name(named: str) -> None:
    with pytest.raises(UsageError, match=r'there is no bus prd in `buses` of .*; did you mean "prod"'):
        read_settings("prd", require_project(named))


# --- Event Hubs ------------------------------------------------------------------------------------------------------


def test_event_hubs_need_only_a_connection_string(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENTHUBS_CONNECTION_STRING", STRING)

    connection = build_connection(read_settings("eventhubs://orders?group=g", None))

    assert connection.topics == ("orders",)
    assert connection.is_event_hubs
    wanted = {
        "bootstrap.servers": "shop.servicebus.windows.net:9093",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "$ConnectionString",
        "sasl.password": STRING,
        "compression.type": "none",
        "message.max.bytes": "1000000",
    }
    assert wanted.items() <= dict(connection.settings).items()


def test_the_parts_of_a_connection_string() -> None:
    assert parse_connection_string(STRING) == ("shop.servicebus.windows.net", 9093, None)
    assert parse_connection_string(f"{STRING};EntityPath=orders;") == ("shop.servicebus.windows.net", 9093, "orders")
    with_port = STRING.replace("net/", "net:10000/").replace("Endpoint", "endpoint")
    assert parse_connection_string(with_port).port == 10000


@pytest.mark.parametrize(
    ("string", "url", "message"),
    [
        (None, "eventhubs://orders", "set EVENTHUBS_CONNECTION_STRING to the connection string"),
        ("nonsense", "eventhubs://orders", "is not a connection string of Event Hubs"),
        (STRING.replace("SharedAccessKeyName=Root;", ""), "eventhubs://orders", "has no SharedAccessKeyName"),
        (f"{STRING};SharedAccessSignature=x", "eventhubs://orders", "SharedAccessSignature"),
        (STRING.replace("sb://", "http://"), "eventhubs://orders", "is not sb://NAME.servicebus.windows.net/"),
        (f"{STRING};EntityPath=carts", "eventhubs://orders", "only for the hub carts (EntityPath), not for orders"),
        (STRING, "eventhubs://", "names no hub: eventhubs://HUB"),
        (STRING, "eventhubs://orders/x", "has a path"),
        (STRING, "eventhubs://orders?sasl=plain", "sasl is not for Event Hubs"),
        (STRING, "eventhubs://orders?client.compression.type=lz4", "gzip or without compression"),
        (STRING, "eventhubs://orders?client.message.max.bytes=2000000", "between 1 and 1046528"),
        (STRING, "eventhubs://orders?client.session.timeout.ms=1000", "between 6000 and 300000"),
    ],
)
def test_a_url_that_event_hubs_would_refuse_is_refused(
    string: str | None, url: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if string is not None:
        monkeypatch.setenv("EVENTHUBS_CONNECTION_STRING", string)

    with pytest.raises(UsageError) as error:
        build_connection(read_settings(url, None))

    assert message in str(error.value)
    assert KEY not in str(error.value)


def test_the_hub_of_the_connection_string_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENTHUBS_CONNECTION_STRING", f"{STRING};EntityPath=orders")

    assert build_connection(read_settings("eventhubs://", None)).topics == ("orders",)


@pytest.mark.parametrize("command", ["publish", "push", "pull", "deliver"])
def test_the_help_of_a_command_names_every_bus_that_it_takes(command: str, evtool: Evtool) -> None:
    text = " ".join(evtool(command, "--help").out.split())

    for scheme, kind in KINDS.items():
        is_usable = command in ("publish", "push") or kind.is_readable
        if command == "deliver":
            is_usable = scheme in ("kafka", "kafkas", "eventhubs")
        assert (kind.form in text) == is_usable, kind.form
