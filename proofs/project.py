"""Project under attack: orders that are paid and packed, so that the proofs know the end of every delivery.

Example: an event `order` has deliveries to `pay` and `pack`. `pay` emits an event `paid`, which has a delivery to
`pack`. So each order leads to two events and three deliveries. A `note` matches no route.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from proofs.running import Ended

# The deliveries (route, handler) that an event of each type must have. The handler `pay` emits `paid`.
EXPECTED = {
    "order": {("pay-for-order", "pay"), ("pack-order", "pack")},
    "paid": {("pack-paid", "pack")},
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

def log_call(event, handler):
    os.write(CALLS, f"{event['id']} {handler}\\n".encode())
    time.sleep(event["detail"].get("seconds", 0))

def pay(event, context):
    log_call(event, "pay")
    context.emit("paid", {"order": event["id"]})

def pack(event, context):
    log_call(event, "pack")

def poison(event, context):
    log_call(event, "poison")
    os.kill(os.getpid(), signal.SIGKILL)

def venom(event, context):
    log_call(event, "venom")
    calls = Path(__file__).with_name("calls.log").read_text().split("\\n")
    if calls.count(event["id"] + " venom") <= event["detail"]["bites"]:
        os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
"""


class Project(NamedTuple):
    """A project's folder, and the types of the events that were sent to it, by id."""

    folder: Path
    sent: dict[str, str]

    @property
    def store(self) -> Path:
        """The path of the store."""
        return self.folder / ".evtool/store.db"

    def list_acknowledged(self, ended: Ended, words: Sequence[str]) -> list[Mapping[str, Any]]:
        """Returns the records that a run of evtool acknowledges: its report, and after exit code 0 all its files."""
        acknowledged: list[Mapping[str, Any]] = list(ended.records)
        if ended.code != 0:
            return acknowledged
        for word in words:
            if word.endswith((".json", ".jsonl")):
                text = (self.folder / word).read_text(encoding="utf-8")
                acknowledged += acknowledge(re.findall(r'"id": "(\w+)"', text))
        return acknowledged

    def count_calls(self) -> Counter[tuple[str, str]]:
        """Returns how many calls each handler has started for each event: (id, handler)."""
        log = self.folder / "calls.log"
        calls = Counter[tuple[str, str]]()
        if log.exists():
            for line in log.read_text(encoding="utf-8").splitlines():
                name, _, handler = line.partition(" ")
                calls[name, handler] += 1
        return calls

    def count_expected(self) -> int:
        """Returns how many events the store has in the end: those sent, and one emitted by each order."""
        orders = sum(kind == "order" for kind in self.sent.values())
        return len(self.sent) + orders

    def create_events(
        self, number: int, random: Random, *, kind: str = "", longest: int = 2000, **detail: Any
    ) -> list[bytes]:
        """Returns new events, some longer than a page of the store. Without `kind` two of three are notes."""
        events = []
        for _ in range(number):
            name = f"e{len(self.sent)}"
            chosen = kind or random.choice(["note", "note", "order"])
            self.sent[name] = chosen
            filling = "x" * random.choice([0, 10, random.randrange(longest + 1)])
            content = {"filling": filling} | detail
            event = {"id": name, "source": "proof", "detail-type": chosen, "detail": content}
            events.append(json.dumps(event).encode())
        return events


def acknowledge(names: Iterable[str]) -> list[Mapping[str, Any]]:
    """Returns records that say only that these events are stored."""
    return [{"id": name, "deliveries": []} for name in names]


def create_project(folder: Path, *, isolation: str = "process") -> Project:
    """Creates a project. Isolation `none` calls the handlers inside evtool, which is faster and needs one process."""
    folder.mkdir(parents=True)
    (folder / "routes.yaml").write_text(ROUTES.replace("ISOLATION", isolation), encoding="utf-8")
    (folder / "handlers.py").write_text(HANDLERS, encoding="utf-8")
    return Project(folder, {})


def write_events(file: Path, events: list[bytes]) -> str:
    """Writes events as a JSON array to a file `*.json`, else as JSON Lines. Returns the file's name."""
    if file.suffix == ".json":
        file.write_bytes(b"[" + b",".join(events) + b"]")
    else:
        file.write_bytes(b"\n".join(events) + b"\n")
    return file.name


def write_orders(project: Project, random: Random, number: int, **detail: Any) -> str:
    """Writes new orders to the project's file orders.jsonl. Returns the file's name."""
    events = project.create_events(number, random, kind="order", **detail)
    return write_events(project.folder / "orders.jsonl", events)
