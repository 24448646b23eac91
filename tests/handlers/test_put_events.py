"""Events that a handler sends to EventBridge with an SDK of AWS are emitted events of its delivery."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from evtool.handlers.base import Call, Done, Emitted, Failed, Handler
from evtool.handlers.put_events import build_environment
from evtool.handlers.registry import KINDS
from tests.conftest import Evtool

CALL = Call(b'{"detail": {}}', "e-1", "order.created", "pay", 1, 7, "shop")
FUNCTIONS = """
import json
import os
import sys
import threading

import boto3

EVENTS = boto3.client("events")

def put(*kinds, **change):
    entries = [{"Source": "shop", "DetailType": kind, "Detail": json.dumps({"n": kind}), **change} for kind in kinds]
    return EVENTS.put_events(Entries=entries)

def play(event, context):
    do = event["detail"].get("do")
    if do == "wrong":
        print(json.dumps(put("one", "two", Source="aws.s3")["Entries"]))
    elif do == "fail":
        put("one")
        raise ValueError("too late")
    elif do == "many":
        for number in range(20):
            put(*[f"{number}.{index}" for index in range(10)])
    elif do == "list":
        EVENTS.list_rules()
    elif do == "too many":
        put(*map(str, range(11)))
    elif do == "details":
        put("one", Time=1795953600, Resources=["arn:a"], EventBusName="arn:aws:events:eu-west-1:1:event-bus/orders")
    elif do == "thread":
        thread = threading.Thread(target=put, args=("one",))
        thread.start()
        thread.join()
    elif do == "both":
        context.emit("emitted", {"n": 1})
        print(json.dumps(put("put")["Entries"]))
    elif do == "v2":
        bus = "arn:aws:events:us-east-1:000000000000:event-busv2/orders/abcdefghijklmnopqrstuvwxy"
        boto3.client("eventbridgev2").put_events(EventBusArn=bus, Entries=[{"Source": "a", "DetailType": "b"}])
    elif do is not None:
        print(json.dumps(put(do)["Entries"]))

if __name__ == "__main__":
    play(json.load(sys.stdin), None)
