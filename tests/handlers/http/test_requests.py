"""The request: its body in three forms, its headers, and its signature, which other implementations verify."""

import json
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from evtool import webhooks
from evtool.handlers.base import Done, Emitted
from tests.handlers.http.conftest import CALL, EVENT
from tests.support.http_servers import Received, Server, responds

OLD, NEW = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"


def receive(send, *arguments, **options) -> Received:
    """The request that a call sends."""
    with Server(responds(200)) as server:
        assert send(server.url, *arguments, **options) == Done()
    return server.requests[0]


def test_body_is_the_event_by_default(send):
    """The body is the event, byte by byte."""
    request = receive(send)

    assert request.line == "POST /hook HTTP/1.1"
    assert request.body == EVENT
    assert request.headers["content-type"] == "application/json"
    assert request.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("secrets", [OLD, [OLD], [NEW, OLD], [OLD, NEW]])
def test_other_implementation_verifies_the_signature(send, secrets):
    """It verifies the request with each of the secrets, and with no other."""
    request = receive(send, secret=secrets)

    for secret in [secrets] if isinstance(secrets, str) else secrets:
        assert Webhook(secret).verify(request.body, dict(request.headers)) == json.loads(EVENT)
        assert webhooks.verify(request.body, request.headers, secret) == request.headers["webhook-id"]
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_b3RoZXI=").verify(request.body, dict(request.headers))


def test_request_without_a_secret_has_no_signature(send):
    """It has an id and a time."""
    headers = receive(send).headers

    assert headers["webhook-id"].startswith("msg_")
    assert headers["webhook-timestamp"].isdigit()
    assert "webhook-signature" not in headers


def test_all_attempts_of_a_delivery_have_one_id(send):
    """Every other delivery has another id."""
    first = receive(send).headers["webhook-id"]

    assert receive(send, CALL._replace(attempt=2)).headers["webhook-id"] == first
    others = [
        CALL._replace(event_id="e-2"),
        CALL._replace(event_source="other"),
        CALL._replace(route="other"),
        CALL._replace(replay="november"),
    ]
    assert len({first, *(receive(send, call).headers["webhook-id"] for call in others)}) == 5


def test_headers_of_routes_replace_defaults(send, monkeypatch):
    """Their variables are expanded. They replace defaults, with names in any case."""
    monkeypatch.setenv("TOKEN", "abc")
    headers = {"Authorization": "Bearer ${TOKEN}", "content-TYPE": "application/vnd.shop+json", "X-Name": " Zoe "}
    request = receive(send, headers=headers)

    assert request.headers["authorization"] == "Bearer abc"
    assert request.headers["content-type"] == "application/vnd.shop+json"
    assert request.headers["x-name"] == "Zoe"


CLOUDEVENT = {"specversion": "1.0", "id": "c-1", "source": "shop", "type": "a.b", "time": "2026-01-01T00:00:00Z"}


def cloudevent_call(**members: Any):
    document = {**CLOUDEVENT, **members}
    return CALL._replace(raw=json.dumps(document).encode(), event_id="c-1", event_type="a.b", event_source="shop")


def test_structured_mode(send):
    """An event of EventBridge becomes a CloudEvent, a CloudEvent does not change; the result of `input` is data."""
    request = receive(send, body="cloudevents")
    assert request.headers["content-type"] == "application/cloudevents+json"
    expected = {"specversion": "1.0", "id": "e-1", "source": "shop.checkout", "type": "order.created"}
    assert json.loads(request.body) == {**expected, "datacontenttype": "application/json", "data": {"total": 5}}

    request = receive(send, cloudevent_call(data=[1], note="x"), body="cloudevents")
    assert json.loads(request.body) == {**CLOUDEVENT, "data": [1], "note": "x"}

    request = receive(send, CALL._replace(raw=b'"5 EUR"'), body="cloudevents")
    assert json.loads(request.body) == {**expected, "datacontenttype": "application/json", "data": "5 EUR"}


def test_binary_mode(send):
    """The attributes are headers, the body is the data."""
    request = receive(send, body="cloudevents-binary")
    assert request.body == b'{"total": 5}'
    ce = {name: value for name, value in request.headers.items() if name.startswith("ce-")}
    assert ce == {"ce-specversion": "1.0", "ce-id": "e-1", "ce-source": "shop.checkout", "ce-type": "order.created"}

    call = cloudevent_call(data="grüße", datacontenttype="text/plain; charset=utf-8", subject='Žižek "1" %', n=5)
    request = receive(send, call, body="cloudevents-binary")
    assert request.body.decode() == "grüße"
    assert request.headers["content-type"] == "text/plain; charset=utf-8"
    assert request.headers["ce-subject"] == "%C5%BDi%C5%BEek%20%221%22%20%25"
    assert request.headers["ce-n"] == "5"

    call = cloudevent_call(data_base64="AAEC", datacontenttype="application/octet-stream")
    assert receive(send, call, body="cloudevents-binary").body == b"\0\1\2"
    assert receive(send, cloudevent_call(), body="cloudevents-binary").body == b""


def test_response_may_emit_entries_and_events(send):
    """A response in JSON emits entries of PutEvents, and events with their envelope."""
    cloudevent = {"specversion": "1.0", "type": "order.packed", "source": "warehouse", "data": {"bin": 7}}
    event = {"detail-type": "order.picked", "source": "warehouse", "detail": {"bin": 7}}
    entry = {"Source": "warehouse", "DetailType": "order.sent", "Detail": '{"bin": 7}'}
    body = json.dumps({"emit": [entry, event, cloudevent]}).encode()
    with Server(responds(202, body, content_type="application/json; charset=utf-8")) as server:
        outcome = send(server.url)

    detail = b'{"bin": 7}'
    assert outcome.emitted == (
        Emitted("order.sent", detail, "warehouse"),
        Emitted("order.picked", detail, "warehouse", envelope=event),
        Emitted("order.packed", detail, "warehouse", envelope=cloudevent),
    )


def test_path_and_query_are_sent(send):
    """evtool encodes characters that HTTP does not allow."""
    with Server(responds(200)) as server:
        send(f"http://127.0.0.1:{server.port}?a=ü&b=%20#part")

    assert server.requests[0].line == "POST /?a=%C3%BC&b=%20 HTTP/1.1"
