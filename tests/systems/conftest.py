"""The counterparts of other systems as fixtures, each started once, and the shop that uses them.

A counterpart that is missing skips its tests and says how to install it; in CI it fails them.
"""

import base64
import json
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.conftest import Evtool, Ran
from tests.support.prerequisites import report_missing
from tests.systems import counterparts, installation
from tests.systems.installation import MissingCounterpartError
from tests.systems.klaviyo_server import SPECIFICATION, KlaviyoServer

CLIENTS = ("stripe", "klaviyo-api", "psycopg")
CANARY = "canary-5ecre7"  # a part of every secret: it must not appear anywhere
USER = "shop"
PASSWORD = f"{CANARY}-p@ss:w/rd"  # with characters that a URL has to escape
WAREHOUSE_SECRET = f"whsec_{base64.b64encode(f'{CANARY}-of-the-warehouse'.encode()).decode()}"
PASSWORD_IN_URL = PASSWORD.replace("@", "%40").replace(":", "%3A").replace("/", "%2F")


# --- installed counterparts ----------------------------------------------------------------------------------------


@cache
def find_counterparts(report: Callable[[str], None]) -> dict[str, tuple[str, Path | str]]:
    """Returns name and version of each counterpart, with its path or the reason why it is missing."""
    python = installation.PYTHON_PACKAGES
    sources: dict[str, tuple[Callable[[], Path], Callable[[Path], str]]] = {
        "python": (
            lambda: installation.install_python(report),
            lambda _: ", ".join(package.replace("==", " ") for package in (python[0], python[2])),
        ),
        "moto": (
            lambda: installation.install_moto(report),
            lambda _: f"moto {installation.MOTO_PACKAGES[0].partition('==')[2]}",
        ),
        "stripe-mock": (
            lambda: installation.install_stripe_mock(report),
            lambda _: f"stripe-mock {installation.STRIPE_MOCK}",
        ),
        "postgresql": (
            installation.find_postgresql,
            lambda path: f"PostgreSQL {installation.read_postgresql_version(path)}",
        ),
    }
    found: dict[str, tuple[str, Path | str]] = {}
    for name, (obtain, describe) in sources.items():
        try:
            path = obtain()
            found[name] = (describe(path), path)
        except MissingCounterpartError as error:
            found[name] = (f"no {name}", str(error))
    return found


def pytest_report_collectionfinish(config: pytest.Config, items: list[pytest.Item]) -> list[str]:
    """Installs what is missing, and names the counterparts and the clients with their versions."""
    if not any(item.get_closest_marker("systems") for item in items) or config.option.collectonly:
        return []
    names = [name for name, _ in find_counterparts(print).values()]
    names.append(f"Klaviyo OpenAPI {SPECIFICATION['info']['version']}")
    return [f"counterparts: {', '.join(names)}", f"clients: {', '.join(map(_name_client, CLIENTS))}"]


def _name_client(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"no {package}"


def _require(name: str) -> Path:
    _, path = find_counterparts(print)[name]
    if isinstance(path, str):
        report_missing(path)
    return path


# --- the counterparts, running ---------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _loopback(loopback: None) -> None:
    """These tests connect to servers that they start."""


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the counterparts' logs and files."""
    return tmp_path_factory.mktemp("counterparts")


@pytest.fixture(scope="session")
def localstripe(logs: Path) -> Iterator[str]:
    """The URL of localstripe, which keeps payments and sends webhooks."""
    with counterparts.run_localstripe(_require("python"), logs) as url:
        yield url


@pytest.fixture(scope="session")
def moto(logs: Path) -> Iterator[str]:
    """The URL of moto, which emulates AWS."""
    with counterparts.run_moto(_require("moto"), logs) as url:
        yield url


@pytest.fixture(scope="session")
def stripe_mock(logs: Path) -> Iterator[str]:
    """The URL of stripe-mock, which checks requests against Stripe's OpenAPI."""
    with counterparts.run_stripe_mock(_require("stripe-mock"), logs) as url:
        yield url


@pytest.fixture(scope="session")
def mail_server(logs: Path) -> Iterator[counterparts.MailServer]:
    """A mail server that asks for TLS and a password."""
    with counterparts.run_mail_server(_require("python"), logs, USER, PASSWORD) as server:
        yield server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[int]:
    """The port of a PostgreSQL that asks for a password."""
    with counterparts.run_postgresql(_require("postgresql"), USER, PASSWORD) as port:
        yield port


@pytest.fixture
def database_url(postgresql: int) -> str:
    """The URL of an empty database."""
    psycopg = pytest.importorskip("psycopg")
    base = f"postgresql://{USER}:{PASSWORD_IN_URL}@{counterparts.HOST}:{postgresql}"
    with psycopg.connect(f"{base}/postgres", autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS shop WITH (FORCE)")
        connection.execute("CREATE DATABASE shop")
    return f"{base}/shop"


@pytest.fixture
def klaviyo() -> Iterator[KlaviyoServer]:
    """Klaviyo's API as its published OpenAPI describes it."""
    with KlaviyoServer() as server:
        yield server


# --- the shop --------------------------------------------------------------------------------------------------------


class Shop(NamedTuple):
    """A copy of the shop, and the variables that name its real systems."""

    folder: Path
    variables: dict[str, str]
    evtool: Evtool

    def run(self, *words: str | Path, stdin: bytes = b"", **more: str) -> Ran:
        """Runs evtool in the shop."""
        return self.evtool(*words, stdin=stdin, cwd=self.folder, env=self.variables | more)

    def publish(self, event: dict[str, Any], **more: str) -> dict[str, dict[str, Any]]:
        """Publishes an event and delivers its whole chain. Returns the deliveries by handler."""
        ran = self.run("publish", "-", "-o", "json", stdin=json.dumps(event).encode(), **more)
        assert ran.out, ran.err
        return {delivery["handler"]: delivery for told in ran.json["events"] for delivery in told["deliveries"]}

    def read_events(self, event_type: str) -> list[dict[str, Any]]:
        """The details of the stored events of a type."""
        listed = self.run("events", "--type", event_type, "-o", "json").json["events"]
        return [self.run("events", event["id"], "-o", "json").json["event"]["detail"] for event in listed]


@pytest.fixture
def real_shop(shop: Path, evtool: Evtool) -> Shop:
    """A copy of the shop without any real system: a test adds the variables of those that it needs."""
    return Shop(shop, {"SHOP_DATA": str(shop / "data")}, evtool)


@pytest.fixture
def order(shop: Path) -> dict[str, Any]:
    """The sample order."""
    event: dict[str, Any] = json.loads((shop / "samples/events/order-created.json").read_text())
    return event
