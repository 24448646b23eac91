"""Proof: what was acknowledged survives kill -9 of publish and deliver; no delivery is lost, stuck or uncounted."""

import time

from proofs import project as projects
from proofs.audit import Sums, audit, rows, settled
from proofs.project import Project
from proofs.running import Ended, Running, run, start
from proofs.trial import Figures, Trial, hold

SERIES = 100  # kills on one store: a new one is killed while it is made, too
LEASE = 600  # seconds by which the clock goes ahead from wave to wave: all leases of the killed have ended
KILLED = -9
SLOW = 0.05  # of the kills, at most, find a handler that is not through within the half second that it is given
BITES = ([0] * 9 + [1]) * 5  # how often each of these events kills evtool
LINE = 300  # bytes, about, of a record


def allowed(kills: int) -> int:
    """How many calls so many kills may cut short: none, but where the machine was busy with something else."""
    return 2 + round(kills * SLOW)


def survived(ended: Ended) -> bool:
    """Whether a process came to its end before it was killed; that must be a good one. Others may be at work."""
    if ended.code == KILLED:
        return False
    well = not ended.errors or ended.errors.startswith("held by another evtool: ")
    hold(ended.code == 0 and well, f"exit code {ended.code}: {ended.errors}")
    return True


# --- publish ---------------------------------------------------------------------------------------------------------


def publishing(trial: Trial) -> Figures:
    """Kills imports of files and streams at random moments, on many stores."""
    kills = trial.size(1000, 12)
    figures = {"kills of publish": 0, "events acknowledged": 0, "stored, not yet acknowledged": 0}
    while (left := kills - figures["kills of publish"]) > 0:
        project = projects.make(trial.folder / f"publish-{left}")
        told, killed = _imports(trial, project, min(left, trial.size(SERIES, 6)))
        sums = audit(project, ({"id": name, "deliveries": []} for name in told))
        _again(trial, project, sums)
        figures["kills of publish"] += killed
        figures["events acknowledged"] += len(told)
        figures["stored, not yet acknowledged"] += sums.events - len(told)
    return figures


def _imports(trial: Trial, project: Project, kills: int) -> tuple[set[str], int]:
    """The ids that were acknowledged before so many kills, and the kills."""
    random = trial.random
    told: set[str] = set()
    killed = 0
    events = project.events(500, random)
    while killed < kills:
        if random.random() < 0.7:  # else the same again, as after a crash
            events = project.events(random.choice([10, 200, 1000]), random)
        file = projects.write(project.folder / random.choice(["some.jsonl", "some.json"]), events)
        stream = random.random() < 0.3
        real = random.random() < 0.1
        running = start(
            project.folder,
            *("publish", "--no-deliver", "-" if stream else file),
            stdin=b"\n".join(events) if stream else b"",
            real=real,
        )
        if random.random() < 0.8:  # in the middle of the work, else while it starts
            _await_output(running, random.randrange(len(events)) * LINE)
        time.sleep(random.random() * (0.4 if real else 0.01))
        running.signal()
        ended = running.wait()
        told |= {record["id"] for record in ended.records}
        killed += not survived(ended)
    return told, killed


def _await_output(running: Running, size: int) -> None:
    out = running.said.with_suffix(".out")
    while out.stat().st_size < size and not running.has_ended():
        time.sleep(0.0005)


def _again(trial: Trial, project: Project, before: Sums) -> None:
    """Nothing hinders the next run: all deliveries are due, and new events go in."""
    [[due]] = rows(
        project.store, "SELECT count(*) FROM delivery WHERE state = 'ready' AND due <= 1000 * (unixepoch() + 1)"
    )
    hold(due == before.deliveries, f"{before.deliveries - due} deliveries of an import are not due")
    more = projects.write(project.folder / "more.jsonl", project.events(3, trial.random))
    ended = run(project.folder, "publish", "--no-deliver", more)
    hold(survived(ended), "killed by somebody else")
    hold(audit(project, ended.records).events == before.events + 3, "an import after the kills is not stored")


