"""Proof: every event that `evtool serve` acknowledged survives kill -9, also with --deliver, and whole batches do."""

import http.client
import json
import re
import threading
import time
from collections.abc import Sequence

from evtool.commands import serve_endpoint
from proofs import project as projects
from proofs.audit import audit, rows, settled
from proofs.kills import KILLED, LEASE, allowed, survived
from proofs.project import Project
from proofs.running import PATIENCE, Running, run, start
from proofs.trial import Figures, Trial, hold

CLIENTS = 8
SERIES = 50  # kills on one store
ACCEPTED = (200, 202)
assert serve_endpoint  # imported to be there in every fork


class _Load:
    """Requests that several clients send, and what the server acknowledged of them."""

    def __init__(self, requests: Sequence[bytes]):
        self._requests = list(requests)
        self._lock = threading.Lock()
        self.acknowledged: list[dict[str, str]] = []
        self.problems: list[str] = []

    def send(self, port: int) -> None:
        """Sends requests until the server is gone. One that is not answered is sent again to the next server."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        while True:
            with self._lock:
                if not self._requests:
                    return
                body = self._requests.pop()
            try:
                connection.request("POST", "/events", body)
                response = connection.getresponse()
                answer = json.loads(response.read())
            except (OSError, http.client.HTTPException, ValueError):
                with self._lock:
                    self._requests.append(body)
                connection.close()
                return
            with self._lock:
                if response.status in ACCEPTED:
                    self.acknowledged += answer["events"]
                else:
                    self.problems.append(f"{response.status}: {answer}")

    def list_unsent(self) -> list[bytes]:
        """The requests that were not answered."""
        return list(self._requests)


def prove(trial: Trial) -> Figures:
    """Kills the server under load at random moments, again and again on one store."""
    kills = trial.size(300, 6)
    figures = {"kills of serve": 0, "events acknowledged": 0, "stored, not yet acknowledged": 0}
    while (left := kills - figures["kills of serve"]) > 0:
        project = projects.make(trial.folder / f"serve-{left}")
        number = min(left, SERIES)
        acknowledged = _kill_under_load(trial, project, number)
        hold(survived(run(project.folder, "deliver", ahead=(number + 1) * LEASE)), "killed by somebody else")
        audit(project, ({"id": name, "deliveries": []} for name in acknowledged))
        [[stored]] = rows(project.store, "SELECT count(*) FROM event WHERE cause IS NULL")
        settled(project, allowed(number))
        figures["kills of serve"] += number
        figures["events acknowledged"] += len(acknowledged)
        figures["stored, not yet acknowledged"] += stored - len(acknowledged)
    return figures


def _kill_under_load(trial: Trial, project: Project, kills: int) -> set[str]:
    """The ids that were acknowledged before so many kills."""
    random = trial.random
    acknowledged: set[str] = set()
    unsent: list[bytes] = []
    for life in range(kills):
        for _ in range(trial.size(400, 200)):
            events = project.events(random.choice([1, 1, 1, 10]), random)
            unsent.append(events[0] if len(events) == 1 else b"[" + b",".join(events) + b"]")
        load = _Load(unsent)
        options = ["--deliver"] if random.random() < 0.2 else []
        running = start(
            project.folder, "serve", "--listen", "127.0.0.1:0", *options, ahead=life * LEASE, report=bool(options)
        )
        port = _find_port(running)
        threads = [threading.Thread(target=load.send, args=[port]) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        while not load.acknowledged and any(thread.is_alive() for thread in threads):
            time.sleep(0.001)
        time.sleep(random.random() * 0.2)
        running.signal()
        for thread in threads:
            thread.join()
        ended = running.wait()
        hold(ended.code == KILLED, f"exit code {ended.code}: {ended.errors}")
        hold(not load.problems, f"a request was refused: {load.problems[:1]}")
        acknowledged |= {event["id"] for event in load.acknowledged}
        unsent = load.list_unsent()
    return acknowledged


def _find_port(running: Running) -> int:
    """The port that the server says."""
    errors, until = running.said.with_suffix(".err"), time.monotonic() + PATIENCE
    while time.monotonic() < until and not running.has_ended():
        if found := re.search(r"listening on http://127\.0\.0\.1:(\d+)", errors.read_text(encoding="utf-8")):
            return int(found[1])
        time.sleep(0.01)
    hold(False, f"the server does not listen: {errors.read_text(encoding='utf-8')}")  # noqa: FBT003
    raise AssertionError