"""
KEEPING = {
    "python": {"python": "functions:play"},
    "lambda": {"lambda": ".", "runtime": "python", "handler": "functions.play"},
    "command": {"command": [sys.executable, "functions.py"]},
}

Open = Callable[..., Handler]


def call(do: str) -> Call:
    """An attempt at an event that asks for something."""
    return CALL._replace(raw=json.dumps({"source": "shop", "detail": {"do": do}}).encode())


@pytest.fixture
def open_handler(tmp_path: Path) -> Iterator[Open]:
    """Opens handlers of a kind, and closes them after the test."""
    (tmp_path / "functions.py").write_text(FUNCTIONS)
    handlers = []

    def open_one(kind: str, **options: Any) -> Handler:
        model = KINDS[kind].options.model_validate({**KEEPING[kind], "timeout": "20s", **options})
        handlers.append(KINDS[kind].open("fraud", model, tmp_path))
        return handlers[-1]

    yield open_one
    for handler in handlers:
        handler.close()


def types_of(outcome: object) -> list[str]:
    """Returns the types of the events that a call emitted."""
    assert isinstance(outcome, Done), outcome
    return [emitted.type for emitted in outcome.emitted]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KEEPING)
class TestEveryKind:
    def test_entries_are_emitted(self, kind: str, open_handler: Open) -> None:
        """Each entry is an event of the call, also in the next call."""
        handler = open_handler(kind)
        for number in ("one", "two"):
            outcome = handler(call(number))
            assert isinstance(outcome, Done)
            assert outcome.emitted == (Emitted(number, json.dumps({"n": number}).encode(), "shop"),)

    def test_all_members_of_an_entry_are_kept(self, kind: str, open_handler: Open) -> None:
        """The event has the time, the resources and the bus of the entry."""
        outcome = open_handler(kind)(call("details"))
        assert isinstance(outcome, Done)
        [emitted] = outcome.emitted
        assert (emitted.resources, emitted.time, emitted.bus) == (("arn:a",), 1795953600, "orders")

    def test_a_refused_entry_is_not_emitted(self, kind: str, open_handler: Open) -> None:
        """The handler gets AWS's code at the position of the entry."""
        outcome = open_handler(kind)(call("wrong"))
        assert types_of(outcome) == []
        assert "NotAuthorizedForSourceException" in outcome.output  # type: ignore[union-attr]

    def test_a_failure_emits_nothing(self, kind: str, open_handler: Open) -> None:
        """Entries that were sent before a failure are dropped."""
        outcome = open_handler(kind)(call("fail"))
        assert isinstance(outcome, Failed)
        assert "ValueError: too late" in outcome.error

    def test_a_request_that_aws_refuses_raises(self, kind: str, open_handler: Open) -> None:
        """The SDK raises the exception that it would raise on AWS."""
        outcome = open_handler(kind)(call("too many"))
        assert isinstance(outcome, Failed)
        assert "Member must have length less than or equal to 10" in outcome.error

    @pytest.mark.parametrize("do", ["list", "v2"])
    def test_other_operations_are_refused(self, kind: str, do: str, open_handler: Open) -> None:
        """The exception names the operation and the supported one."""
        outcome = open_handler(kind)(call(do))
        assert isinstance(outcome, Failed)
        assert "UnknownOperationException" in outcome.error
        assert "only AWSEvents.PutEvents" in outcome.error

    def test_emit_limit_applies(self, kind: str, open_handler: Open) -> None:
        """More events than `emit_limit` are a bad result, even if the handler catches the exception."""
        outcome = open_handler(kind, emit_limit=150)(call("many"))
        assert isinstance(outcome, Failed)
        assert (outcome.error, outcome.outcome) == ("emitted more than 150 events (emit_limit)", "bad-result")
        assert len(types_of(open_handler(kind, emit_limit=200)(call("many")))) == 200

    def test_a_thread_of_the_handler_may_send(self, kind: str, open_handler: Open) -> None:
        """It may send as long as the call runs."""
        assert types_of(open_handler(kind)(call("thread"))) == ["one"]


@pytest.mark.slow
def test_sent_events_come_before_emitted_ones(open_handler: Open) -> None:
    """A python handler may use both. The handler knows the ids of the sent events, which depend on their position."""
    assert types_of(open_handler("python")(call("both"))) == ["put", "emitted"]


@pytest.mark.slow
def test_without_isolation_events_stay_in_evtool(evtool: Evtool, tmp_path: Path) -> None:
    """A handler with `isolation: none` sends its events to evtool, too."""
    (tmp_path / "functions.py").write_text(FUNCTIONS)
    (tmp_path / "routes.yaml").write_text(
        'version: 1\nhandlers: {first: {python: "functions.py:play", isolation: none}}\n'
        "routes: {a: {pattern: {source: [start]}, to: [first], input: {path: $.detail}}}\n"
    )
    event = {"id": "1", "source": "start", "detail-type": "t", "detail": {"detail": {"do": "sent"}}}
    (tmp_path / "event.json").write_text(json.dumps(event))
    ran = evtool("publish", "event.json", "-o", "json")
    assert [event["type"] for event in ran.json["events"]] == ["t", "sent"], ran.err


@pytest.mark.slow
def test_each_call_of_a_batch_emits_its_own_events(open_handler: Open) -> None:
    """A worker gets several calls in advance."""
    handler: Any = open_handler("python")
    kinds = [str(number) for number in range(30)]
    answers = list(handler.call_many([call(kind) for kind in kinds], float("inf")))
    assert [types_of(answer.outcome) for answer in answers] == [[kind] for kind in kinds]


@pytest.mark.slow
def test_events_are_refused_while_a_module_is_loaded(open_handler: Open, tmp_path: Path) -> None:
    """No call runs then; the exception has this reason."""
    (tmp_path / "functions.py").write_text(FUNCTIONS + "\nput('early')\n")
    for kind in ("python", "lambda"):
        outcome = open_handler(kind)(call("one"))
        assert "no call of this handler is running" in str(outcome)


