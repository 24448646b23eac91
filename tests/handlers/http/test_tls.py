"""TLS is always checked: the certificate must be valid, for this host, and from an authority that is trusted."""

import ssl

import pytest
import trustme

from evtool.handlers.base import Done, Failed, Unavailable
from evtool.handlers.http import KIND
from tests.support.http_servers import Server, responds, sends


def test_authority_in_ca_is_trusted(send, certificates):
    """In addition to those of the system."""
    with Server(responds(200), tls=certificates.serve("127.0.0.1")) as server:
        assert send(server.url, ca=str(certificates.file)) == Done()


def test_unknown_authority_is_refused(send, certificates):
    """Without `ca`, evtool sends nothing."""
    with Server(responds(200), tls=certificates.serve("127.0.0.1")) as server:
        outcome = send(server.url)

    assert outcome.error == "TLS: the certificate of the server is signed by an authority that is not trusted"
    assert (outcome.outcome, outcome.final) == ("failed", False)
    assert server.requests == []


def test_certificate_for_another_host_is_refused(send, certificates):
    with Server(responds(200), tls=certificates.serve("other.example")) as server:
        outcome = send(server.url, ca=str(certificates.file))

    assert outcome.error == "TLS: the certificate of the server is for another address"
    assert server.requests == []


def test_name_in_the_url_counts(send, certificates, monkeypatch):
    """The address does not count."""
    monkeypatch.setattr("socket.getaddrinfo", lambda *a, **o: [(2, 1, 6, "", ("127.0.0.1", server.port))])
    with Server(responds(200), tls=certificates.serve("127.0.0.1", "other.example")) as server:
        outcome = send(f"https://shop.example:{server.port}/", ca=str(certificates.file))
        assert send(f"https://other.example:{server.port}/", ca=str(certificates.file)) == Done()

    assert outcome.error == "TLS: the certificate of the server is for another host"


def test_expired_certificate_is_refused(send, certificates):
    with Server(responds(200), tls=certificates.serve("127.0.0.1", expired=True)) as server:
        outcome = send(server.url, ca=str(certificates.file))

    assert outcome.error == "TLS: the certificate of the server has expired"
    assert server.requests == []


def test_self_signed_certificate_is_refused(send, tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    with Server(responds(200), tls=context) as server:
        assert send(server.url, ca="other.pem").error.startswith("TLS: the certificate of the server")

    assert server.requests == []


@pytest.mark.parametrize("answer", [sends(b"HTTP/1.1 400 Bad Request\r\n\r\n"), sends(b"SSH-2.0-OpenSSH\r\n"), sends()])
def test_server_without_tls_gets_no_request(send, answer):

    def first(server, connection):
        connection.recv(1)
        answer(server, connection)

    with Server(first, reads=False) as server:
        outcome = send(server.url.replace("http:", "https:"))

    assert isinstance(outcome, Failed)
    assert outcome.error.startswith("TLS: ") or outcome.error.startswith("the connection was closed")
    assert (outcome.outcome, outcome.final) == ("failed", False)


def test_time_limit_covers_the_handshake(send):
    """The server sends nothing."""
    with Server(lambda server, _: server.released.wait(), reads=False) as server:
        outcome = send(server.url.replace("http:", "https:"), timeout="300ms")

    assert outcome == Failed("took longer than 0.3s (timeout)", "timeout")


def test_unreadable_ca_file_cannot_be_loaded(send, tmp_path):
    """It is a mistake in the project."""
    (tmp_path / "empty.pem").write_text("no certificate")
    url = "https://127.0.0.1:1"

    assert send(url, ca="missing.pem") == Unavailable(
        f"`ca`: {tmp_path}/missing.pem cannot be read: No such file or directory", "EV501"
    )
    assert send(url, ca="empty.pem") == Unavailable(
        f"`ca`: {tmp_path}/empty.pem contains no certificate in PEM form", "EV501"
    )


def test_connect_opens_tls_without_a_request(certificates, tmp_path):
    with Server(responds(200), tls=certificates.serve("127.0.0.1")) as server:
        trusting = KIND.options.model_validate({"http": server.url, "ca": str(certificates.file)})
        doubting = KIND.options.model_validate({"http": server.url})
        assert KIND.open("hook", trusting, tmp_path).connect() is None
        failure = KIND.open("hook", doubting, tmp_path).connect()

    assert failure.code is None
    assert "an authority that is not trusted" in failure.reason
    assert server.requests == []
