"""Proof: what a handler cannot take now waits for it, uses no attempt, and is given up for its age alone."""

from proofs import project as projects
from proofs.audit import audit, rows
from proofs.kills import survived
from proofs.project import Project
from proofs.running import run
from proofs.trial import Figures, Trial, hold

HOUR = 3600
PATIENT = 23 * HOUR  # seconds that the handlers are away: less than the 24 hours that a delivery may wait
TOO_LONG = 25 * HOUR
REFUSING = """
def pay(event, context):
    raise ConnectionRefusedError("the service is away")

pack = poison = venom = pay
"""
TABLE = "SELECT state, attempts, condition, count(*) FROM delivery GROUP BY 1, 2, 3"


def prove(trial: Trial) -> Figures:
    """Handlers are away for 23 hours and come back; others stay away for longer than anybody waits."""
    number, looks = trial.size(1000, 50), trial.size(46, 4)
    project = _away(trial, "patient", number)
    for look in range(1, looks + 1):
        hold(survived(run(project.folder, "deliver", ahead=PATIENT * look // looks)), "killed by somebody else")
        _all(project, number, ("waiting", 0, None))
    (project.folder / "away.py").rename(project.folder / "handlers.py")
    hold(survived(run(project.folder, "deliver", ahead=PATIENT + 1)), "killed by somebody else")
    audit(project)
    [[tried]] = rows(project.store, "SELECT max(attempts) FROM delivery")
    [[undone]] = rows(project.store, "SELECT count(*) FROM delivery WHERE state <> 'done'")
    hold((tried, undone) == (1, 0), f"up to {tried} attempts were used; {undone} deliveries are not done")

    given_up = _away(trial, "late", number)
    hold(run(given_up.folder, "deliver", ahead=TOO_LONG).code == 1, "what is given up is no failure")
    [*found] = rows(given_up.store, TABLE)
    hold(
        {(state, condition) for state, _, condition, _ in found} == {("dead", "MaximumEventAgeInSeconds")},
        f"after 25 hours there are {found}",
    )
    return {"deliveries that waited": 2 * number, "looks for the handler": looks, "given up for their age": 2 * number}


def _away(trial: Trial, name: str, number: int) -> Project:
    """A project whose handlers cannot reach their service, with orders that two of them should take."""
    project = projects.make(trial.folder / name)
    (project.folder / "handlers.py").rename(project.folder / "away.py")
    (project.folder / "handlers.py").write_text(REFUSING)
    file = projects.write(project.folder / "orders.jsonl", project.events(number, trial.random, kind="order"))
    hold(survived(run(project.folder, "publish", "--no-deliver", file)), "killed by somebody else")
    return project


def _all(project: Project, number: int, wanted: tuple[str, int, str | None]) -> None:
    found = [tuple(row) for row in rows(project.store, TABLE)]
    hold(found == [(*wanted, 2 * number)], f"instead of {wanted} there are {found}")
