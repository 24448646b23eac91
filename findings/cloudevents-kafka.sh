#!/bin/sh
# cloudevents 2.2.0 (the official SDK for Python), Kafka binding: three problems with messages that other programs can send.
#
# - A structured message (content type application/cloudevents+json) with one more header whose name begins with "ce_", such as
#   "ce_tenant", is refused: the SDK reads it in binary mode. The binding says that the content type decides.
#   If all four required attributes are also in headers, the structured event becomes the data of another event.
# - A binary message without "ce_id" is not refused, although an id is required: it gets a random one, and a different one at
#   each reading. A program that removes duplicates by id never finds one. "ce_time" becomes the time of the reading.
# - The boolean attribute true is written as "True"; its canonical form is "true".
#
# evtool reads messages with its own codec (evtool/buses/cloudevents_binding.py).
#
# Seen: the four lines below. The script fails if that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check cloudevents==2.2.0
"$folder/venv/bin/python" - >"$folder/out" <<'PY'
import json

from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event, to_binary_event
from cloudevents.core.v1.event import CloudEvent

EVENT = {"specversion": "1.0", "id": "inner", "type": "order.created", "source": "/shop", "data": {"n": 1}}
STRUCTURED = {"content-type": b"application/cloudevents+json"}
BINARY = {"ce_specversion": b"1.0", "ce_type": b"order.created", "ce_source": b"/shop"}


def read(headers, value):
    return from_kafka_event(KafkaMessage(headers=headers, key=None, value=json.dumps(value).encode()))


try:
    print("structured and ce_tenant:", read({**STRUCTURED, "ce_tenant": b"blue"}, EVENT).get_id())
except Exception as error:
    print("structured and ce_tenant:", type(error).__name__)
print("structured and binary:", read({**BINARY, **STRUCTURED, "ce_id": b"outer"}, EVENT).get_data() == EVENT)
headers = {**BINARY, "content-type": b"application/json"}
print("the same id at each reading:", read(headers, {}).get_id() == read(headers, {}).get_id())
attributes = {"specversion": "1.0", "id": "1", "type": "order.created", "source": "/shop", "paid": True}
print("true is written as:", to_binary_event(CloudEvent(attributes, {})).headers["ce_paid"].decode())
PY
cat "$folder/out"
[ "$(cat "$folder/out")" = "structured and ce_tenant: CloudEventValidationError
structured and binary: True
the same id at each reading: False
true is written as: True" ]
