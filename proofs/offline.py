"""Proof: evtool opens no connection, whatever addresses events, schemas and routes hold.

Every Python process notes each connection that it begins and each name that it asks for; a server of ours stands where
all addresses lead, for what Python does not see. To listen on this machine for what handlers send to EventBridge is no
connection.
"""

import json
import os
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from proofs.trial import Figures, Trial, hold

ROOT = Path(__file__).parent.parent
NOTING = """
import os, sys

def note(name, arguments):
    if name == "socket.bind" and arguments[1] == ("127.0.0.1", 0):
        return
    if name.startswith(("socket.", "urllib.")) and name != "socket.__new__":
        with open(os.environ["NOTES"], "a") as notes:
            notes.write(f"{name} {arguments[1:]!r}\\n")

sys.addaudithook(note)
"""
SCHEMAS = {
    "far": {"$ref": "URL/other.json"},
    "meta": {"$schema": "URL/meta.json", "type": "object"},
    "named": {"$id": "URL/named.json", "properties": {"a": {"$ref": "other.json#/a"}}},
    "file": {"$ref": "file:///etc/hostname"},
    "well": {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "URL/well.json", "type": "object"},
}
ROUTES = """
version: 1
schemas: [schemas]
handlers: {take: {python: "handlers.py:take"}}
routes: {all: {description: "URL", pattern: {source: [{prefix: "URL"}, {exists: true}]}, to: [take]}}
"""
COMMANDS = (
    "validate {type}.json --schema schemas/{type}.json",
    "validate {type}.json --schema schemas/{type}.json --no-schema warn -v",
    "publish {type}.json --no-validate",
    "publish {type}.json",
    "deliver --now",
    "explain {type}.json -v",
    "replay -v",
    "replay --deliver",
    "events",
    "events --summary",
    "dlq list",
    "doctor",
    "backup copy-{type}.db",
    "events prune --older-than 0s",
    "--version",
    "--help",
)


def prove(trial: Trial) -> Figures:
    """Every command on events of several types, each with a schema that asks for something from afar."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        notes = _project(trial.folder, url)
        kinds = list(SCHEMAS)[: trial.size(len(SCHEMAS), 2)]
        runs = [_run(trial.folder, command, kind, notes) for kind in kinds for command in COMMANDS]
        server.settimeout(0)
        try:
            server.accept()
            came = True
        except BlockingIOError:
            came = False
    hold(not came, "something was fetched")
    hold(not notes.exists(), f"connections were begun: {notes.read_text(encoding='utf-8') if notes.exists() else ''}")
    return {"commands": len(runs), "connections": 0}


def _project(folder: Path, url: str) -> Path:
    """Writes a project full of addresses; where connections are noted."""
    for name, schema in SCHEMAS.items():
        file = folder / "schemas" / f"{name}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(schema).replace("URL", url), encoding="utf-8")
        event = {
            "id": name,
            "source": url,
            "detail-type": name,
            "dataschema": url,
            "detail": {"$schema": url, "u": url},
        }
        (folder / f"{name}.json").write_text(json.dumps(event), encoding="utf-8")
    (folder / "routes.yaml").write_text(ROUTES.replace("URL", url), encoding="utf-8")
    (folder / "handlers.py").write_text("def take(event, context):\n    pass\n", encoding="utf-8")
    (folder / "noting").mkdir()
    (folder / "noting/sitecustomize.py").write_text(NOTING, encoding="utf-8")
    return folder / "notes"


def _run(folder: Path, command: str, kind: str, notes: Path) -> int:
    words = command.replace("{type}", kind).split(" ")
    environment = {"PYTHONPATH": os.pathsep.join([str(folder / "noting"), str(ROOT)]), "NOTES": str(notes)}
    done = subprocess.run(
        [sys.executable, "-m", "evtool", *words],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    hold(done.returncode in (0, 1, 2), f"{command}: exit code {done.returncode}, {done.stderr}")
    hold("Traceback" not in done.stderr and "Usage:" not in done.stderr, f"{command}: {done.stderr}")
    hold(not notes.exists(), f"{command}: connections are begun")
    return done.returncode
