"""Proof: `evtool doctor` notices each flipped bit of an event, and no flip in the file changes an event unnoticed."""

from pathlib import Path

from proofs import project as projects
from proofs.audit import audit, read_rows
from proofs.project import Project
from proofs.running import Ended, run
from proofs.trial import Broken, Figures, Trial, hold

# Bytes of an event that are searched in the file, to find where the file contains the event.
SNIPPET = 16
# Exit codes of a doctor that finds damage, or that cannot use the store.
DAMAGED = (1, 4)
BODIES = "SELECT id, raw FROM event"


def prove(trial: Trial) -> Figures:
    """Flips single bits of events, then of the whole file."""
    project = _create_store(trial)
    content = project.store.read_bytes()
    bodies = dict(read_rows(project.store, BODIES))
    flips = trial.size(1000, 20)
    noticed = 0
    hold(_examine(trial, project, content).code == 0, "the doctor finds damage in an undamaged store")
    for _ in range(flips):
        name, offset = _pick_event_byte(trial, bodies, content)
        code = _examine_flipped(trial, project, content, offset).code
        hold(code in DAMAGED, f"a bit of event {name} is flipped, unnoticed")
    for _ in range(flips):
        offset = trial.random.randrange(len(content))
        if _examine_flipped(trial, project, content, offset).code in DAMAGED:
            noticed += 1
            continue
        # Unused bytes of the file may change. The events may not.
        hold(dict(read_rows(_image(trial), BODIES)) == bodies, f"byte {offset} changes an event, unnoticed")
    return {"flips in events, all noticed": flips, "flips anywhere": flips, "of these noticed": noticed}


def _create_store(trial: Trial) -> Project:
    """Returns a project with short and long events, most of them delivered, in a single file without a WAL."""
    project = projects.create_project(trial.folder / "project", isolation="none")
    sizes = [trial.random.choice([100, 1000, 3000, 12_000]) for _ in range(trial.size(120, 30))]
    events: list[bytes] = []
    for size in sizes:
        events += project.create_events(1, trial.random, text=trial.random.randbytes(size).hex())
    file = projects.write_events(project.folder / "events.jsonl", events)
    for words in (("publish", file), ("doctor",)):
        ended = run(project.folder, *words)
        hold((ended.code, ended.errors) == (0, ""), f"exit code {ended.code}: {ended.errors}")
    audit(project)
    return project


def _pick_event_byte(trial: Trial, bodies: dict[str, bytes], content: bytes) -> tuple[str, int]:
    """Returns the id of a random event, and the offset in the file of a random byte of it."""
    while True:
        name, raw = trial.random.choice(list(bodies.items()))
        start = trial.random.randrange(len(raw) - SNIPPET)
        snippet = raw[start : start + SNIPPET]
        # A snippet that continues on another page is not in the file, and a repeated one may belong to another event.
        if content.count(snippet) == 1:
            return name, content.index(snippet) + trial.random.randrange(SNIPPET)


def _image(trial: Trial) -> Path:
    return trial.folder / "image/store.db"


def _examine_flipped(trial: Trial, project: Project, content: bytes, offset: int) -> Ended:
    """Runs the doctor on a copy of the store with one flipped bit in this byte."""
    damaged = bytearray(content)
    damaged[offset] ^= 1 << trial.random.randrange(8)
    ended = _examine(trial, project, bytes(damaged))
    if ended.code not in (0,) + DAMAGED or "Traceback" in ended.errors:
        raise Broken(f"byte {offset} is damaged, and doctor ends with exit code {ended.code}: {ended.errors}")
    return ended


def _examine(trial: Trial, project: Project, content: bytes) -> Ended:
    """Runs the doctor on a store with this content."""
    image = _image(trial)
    image.parent.mkdir(exist_ok=True)
    for old in image.parent.iterdir():
        old.unlink()
    image.write_bytes(content)
    # The doctor reports a store that others can read, which is not the damage that this proof looks for.
    image.chmod(0o600)
    return run(project.folder, "doctor", "--store", str(image))
