"""`evtool.webhooks.verify`: for receivers of signed requests."""

import subprocess
import sys
from datetime import UTC, datetime
from email.message import Message

import pytest
from standardwebhooks import Webhook

from evtool.webhooks import WebhookError, sign, verify

SECRET, OTHER = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_b3RoZXJvdGhlcg=="
BODY = b'{"id": "e-1"}'
NOW = 1_796_000_000


def headers(signature=None, **changes):
    values = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(NOW),
        "webhook-signature": signature or sign(BODY, "msg_1", NOW, [SECRET]),
    }
    return {**values, **{name.replace("_", "-"): value for name, value in changes.items()}}


def check(body=BODY, values=None, secret=SECRET, now=NOW):
    return verify(body, headers() if values is None else values, secret, now=now)


def test_signatures_agree_with_another_implementation():
    """Both directions: its requests are verified, and its signatures are equal."""
    signature = Webhook(SECRET).sign("msg_1", datetime.fromtimestamp(NOW, UTC), BODY.decode())

    assert check(values=headers(signature)) == "msg_1"
    assert sign(BODY, "msg_1", NOW, [SECRET]) == signature


def test_verify_accepts_all_forms_of_its_arguments():
    """The body may be text, the headers pairs in any case or an `http.server` message, and the secrets several."""
    message = Message()
    for name, value in headers().items():
        message[name.title()] = value

    assert check(BODY.decode()) == "msg_1"
    assert check(values={name.upper(): value for name, value in headers().items()}) == "msg_1"
    assert check(values=list(headers().items())) == "msg_1"
    assert check(values=message) == "msg_1"
    assert check(secret=[OTHER, SECRET]) == "msg_1"
    assert check(values=headers(sign(BODY, "msg_1", NOW, [OTHER, SECRET]))) == "msg_1"
    assert check(values=headers(f"v2,abc v1a,xyz {headers()['webhook-signature']}")) == "msg_1"


REFUSED = {
    "another body": {"body": BODY + b" "},
    "another secret": {"secret": OTHER},
    "another id": {"values": headers(webhook_id="msg_2")},
    "another time": {"values": headers(webhook_timestamp=str(NOW + 1))},
    "no id": {"values": headers(webhook_id="")},
    "no headers": {"values": {}},
    "no number": {"values": headers(webhook_timestamp="٣٣")},
    "nan": {"values": headers(webhook_timestamp="nan")},
    "too old": {"now": NOW + 301},
    "in the future": {"now": NOW - 301},
    "no version": {"values": headers(headers()["webhook-signature"].removeprefix("v1,"))},
    "another version": {"values": headers(headers()["webhook-signature"].replace("v1", "v2"))},
    "empty signature": {"values": headers("v1,")},
    "not ASCII": {"values": headers("v1,ü")},
    "a signature that UTF-8 cannot write": {"values": headers("v1,\udcff")},
    "an id that UTF-8 cannot write": {"values": headers(webhook_id="\udcff")},
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_request(name):
    """A request is refused unless it was signed with the secret, in the last five minutes."""
    with pytest.raises(WebhookError) as error:
        check(**REFUSED[name])

    assert SECRET[6:] not in str(error.value)
    assert isinstance(error.value, ValueError)


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "abc", "whsec_!!", SECRET[6:], [], [SECRET, ""], None, [None], SECRET.encode()]
)
def test_secret_that_cannot_be_used(secret):
    """A mistake of the receiver is not taken for a bad request."""
    with pytest.raises(ValueError, match="secret") as error:
        check(secret=secret)

    assert not isinstance(error.value, WebhookError)


def test_import_is_light():
    """A receiver does not import the rest of evtool."""
    code = "import sys, evtool.webhooks; print(*[m for m in sys.modules if m.split('.')[0] in ('evtool', 'pydantic')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["evtool", "evtool.webhooks"]
