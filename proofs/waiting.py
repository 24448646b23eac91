"""Proof: deliveries to an unavailable handler wait, use no attempts, and end only because of their age."""

from proofs import project as projects
from proofs.audit import audit, read_rows
from proofs.kills import hold_completed, publish_undelivered
from proofs.project import Project
from proofs.running import run
from proofs.trial import Figures, Trial, hold

HOUR = 3600
# Seconds that the handlers are unavailable. A delivery may wait for 24 hours.
TOLERATED = 23 * HOUR
TOO_LONG = 25 * HOUR
REFUSING = """
def pay(event, context):
    raise ConnectionRefusedError("the service is away")

pack = poison = venom = pay
"""
TABLE = "SELECT state, attempts, condition, count(*) FROM delivery GROUP BY 1, 2, 3"


def prove(trial: Trial) -> Figures:
    """Some handlers are unavailable for 23 hours and then return; others stay unavailable for 25 hours."""
    number = trial.size(1000, 50)
    looks = trial.size(46, 4)
    project = _create_unavailable(trial, "patient", number)
    for look in range(1, looks + 1):
        hold_completed(run(project.folder, "deliver", ahead=TOLERATED * look // looks))
        _check_all_wait(project, number)
    (project.folder / "away.py").rename(project.folder / "handlers.py")
    hold_completed(run(project.folder, "deliver", ahead=TOLERATED + 1))
    audit(project)
    [[attempts]] = read_rows(project.store, "SELECT max(attempts) FROM delivery")
    [[undone]] = read_rows(project.store, "SELECT count(*) FROM delivery WHERE state <> 'done'")
    hold((attempts, undone) == (1, 0), f"up to {attempts} attempts were used; {undone} deliveries are not done")

    late = _create_unavailable(trial, "late", number)
    hold(run(late.folder, "deliver", ahead=TOO_LONG).code == 1, "dead letters are not reported as a failure")
    table = read_rows(late.store, TABLE)
    ends = {(state, condition) for state, _, condition, _ in table}
    hold(ends == {("dead", "MaximumEventAgeInSeconds")}, f"after 25 hours the deliveries are: {table}")
    return {"deliveries that waited": 2 * number, "looks for the handler": looks, "given up for their age": 2 * number}


def _create_unavailable(trial: Trial, name: str, number: int) -> Project:
    """Creates a project with unavailable handlers and `number` orders, each with two deliveries."""
    project = projects.create_project(trial.folder / name)
    (project.folder / "handlers.py").rename(project.folder / "away.py")
    (project.folder / "handlers.py").write_text(REFUSING)
    publish_undelivered(project, projects.write_orders(project, trial.random, number))
    return project


def _check_all_wait(project: Project, number: int) -> None:
    table = [tuple(row) for row in read_rows(project.store, TABLE)]
    hold(table == [("waiting", 0, None, 2 * number)], f"not all deliveries wait without an attempt: {table}")
