"""Proof: many evtools share one store: each delivery is finished once, each event stored once, nobody is locked out.

Workers are killed, and replaced, while 16 of them deliver. Others are frozen until their leases have ended and somebody
else has finished their work, and then they wake up. Eight import the same file at once.
"""

import signal
import time
from typing import Any

import apsw

from proofs import project as projects
from proofs.audit import audit, rows, settled
from proofs.kills import KILLED, allowed, survived
from proofs.project import Project
from proofs.running import Running, run, start
from proofs.trial import Figures, Trial, hold

HOUR = 3600  # seconds ahead: all leases have ended
ENDS = (0, 143, -signal.SIGTERM, KILLED)  # of who is told to: it was through, at work, still starting, or killed before
PAUSE = 0.06  # seconds at most between two kills
IMPORT = 7200  # seconds that eight imports of the same file may take


def prove(trial: Trial) -> Figures:
    """A crowd with accidents, late workers, and a crowd that imports."""
    return {**crowded(trial), **late(trial), **importing(trial)}


def crowded(trial: Trial) -> Figures:
    """Many workers deliver from one store, half of them watch it; some are killed at random, and replaced."""
    number, orders, kills = trial.size(16, 4), trial.size(3334, 40), trial.size(100, 3)
    project = _published(trial, "crowd", orders)
    crowd, killed, told = [_worker(trial, project) for _ in range(number)], 0, []
    while crowd and _open(project):
        time.sleep(trial.random.random() * PAUSE)
        if killed < kills:
            trial.random.choice(crowd).signal()
        for one in [one for one in crowd if one.has_ended()]:
            crowd.remove(one)
            ended = one.wait()
            told += ended.records
            if not survived(ended):
                killed += 1
                crowd.append(_worker(trial, project))
    for one in crowd:
        one.signal(signal.SIGTERM)
    for ended in [one.wait() for one in crowd]:
        told += ended.records
        hold(ended.code in ENDS, f"exit code {ended.code} after SIGTERM: {ended.errors}")
        killed += ended.code == KILLED
    last = run(project.folder, "deliver", ahead=HOUR)
    hold(survived(last), "killed by somebody else")
    audit(project, [*told, *last.records])
    sums, twice = settled(project, allowed(killed))
    hold(sums.deliveries == 3 * orders, f"{sums.deliveries} deliveries instead of {3 * orders}")
    return {f"deliveries by {number} workers": sums.deliveries, "workers killed": killed, "calls made twice": twice}


def _worker(trial: Trial, project: Project) -> Running:
    watch = trial.random.choice([(), ("--watch", "--workers", str(trial.random.randint(1, 4)))])
    return start(project.folder, "deliver", *watch, real=trial.random.random() < 0.2)


def _published(trial: Trial, name: str, orders: int, **detail: Any) -> Project:
    project = projects.make(trial.folder / name)
    file = projects.write(project.folder / "orders.jsonl", project.events(orders, trial.random, kind="order", **detail))
    hold(survived(run(project.folder, "publish", "--no-deliver", file)), "killed by somebody else")
    return project


def _open(project: Project) -> bool:
    return bool(rows(project.store, "SELECT 1 FROM delivery WHERE state = 'ready' LIMIT 1"))


# --- late workers ----------------------------------------------------------------------------------------------------


def late(trial: Trial) -> Figures:
    """Workers sleep through the end of their leases; what they tell when they wake up changes nothing."""
    rounds, frozen = trial.size(50, 3), 0
    for number in range(rounds):
        project = _published(trial, f"late-{number}", 2, seconds=0.05)
        sleepers = [start(project.folder, "deliver") for _ in range(2)]
        _await_calls(project, 2)
        time.sleep(trial.random.random() * 0.05)
        for one in sleepers:
            _freeze(one, project)
        in_time = run(project.folder, "deliver", ahead=HOUR)
        hold(survived(in_time), "killed by somebody else")
        before = rows(project.store, "SELECT * FROM delivery ORDER BY seq")
        for one in sleepers:
            one.signal(signal.SIGCONT)
        for one in sleepers:
            hold(survived(one.wait()), "killed by somebody else")
        hold(
            rows(project.store, "SELECT * FROM delivery ORDER BY seq") == before, "a late worker has changed something"
        )
        sums, _ = settled(project, 4)
        hold(sums.deliveries == 6, f"{sums.deliveries} deliveries instead of 6")
        frozen += sums.unfinished
    hold(frozen, "no worker was frozen in the middle of its work")
    return {"workers that told their outcome too late": frozen}


def _await_calls(project: Project, number: int) -> None:
    until = time.monotonic() + 20
    while project.calls().total() < number and time.monotonic() < until:
        time.sleep(0.002)


def _freeze(one: Running, project: Project) -> None:
    """Freezes a process, but not while it holds the lock of the store: that it would never give back."""
    for _ in range(1000):
        one.signal(signal.SIGSTOP)
        connection = apsw.Connection(str(project.store))
        try:
            connection.set_busy_timeout(50)
            connection.execute("BEGIN IMMEDIATE; ROLLBACK")
            return
        except apsw.BusyError:
            one.signal(signal.SIGCONT)
            time.sleep(0.001)
        finally:
            connection.close()


# --- imports ---------------------------------------------------------------------------------------------------------


def importing(trial: Trial) -> Figures:
    """Several processes import the same file at once: each line is stored by one of them."""
    lines, number = trial.size(100_000, 120), 8
    project = projects.make(trial.folder / "import")
    file = projects.write(project.folder / "many.jsonl", project.events(lines, trial.random, kind="note", longest=100))
    crowd = [start(project.folder, "publish", file) for _ in range(number)]
    ended = [one.wait(patience=IMPORT) for one in crowd]
    for each in ended:
        hold(each.code != KILLED and survived(each), "killed by somebody else")
    stored = sum(record["status"] == "stored" for each in ended for record in each.records)
    told = sum(len(each.records) for each in ended)
    sums = audit(project, ended[0].records)
    hold((sums.events, stored, told) == (lines, lines, lines * number), f"{stored} told as stored, {sums.events} rows")
    return {f"lines imported by {number} processes": told, "rows": sums.events}
