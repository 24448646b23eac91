"""Proof: every event that `evtool serve` acknowledged survives kill -9, also with --deliver. Batches stay complete."""

import http.client
import json
import re
import threading
import time
from collections.abc import Sequence

from evtool.commands import serve_endpoint
from proofs import project as projects
from proofs.audit import audit, audit_settled, read_rows
from proofs.kills import KILLED, LEASE, hold_completed, max_cut_calls
from proofs.project import Project
from proofs.running import PATIENCE, Running, run, start
from proofs.trial import Broken, Figures, Trial, hold

CLIENTS = 8
# Kills on one store.
SERIES = 50
ACCEPTED = (200, 202)
# The import above loads the command, which every fork then shares.
assert serve_endpoint


class _Load:
    """Requests that several clients send, and the events that the server has acknowledged."""

    def __init__(self, requests: Sequence[bytes]):
        self._requests = list(requests)
        self._lock = threading.Lock()
        self.acknowledged: list[dict[str, str]] = []
        self.problems: list[str] = []

    def send(self, port: int) -> None:
        """Sends requests until the server ends. An unanswered request remains for the next server."""
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
        """Returns the requests without an answer."""
        return list(self._requests)


def prove(trial: Trial) -> Figures:
    """Kills the server under load at random moments, many times on one store."""
    kills = trial.size(300, 6)
    figures = {"kills of serve": 0, "events acknowledged": 0, "stored, not yet acknowledged": 0}
    while figures["kills of serve"] < kills:
        left = kills - figures["kills of serve"]
        project = projects.create_project(trial.folder / f"serve-{left}")
        number = min(left, SERIES)
        acknowledged = _kill_under_load(trial, project, number)
        hold_completed(run(project.folder, "deliver", ahead=(number + 1) * LEASE))
        audit(project, projects.acknowledge(acknowledged))
        [[stored]] = read_rows(project.store, "SELECT count(*) FROM event WHERE cause IS NULL")
        audit_settled(project, max_cut_calls(number))
        figures["kills of serve"] += number
        figures["events acknowledged"] += len(acknowledged)
        figures["stored, not yet acknowledged"] += stored - len(acknowledged)
    return figures


def _kill_under_load(trial: Trial, project: Project, kills: int) -> set[str]:
    """Kills the server `kills` times under load. Returns the acknowledged ids."""
    random = trial.random
    acknowledged: set[str] = set()
    unsent: list[bytes] = []
    for life in range(kills):
        for _ in range(trial.size(400, 200)):
            events = project.create_events(random.choice([1, 1, 1, 10]), random)
            if len(events) == 1:
                unsent.append(events[0])
            else:
                unsent.append(b"[" + b",".join(events) + b"]")
        load = _Load(unsent)
        words = ["serve", "--listen", "127.0.0.1:0"]
        delivers = random.random() < 0.2
        if delivers:
            words.append("--deliver")
        running = start(project.folder, *words, ahead=life * LEASE, report=delivers)
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
        acknowledged.update(event["id"] for event in load.acknowledged)
        unsent = load.list_unsent()
    return acknowledged


def _find_port(running: Running) -> int:
    """Waits for the line with the server's address and returns the port. Raises Broken if the server ends."""
    errors = running.output.with_suffix(".err")
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and not running.has_ended():
        match = re.search(r"listening on http://127\.0\.0\.1:(\d+)", errors.read_text(encoding="utf-8"))
        if match:
            return int(match[1])
        time.sleep(0.01)
    raise Broken(f"the server does not listen: {errors.read_text(encoding='utf-8')}")
