"""Starts and stops the counterparts of other systems, only on loopback."""

import os
import pwd
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.conftest import ROOT

HOST = "127.0.0.1"
READY_WITHIN = 120  # seconds; it matters only if a counterpart does not start

# its own command line listens on all addresses, and writes what it holds into /tmp
LOCALSTRIPE = """
import sys, aiohttp.web, localstripe.resources, localstripe.server
localstripe.resources.store.dump_to_disk = lambda: None
aiohttp.web.run_app(localstripe.server.app, host="127.0.0.1", port=int(sys.argv[1]))
"""
MAIL_SERVER = Path(__file__).with_name("mail_server.py")


def find_free_port() -> int:
    """Returns a port on which no process listens now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def run_localstripe(python: Path, folder: Path) -> Iterator[str]:
    """Runs localstripe. Yields its URL."""
    port = find_free_port()
    with _run(folder / "localstripe.log", port, str(python), "-c", LOCALSTRIPE, str(port)):
        yield f"http://{HOST}:{port}"


@contextmanager
def run_moto(program: Path, folder: Path) -> Iterator[str]:
    """Runs moto's server, which emulates AWS. Yields its URL."""
    port = find_free_port()
    with _run(folder / "moto.log", port, str(program), "-H", HOST, "-p", str(port)):
        yield f"http://{HOST}:{port}"


@contextmanager
def run_stripe_mock(program: Path, folder: Path) -> Iterator[str]:
    """Runs stripe-mock, which checks requests against Stripe's OpenAPI. Yields its URL."""
    port = find_free_port()
    https = f"{HOST}:{find_free_port()}"  # unless it is given, it listens on all addresses
    command = (str(program), "-http-addr", f"{HOST}:{port}", "-https-addr", https)
    with _run(folder / "stripe-mock.log", port, *command):
        yield f"http://{HOST}:{port}"


class MailServer(NamedTuple):
    """A running mail server: its mailbox is a Maildir."""

    port: int
    mailbox: Path
    authority: Path  # the certificate that its TLS is to be checked with


@contextmanager
def run_mail_server(python: Path, folder: Path, user: str, password: str) -> Iterator[MailServer]:
    """Runs aiosmtpd with STARTTLS; it takes e-mail only from this user."""
    server = MailServer(find_free_port(), folder / "mailbox", folder / "authority.pem")
    words = [str(MAIL_SERVER), str(server.port), str(server.mailbox), str(server.authority), user, password]
    with _run(folder / "mail-server.log", server.port, str(python), *words):
        yield server


@contextmanager
def run_postgresql(programs: Path, user: str, password: str) -> Iterator[int]:
    """Runs PostgreSQL with an empty cluster and one user, who needs the password. Yields its port."""
    port = find_free_port()
    with tempfile.TemporaryDirectory(prefix="evtool-postgresql-") as name:
        secret = Path(name, "password")
        secret.write_text(password)
        cluster = Path(name, "cluster")
        as_user: list[str] = []
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            as_user = ["runuser", "-u", "postgres", "--"]
            owner = pwd.getpwnam("postgres")
            for path in (name, secret):
                os.chown(path, owner.pw_uid, owner.pw_gid)

        def run(program: str, *words: str) -> None:
            command = [*as_user, programs / program, "-D", cluster, *words]
            subprocess.run(command, cwd=name, check=True, capture_output=True, timeout=READY_WITHIN)

        run("initdb", "--auth=scram-sha-256", f"--username={user}", f"--pwfile={secret}", "--encoding=UTF8", "-N")
        options = f"-c listen_addresses={HOST} -c port={port} -c unix_socket_directories='' -c fsync=off"
        log = Path(name, "log")
        run("pg_ctl", "start", "--wait", f"--timeout={READY_WITHIN}", f"--log={log}", f"--options={options}")
        try:
            yield port
        finally:
            run("pg_ctl", "stop", "--wait", "--mode=immediate")


@contextmanager
def run_receiver(shop: Path, variables: dict[str, str], logs: Path) -> Iterator[str]:
    """Runs the shop's own receiver of Stripe's webhooks. Yields its URL."""
    port = find_free_port()
    environment = {**os.environ, "PYTHONPATH": f"{shop}{os.pathsep}{ROOT}", **variables}
    command = (sys.executable, "-m", "samples.systems.stripe_webhook", str(port))
    with _run(logs / "receiver.log", port, *command, folder=shop, environment=environment):
        yield f"http://{HOST}:{port}/stripe"


@contextmanager
def _run(
    log: Path, port: int, *command: str, folder: Path | None = None, environment: dict[str, str] | None = None
) -> Iterator[None]:
    """Runs a server until the end of the block, once it accepts connections."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=folder,
            env=environment,
        )
        try:
            _wait_until_ready(process, port, log)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(f"{log.stem} did not start:\n{log.read_text(errors='replace')}")
