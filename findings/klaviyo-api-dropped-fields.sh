#!/bin/sh
# klaviyo-api 25.0.0: the request does not contain fields that its models do not have, without an error or a warning.
#
# Klaviyo's OpenAPI of revision 2026-07-15 has `meta` in the attributes of an event's profile: it appends to and removes properties.
# klaviyo-api 24.0.0 sends it. In 25.0.0, for revision 2026-10-15, `meta` is next to the attributes. A program that is not changed runs as
# before, gets 202, and its profiles are no longer updated. The models are generated with pydantic's default, which ignores unknown fields, so
# a misspelled field is lost in the same way, in both versions: Klaviyo, which would refuse it, never sees it.
#
# Seen: "24.0.0: meta sent, valeu lost", "25.0.0: meta lost, valeu lost". The script fails if that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >fields.py <<'PY'
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from klaviyo_api import KlaviyoAPI

bodies = []


class Klaviyo(BaseHTTPRequestHandler):
    def do_POST(self):
        bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Klaviyo)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = KlaviyoAPI("pk_1", max_retries=0, test_host=f"http://127.0.0.1:{server.server_port}")
meta = {"patch_properties": {"append": {"carts": "A1"}}}
attributes = {
    "properties": {},
    "valeu": 1,
    "metric": {"data": {"type": "metric", "attributes": {"name": "Started Checkout"}}},
    "profile": {"data": {"type": "profile", "attributes": {"email": "joe@example.com", "meta": meta}}},
}
client.Events.create_event({"data": {"type": "event", "attributes": attributes}})
sent = bodies[0]["data"]["attributes"]
found = {"meta": sent["profile"]["data"]["attributes"].get("meta") == meta, "valeu": "valeu" in sent}
print(f"{sys.argv[1]}: " + ", ".join(f"{name} {'sent' if is_sent else 'lost'}" for name, is_sent in found.items()))
PY

try() {
    python3 -m venv "venv-$1"
    "venv-$1/bin/pip" install --quiet --disable-pip-version-check "klaviyo-api==$1"
    "venv-$1/bin/python" fields.py "$1" | tee -a seen
}

try 24.0.0
try 25.0.0
grep -q '^24.0.0: meta sent, valeu lost$' seen
grep -q '^25.0.0: meta lost, valeu lost$' seen
