"""Proof: evtool opens no connection, with any addresses in events, schemas and routes.

An audit hook in every Python process records each connection and each name look-up. All addresses lead to a server of
the proof, which notices connections that Python does not see. evtool may listen on this machine, since handlers send
their EventBridge requests there.
"""

import json
import os
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from proofs.trial import Broken, Figures, Trial, hold

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
    """Runs every command on events of several types, each with a schema that refers to a remote address."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        notes = _create_project(trial.folder, url)
        kinds = list(SCHEMAS)[: trial.size(len(SCHEMAS), 2)]
        runs = [_run(trial.folder, command, kind, notes) for kind in kinds for command in COMMANDS]
        server.settimeout(0)
        try:
            server.accept()
            is_contacted = True
        except BlockingIOError:
            is_contacted = False
    hold(not is_contacted, "evtool has connected to an address in an event, a schema or the routes")
    return {"commands": len(runs), "connections": 0}


def _create_project(folder: Path, url: str) -> Path:
    """Writes a project full of addresses. Returns the file in which the audit hook records connections."""
    for name, schema in SCHEMAS.items():
        file = folder / "schemas" / f"{name}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(schema).replace("URL", url), encoding="utf-8")
        detail = {"$schema": url, "u": url}
        event = {"id": name, "source": url, "detail-type": name, "dataschema": url, "detail": detail}
        (folder / f"{name}.json").write_text(json.dumps(event), encoding="utf-8")
    (folder / "routes.yaml").write_text(ROUTES.replace("URL", url), encoding="utf-8")
    (folder / "handlers.py").write_text("def take(event, context):\n    pass\n", encoding="utf-8")
    # Python imports a module of this name at its start, also in the workers of evtool.
    (folder / "noting").mkdir()
    (folder / "noting/sitecustomize.py").write_text(NOTING, encoding="utf-8")
    return folder / "notes"


def _run(folder: Path, command: str, kind: str, notes: Path) -> int:
    words = command.replace("{type}", kind).split(" ")
    python_path = os.pathsep.join([str(folder / "noting"), str(ROOT)])
    environment = os.environ | {"PYTHONPATH": python_path, "NOTES": str(notes)}
    done = subprocess.run(
        [sys.executable, "-m", "evtool"] + words,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    hold(done.returncode in (0, 1, 2), f"{command}: exit code {done.returncode}, {done.stderr}")
    hold("Traceback" not in done.stderr and "Usage:" not in done.stderr, f"{command}: {done.stderr}")
    if notes.exists():
        raise Broken(f"{command} opens connections: {notes.read_text(encoding='utf-8')}")
    return done.returncode
