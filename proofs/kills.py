"""Proof: everything acknowledged survives kill -9 of publish and deliver; no delivery is lost, stuck or uncounted."""

import time
from typing import Any

from proofs import project as projects
from proofs.audit import Sums, audit, audit_settled, read_rows
from proofs.project import Project
from proofs.running import Ended, Running, run, start
from proofs.trial import Figures, Trial, hold

# Kills on one store. Each new store can also be killed during its creation.
SERIES = 100
# Seconds by which the clock advances between waves, so that all leases of killed processes have expired.
LEASE = 600
KILLED = -9
# The share of kills after which a busy machine may not finish a running call within its grace period of half a second.
SLOW_SHARE = 0.05
# How often each of these events kills evtool.
BITES = ([0] * 9 + [1]) * 5
# The approximate bytes of a printed record.
LINE = 300

DUE = "SELECT count(*) FROM delivery WHERE state = 'ready' AND due <= 1000 * (unixepoch() + 1)"
OPEN = "SELECT count(*) FROM delivery WHERE state <> 'done'"


def max_cut_calls(kills: int) -> int:
    """Returns how many calls these kills may cut short. Only on a busy machine there can be any."""
    return 2 + round(kills * SLOW_SHARE)


def is_completed(ended: Ended) -> bool:
    """Returns whether a process ended before it was killed. Raises Broken if it ended with an error.

    Another process may hold the leases of the same deliveries, which is not an error.
    """
    if ended.code == KILLED:
        return False
    is_clean = not ended.errors or ended.errors.startswith("held by another evtool: ")
    hold(ended.code == 0 and is_clean, f"exit code {ended.code}: {ended.errors}")
    return True


def hold_completed(ended: Ended) -> None:
    """Raises Broken unless a process that the proof does not kill has completed."""
    hold(is_completed(ended), "something outside the proof has killed evtool")


def publish_undelivered(project: Project, file: str) -> None:
    """Imports a file without deliveries."""
    hold_completed(run(project.folder, "publish", "--no-deliver", file))


# --- publish ---------------------------------------------------------------------------------------------------------


def prove_publish(trial: Trial) -> Figures:
    """Kills imports of files and streams at random moments, on many stores."""
    kills = trial.size(1000, 12)
    figures = {"kills of publish": 0, "events acknowledged": 0, "stored, not yet acknowledged": 0}
    while figures["kills of publish"] < kills:
        left = kills - figures["kills of publish"]
        project = projects.create_project(trial.folder / f"publish-{left}")
        acknowledged, killed = _kill_imports(trial, project, min(left, trial.size(SERIES, 6)))
        sums = audit(project, projects.acknowledge(acknowledged))
        _check_next_import(trial, project, sums)
        figures["kills of publish"] += killed
        figures["events acknowledged"] += len(acknowledged)
        figures["stored, not yet acknowledged"] += sums.events - len(acknowledged)
    return figures


def _kill_imports(trial: Trial, project: Project, kills: int) -> tuple[set[str], int]:
    """Kills imports until there are `kills` of them. Returns the acknowledged ids and the number of kills."""
    random = trial.random
    acknowledged: set[str] = set()
    killed = 0
    events = project.create_events(500, random)
    while killed < kills:
        # Otherwise the same events come again, as after a crash.
        if random.random() < 0.7:
            events = project.create_events(random.choice([10, 200, 1000]), random)
        file = projects.write_events(project.folder / random.choice(["some.jsonl", "some.json"]), events)
        stdin = b""
        if random.random() < 0.3:
            file = "-"
            stdin = b"\n".join(events)
        # A new Python needs longer to start than a fork.
        real = random.random() < 0.1
        longest_pause = 0.01
        if real:
            longest_pause = 0.4
        running = start(project.folder, "publish", "--no-deliver", file, stdin=stdin, real=real)
        # Otherwise the kill happens during the start.
        if random.random() < 0.8:
            _await_output(running, random.randrange(len(events)) * LINE)
        time.sleep(random.random() * longest_pause)
        running.signal()
        ended = running.wait()
        acknowledged.update(record["id"] for record in ended.records)
        killed += not is_completed(ended)
    return acknowledged, killed


def _await_output(running: Running, size: int) -> None:
    out = running.output.with_suffix(".out")
    while out.stat().st_size < size and not running.has_ended():
        time.sleep(0.0005)


