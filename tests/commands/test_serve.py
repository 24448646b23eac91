"""`evtool serve` starts, listens, delivers and ends as a user expects."""

import json
import signal
import socket
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from evtool.store.store import Store
from tests.conftest import ROOT, Evtool
from tests.support.server import ServeProcess, make_project, start_process

EVENT = {"detail-type": "order.created", "source": "shop", "detail": {}}
TOKEN = "0123456789abcdef-secret"


def post(port: int, path: str, body: Any, **headers: str) -> Any:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=120) as response:
        return json.load(response)


def list_ids(folder: Path) -> set[str]:
    with Store(folder / ".evtool/store.db", writing=False) as store:
        return {event.id for event in store.read_events()}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_signal_ends_the_server_and_loses_no_acknowledged_event(
    tmp_path: Path, loopback: None, number: int, code: int
) -> None:
    """Under load."""
    make_project(tmp_path)
    ids: list[str] = []

    def send(server: ServeProcess) -> None:
        try:
            while True:
                ids.extend(event["id"] for event in post(server.port, "/events", EVENT)["events"])
        except (OSError, ValueError):
            return  # it has ended

    with start_process(tmp_path) as server:
        threads = [threading.Thread(target=send, args=[server]) for _ in range(4)]
        for thread in threads:
            thread.start()
        while len(ids) < 20:
            time.sleep(0.01)
        returned, out, err = server.end(number)
        for thread in threads:
            thread.join()

    assert (returned, out) == (code, "")
    assert err.splitlines()[0].startswith("listening on http://127.0.0.1:")
    assert len(err.splitlines()) == 2
    assert list_ids(tmp_path) >= {*ids}


def test_an_incomplete_request_does_not_keep_the_server_running(tmp_path: Path, loopback: None) -> None:
    """A client in the middle of a request does not keep the server from ending."""
    with (
        start_process(make_project(tmp_path)) as server,
        socket.create_connection(("127.0.0.1", server.port)) as connection,
    ):
        connection.sendall(b"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{")
        code, _, err = server.end()
    assert code == 143
    assert "Traceback" not in err


def test_deliver_calls_handlers_for_received_events(tmp_path: Path, loopback: None) -> None:
    """Each delivery is reported."""
    with start_process(make_project(tmp_path), "--deliver", "-o", "jsonl") as server:
        (event,) = post(server.port, "/events", EVENT)["events"]
        report = server.process.stdout
        assert report
        delivery = json.loads(report.readline())
        assert (delivery["event"], delivery["handler"], delivery["state"]) == (event["id"], "bill", "done")
        code, out, _ = server.end()
    assert code == 143
    assert json.loads(out.splitlines()[-1])["summary"]["done"] == 1


def test_requests_need_the_token_which_is_never_shown(tmp_path: Path, loopback: None) -> None:
    """With a token file the server listens on every address."""
    make_project(tmp_path)
    (tmp_path / "token").write_text(TOKEN + "\n")
    with start_process(tmp_path, "--listen", "0.0.0.0:0", "--token-file", "token", "-v") as server:
        with pytest.raises(urllib.error.HTTPError, match="401"):
            post(server.port, "/events", EVENT)
        assert post(server.port, "/events", EVENT, Authorization=f"Bearer {TOKEN}")["events"]
        _, _, err = server.end()
    assert "POST /events  401" in err
    assert "POST /events  202" in err
    assert TOKEN not in err


def test_port_in_use_is_exit_code_2(evtool: Evtool, tmp_path: Path) -> None:
    """The message names the port, and another one to use."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        ran = evtool("serve", "--listen", f"127.0.0.1:{port}", cwd=make_project(tmp_path))

    assert (ran.code, ran.out) == (2, "")
    assert f"--listen: 127.0.0.1:{port} cannot be used (Address already in use)" in ran.err
    assert f"--listen 127.0.0.1:{port + 1 if port < 65535 else port}" in ran.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--listen", "nope"], "'nope' is not an address such as 127.0.0.1:4010"),
        (["--listen", "127.0.0.1:70000"], "'127.0.0.1:70000' is not an address"),
        (["--listen", "::1:4010"], "'::1:4010' is not an address such as 127.0.0.1:4010 or [::1]:4010"),
        (["--listen", ":4010"], "':4010' is not an address"),
        (["--listen", "nope.invalid:4010"], "nope.invalid has no address"),
        (["--listen", "203.0.113.1:4010"], "203.0.113.1:4010 cannot be used"),
        (["--listen", "0.0.0.0:0"], "0.0.0.0:0 can be reached from other computers, so --token-file is needed"),
        (["--listen", "[::]:0"], "[::]:0 can be reached from other computers, so --token-file is needed"),
        (["--token-file", "nope"], "nope cannot be read: No such file or directory"),
        (["--token-file", "short"], "short has no token: a token is one line of at least 16 letters"),
        (["--token-file", "."], ". cannot be read: Is a directory"),
        (["-o", "json"], "-o reports deliveries, which only --deliver makes"),
        (["--workers", "0"], "0 is less than 1"),
        (["--routes", "nope.yaml"], "nope.yaml"),
    ],
)
def test_invalid_options_of_serve_are_exit_code_2(
    evtool: Evtool, tmp_path: Path, arguments: list[str], message: str
) -> None:
    """One line explains the option."""
    (make_project(tmp_path) / "short").write_text("geheim")
    ran = evtool("serve", *arguments)

    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert "geheim" not in ran.err
    assert "Traceback" not in ran.err


def test_a_missing_package_of_the_extra_is_named(evtool: Evtool, tmp_path: Path) -> None:
    """With the line that installs it. Other commands do not need it."""
    absent = tmp_path / "absent"
    for name in ("starlette", "uvicorn"):
        (absent / name).mkdir(parents=True)
        (absent / name / "__init__.py").write_text(f"raise ModuleNotFoundError('no {name}', name='{name}')")
    environment = {"PYTHONPATH": f"{absent}:{ROOT}"}
    make_project(tmp_path)

    ran = evtool("serve", env=environment)
    assert ran.code == 2
    assert "evtool serve needs the package starlette" in ran.err
    assert "pip install 'evtool-workbench[serve]'" in ran.err
    assert evtool("serve", "--help", env=environment).code == 0


def test_store_of_another_project_is_refused(evtool: Evtool, tmp_path: Path) -> None:
    """Nothing is written to it."""
    first, second = make_project(tmp_path / "first"), make_project(tmp_path / "second")
    evtool("publish", "-", "--no-deliver", "--store", "../store.db", cwd=first, stdin=json.dumps(EVENT).encode())
    ran = evtool("serve", "--listen", "127.0.0.1:0", "--store", "../store.db", cwd=second)

    assert ran.code == 2
    assert "this store was made for" in ran.err
