"""Writes the results of attempts to the store, stores the events that they emitted, and reports lost ones."""

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from evtool.delivery.intake import accept, is_key_taken
from evtool.delivery.outcomes import AttemptResult, given_up, is_exhausted, policy_of, result_of
from evtool.delivery.runtime import Environment, Runtime
from evtool.errors import StoreError
from evtool.handlers.base import Answer, Failed
from evtool.handlers.processes.lost_emits import LostEmit
from evtool.store.queue import Claim, add_attempt_note, settle
from evtool.store.rows import Cause, Delivery, StoredEvent
from evtool.store.store import Store


class SettledDelivery(NamedTuple):
    """A delivery after an attempt, its event, and the ids of the events that the attempt emitted."""

    delivery: Delivery
    event: StoredEvent
    emitted: tuple[str, ...] = ()


def settle_answers(runtime: Runtime, answered: Sequence[tuple[Claim, Answer]]) -> list[SettledDelivery]:
    """Writes the results of the answers to the store, and stores the events that the attempts emitted."""
    results = [_result_of(runtime, claim, answer) for claim, answer in answered]
    return write_results(runtime, [claim for claim, _ in answered], results)


def _result_of(runtime: Runtime, claim: Claim, answer: Answer) -> AttemptResult:
    """Returns the result of an attempt. An attempt that emits an event whose key is taken fails."""
    policy, environment = policy_of(claim.delivery.route, runtime.routes), runtime.environment
    if answer.outcome is None and is_exhausted(claim.delivery, policy):
        return AttemptResult(given_up(claim, runtime.store.list_attempts(claim.delivery.seq)))
    result = result_of(claim, answer, policy, environment)
    runtime.handlers.note_load_failure(claim, answer.outcome)
    for event in result.events:
        # The store would refuse the event. Failing the attempt shows that to the user.
        if is_key_taken(event, runtime.store):
            reason = f"emitted {event.type}, but another event in the store has its source and its id {event.id}"
            failed = Answer(Failed(reason, "bad-result", final=True), answer.seconds)
            return result_of(claim, failed, policy, environment)
    return result


def write_results(runtime: Runtime, claims: Sequence[Claim], results: Sequence[AttemptResult]) -> list[SettledDelivery]:
    """Writes the results of claims that are still leased, and returns all deliveries as they are now.

    If a lease ended during the call and another process claimed the delivery, that process settles it.
    """
    if not results:
        return []
    store = runtime.store
    settled_seqs = settle(store, [result.update for result in results])
    settled = []
    for (delivery, event), result in zip(claims, results, strict=True):
        if delivery.seq in settled_seqs:
            settled.append(SettledDelivery(result.update.result, event, _accept_emitted(runtime, result, event)))
            continue
        # The list does not contain the delivery if it was purged.
        for current in store.list_deliveries(delivery.event):
            if current.seq == delivery.seq:
                settled.append(SettledDelivery(current, event))
    return settled


def _accept_emitted(runtime: Runtime, result: AttemptResult, event: StoredEvent) -> tuple[str, ...]:
    """Stores the events that a delivery emitted, and returns the ids of the new ones."""
    delivery = result.update.delivery
    cause = Cause(delivery.seq, event.root, event.depth + 1, delivery.replay or None)
    ids: tuple[str, ...] = ()
    for emitted in result.events:
        entry = accept(emitted, store=runtime.store, routes=runtime.routes, now=runtime.environment.now, cause=cause)
        if entry.status == "stored":
            ids += (emitted.id,)
    return ids


def report_lost_emits(lost_emits: Sequence[LostEmit], store: Store, environment: Environment) -> None:
    """Reports events that handlers emitted too late, after their deliveries were settled.

    Each is reported on standard error, and noted in the last attempt of its delivery.
    """
    for lost in lost_emits:
        subject = ""
        # The delivery may be purged, or the store damaged: the report on standard error must still appear.
        with suppress(StoreError):
            delivery = store.get_delivery(lost.delivery)
            event = store.get_event(delivery.event)
            subject = f"handler {delivery.handler}, event {event.id} ({event.type}): "
            add_attempt_note(store, lost.delivery, lost.error)
        environment.report_error(f"{subject}{lost.error}")
