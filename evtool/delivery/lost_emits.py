"""Reports events that a handler emitted after its delivery was settled, on standard error and in the history."""

from collections.abc import Sequence
from contextlib import suppress

from evtool.delivery.runtime import Environment
from evtool.errors import StoreError
from evtool.handlers.processes.lost_emits import LostEmit
from evtool.store.queue import add_attempt_note
from evtool.store.store import Store


def report_lost_emits(lost_emits: Sequence[LostEmit], store: Store, environment: Environment) -> None:
    """Reports the lost events, and adds a note to the last attempt of each of their deliveries."""
    for lost in lost_emits:
        subject = ""
        # The delivery may be purged, or the store damaged: the report on standard error must still appear.
        with suppress(StoreError):
            delivery = store.get_delivery(lost.delivery)
            event = store.get_event(delivery.event)
            subject = f"handler {delivery.handler}, event {event.id} ({event.type}): "
            add_attempt_note(store, lost.delivery, lost.error)
        environment.report_error(f"{subject}{lost.error}")
