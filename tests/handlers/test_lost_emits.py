"""An event that a handler emits outside its running call does not disappear without a word."""

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


def each(*names: str, isolations: tuple[str, ...] = ISOLATIONS) -> pytest.MarkDecorator:
    """A test for handlers of the corpus."""
    pairs = [(name, isolation) for name in names for isolation in isolations]
    return pytest.mark.parametrize("handler", pairs, indirect=True, ids="-".join)


@each("joined_thread", "joined_executor", "coroutine", "copied_context", "pickled_context")
def test_threads_and_copies_may_emit_while_the_call_runs(handler: Handler) -> None:
    """A thread that the handler waits for, `asyncio.run` and a copy of the context emit as the handler itself does."""
    assert [handler(CALL), handler(CALL)] == [Done((Emitted("order.told", b"{}"),))] * 2


@each("forked_child", "fork_process", "spawn_process")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_that_emits_has_the_delivery_fail(handler: Handler) -> None:
    """The exception is raised in the child, where the handler does not see it."""
    for _ in range(2):
        outcome = handler(CALL)
        assert isinstance(outcome, Failed)
        assert outcome.error.startswith("order.told is lost: emitted in another process")
        assert (outcome.outcome, outcome.final) == ("failed", False)


@each("forked_child_that_returns", "process_pool", isolations=("process",))
def test_so_does_a_child_that_returns_or_keeps_the_exception(handler: Handler) -> None:
    """Nobody looks at the exit code of the child, or asks the future for its exception."""
    outcome = handler(CALL)
    assert isinstance(outcome, Failed)
    assert outcome.error.startswith("order.told is lost: emitted in another process")


@each("kept_context")
def test_a_kept_context_raises(handler: Any) -> None:
    """The handler sees the exception in the call that emits with the context of an earlier call."""
    assert handler(CALL) == Done((Emitted("order.told", b"{}"),))
    outcome = handler(CALL)
    assert isinstance(outcome, Failed)
    assert outcome.error.startswith("RuntimeError: order.told is lost: emitted after the call had ended; ")
    assert handler.take_lost() == []


@each("late_thread", "late_executor")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_comes_after_the_report_is_kept_for_the_delivery(handler: Any) -> None:
    """It changes no outcome any more; it is given with the number of the delivery, once."""
    assert {type(handler(CALL)), type(handler(CALL._replace(delivery=8)))} == {Done}
    [lost] = handler.take_lost()
    assert lost.delivery == 7
    assert lost.error.startswith("order.told is lost: emitted after the call had ended; ")
    assert handler.take_lost() == []


@each("late_child", isolations=("process",))
def test_so_is_what_a_child_emits_after_the_report(handler: Any) -> None:
    """A child may live longer than the call."""
    assert {type(handler(CALL)), type(handler(CALL._replace(delivery=8)))} == {Done}
    [lost] = handler.take_lost()
    assert lost.delivery == 7
    assert lost.error.startswith("order.told is lost: emitted in another process")


@pytest.mark.parametrize(("name", "isolation"), [("late_executor", "process"), ("at_exit", "process")])
def test_the_command_reports_it(name: str, isolation: str, evtool: Evtool, tmp_path: Path) -> None:
    """The event that was lost is named on standard error and in the history; the exit code is 1."""
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
def test_an_input_that_cannot_be_read_has_the_higher_exit_code(
    evtool: Evtool, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """Exit code 2, although an event was lost, too; without the missing file it is 1."""
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


def test_without_isolation_it_is_reported_even_after_the_command(evtool: Evtool, tmp_path: Path) -> None:
    """What emits when evtool itself ends has no history to be written to, so standard error has to do."""
    (tmp_path / "routes.yaml").write_text(
        "version: 1\n"
        f"handlers: {{teller: {{python: '{FOLDER}/emits_outside.py:at_exit', isolation: none}}}}\n"
        "routes: {all: {pattern: {source: [shop]}, to: [teller]}}\n",
        encoding="utf-8",
    )
    ran = evtool("publish", "-", "--type", "order.created", "--source", "shop", stdin=b"{}")

    assert "evtool: handler teller: order.told is lost: emitted after the call had ended" in ran.err
