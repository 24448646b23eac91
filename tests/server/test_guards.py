"""Requests from web pages, for foreign hosts and without the token are refused before anything of them is used."""

from collections.abc import Iterator

import pytest

from evtool.server.context import Settings
from evtool.server.http.guards import COOKIE, compute_session, find_token
from tests.support.server import RunningServer, make_project, run_server

TOKEN = "0123456789abcdef-secret"
EVENT = {"id": "1", "detail-type": "order.created", "source": "shop", "detail": {}}
SIGNED = "AWS4-HMAC-SHA256 Credential={}/20261130/us-east-1/events/aws4_request, SignedHeaders=host, Signature=0"


@pytest.fixture(scope="module")
def locked_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with run_server(make_project(tmp_path_factory.mktemp("project")), Settings(TOKEN)) as running:
        yield running


@pytest.fixture
def locked(locked_module: RunningServer, loopback: None) -> RunningServer:
    """A server with a token."""
    return locked_module.begin_test()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:4010", 200),
        ("localhost", 200),
        ("LOCALHOST:4010", 200),
        ("shop.localhost:1", 200),
        ("[::1]:4010", 200),
        ("192.168.1.5:4010", 200),
        ("host.docker.internal:4010", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example:4010", 403),
        ("evil.example#localhost", 403),
        ("evil.example/localhost", 403),
        ("", 403),
        ("[", 403),
    ],
)
def test_host_must_be_this_computer(server: RunningServer, host: str, status: int) -> None:
    """A name of another computer is refused: a browser was led here by a foreign page (DNS rebinding)."""
    reply = server.send("GET", "/healthz", headers={"Host": host})

    assert reply.status == status
    assert status == 200 or reply.json["__type"] == "AccessDeniedException"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 202),
        ({"Origin": "http://127.0.0.1:4010", "Host": "127.0.0.1:4010"}, 202),
        ({"Sec-Fetch-Site": "same-origin"}, 202),
        ({"Sec-Fetch-Site": "none"}, 202),
        ({"Origin": "http://127.0.0.1:4011", "Host": "127.0.0.1:4010"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_pages_of_other_sites_are_refused(server: RunningServer, headers: dict[str, str], status: int) -> None:
    """A page of another site that has the browser send an event is refused."""
    event = {**EVENT, "id": repr(sorted(headers.items()))}
    reply = server.send("POST", "/events", event, {"Content-Type": "text/plain", **headers})

    assert reply.status == status
    assert len(server.read_events()) == (status == 202)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Authorization": f"Bearer {TOKEN}"}, None),
        ({"Authorization": f"bearer  {TOKEN}"}, None),
        ({"Authorization": SIGNED.format(TOKEN)}, None),
        ({"Authorization": SIGNED.format(TOKEN).replace("HMAC", "ECDSA-P256")}, None),
        ({"Cookie": f"a=b; {COOKIE}={compute_session(TOKEN)}"}, None),
        ({}, "MissingAuthenticationTokenException"),
        ({"Authorization": f"Basic {TOKEN}"}, "MissingAuthenticationTokenException"),
        ({"Authorization": "AWS4-HMAC-SHA256"}, "MissingAuthenticationTokenException"),
        ({"Authorization": "Bearer"}, "UnrecognizedClientException"),
        ({"Authorization": f"Bearer {TOKEN}x"}, "UnrecognizedClientException"),
        ({"Authorization": SIGNED.format("AKIA")}, "UnrecognizedClientException"),
        ({"Cookie": f"{COOKIE}={TOKEN}"}, "MissingAuthenticationTokenException"),
        ({"Authorization": "Bearer \xe9"}, "UnrecognizedClientException"),
    ],
)
def test_token_is_needed(locked: RunningServer, headers: dict[str, str], code: str | None) -> None:
    """The token is a Bearer token, the access key id of an SDK, or behind the cookie of the page."""
    good = {"Entries": [{"Source": "shop", "DetailType": "order.created", "Detail": "{}"}]}
    reply = locked.call("PutEvents", good, headers)

    assert reply.status == (401 if code else 200)
    assert reply.json.get("__type") == code
    assert TOKEN.encode() not in reply.body
    assert TOKEN not in "".join(locked.read_log())
    assert len(locked.read_events()) == (0 if code else 1)


def test_health_needs_no_token(locked: RunningServer) -> None:
    """A load balancer asks without a token, and any name is allowed with one."""
    assert locked.send("GET", "/healthz").status == 200
    assert locked.send("GET", "/healthz", headers={"Host": "evtool.example:4010"}).status == 200


def test_browser_is_sent_to_the_form(locked: RunningServer) -> None:
    """A person without the token gets to the form for it, a program the error."""
    page = locked.send("GET", "/", headers={"Accept": "text/html,*/*"})

    assert (page.status, page.headers["location"]) == (303, "/login")
    assert locked.send("GET", "/").status == 401


def test_header_that_names_no_token() -> None:
    """Odd headers have no token."""
    assert find_token("") is None
    assert find_token("AWS4-HMAC-SHA256 Credential=") is None
