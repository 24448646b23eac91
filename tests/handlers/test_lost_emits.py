"""An event that a handler emits outside its running call is reported."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evtool.handlers.base import Call, Done, Emitted, Failed, Handler
from evtool.handlers.registry import KINDS
from tests.conftest import ROOT, Evtool

FOLDER = ROOT / "tests/support/handlers"
CALL = Call(b"{}", "e-1", "order.created", "pay", 1, 7)
ISOLATIONS = ("process", "none")


@pytest.fixture
def handler(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A handler of the corpus, by its name and isolation."""
    name, isolation = request.param
    options = KINDS["python"].options.model_validate({"python": f"emits_outside.py:{name}", "isolation": isolation})
    opened = KINDS["python"].open("teller", options, FOLDER)
    yield opened
    opened.close()


def for_handlers(*names: str, isolations: tuple[str, ...] = ISOLATIONS) -> pytest.MarkDecorator:
    """Runs a test for several handlers of the corpus."""
    pairs = [(name, isolation) for name in names for isolation in isolations]
    return pytest.mark.parametrize("handler", pairs, indirect=True, ids="-".join)


@for_handlers("joined_thread", "joined_executor", "coroutine", "copied_context", "pickled_context")
def test_threads_and_copies_may_emit_while_the_call_runs(handler: Handler) -> None:
    """A thread that the handler joins, `asyncio.run` and a copy of the context emit like the handler itself."""
    assert [handler(CALL), handler(CALL)] == [Done((Emitted("order.told", b"{}"),))] * 2


@for_handlers("forked_child", "fork_process", "spawn_process")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_that_emits_makes_the_delivery_fail(handler: Handler) -> None:
    """Only the child gets the exception, so that the handler does not see it."""
    for _ in range(2):
        outcome = handler(CALL)
        assert isinstance(outcome, Failed)
        assert outcome.error.startswith("order.told is lost: emitted in another process")
        assert (outcome.outcome, outcome.final) == ("failed", False)


@for_handlers("forked_child_that_returns", "process_pool", isolations=("process",))
def test_a_child_that_hides_the_exception_makes_the_delivery_fail(handler: Handler) -> None:
    """The handler checks neither the exit code of the child nor the exception of the future."""
    outcome = handler(CALL)
    assert isinstance(outcome, Failed)
    assert outcome.error.startswith("order.told is lost: emitted in another process")


@for_handlers("kept_context")
def test_a_context_of_an_earlier_call_raises(handler: Any) -> None:
    """The handler gets the exception in the call that emits with the context of an earlier call."""
    assert handler(CALL) == Done((Emitted("order.told", b"{}"),))
    outcome = handler(CALL)
    assert isinstance(outcome, Failed)
    assert outcome.error.startswith("RuntimeError: order.told is lost: emitted after the call had ended; ")
    assert handler.take_lost() == []


@for_handlers("late_thread", "late_executor")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_emit_after_the_report_is_kept_for_the_delivery(handler: Any) -> None:
    """It does not change the outcome. It is returned once, with the number of the delivery."""
    assert {type(handler(CALL)), type(handler(CALL._replace(delivery=8)))} == {Done}
    [lost] = handler.take_lost()
    assert lost.delivery == 7
    assert lost.error.startswith("order.told is lost: emitted after the call had ended; ")
    assert handler.take_lost() == []


@for_handlers("late_child", isolations=("process",))
def test_an_emit_of_a_child_after_the_report_is_kept(handler: Any) -> None:
    """A child may live longer than the call."""
    assert {type(handler(CALL)), type(handler(CALL._replace(delivery=8)))} == {Done}
    [lost] = handler.take_lost()
    assert lost.delivery == 7
    assert lost.error.startswith("order.told is lost: emitted in another process")


@pytest.mark.parametrize(("name", "isolation"), [("late_executor", "process"), ("at_exit", "process")])
def test_the_command_reports_a_lost_event(name: str, isolation: str, evtool: Evtool, tmp_path: Path) -> None:
    """Standard error and the history name the lost event; the exit code is 1."""
    (tmp_path / "routes.yaml").write_text(
        "version: 1\n"
        f"handlers: {{teller: {{python: '{FOLDER}/emits_outside.py:{name}', isolation: {isolation}}}}}\n"
        "routes: {all: {pattern: {source: [shop]}, to: [teller]}}\n",
        encoding="utf-8",
    )
    events = [{"id": number, "source": "shop", "detail-type": "order.created", "detail": {}} for number in "12"]
    ran = evtool("publish", "-", stdin=json.dumps(events).encode())

    assert ran.code == 1
    assert "handler teller, event 1 (order.created): order.told is lost: emitted after the call had ended" in ran.err
    assert ran.err.endswith("evtool: 1 event lost: see above\n")
    assert "2 deliveries, 2 done" in ran.out
    assert "done: order.told is lost: emitted after the call had ended" in evtool("events", "1").out
    assert "lost" not in evtool("events", "2").out
    assert evtool("doctor").code == 0
    assert evtool("deliver").code == 0


@pytest.mark.parametrize("arguments", [("publish", "e.json", "none.json"), ("replay", "--deliver", "--from", "e.json")])
def test_an_unreadable_input_has_the_higher_exit_code(
    evtool: Evtool, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """The exit code is 2, although an event was lost, too. Without the missing file it is 1."""
    (tmp_path / "routes.yaml").write_text(
        "version: 1\n"
        f"handlers: {{teller: {{python: '{FOLDER}/emits_outside.py:late_executor'}}}}\n"
        "routes: {all: {pattern: {source: [shop]}, to: [teller]}}\n",
        encoding="utf-8",
    )
    events = [{"id": number, "source": "shop", "detail-type": "order.created", "detail": {}} for number in "12"]
    (tmp_path / "e.json").write_text(json.dumps(events))
    ran = evtool(*arguments, *(["--from", "none.json"] if arguments[0] == "replay" else []))

    assert ran.err.endswith("evtool: 1 event lost: see above\n")
    assert "none.json: EV001" in ran.err
    assert ran.code == 2


def test_without_isolation_a_lost_event_is_reported_even_after_the_command(evtool: Evtool, tmp_path: Path) -> None:
    """When evtool ends, the history cannot be written any more, so the report goes to standard error."""
    (tmp_path / "routes.yaml").write_text(
        "version: 1\n"
        f"handlers: {{teller: {{python: '{FOLDER}/emits_outside.py:at_exit', isolation: none}}}}\n"
        "routes: {all: {pattern: {source: [shop]}, to: [teller]}}\n",
        encoding="utf-8",
    )
    ran = evtool("publish", "-", "--type", "order.created", "--source", "shop", stdin=b"{}")

    assert "evtool: handler teller: order.told is lost: emitted after the call had ended" in ran.err
