"""Proof: many evtools can share a store. Each delivery is done once, each event stored once, and no process locked out.

Three attacks: 16 workers deliver, and some are killed and replaced; workers are frozen until their leases have expired
and another process has done their deliveries, and then they continue; eight processes import the same file at once.
"""

import signal
import time
from typing import Any

import apsw

from proofs import project as projects
from proofs.audit import audit, audit_settled, read_rows
from proofs.kills import KILLED, hold_completed, is_completed, max_cut_calls, publish_undelivered
from proofs.project import Project
from proofs.running import Running, run, start
from proofs.trial import Figures, Trial, hold

# Seconds ahead of real time. All leases have expired then.
HOUR = 3600
# Exit codes after SIGTERM: the worker had finished, was working, was still starting, or had been killed before.
ENDS = (0, 143, -signal.SIGTERM, KILLED)
# The longest pause between two kills, in seconds.
LONGEST_PAUSE = 0.06
# Seconds that eight imports of the same file may take.
IMPORT_PATIENCE = 7200
READY = "SELECT 1 FROM delivery WHERE state = 'ready' LIMIT 1"
ALL_DELIVERIES = "SELECT * FROM delivery ORDER BY seq"


def prove(trial: Trial) -> Figures:
    """Runs the three attacks."""
    return prove_crowd(trial) | prove_late(trial) | prove_imports(trial)


def prove_crowd(trial: Trial) -> Figures:
    """Many workers deliver from one store, half of them with --watch; some are killed at random and replaced."""
    number = trial.size(16, 4)
    orders = trial.size(3334, 40)
    kills = trial.size(100, 3)
    project = _create_with_orders(trial, "crowd", orders)
    workers = [_start_worker(trial, project) for _ in range(number)]
    killed = 0
    acknowledged: list[dict[str, Any]] = []
    while workers and read_rows(project.store, READY):
        time.sleep(trial.random.random() * LONGEST_PAUSE)
        if killed < kills:
            trial.random.choice(workers).signal()
        # A copy, because the loop changes the list.
        for worker in list(workers):
            if not worker.has_ended():
                continue
            workers.remove(worker)
            ended = worker.wait()
            acknowledged += ended.records
            if not is_completed(ended):
                killed += 1
                workers.append(_start_worker(trial, project))
    for worker in workers:
        worker.signal(signal.SIGTERM)
    for worker in workers:
        ended = worker.wait()
        acknowledged += ended.records
        hold(ended.code in ENDS, f"exit code {ended.code} after SIGTERM: {ended.errors}")
        killed += ended.code == KILLED
    last = run(project.folder, "deliver", ahead=HOUR)
    hold_completed(last)
    audit(project, acknowledged + last.records)
    sums, repeated = audit_settled(project, max_cut_calls(killed))
    hold(sums.deliveries == 3 * orders, f"{sums.deliveries} deliveries instead of {3 * orders}")
    return {f"deliveries by {number} workers": sums.deliveries, "workers killed": killed, "calls made twice": repeated}


def _start_worker(trial: Trial, project: Project) -> Running:
    watch = ("--watch", "--workers", str(trial.random.randint(1, 4)))
    options = trial.random.choice([(), watch])
    return start(project.folder, "deliver", *options, real=trial.random.random() < 0.2)


def _create_with_orders(trial: Trial, name: str, orders: int, **detail: Any) -> Project:
    project = projects.create_project(trial.folder / name)
    publish_undelivered(project, projects.write_orders(project, trial.random, orders, **detail))
    return project


# --- late workers ----------------------------------------------------------------------------------------------------


def prove_late(trial: Trial) -> Figures:
    """Workers are frozen until their leases have expired; their late results change nothing."""
    frozen = 0
    for number in range(trial.size(50, 3)):
        project = _create_with_orders(trial, f"late-{number}", 2, seconds=0.05)
        sleepers = [start(project.folder, "deliver") for _ in range(2)]
        _await_calls(project, 2)
        time.sleep(trial.random.random() * 0.05)
        for sleeper in sleepers:
            _freeze(sleeper, project)
        hold_completed(run(project.folder, "deliver", ahead=HOUR))
        before = read_rows(project.store, ALL_DELIVERIES)
        for sleeper in sleepers:
            sleeper.signal(signal.SIGCONT)
        for sleeper in sleepers:
            hold_completed(sleeper.wait())
        hold(read_rows(project.store, ALL_DELIVERIES) == before, "a late worker has changed a delivery")
        sums, _ = audit_settled(project, 4)
        hold(sums.deliveries == 6, f"{sums.deliveries} deliveries instead of 6")
        frozen += sums.unfinished
    hold(frozen, "no worker was frozen during a call")
    return {"results that came too late": frozen}


def _await_calls(project: Project, number: int) -> None:
    deadline = time.monotonic() + 20
    while project.count_calls().total() < number and time.monotonic() < deadline:
        time.sleep(0.002)


def _freeze(worker: Running, project: Project) -> None:
    """Freezes a process, but not while it holds the lock of the store, which would block all others."""
    for _ in range(1000):
        worker.signal(signal.SIGSTOP)
        connection = apsw.Connection(str(project.store))
        try:
            connection.set_busy_timeout(50)
            connection.execute("BEGIN IMMEDIATE; ROLLBACK")
            return
        except apsw.BusyError:
            worker.signal(signal.SIGCONT)
            time.sleep(0.001)
        finally:
            connection.close()


# --- imports ---------------------------------------------------------------------------------------------------------


def prove_imports(trial: Trial) -> Figures:
    """Several processes import the same file at once, and exactly one of them stores each line."""
    lines = trial.size(100_000, 120)
    number = 8
    project = projects.create_project(trial.folder / "import")
    events = project.create_events(lines, trial.random, kind="note", longest=100)
    file = projects.write_events(project.folder / "many.jsonl", events)
    imports = [start(project.folder, "publish", file) for _ in range(number)]
    records: list[dict[str, Any]] = []
    for process in imports:
        ended = process.wait(patience=IMPORT_PATIENCE)
        hold_completed(ended)
        records += ended.records
    stored = sum(record["status"] == "stored" for record in records)
    # Every process reports every line, so the records of the first one name all events.
    sums = audit(project, records[:lines])
    counts = (sums.events, stored, len(records))
    hold(counts == (lines, lines, lines * number), f"{stored} reported as stored, {sums.events} rows")
    return {f"lines imported by {number} processes": len(records), "rows": sums.events}