@pytest.mark.slow
def test_the_response_has_the_id_of_the_stored_event(evtool: Evtool, tmp_path: Path) -> None:
    """The chain goes on; an event that does not fit its schema makes a dead letter."""
    (tmp_path / "functions.py").write_text(FUNCTIONS)
    (tmp_path / "routes.yaml").write_text(
        "version: 1\nschemas: schemas\nhandlers:\n"
        "  first: {lambda: ., runtime: python, handler: functions.play}\n"
        '  second: {python: "functions.py:play"}\n'
        f"  third: {{command: [{sys.executable}, functions.py]}}\n"
        "routes:\n"
        "  a: {pattern: {source: [start]}, to: [first, second, third], input: {path: $.detail.event}}\n"
        "  b: {pattern: {source: [shop]}, to: [second]}\n"
    )
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas/strict.json").write_text('{"required": ["absent"]}')
    event = {"source": "start", "detail-type": "t", "detail": {"event": {"source": "x", "detail": {"do": "ok"}}}}
    (tmp_path / "event.json").write_text(json.dumps({**event, "id": "1"}))
    ran = evtool("publish", "event.json", "--no-schema", "ignore", "-o", "json")
    assert ran.code == 0, ran.err
    _, *effects = ran.json["events"]
    shown = evtool("events", "1", "-o", "json").json["deliveries"]
    for delivery in shown:
        [entry] = json.loads(delivery["history"][0]["output"])
        assert [entry["EventId"]] == delivery["emitted"]
    assert len({effect["id"] for effect in effects}) == 3
    assert [effect["deliveries"][0]["handler"] for effect in effects] == ["second"] * 3
    event["detail"] = {"event": {"source": "x", "detail": {"do": "strict"}}}
    (tmp_path / "event.json").write_text(json.dumps({**event, "id": "2"}))
    ran = evtool("publish", "event.json", "--no-schema", "ignore", "-o", "json")
    assert {delivery["state"] for delivery in ran.json["events"][0]["deliveries"]} == {"dead"}
    assert len(ran.json["events"]) == 1


def test_inherit_keeps_the_environment(tmp_path: Path) -> None:
    """With `aws: inherit` the SDKs of a handler reach AWS."""
    options = KINDS["command"].options.model_validate({"command": ["sh", "-c", "env >env.txt"], "aws": "inherit"})
    assert KINDS["command"].open("x", options, tmp_path)(CALL) == Done()
    assert "AWS_" not in (tmp_path / "env.txt").read_text()


@pytest.mark.parametrize(
    ("environ", "added", "kept"),
    [
        ({}, {"AWS_ACCESS_KEY_ID": "evtool", "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}, []),
        ({"AWS_PROFILE": "dev", "AWS_REGION": "eu-west-1"}, {"AWS_DEFAULT_REGION": "eu-west-1"}, ["AWS_ACCESS_KEY_ID"]),
        ({"AWS_ACCESS_KEY_ID": "AKIA"}, {}, ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]),
        ({"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false"}, []),
        (
            {"HTTP_PROXY": "http://proxy", "no_proxy": "intranet"},
            {"NO_PROXY": "127.0.0.1", "no_proxy": "intranet,127.0.0.1"},
            [],
        ),
    ],
)
def test_credentials_of_the_user_are_kept(
    environ: dict[str, str], added: dict[str, str], kept: list[str], tmp_path: Path
) -> None:
    """evtool adds missing variables, and changes those that would send events away from this machine."""
    variables = build_environment("127.0.0.1:1", {"HOME": str(tmp_path), **environ})
    assert variables["AWS_ENDPOINT_URL_EVENTBRIDGE"] == "http://127.0.0.1:1"
    assert {name: variables.get(name) for name in added} == added
    assert not set(kept) & set(variables)


def test_files_with_credentials_are_used(tmp_path: Path) -> None:
    """An SDK prefers dummies in the environment to a file of the user."""
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").touch()
    variables = build_environment("127.0.0.1:1", {"HOME": str(tmp_path)})
    assert {"AWS_ACCESS_KEY_ID", "AWS_REGION"}.isdisjoint(variables)
