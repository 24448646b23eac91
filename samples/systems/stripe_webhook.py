"""Receives Stripe's webhooks on loopback and publishes the payments that succeeded.

Run: python -m samples.systems.stripe_webhook [PORT]    with STRIPE_WEBHOOK_SECRET; the default port is 4011.
Stripe needs a public HTTPS address: a reverse proxy, or `stripe listen --forward-to 127.0.0.1:4011` for a trial.
"""

import json
import os
import subprocess
import sys
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import stripe

ROUTES = Path(__file__).parents[2] / "routes.systems.yaml"
# Bytes of a body. Stripe's events are much smaller.
LIMIT = 1 << 20
# Seconds. Stripe waits for a response for the same time.
TIMEOUT = 20
SUCCEEDED = "payment_intent.succeeded"
FIELDS = ("id", "amount", "currency", "metadata")


def receive(body: bytes, signature: str, secret: str) -> int:
    """Verify a webhook, publish its event, and return the status of the response.

    200 is returned only after evtool has stored the event. Stripe repeats a webhook that gets 500; an event that comes
    again is in the store already, which is a success, too.
    """
    try:
        stripe.Webhook.construct_event(body, signature, secret)
    except (ValueError, stripe.SignatureVerificationError):
        return 400
    event = json.loads(body)
    if event["type"] != SUCCEEDED:
        # The shop does not use this type of event.
        return 200
    command = [sys.executable, "-m", "evtool", "publish", "-", "--intake", "stripe", "--no-deliver", "--quiet"]
    environment = {"EVTOOL_ROUTES": str(ROUTES), **os.environ}
    done = subprocess.run(command, input=json.dumps(select_fields(event)).encode(), env=environment, check=False)
    return 200 if done.returncode == 0 else 500


def select_fields(event: dict[str, Any]) -> dict[str, Any]:
    """The parts of an event that the shop uses.

    The rest is left out: `client_secret` gives access to the payment and must not be stored, and `pending_webhooks`
    differs each time that the same event is sent.
    """
    intent = event["data"]["object"]
    return {"id": event["id"], "type": event["type"], "data": {"object": {name: intent[name] for name in FIELDS}}}


class _Receiver(BaseHTTPRequestHandler):
    timeout = TIMEOUT

    def do_POST(self) -> None:
        """Answers a webhook."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > LIMIT:
            status = 413
        else:
            body = self.rfile.read(int(length))
            status = receive(body, self.headers.get("Stripe-Signature", ""), os.environ["STRIPE_WEBHOOK_SECRET"])
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


if __name__ == "__main__":
    if not os.environ.get("STRIPE_WEBHOOK_SECRET"):
        sys.exit("STRIPE_WEBHOOK_SECRET is not set; Stripe shows it when you register the webhook")
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 4011
    with suppress(KeyboardInterrupt), ThreadingHTTPServer(("127.0.0.1", port), _Receiver) as server:
        print(f"waiting for webhooks on http://127.0.0.1:{port}", flush=True)
        server.serve_forever()
