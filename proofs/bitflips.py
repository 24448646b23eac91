"""Proof: `evtool doctor` notices every bit of an event that flips, and no flip anywhere changes an event unnoticed."""

from pathlib import Path

from proofs import project as projects
from proofs.audit import audit, rows
from proofs.project import Project
from proofs.running import Ended, run
from proofs.trial import Broken, Figures, Trial, hold

SNIPPET = 16  # bytes by which a place in an event is found in the file
FOUND = (1, 4)  # exit codes of a doctor that finds damage, or cannot use the store at all


def prove(trial: Trial) -> Figures:
    """Flips single bits of events, then of the whole file."""
    project = _stored(trial)
    whole = project.store.read_bytes()
    bodies = dict(rows(project.store, "SELECT id, raw FROM event"))
    flips = trial.size(1000, 20)
    noticed = 0
    hold(_examined(trial, project, whole).code == 0, "the doctor finds damage where there is none")
    for _ in range(flips):
        name, place = _place(trial, bodies, whole)
        hold(_flipped(trial, project, whole, place).code in FOUND, f"a bit of event {name} is flipped, unnoticed")
    for _ in range(flips):
        place = trial.random.randrange(len(whole))
        if _flipped(trial, project, whole, place).code in FOUND:
            noticed += 1
        else:
            hold(
                dict(rows(_image(trial), "SELECT id, raw FROM event")) == bodies,
                f"byte {place} changes an event, unnoticed",
            )
    return {"flips in events, all noticed": flips, "flips anywhere": flips, "of these noticed": noticed}


def _stored(trial: Trial) -> Project:
    """A project with events short and long, most of them delivered, all in one file."""
    project = projects.make(trial.folder / "project", isolation="none")
    sizes = [trial.random.choice([100, 1000, 3000, 12_000]) for _ in range(trial.size(120, 30))]
    events = [
        event for size in sizes for event in project.events(1, trial.random, text=trial.random.randbytes(size).hex())
    ]
    file = projects.write(project.folder / "events.jsonl", events)
    for words in (("publish", file), ("doctor",)):
        ended = run(project.folder, *words)
        hold((ended.code, ended.errors) == (0, ""), f"exit code {ended.code}: {ended.errors}")
    audit(project)
    return project


def _place(trial: Trial, bodies: dict[str, bytes], whole: bytes) -> tuple[str, int]:
    """An event, and a place in the file that holds a byte of it."""
    while True:
        name, raw = trial.random.choice(list(bodies.items()))
        at = trial.random.randrange(len(raw) - SNIPPET)
        if whole.count(raw[at : at + SNIPPET]) == 1:  # else it is cut by the end of a page, or not unique
            return name, whole.index(raw[at : at + SNIPPET]) + trial.random.randrange(SNIPPET)


def _image(trial: Trial) -> Path:
    return trial.folder / "image/store.db"


def _flipped(trial: Trial, project: Project, whole: bytes, place: int) -> Ended:
    """What the doctor says of a copy of the store in which a bit is flipped."""
    damaged = bytearray(whole)
    damaged[place] ^= 1 << trial.random.randrange(8)
    ended = _examined(trial, project, bytes(damaged))
    if ended.code not in (0, *FOUND) or "Traceback" in ended.errors:
        raise Broken(f"byte {place} is damaged, and doctor ends with exit code {ended.code}: {ended.errors}")
    return ended


def _examined(trial: Trial, project: Project, content: bytes) -> Ended:
    """What the doctor says of a store with this content."""
    image = _image(trial)
    image.parent.mkdir(exist_ok=True)
    for old in image.parent.iterdir():
        old.unlink()
    image.write_bytes(content)
    image.chmod(0o600)  # the doctor minds that, too
    return run(project.folder, "doctor", "--store", str(image))
