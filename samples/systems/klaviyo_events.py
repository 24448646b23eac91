"""The e-mail platform Klaviyo, with the key in KLAVIYO_API_KEY.

The event `Started Checkout` begins the abandoned-cart flow. With KLAVIYO_LIST_ID the customer also subscribes to that
list: set it only if your checkout asks for consent. KLAVIYO_API_BASE is the URL of a stand-in for Klaviyo's API.
"""

import os
from typing import Any

from klaviyo_api import KlaviyoAPI
from openapi_client.exceptions import ApiException

from samples.handlers.storage import identity
from samples.systems.settings import read_key

METRIC = "Started Checkout"
# Seconds for each of two requests. The handler itself has 10.
TIMEOUT = 4
NOT_NOW = (429, 503)


def enrol(event: dict[str, Any], context: Any) -> None:
    """Send the event, and subscribe the profile. While Klaviyo asks for a pause, the customer waits."""
    # evtool repeats the call, and for a longer time.
    platform = KlaviyoAPI(read_key("KLAVIYO_API_KEY"), max_retries=0, test_host=os.environ.get("KLAVIYO_API_BASE", ""))
    try:
        platform.Events.create_event(_started_checkout(event), _request_timeout=TIMEOUT)
        if list_id := os.environ.get("KLAVIYO_LIST_ID"):
            body = _subscription(event["detail"]["email"], list_id)
            platform.Profiles.bulk_subscribe_profiles(body, _request_timeout=TIMEOUT)
    except ApiException as error:
        if error.status in NOT_NOW:
            context.unavailable(f"Klaviyo answers {error.status}")
        raise


def _started_checkout(event: dict[str, Any]) -> dict[str, Any]:
    cart = event["detail"]
    profile = {"email": cart["email"], "first_name": cart["name"]["first"], "last_name": cart["name"]["last"]}
    attributes = {
        "metric": {"data": {"type": "metric", "attributes": {"name": METRIC}}},
        "profile": {"data": {"type": "profile", "attributes": profile}},
        "properties": {"cartId": cart["cartId"], "items": cart["items"]},
        "value": cart["cartTotal"],
        "value_currency": cart["currency"],
        "time": event["time"],
        "unique_id": identity(event),  # of several events with the same one, Klaviyo records the first
    }
    return {"data": {"type": "event", "attributes": attributes}}


def _subscription(email: str, list_id: str) -> dict[str, Any]:
    consent = {"email": {"marketing": {"consent": "SUBSCRIBED"}}}
    profile = {"type": "profile", "attributes": {"email": email, "subscriptions": consent}}
    return {
        "data": {
            "type": "profile-subscription-bulk-create-job",
            "attributes": {"profiles": {"data": [profile]}},
            "relationships": {"list": {"data": {"type": "list", "id": list_id}}},
        }
    }