# --- deliver ---------------------------------------------------------------------------------------------------------


def delivering(trial: Trial) -> Figures:
    """Lets a poisonous event kill evtool, and kills it, one process or several at once, while its handlers are warm."""
    for kind in ("poison", "venom"):
        _poisoned(trial, kind)
    _bitten(trial)
    project = projects.make(trial.folder / "deliver")
    kills, killed, wave = trial.size(300, 6), 0, 0
    orders, told = trial.size(200, 30), []
    while killed < kills:
        if not project.store.exists() or _open(project) < orders:
            file = projects.write(project.folder / "orders.jsonl", project.events(orders, trial.random, kind="order"))
            hold(survived(run(project.folder, "publish", "--no-deliver", file)), "killed by somebody else")
        wave += 1
        for ended in _wave(trial, project, ahead=wave * LEASE):
            told += ended.records
            killed += not survived(ended)
        if wave % 10 == 0:
            audit(project, told)
    last = run(project.folder, "deliver", ahead=(wave + 1) * LEASE)
    hold(survived(last), "killed by somebody else")
    audit(project, [*told, *last.records])
    sums, twice = settled(project, allowed(killed))
    return {
        "kills of deliver": killed,
        "deliveries": sums.deliveries,
        "attempts cut short by a kill": sums.unfinished,
        "calls made twice": twice,
    }


def _open(project: Project) -> int:
    [[count]] = rows(project.store, "SELECT count(*) FROM delivery WHERE state <> 'done'")
    return int(count)


def _wave(trial: Trial, project: Project, *, ahead: int) -> list[Ended]:
    """One to three evtools deliver from the same store, and are killed within half a second."""
    random = trial.random
    number = random.choice([1, 1, 2, 3])
    running = [start(project.folder, "deliver", ahead=ahead, real=random.random() < 0.1) for _ in range(number)]
    calls = project.folder / "calls.log"
    before, until = calls.stat().st_size if calls.exists() else 0, time.monotonic() + 2
    warm = random.random() < 0.9
    while warm and time.monotonic() < until and (calls.stat().st_size if calls.exists() else 0) == before:
        time.sleep(0.001)
    for one in running:
        time.sleep(random.random() * 0.2)
        one.signal()
    return [one.wait() for one in running]


# --- poison ----------------------------------------------------------------------------------------------------------


def _poisoned(trial: Trial, kind: str) -> None:
    """An event whose handler kills evtool each time becomes a dead letter after its three attempts."""
    project = projects.make(trial.folder / kind)
    file = projects.write(project.folder / "poison.jsonl", project.events(1, trial.random, kind=kind, bites=3))
    hold(survived(run(project.folder, "publish", "--no-deliver", file)), "killed by somebody else")
    for attempt in range(1, 4):
        ended = run(project.folder, "deliver", ahead=attempt * LEASE)
        hold(ended.code == KILLED, f"attempt {attempt} of an event that kills evtool: exit code {ended.code}")
    ended = run(project.folder, "deliver", ahead=4 * LEASE)
    [[state]] = rows(project.store, "SELECT state FROM delivery")
    hold((ended.code, state) == (1, "dead"), f"an event that kills evtool each time is {state} after three attempts")
    audit(project)


def _bitten(trial: Trial) -> None:
    """A handler that kills evtool among calls that were made and calls that were not costs no other call than that."""
    project = projects.make(trial.folder / "bitten")
    events = [event for bites in BITES for event in project.events(1, trial.random, kind="venom", bites=bites)]
    file = projects.write(project.folder / "bites.jsonl", events)
    hold(survived(run(project.folder, "publish", "--no-deliver", file)), "killed by somebody else")
    for kill in range(sum(BITES)):
        ended = run(project.folder, "deliver", ahead=kill * LEASE)
        hold(ended.code == KILLED, f"an event that kills evtool once: exit code {ended.code}")
    hold(survived(run(project.folder, "deliver", ahead=sum(BITES) * LEASE)), "killed by somebody else")
    settled(project, sum(BITES))
