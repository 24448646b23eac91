"""Enrols a customer who left a cart behind in the abandoned-cart sequence: Klaviyo's when there is a key for it, else
a list on this machine."""

import os
from importlib.util import find_spec
from typing import Any

from samples.handlers.storage import database

METRIC = "Abandoned Cart"  # the flow on the e-mail platform starts with it
ENROLMENTS = "enrolments (event_id TEXT PRIMARY KEY, email TEXT, cart_id TEXT, cart_total REAL, at TEXT)"


def enrol(event: dict[str, Any], _context: Any) -> None:
    """Enrol the customer once: both lists tell a repeat by the event's id."""
    if os.environ.get("KLAVIYO_API_KEY") and find_spec("klaviyo_api"):
        _klaviyo(event)
        return
    cart = event["detail"]
    row = (event["id"], cart["email"], cart["cartId"], cart["cartTotal"], event["time"])
    with database("email-platform", ENROLMENTS) as platform:
        platform.execute("INSERT OR IGNORE INTO enrolments VALUES (?, ?, ?, ?, ?)", row)


def _klaviyo(event: dict[str, Any]) -> None:
    from klaviyo_api import KlaviyoAPI  # noqa: PLC0415  (optional: pip install klaviyo-api)

    cart = event["detail"]
    profile = {"email": cart["email"], "first_name": cart["name"]["first"], "last_name": cart["name"]["last"]}
    attributes = {
        "metric": {"data": {"type": "metric", "attributes": {"name": METRIC}}},
        "profile": {"data": {"type": "profile", "attributes": profile}},
        "properties": {"cartId": cart["cartId"], "items": cart["items"]},
        "value": cart["cartTotal"],
        "value_currency": cart["currency"],
        "time": event["time"],
        "unique_id": event["id"],  # Klaviyo takes an event with the same one only once
    }
    # evtool tries again by itself, and for longer
    platform = KlaviyoAPI(os.environ["KLAVIYO_API_KEY"], max_retries=0)
    platform.Events.create_event({"data": {"type": "event", "attributes": attributes}})
