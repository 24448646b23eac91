"""evtool never calls link-local addresses, which serve credentials in clouds, in any notation or by any name."""

import socket

import pytest
from pydantic import ValidationError

from evtool.handlers.base import Done, Unavailable
from tests.support.http_servers import Server, responds

LINK_LOCAL = [
    "169.254.169.254",
    "169.254.169.254.",
    "169.254.0.1:8080",
    "169.254.43518",
    "2852039166",
    "0xA9FEA9FE",
    "0251.0376.0251.0376",
    "[fe80::1]",
    "[FEBF::1]",
    "[fe80::1%25eth0]",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[::169.254.169.254]",
    "[64:ff9b::169.254.169.254]",
    "[2002:a9fe:a9fe::1]",
    "[fd00:ec2::254]",
]


@pytest.fixture(autouse=True)
def connections(monkeypatch):
    """The addresses to which a test connects."""
    made = []
    connect = socket.socket.connect
    monkeypatch.setattr(socket.socket, "connect", lambda self, place: made.append(place) or connect(self, place))
    return made


@pytest.mark.parametrize("host", LINK_LOCAL)
def test_link_local_address_in_routes_is_refused(send, host, connections):
    """evtool refuses it when it loads routes.yaml."""
    with pytest.raises(ValidationError, match="has a link-local address, which evtool never calls"):
        send(f"http://{host}/latest/meta-data")

    assert connections == []


@pytest.mark.parametrize("host", LINK_LOCAL)
def test_link_local_address_in_a_variable_is_refused(send, host, monkeypatch, connections):
    """The message does not show the value of the variable."""
    monkeypatch.setenv("HOOK", f"http://{host}/latest")

    assert send("${HOOK}") == Unavailable("${HOOK} has a link-local address, which evtool never calls", "EV501")
    assert connections == []


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fe80::1", "fe80::1%lo", "::ffff:169.254.169.254", "fd00:ec2::254"]
)
def test_link_local_address_of_a_name_is_not_called(send, address, monkeypatch, connections):
    """evtool checks the address after it has looked up the name."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **o: [(family, 1, 6, "", (address, 80))])

    outcome = send("http://metadata.example/latest")

    assert outcome == Unavailable("http://metadata.example has a link-local address, which evtool never calls", "EV501")
    assert connections == []


def test_connection_goes_to_the_checked_address(send, monkeypatch, connections):
    """evtool looks up a name once. A second answer could have another address."""
    answers = ["127.0.0.1", "169.254.169.254"]

    def look_up(host, port, *arguments, flags=0, **options):
        if flags:
            raise socket.gaierror
        return [(socket.AF_INET, 1, 6, "", (answers.pop(0), port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with Server(responds(200)) as server:
        assert send(f"http://rebinding.example:{server.port}/") == Done()

    assert answers == ["169.254.169.254"]
    assert connections == [("127.0.0.1", server.port)]
    assert server.requests[0].headers["host"] == f"rebinding.example:{server.port}"


def test_other_addresses_of_a_name_are_tried(send, monkeypatch, connections):
    """evtool tries the addresses that are not link-local in turn."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with Server(responds(200)) as server:
        places = [("169.254.1.1", server.port), ("127.0.0.1", port), ("127.0.0.1", server.port)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **o: [(2, 1, 6, "", place) for place in places])
        assert send(f"http://several.example:{server.port}/") == Done()

    assert connections == places[1:]


def test_redirect_to_a_link_local_address_is_not_followed(send, connections):
    with Server(responds(307, location="http://169.254.169.254/")) as server:
        assert send(server.url).final

    assert connections == [("127.0.0.1", server.port)]


def test_proxy_is_used_only_with_its_option(send, monkeypatch):
    """Variables of the environment name a proxy only for handlers with `proxy: environment`, and not for NO_PROXY."""
    with Server(responds(204)) as proxy, Server(responds(200)) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://user:p%40ss@127.0.0.1:{proxy.port}")
        assert send(server.url) == Done()
        assert proxy.requests == []
        assert send("http://shop.example/hook?a=1", proxy="environment") == Done()
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert send(server.url, proxy="environment") == Done()

    assert [request.line for request in proxy.requests] == ["POST http://shop.example:80/hook?a=1 HTTP/1.1"]
    assert proxy.requests[0].headers["proxy-authorization"] == "Basic dXNlcjpwQHNz"
    assert len(server.requests) == 2


def test_proxy_tunnels_https(send, monkeypatch, certificates):
    """The proxy sees neither the request nor its headers."""
    with Server(responds(502), reads=True) as refusing:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{refusing.port}")
        outcome = send("https://shop.example/hook", proxy="environment", headers={"X-Token": "canary"})

    assert outcome.error == "the proxy does not connect to the server"
    assert refusing.requests[0].line.startswith("CONNECT shop.example:443 ")
    assert "x-token" not in refusing.requests[0].headers


def test_unusable_proxy_is_reported_without_its_url(send, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "socks5://canary:1")

    outcome = send("https://shop.example/hook", proxy="environment")

    assert outcome.code == "EV501"
    assert "canary" not in outcome.reason
