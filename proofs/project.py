"""The project under attack: orders that are paid for and packed, so that every delivery has a known end."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from proofs.running import Ended

# type of an event -> the deliveries that it must have: (route, handler)
EXPECTED = {
    "order": {("pay-for-order", "pay"), ("pack-order", "pack")},
    "paid": {("pack-paid", "pack")},  # emitted by pay
    "poison": {("poisoned", "poison")},
    "venom": {("bitten", "venom")},
    "note": set(),
}
ROUTES = """
version: 1
handlers:
  pay: {python: "handlers.py:pay", timeout: 30s, isolation: ISOLATION}
  pack: {python: "handlers.py:pack", timeout: 30s, isolation: ISOLATION}
  poison: {python: "handlers.py:poison", isolation: none}
  venom: {python: "handlers.py:venom"}
routes:
  pay-for-order: {pattern: {detail-type: [order]}, to: [pay]}
  pack-order: {pattern: {detail-type: [order]}, to: [pack]}
  pack-paid: {pattern: {detail-type: [paid]}, to: [pack]}
  poisoned: {pattern: {detail-type: [poison]}, to: [poison], retry: {max_attempts: 3}}
  bitten: {pattern: {detail-type: [venom]}, to: [venom], retry: {max_attempts: 3}}
"""
HANDLERS = """
import os, signal, time
from pathlib import Path

CALLS = os.open(Path(__file__).with_name("calls.log"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

def told(event, handler):
    os.write(CALLS, f"{event['id']} {handler}\\n".encode())
    time.sleep(event["detail"].get("seconds", 0))

def pay(event, context):
    told(event, "pay")
    context.emit("paid", {"order": event["id"]})

def pack(event, context):
    told(event, "pack")

def poison(event, context):
    told(event, "poison")
    os.kill(os.getpid(), signal.SIGKILL)

def venom(event, context):
    told(event, "venom")
    calls = Path(__file__).with_name("calls.log").read_text().split("\\n")
    if calls.count(event["id"] + " venom") <= event["detail"]["bites"]:
        os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
"""


class Project(NamedTuple):
    """The folder of a project, and the types of the events that were sent to it, by their ids."""

    folder: Path
    sent: dict[str, str]

    @property
    def store(self) -> Path:
        """The file of its store."""
        return self.folder / ".evtool/store.db"

    def acknowledged(self, ended: Ended, words: Sequence[str]) -> list[Mapping[str, Any]]:
        """The records that a run of evtool told; exit code 0 says of every event in its files that it is stored."""
        files = [self.folder / word for word in words if word.endswith((".json", ".jsonl"))]
        ids = [name for file in files for name in re.findall(r'"id": "(\w+)"', file.read_text(encoding="utf-8"))]
        return [*ended.records, *({"id": name, "deliveries": []} for name in ids if ended.code == 0)]

    def calls(self) -> Counter[tuple[str, str]]:
        """How often each handler began to work on each event: (id, handler)."""
        log = self.folder / "calls.log"
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        return Counter((line.partition(" ")[0], line.partition(" ")[2]) for line in lines)

    def events(self, number: int, random: Random, *, kind: str = "", longest: int = 2000, **detail: Any) -> list[bytes]:
        """New events, some of them longer than a page of the store; most are notes that nobody takes."""
        made = []
        for _ in range(number):
            name, chosen = f"e{len(self.sent)}", kind or random.choice(["note", "note", "order"])
            self.sent[name] = chosen
            filling = "x" * random.choice([0, 10, random.randrange(longest + 1)])
            event = {"id": name, "source": "proof", "detail-type": chosen, "detail": {"filling": filling, **detail}}
            made.append(json.dumps(event).encode())
        return made


def make(folder: Path, *, isolation: str = "process") -> Project:
    """A new project. Isolation `none` calls the handlers inside evtool: faster, and all its writes are in one place."""
    folder.mkdir(parents=True)
    (folder / "routes.yaml").write_text(ROUTES.replace("ISOLATION", isolation), encoding="utf-8")
    (folder / "handlers.py").write_text(HANDLERS, encoding="utf-8")
    return Project(folder, {})


def write(file: Path, events: list[bytes]) -> str:
    """Writes events as JSON Lines, or as an array if the file's name says so; the file's name."""
    array = file.suffix == ".json"
    file.write_bytes(b"[" + b",".join(events) + b"]" if array else b"\n".join(events) + b"\n")
    return file.name
