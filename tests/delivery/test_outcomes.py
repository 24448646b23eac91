"""Outcomes: the state of a delivery after its handler has answered, and the events that it emits."""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from evtool.delivery.outcomes import AttemptResult, interrupted, released, result_of
from evtool.delivery.runtime import Environment
from evtool.events.envelopes import build_envelope, parse_event
from evtool.events.event import Event
from evtool.handlers.base import Answer, Done, Emitted, Failed, Unavailable
from evtool.readers.files import MAX_BYTES
from evtool.routes.models import Retry
from evtool.schemas.validation import Rules
from evtool.schemas.validator import Schemas
from evtool.store.queue import Claim
from evtool.store.rows import Attempt, Delivery, StoredEvent

NOW = 1_795_428_061_500  # 2026-11-23T10:01:01.500Z, in milliseconds
CREATED = NOW - 60_000
CLAIM = Claim(
    Delivery(7, 1, "r", "h", "", "leased", 5, 3, CREATED, NOW + 1, "me", 12, "the last error", None),
    StoredEvent(1, "e-1", "t", "s", None, CREATED, "", b"{}", 1, 0, None, None),
)
RETRY = Retry(max_attempts=3, max_age=3600.0, first_delay=10.0, max_delay=900.0)


class Lowest(Random):
    """Randomness that makes every pause as short as it can be."""

    def random(self) -> float:
        """Nothing."""
        return 0.0


def attempt_result(answer: Answer, policy: Retry = RETRY, rules: Rules = Rules(None), **claimed: Any) -> AttemptResult:  # noqa: B008
    """Returns the result of an answer, a minute after the delivery was created, in the second counted attempt."""
    claim = CLAIM._replace(delivery=CLAIM.delivery._replace(**claimed))
    return result_of(claim, answer, policy, Environment(lambda: NOW, Lowest(), "me", rules))


def emitted(rules: Rules = Rules(None), *events: Emitted, **claimed: Any) -> list[Event]:  # noqa: B008
    """The events that enter."""
    return list(attempt_result(Answer(Done(events)), rules=rules, **claimed).events)


def refusal(*events: Emitted, rules: Rules = Rules(None)) -> str:  # noqa: B008
    """Why a delivery that emitted these is a dead letter."""
    refused = attempt_result(Answer(Done(events, "printed"), 1.5), rules=rules)
    left, attempt = refused.update.result, refused.update.attempt

    assert (left.state, left.due, left.condition, refused.events) == ("dead", None, "NotRetriable", ())
    assert attempt == Attempt(5, NOW, 1500, "bad-result", left.error, "printed")
    assert left.error
    return left.error


# --- the delivery ----------------------------------------------------------------------------------------------------

FAILED = Answer(Failed("no", "crashed", "printed", code="SIGSEGV"), 1.2344)
BROKEN = Attempt(5, NOW, 1234, "crashed", "no", "printed", "SIGSEGV")
AWAY = Answer(Unavailable("away"), 2.0)
OLD = {"max_age": 60.0}


@pytest.mark.parametrize(
    ("answer", "policy", "left", "attempt"),
    [
        (
            Answer(Done((), "printed"), 0.25),
            {},
            ("done", None, None, None),
            Attempt(5, NOW, 250, "done", None, "printed"),
        ),
        (Answer(Done()), {}, ("done", None, None, None), Attempt(5, NOW, 0, "done", None, None)),
        (FAILED, {}, ("ready", 10_000, "no", None), BROKEN),
        (FAILED, {"first_delay": 20.0, "max_delay": 30.0}, ("ready", 15_000, "no", None), BROKEN),
        (FAILED, {"max_attempts": 2}, ("dead", None, "no", "MaximumRetryAttempts"), BROKEN),
        (FAILED, {"max_age": 70.0}, ("ready", 10_000, "no", None), BROKEN),
        (FAILED, {"max_age": 69.0}, ("dead", None, "no", "MaximumEventAgeInSeconds"), BROKEN),
        (
            Answer(Failed("never", "bad-result", final=True), 1.0),
            {},
            ("dead", None, "never", "NotRetriable"),
            Attempt(5, NOW, 1000, "bad-result", "never", None),
        ),
        (AWAY, {}, ("waiting", 60_000, "away", None), None),
        (AWAY, {"max_attempts": 1}, ("waiting", 60_000, "away", None), None),
        (
            AWAY,
            {"max_age": 60.0, "max_attempts": 1},
            ("dead", None, "away", "MaximumEventAgeInSeconds"),
            Attempt(5, NOW, 2000, "failed", "away", None),
        ),
        (Answer(None), {}, ("ready", 0, "the last error", None), None),
    ],
)
def test_an_answer_sets_the_new_state_of_a_delivery(
    answer: Answer, policy: dict[str, Any], left: tuple[object, ...], attempt: Attempt | None
) -> None:
    """The state, the ms until it is due, the error, why it was given up, and the attempt in its history."""
    ending = attempt_result(answer, RETRY.model_copy(update=policy)).update
    state, due, error, condition = left

    assert ending.result == CLAIM.delivery._replace(
        state=state,
        due=None if due is None else NOW + int(str(due)),
        error=error,
        condition=condition,
        attempts=5 if attempt else 4,
        owner=None,
        duration_ms=attempt.duration_ms if attempt else 12,
    )
    assert ending.attempt == attempt


def test_released_and_interrupted_deliveries_are_due_at_once() -> None:
    """Only the interrupted one has an attempt in its history, and no limit counts it."""
    back, cut = released(CLAIM, NOW), interrupted(CLAIM, NOW)

    wanted = CLAIM.delivery._replace(state="ready", due=NOW, owner=None)
    assert (back.result, back.attempt) == (wanted._replace(attempts=4), None)
    assert cut.result == wanted._replace(forgiven=4, error="evtool was stopped during the call", duration_ms=None)
    assert cut.attempt == Attempt(5, NOW, None, "interrupted", "evtool was stopped during the call", None)


