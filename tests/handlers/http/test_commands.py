"""http handlers in commands: publish, deliver, check, handlers, and the shape of routes.yaml."""

import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from evtool.delivery.retry import GiveUp, delay_after_failure
from evtool.routes.models import Retry
from tests.conftest import ROOT, Evtool
from tests.support.http_servers import Server, responds

EVENT = {"id": "e-1", "source": "shop", "detail-type": "order.created", "detail": {}}
ROUTES = """version: 1
handlers:
  hook: {OPTIONS}
routes:
  all: {pattern: {source: [shop]}, to: [hook], retry: {max_attempts: 3, first_delay: 1ms, max_delay: 2ms, max_age: 1h}}
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "event.json").write_text(json.dumps(EVENT))

    def write(options):
        (tmp_path / "routes.yaml").write_text(ROUTES.replace("OPTIONS", options))
        return tmp_path

    return write


def test_publish_sends_the_event_and_publishes_emitted_ones(evtool: Evtool, project):
    body = json.dumps({"emit": [{"DetailType": "order.packed", "Detail": {"bin": 7}}]}).encode()
    with Server(responds(200, body, content_type="application/json")) as server:
        ran = evtool("publish", "event.json", "-o", "json", cwd=project(f"http: {server.url}"))

    assert ran.code == 0
    assert [event["type"] for event in ran.json["events"]] == ["order.created", "order.packed"]
    assert ran.json["events"][1]["source"] == "hook"
    assert len(server.requests) == 1


def test_attempts_of_a_delivery_have_the_same_id(evtool: Evtool, project):
    """evtool repeats an attempt after a temporary status; the last failure makes a dead letter."""
    with Server(responds(503, b"busy", content_type="text/plain")) as server:
        folder = project(f"http: {server.url}")
        for command in (["publish", "event.json"], ["deliver", "--now"], ["deliver", "--now"]):
            evtool(*command, cwd=folder)

    assert len(server.requests) == 3
    assert len({request.headers["webhook-id"] for request in server.requests}) == 1
    letter = evtool("dlq", "list", "-o", "json", cwd=folder).json["deliveries"][0]
    assert letter["error"] == "HTTP 503 Service Unavailable: busy"


def test_retry_after_extends_the_pause(evtool: Evtool, project):
    """The pause is longer than `max_delay`."""
    with Server(responds(429, retry_after="600")) as server:
        ran = evtool("publish", "event.json", "-o", "json", cwd=project(f"http: {server.url}"))
        again = evtool("deliver", "-o", "json", cwd=project(f"http: {server.url}"))

    assert ran.json["events"][0]["deliveries"][0]["state"] == "ready"
    assert again.json["summary"]["deliveries"] == 0
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("retry_after", "age", "expected"),
    [(0, 0, 2), (1, 0, 2), (600, 0, 600), (600, 3500, 100), (1e9, 0, 3600), (600, 3600, GiveUp)],
)
def test_retry_after_has_limits(retry_after, age, expected):
    """The pause is never shorter than that of the route, and never ends after `max_age`."""

    class Highest:
        def random(self):
            return 1.0

    policy = Retry.model_validate({"first_delay": "2s", "max_delay": "2s", "max_age": "1h"})
    delay = delay_after_failure(
        policy, attempts=1, age=age, final=False, random=Highest(), retry_after=retry_after
    )  # fmt: skip

    assert isinstance(delay, GiveUp) if expected is GiveUp else delay == expected


def test_final_status_makes_a_dead_letter_at_once(evtool: Evtool, project):
    with Server(responds(404)) as server:
        ran = evtool("publish", "event.json", "-o", "json", cwd=project(f"http: {server.url}"))

    delivery = ran.json["events"][0]["deliveries"][0]
    assert (delivery["state"], delivery["error"], delivery["condition"]) == (
        "dead",
        "HTTP 404 Not Found",
        "NotRetriable",
    )


def test_delivery_waits_while_the_server_is_down(evtool: Evtool, project):
    """It uses no attempt, and the exit code is 0."""
    ran = evtool("publish", "event.json", "-o", "json", cwd=project("http: http://127.0.0.1:1/hook"))

    assert ran.code == 0
    delivery = ran.json["events"][0]["deliveries"][0]
    assert (delivery["state"], delivery["attempts"]) == ("waiting", 0)
    assert delivery["error"] == "http://127.0.0.1:1 cannot be reached: the connection is refused"


@pytest.mark.parametrize(
    "options",
    [
        "http: ${HOOK}",
        "http: https://example.com, secret: ${HOOK}",
        "http: https://example.com, secret: [${HOOK}]",
        "http: https://example.com, headers: {X: 'a ${HOOK}'}",
    ],
)
def test_unset_variable_is_reported_at_its_location(evtool: Evtool, project, options):
    """The handler cannot be loaded: check, handlers and publish report an error at the variable."""
    folder = project(options.replace("${HOOK}", '"${HOOK}"' if "X:" not in options else "${HOOK}"))
    ran = evtool("check", "-o", "json", cwd=folder)
    found = next(finding for finding in ran.json["findings"] if finding["code"] == "EV503")

    assert ran.code == 1
    assert found["message"] == "handler hook: ${HOOK} is not set in the environment"
    assert found["line"] == 3
    assert found["column"] > 10
    assert evtool("publish", "event.json", cwd=folder).code == 1
    assert evtool("handlers", "-o", "json", cwd=folder).json["handlers"][0]["state"] == "missing"


def test_check_notes_a_handler_without_a_secret(evtool: Evtool, project):
    """The note does not fail the check."""
    ran = evtool("check", "-o", "json", cwd=project("http: https://example.com/hook"))

    assert ran.code == 0
    assert [(finding["code"], finding["severity"]) for finding in ran.json["findings"]] == [("EV504", "note")]
    secret = "http: https://example.com/hook, secret: whsec_c2VjcmV0"
    assert evtool("check", "-o", "json", cwd=project(secret)).json["findings"] == []


def test_connect_opens_a_connection_without_a_request(evtool: Evtool, project):
    """Without --connect evtool opens no connection."""
    with Server(responds(200), reads=False) as server:
        folder = project(f"http: {server.url}")
        assert evtool("handlers", "-o", "json", cwd=folder).json["handlers"][0]["state"] == "ready"
        assert server.connections == 0
        ran = evtool("handlers", "--connect", "-o", "json", cwd=folder)
        assert (ran.code, ran.json["handlers"][0]["state"]) == (0, "ready")
        assert server.connections == 1
    ran = evtool("handlers", "--connect", "-o", "json", cwd=folder)
    assert (ran.code, ran.json["handlers"][0]["state"]) == (0, "unreachable")
    assert "the connection is refused" in ran.json["handlers"][0]["reason"]


def test_handlers_run_shows_outcome_and_emitted_events(evtool: Evtool, project):
    """Also for CloudEvents."""
    emitted = {"specversion": "1.0", "type": "order.packed", "data": {"bin": 7}}
    body = json.dumps({"emit": [emitted]}).encode()
    with Server(responds(200, body, content_type="application/json")) as server:
        folder = project(f"http: {server.url}")
        ran = evtool("handlers", "run", "hook", "event.json", "-o", "json", cwd=folder)
        text = evtool("handlers", "run", "hook", "event.json", cwd=folder)

    assert (ran.code, ran.json["outcome"]) == (0, "done")
    assert (ran.json["emitted"][0]["type"], ran.json["emitted"][0]["source"]) == ("order.packed", "hook")
    assert 'emitted order.packed  from hook  {"bin": 7}' in text.out


WRONG = {
    "http: ftp://example.com": "the URL should begin with https:// or http://",
    "http: example.com/hook": "the URL should begin with https:// or http://",
    "http: https://": "the URL has no host",
    "http: https://user:pw@example.com": "the URL contains a user name: set a header `Authorization` instead",
    "http: 'https://example.com/a b'": "the URL contains a space or a control character",
    "http: https://example.com:99999": "the URL is not valid: its host or port cannot be read",
    "http: http://169.254.169.254/latest": "the URL has a link-local address, which evtool never calls",
    "http: https://example.com, headers: {Webhook-Id: x}": "is set by evtool",
    "http: https://example.com, headers: {Content-Length: '5'}": "is set by evtool",
    "http: https://example.com, headers: {'a b': x}": "handlers.hook.headers.a b: is not the name of a header",
    "http: https://example.com, headers: {X: 5}": "should be a string",
    "http: https://example.com, secret: []": "should not be empty",
    "http: https://example.com, secret: 5": "should be a string",
    "http: https://example.com, secret: ": "should be a string",
    "http: https://example.com, body: avro": "should be",
    "http: https://example.com, proxy: http://p": "should be",
    "http: https://example.com, memory: 1MB": "unknown key",
}


@pytest.mark.parametrize("options", WRONG)
def test_wrong_options_are_reported_at_their_location(evtool: Evtool, project, options):
    """`validate` refuses them, too."""
    folder = project(options)
    ran = evtool("publish", "event.json", cwd=folder)

    assert ran.code == 2
    assert WRONG[options] in ran.err
    assert ran.err.startswith("routes.yaml:3:")
    assert evtool("validate", "event.json", cwd=folder).code == 2


@pytest.mark.slow
def test_second_signal_ends_a_waiting_call(evtool: Evtool, project):
    """The attempt counts as interrupted."""
    called = threading.Event()

    def wait(server, connection):
        called.set()
        server.released.wait()

    with Server(wait) as server:
        folder = project(f"http: {server.url}, timeout: 10m")
        command = [sys.executable, "-m", "evtool", "publish", "event.json"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE) as running:
            assert called.wait(120)
            running.send_signal(signal.SIGTERM)
            os.sched_yield()
            running.send_signal(signal.SIGINT)
            running.communicate(timeout=120)

    assert running.returncode in (130, 143)
    [delivery] = evtool("events", "e-1", "-o", "json", cwd=folder).json["deliveries"]
    assert delivery["state"] == "ready"
    assert [attempt["outcome"] for attempt in delivery["history"]] == ["interrupted"]
