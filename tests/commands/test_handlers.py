"""`evtool handlers` shows whether each handler can be called, and `handlers run` calls one and stores nothing."""

import json
from pathlib import Path

import pytest

from tests.conftest import Evtool

ROUTES = """
version: 1
handlers:
  charge: {python: "handlers.py:charge", emits: [payment.authorized]}
  gone: {python: "handlers.py:gone"}
  bank: {python: "bank.py:pay"}
  pack: {command: [sh, -c, "cat >/dev/null; echo packing; exit 3"]}
  queue: {external: "arn:aws:sqs:eu-west-1:1:queue"}
routes:
  all: {pattern: {source: [shop]}, to: [charge, pack, queue]}
"""
HANDLERS = """
import os

def charge(event, context):
    print("charging", event["detail"]["total"])
    if event["detail"]["total"] == 0:
        context.unavailable("the bank is closed")
    context.emit("payment.authorized", {"total": event["detail"]["total"]})
    open("called", "a").write("x")
"""
EVENT = '{"id": "o-1", "source": "shop", "detail-type": "order.created", "detail": {"total": %d}}'


@pytest.fixture(autouse=True)
def project(tmp_path: Path) -> Path:
    """A project with handlers in all states."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    (tmp_path / "handlers.py").write_text(HANDLERS)
    (tmp_path / "bank.py").write_text("raise ConnectionRefusedError(111, 'refused')\ndef pay(event, context): pass\n")
    (tmp_path / "order.json").write_text(EVENT % 5)
    (tmp_path / "free.json").write_text(EVENT % 0)
    return tmp_path


def test_each_handler_has_its_state_reason_and_last_call(evtool: Evtool, project: Path) -> None:
    """No handler is called."""
    before = evtool("handlers", "-o", "json").json["handlers"]
    assert [handler["last"] for handler in before] == [None] * 5
    assert not (project / "called").exists()
    assert not (project / ".evtool").exists()
    evtool("publish", "order.json")
    ran = evtool("handlers", "-o", "json")
    handlers = {handler["name"]: handler for handler in ran.json["handlers"]}
    assert ran.code == 0
    assert list(handlers) == ["charge", "gone", "bank", "pack", "queue"]
    states = [handler["state"] for handler in handlers.values()]
    assert states == ["ready", "missing", "unreachable", "ready", "external"]
    assert "has no function gone" in handlers["gone"]["reason"]
    assert "refused" in handlers["bank"]["reason"]
    assert handlers["charge"]["emits"] == ["payment.authorized"]
    assert handlers["charge"]["last"]["outcome"] == "done"
    assert (handlers["pack"]["last"]["outcome"], handlers["pack"]["last"]["event"]) == ("failed", "o-1")
    assert handlers["pack"]["last"]["error"] == "exit 3"
    assert ran.json["summary"] == {"handlers": 5, "ready": 2, "missing": 1, "unreachable": 1, "external": 1}


def test_text_has_a_line_for_each_handler_and_the_totals(evtool: Evtool) -> None:
    """The reason is below the handler."""
    lines = evtool("handlers").out.splitlines()
    assert lines[0] == "charge  python  ready  emits payment.authorized"
    assert lines[1] == "gone  python  missing"
    assert lines[2].startswith("    handlers.py:gone cannot be loaded")
    assert lines[-1] == "5 handlers, 2 ready, 1 missing, 1 unreachable, 1 external"


def test_run_calls_one_handler_and_stores_nothing(evtool: Evtool, project: Path) -> None:
    """The outcome, the output and the emitted events are shown. No store is created."""
    ran = evtool("handlers", "run", "charge", "order.json", "-o", "json")
    assert ran.code == 0
    result = ran.json
    assert (result["handler"], result["outcome"], result["error"]) == ("charge", "done", None)
    assert result["output"] == "charging 5\n"
    [emitted] = result["emitted"]
    assert (emitted["detail-type"], emitted["source"], emitted["detail"]) == (
        "payment.authorized",
        "charge",
        {"total": 5},
    )
    assert (project / "called").read_text() == "x"
    assert not (project / ".evtool").exists()


def test_run_changes_the_event(evtool: Evtool, project: Path) -> None:
    """`--set` and `--set-new` change the event as `publish` does; a wrong path is refused."""
    ran = evtool("handlers", "run", "charge", "order.json", "--set", "detail.total=7", "-o", "json")
    assert ran.code == 0
    assert ran.json["output"] == "charging 7\n"
    assert evtool("handlers", "run", "charge", "order.json", "--set-new", "detail.note=x").code == 0
    assert evtool("handlers", "run", "charge", "order.json", "--set", "total").code == 2


@pytest.mark.parametrize(
    ("name", "file", "outcome", "error"),
    [
        ("pack", "order.json", "failed", "exit 3"),
        ("charge", "free.json", "unavailable", "the bank is closed"),
        ("gone", "order.json", "unavailable", "has no function gone"),
    ],
)
def test_a_failed_or_unavailable_handler_is_exit_code_1(
    name: str, file: str, outcome: str, error: str, evtool: Evtool
) -> None:
    """With the reason."""
    ran = evtool("handlers", "run", name, file, "-o", "json")
    assert (ran.code, ran.json["outcome"]) == (1, outcome)
    assert error in ran.json["error"]
    assert f"{name}  {outcome}" in evtool("handlers", "run", name, file).out


def test_an_invalid_emitted_event_is_a_bad_result(evtool: Evtool, project: Path) -> None:
    """As in a delivery."""
    (project / "schemas").mkdir()
    (project / "schemas/payment.authorized.json").write_text(json.dumps({"properties": {"total": {"type": "string"}}}))
    (project / "routes.yaml").write_text(ROUTES.replace("version: 1", "version: 1\nschemas: schemas"))
    ran = evtool("handlers", "run", "charge", "order.json", "-o", "json")
    assert (ran.code, ran.json["outcome"], ran.json["emitted"]) == (1, "bad-result", [])
    assert "EV104" in ran.json["error"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["charg", "order.json"], 'there is no handler charg; did you mean "charge"?'),
        (["queue", "order.json"], "the handler queue is external: evtool never calls it"),
        (["charge", "nothing"], "there is no file and no sample nothing"),
        (["charge", "two.jsonl"], "two.jsonl has several events; a handler is run with one"),
        (["charge", "broken.json"], "EV005"),
    ],
)
def test_unusable_arguments_of_handlers_run_are_exit_code_2(
    arguments: list[str], message: str, evtool: Evtool, project: Path
) -> None:
    """An unknown name, a missing file, several events, or text that is not JSON."""
    (project / "two.jsonl").write_text(f"{EVENT % 1}\n{EVENT % 2}\n")
    (project / "broken.json").write_text("{")
    ran = evtool("handlers", "run", *arguments)
    assert ran.code == (1 if "broken" in arguments[1] else 2)
    assert message in ran.err or "EV0" in ran.err


def test_a_missing_file_does_not_close_standard_error(evtool: Evtool) -> None:
    """Python flushes it at the end of the process, which a separate process shows."""
    ran = evtool("handlers", "run", "charge", "gone.json", env={"PYTHONDONTWRITEBYTECODE": "1"})
    assert ran.code == 2
    assert ran.err == "gone.json: EV001 cannot be read: No such file or directory\n"


def test_handlers_run_reads_a_payload_from_standard_input(evtool: Evtool) -> None:
    """A payload with a type, from a pipe."""
    ran = evtool("handlers", "run", "charge", "-", "--type", "order.created", "--source", "shop", stdin=b'{"total": 7}')
    assert ran.code == 0, ran.err
    assert "    | charging 7" in ran.out
