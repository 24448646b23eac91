"""The page about webhooks is true: its receiver verifies what evtool sends, and the session prints what it shows."""

import re
import socket
import subprocess
import sys

from evtool.webhooks import decode_secret
from tests.conftest import ROOT, Evtool
from tests.test_docs import blocks, settled

PAGE = ROOT / "docs/webhooks.md"


def find_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_session(evtool: Evtool, tmp_path):
    """The receiver answers, and what it emits is published."""
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
    assert settled(ran.out, varies) == settled(expected, varies)
    assert "HTTP 401 Unauthorized: the signature is not valid" in refused.out


def test_new_secret():
    """The command for a new secret prints one that can be used."""
    [command] = [b.text.removeprefix("$ ") for b in blocks(PAGE) if "token_bytes" in b.text]
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)

    assert len(decode_secret(done.stdout.strip())) == 32