def _check_next_import(trial: Trial, project: Project, before: Sums) -> None:
    """After the kills all deliveries are due, and a new import works."""
    [[due]] = read_rows(project.store, DUE)
    hold(due == before.deliveries, f"{before.deliveries - due} deliveries of an import are not due")
    more = projects.write_events(project.folder / "more.jsonl", project.create_events(3, trial.random))
    ended = run(project.folder, "publish", "--no-deliver", more)
    hold_completed(ended)
    hold(audit(project, ended.records).events == before.events + 3, "an import after the kills is not stored")


# --- deliver ---------------------------------------------------------------------------------------------------------


def prove_deliver(trial: Trial) -> Figures:
    """Lets poisonous events kill evtool, and kills one or several processes at random moments."""
    for kind in ("poison", "venom"):
        _prove_poison(trial, kind)
    _prove_bites(trial)
    project = projects.create_project(trial.folder / "deliver")
    kills = trial.size(300, 6)
    orders = trial.size(200, 30)
    killed = 0
    wave = 0
    acknowledged: list[dict[str, Any]] = []
    while killed < kills:
        if not project.store.exists() or _count_open(project) < orders:
            publish_undelivered(project, projects.write_orders(project, trial.random, orders))
        wave += 1
        for ended in _kill_wave(trial, project, ahead=wave * LEASE):
            acknowledged += ended.records
            killed += not is_completed(ended)
        if wave % 10 == 0:
            audit(project, acknowledged)
    last = run(project.folder, "deliver", ahead=(wave + 1) * LEASE)
    hold_completed(last)
    audit(project, acknowledged + last.records)
    sums, repeated = audit_settled(project, max_cut_calls(killed))
    return {
        "kills of deliver": killed,
        "deliveries": sums.deliveries,
        "attempts cut short by a kill": sums.unfinished,
        "calls made twice": repeated,
    }


def _count_open(project: Project) -> int:
    [[count]] = read_rows(project.store, OPEN)
    return int(count)


def _kill_wave(trial: Trial, project: Project, *, ahead: int) -> list[Ended]:
    """Starts one to three evtools on the same store and kills them within half a second."""
    random = trial.random
    number = random.choice([1, 1, 2, 3])
    workers = [start(project.folder, "deliver", ahead=ahead, real=random.random() < 0.1) for _ in range(number)]
    before = _measure_call_log(project)
    deadline = time.monotonic() + 2
    # Most kills wait for the first call, since a kill during the start of evtool cannot cut one short.
    waits_for_call = random.random() < 0.9
    while waits_for_call and time.monotonic() < deadline and _measure_call_log(project) == before:
        time.sleep(0.001)
    for worker in workers:
        time.sleep(random.random() * 0.2)
        worker.signal()
    return [worker.wait() for worker in workers]


def _measure_call_log(project: Project) -> int:
    calls = project.folder / "calls.log"
    if not calls.exists():
        return 0
    return calls.stat().st_size


# --- poison ----------------------------------------------------------------------------------------------------------


def _prove_poison(trial: Trial, kind: str) -> None:
    """An event whose handler always kills evtool becomes a dead letter after its three attempts."""
    project = projects.create_project(trial.folder / kind)
    events = project.create_events(1, trial.random, kind=kind, bites=3)
    publish_undelivered(project, projects.write_events(project.folder / "poison.jsonl", events))
    for attempt in range(1, 4):
        ended = run(project.folder, "deliver", ahead=attempt * LEASE)
        hold(ended.code == KILLED, f"attempt {attempt} of an event that kills evtool: exit code {ended.code}")
    ended = run(project.folder, "deliver", ahead=4 * LEASE)
    [[state]] = read_rows(project.store, "SELECT state FROM delivery")
    hold((ended.code, state) == (1, "dead"), f"an event that kills evtool each time is {state} after three attempts")
    audit(project)


def _prove_bites(trial: Trial) -> None:
    """A handler that kills evtool in the middle of a batch costs an attempt of its own event only."""
    project = projects.create_project(trial.folder / "bitten")
    events: list[bytes] = []
    for bites in BITES:
        events += project.create_events(1, trial.random, kind="venom", bites=bites)
    publish_undelivered(project, projects.write_events(project.folder / "bites.jsonl", events))
    for kill in range(sum(BITES)):
        ended = run(project.folder, "deliver", ahead=kill * LEASE)
        hold(ended.code == KILLED, f"an event that kills evtool once: exit code {ended.code}")
    hold_completed(run(project.folder, "deliver", ahead=sum(BITES) * LEASE))
    audit_settled(project, sum(BITES))
