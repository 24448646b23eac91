"""Reports events that a handler emitted after its delivery was settled: on standard error, and in the history."""

from collections.abc import Sequence
from contextlib import suppress

from evtool.delivery.runtime import Environment
from evtool.errors import StoreError
from evtool.handlers.processes.lost_emits import LostEmit
from evtool.store.queue import add_attempt_note
from evtool.store.store import Store


def report_lost_emits(lost_emits: Sequence[LostEmit], store: Store, environment: Environment) -> None:
    """Says which events were lost, and notes it in the last attempt of their deliveries."""
    for lost in lost_emits:
        subject = ""
        with suppress(StoreError):  # a purged delivery, or a store that cannot be used any more
            delivery = store.get_delivery(lost.delivery)
            event = store.get_event(delivery.event)
            subject = f"handler {delivery.handler}, event {event.id} ({event.type}): "
            add_attempt_note(store, lost.delivery, lost.error)
        environment.report_error(f"{subject}{lost.error}")
