#!/bin/sh
# localstripe 1.15.10 with stripe 16.1.0: metadata whose keys are digits comes back as a list without its keys.
#
# Stripe accepts any string of up to 40 characters without square brackets as a key of metadata. stripe sends {"7": "a", "9": "b"} as
# metadata[7]=a&metadata[9]=b. localstripe reads every group of numbered fields as an array and returns ["a", "b"]: the keys are lost,
# in the response, in later requests and in webhooks. With one key that is not a number, all are kept.
#
# Seen: "{'7': 'a', '9': 'b'} -> ['a', 'b']", "{'7': 'a', 'x': 'b'} -> {'7': 'a', 'x': 'b'}". The script fails if that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check localstripe==1.15.10 aiohttp==3.14.5 stripe==16.1.0
cat >metadata.py <<'PY'
import socket
import subprocess
import sys
import time

import stripe

SERVER = """
import sys, aiohttp.web, localstripe.resources, localstripe.server
localstripe.resources.store.dump_to_disk = lambda: None
aiohttp.web.run_app(localstripe.server.app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""

with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
server = subprocess.Popen([sys.executable, "-c", SERVER, str(port)])
try:
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.1)
    client = stripe.StripeClient("sk_test_12345", base_addresses={"api": f"http://127.0.0.1:{port}"})
    for metadata in ({"7": "a", "9": "b"}, {"7": "a", "x": "b"}):
        customer = client.v1.customers.create({"metadata": metadata})
        print(metadata, "->", customer.to_dict()["metadata"])
finally:
    server.terminate()
    server.wait()
PY
venv/bin/python metadata.py | tee seen
grep -qF "{'7': 'a', '9': 'b'} -> ['a', 'b']" seen
grep -qF "{'7': 'a', 'x': 'b'} -> {'7': 'a', 'x': 'b'}" seen
