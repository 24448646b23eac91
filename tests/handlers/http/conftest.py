"""What the tests of http handlers share: a way to call one, and certificates."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from evtool.handlers.base import Call, Outcome
from evtool.handlers.http import KIND

EVENT = b'{"id": "e-1", "source": "shop.checkout", "detail-type": "order.created", "detail": {"total": 5}}'
CALL = Call(EVENT, "e-1", "order.created", "to-hook", 1, event_source="shop.checkout")

Send = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def _loopback(loopback: None) -> None:
    """All of them connect to servers of their own."""


@pytest.fixture
def send(tmp_path: Path) -> Send:
    """Calls a handler with these options, as routes.yaml has them."""

    def call(url: str, call: Call = CALL, **options: Any) -> Outcome:
        checked = KIND.options.model_validate({"http": url, "timeout": "60s", **options})
        return KIND.open("hook", checked, tmp_path)(call)

    return call


class Certificates:
    """An authority that signs certificates for servers."""

    def __init__(self, folder: Path):
        self.authority = trustme.CA()
        self.file = folder / "ca.pem"
        self.authority.cert_pem.write_to_path(str(self.file))

    def serve(self, *names: str, expired: bool = False) -> ssl.SSLContext:
        """The context of a server with a certificate for these names."""
        end = datetime.now(UTC) - timedelta(days=1) if expired else None
        certificate = self.authority.issue_cert(*names, not_after=end)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        return context


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority of the tests."""
    return Certificates(tmp_path_factory.mktemp("certificates"))