# --- what it emitted -------------------------------------------------------------------------------------------------


def test_an_emitted_event_has_the_members_that_the_handler_gave() -> None:
    """Missing members come from the delivery: the source is the handler, the time is now. Strings are not escaped."""
    little, much = emitted(
        Rules(None),
        Emitted("a", '{"name": "Zoë"}'.encode()),
        Emitted("b", b"{}", "shop", ("arn:x",), "2020-01-31T12:00:00Z"),
    )
    members = ("detail-type", "source", "time", "resources", "detail")

    assert [little.document[key] for key in members] == ["a", "h", "2026-11-23T10:01:01.500Z", [], {"name": "Zoë"}]
    assert [much.document[key] for key in members] == ["b", "shop", "2020-01-31T12:00:00Z", ["arn:x"], {}]
    assert "Zoë".encode() in little.raw
    assert "replay-name" not in little.document
    [again] = emitted(Rules(None), Emitted("a", b"{}"), replay="monday")
    assert again.document["replay-name"] == "monday"


def test_an_emitted_envelope_is_kept_except_for_its_id() -> None:
    """A CloudEvent stays one. Missing members of an EventBridge envelope are added; a replay marks both."""
    cloudevent = {"specversion": "1.0", "id": "1", "type": "a", "source": "x", "data": [1]}
    envelope = {"detail-type": "b", "source": "x", "account": "111122223333", "detail": {}}
    events = (Emitted("a", b"[1]", "x", envelope=cloudevent), Emitted("b", b"{}", "x", envelope=envelope))

    one, other = emitted(Rules(None), *events)
    assert one.document == {**cloudevent, "id": one.id}
    assert other.document == {**other.document, **envelope, "id": other.id, "region": "us-east-1", "resources": []}
    assert "1" not in (one.id, other.id)
    marked, also = emitted(Rules(None), *events, replay="monday")
    assert (marked.document["replayname"], also.document["replay-name"]) == ("monday", "monday")


def test_a_repeated_delivery_emits_events_with_the_same_ids() -> None:
    """After a crash no event is stored twice; each event of a delivery, and each delivery, has its own ids."""
    once = emitted(Rules(None), Emitted("a", b"{}"), Emitted("a", b"{}"))
    others = [
        emitted(Rules(None), Emitted("a", b"{}"), **changed)[0]
        for changed in ({"route": "other"}, {"handler": "other"}, {"replay": "other"})
    ]

    assert emitted(Rules(None), Emitted("a", b"{}"), Emitted("a", b"{}"), attempts=6) == once
    assert len({event.id for event in [*once, *others]}) == 5


def deep(levels: int) -> bytes:
    """Returns a value inside a number of objects."""
    return b'{"a": ' * levels + b"1" + b"}" * levels


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (Emitted("", b"{}"), "the envelope's detail-type must be a string that is not empty"),
        (Emitted("x", b"5"), "the envelope's detail must be a JSON object"),
        (Emitted("x", b'{"a": NaN}'), "NaN"),
        (Emitted("x", b'{"a": "\xff"}'), "UTF-8"),
        (Emitted("x", b'{"a": 1, "a": 1}'), "twice"),
        (Emitted("x", b'{}, "id": "mine", "b": {}'), "twice"),
        (Emitted("x", b"{"), ""),
        (Emitted("x", b"{}", time="tomorrow"), "time is not an RFC 3339 time"),
        (Emitted("x", deep(200)), "deep"),
        (Emitted("x", deep(5000)), "deep"),
    ],
)
def test_emitting_an_invalid_event_makes_a_dead_letter(bad: Emitted, why: str) -> None:
    """The dead letter says what was emitted. The delivery is not attempted again."""
    told = refusal(Emitted("good", b"{}"), bad)

    assert told.startswith(f"emitted {bad.type}, which is not a valid event: ")
    assert why in told


def test_an_emitted_event_has_the_length_limit_of_every_event() -> None:
    """The limit holds to the byte."""
    around = len(emitted(Rules(None), Emitted("a", b'{"a": ""}'))[0].raw)
    longest = Emitted("a", b'{"a": "%b"}' % (b"x" * (MAX_BYTES - around)))

    assert [len(event.raw) for event in emitted(Rules(None), longest)] == [MAX_BYTES]
    told = refusal(longest._replace(detail=longest.detail.replace(b"x", b"xx", 1)))
    assert told == f"emitted a, which is too long: {MAX_BYTES + 1} bytes; {MAX_BYTES} are allowed"


def test_an_emitted_event_is_validated(tmp_path: Path) -> None:
    """The error shows the first finding and the number of further ones; a warning does not fail the attempt."""
    schema = {"properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "required": ["a"]}
    (tmp_path / "t.json").write_text(json.dumps(schema))
    rules = Rules(Schemas([tmp_path]), "warn")

    [entered] = emitted(rules, Emitted("t", b'{"a": "x"}'))
    raw = build_envelope(b'{"a": "x"}', type="t", source="h", id=entered.id, time="2026-11-23T10:01:01.500Z")
    assert entered == parse_event(raw)._replace(bus="default")
    told = refusal(Emitted("t", b'{"a": 1}'), rules=rules)
    assert told.startswith("emitted t, which is not valid: EV104 ")
    assert "more" not in told
    assert refusal(Emitted("t", b'{"a": 1, "b": 1}'), rules=rules).endswith(" (and 1 more)")
    assert [event.type for event in emitted(rules, Emitted("unknown", b"{}"))] == ["unknown"]
