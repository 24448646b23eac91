"""The page about webhooks is right: its receiver verifies requests of evtool, and its session has the same output."""

import re
import socket
import subprocess
import sys

from evtool.webhooks import decode_secret
from tests.conftest import ROOT, Evtool
from tests.test_docs import blocks, replace_varying

PAGE = ROOT / "docs/webhooks.md"


def find_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_receiver_and_session_of_the_page_work(evtool: Evtool, tmp_path):
    """evtool publishes the events that the receiver emits."""
    port, found = str(find_free_port()), blocks(PAGE)
    (tmp_path / "routes.yaml").write_text(next(b.text for b in found if b.language == "yaml"))
    for block in found:
        if "file" in block.marks:
            (tmp_path / block.marks["file"]).write_text(block.text.replace("8080", port))
    session = next(b for b in found if "evtool publish" in b.text)
    environment = dict(re.findall(r"\$ export (\w+)=(.*)", session.text.replace("8080", port)))
    expected = session.text.partition("$ evtool publish payment.json\n")[2]

    receiver = subprocess.Popen(
        [sys.executable, "receiver.py"],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    try:
        assert receiver.stdout is not None
        assert receiver.stdout.readline() == b"listening\n"
        ran = evtool("publish", "payment.json", cwd=tmp_path, env=environment)
        other = {**environment, "WAREHOUSE_SECRET": "whsec_b3RoZXI="}
        refused = evtool("handlers", "run", "warehouse", "payment.json", cwd=tmp_path, env=other)
    finally:
        receiver.kill()
        receiver.communicate()

    varies = session.marks["varies"]
    assert replace_varying(ran.out, varies) == replace_varying(expected, varies)
    assert "HTTP 401 Unauthorized: the signature is not valid" in refused.out


def test_command_for_a_new_secret_works():
    [command] = [b.text.removeprefix("$ ") for b in blocks(PAGE) if "token_bytes" in b.text]
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)

    assert len(decode_secret(done.stdout.strip())) == 32
