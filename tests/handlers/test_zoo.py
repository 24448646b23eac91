"""Each hostile handler has the expected outcome and leaves no process behind, and the next event is handled."""

import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from evtool.handlers import python
from evtool.handlers.base import Call, Done, Failed, Outcome
from evtool.routes.routes import Routes
from tests.zoo import TAME, WILD, Animal, animals, cage, event

pytestmark = pytest.mark.slow

THREADS = 4
ANIMALS = [animal for animal in animals() if sys.platform == "linux" or "memory" not in animal.options]


def name_outcome(outcome: Outcome) -> str:
    """Returns the outcome in one word."""
    if isinstance(outcome, Done):
        return "done"
    if isinstance(outcome, Failed):
        return outcome.outcome
    return "unavailable"


def describe_outcome(outcome: Outcome) -> str:
    """Returns the error or the reason of an outcome."""
    if isinstance(outcome, Done):
        return ""
    if isinstance(outcome, Failed):
        return outcome.error
    return outcome.reason


def list_children() -> set[str]:
    """Returns the children of this process; an empty set on systems other than Linux."""
    if sys.platform != "linux":
        return set()
    pids: set[str] = set()
    for task in Path("/proc/self/task").iterdir():
        # The thread may have ended.
        with suppress(FileNotFoundError):
            pids.update((task / "children").read_text().split())
    return pids


def visit(animal: Animal, folder: Path) -> tuple[Outcome, Outcome]:
    """Returns the outcome of an animal that is wild, and that of the same handler when it is tame afterwards."""
    cage(animal, folder)
    handler = Routes.load(folder / "routes.yaml").handlers["animal"].open()
    try:
        wild = handler(Call(event("wild", "animal", WILD), "wild", "zoo.animal", "animal", 1))
        tame = handler(Call(event("tame", "animal", TAME), "tame", "zoo.animal", "animal", 1))
    finally:
        handler.close()
    return wild, tame


class Visit(NamedTuple):
    """The outcomes of each animal, and the processes that are left when all handlers are closed."""

    outcomes: dict[str, tuple[Outcome, Outcome]]
    left: set[str]


@pytest.fixture(scope="module")
def visited(tmp_path_factory: pytest.TempPathFactory) -> Visit:
    """Calls all animals from several threads of this process, as deliveries do."""
    before = list_children()
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(THREADS) as pool:
        patch.setattr(python, "START_LIMIT", 3.0)
        folders = [tmp_path_factory.mktemp(animal.name) for animal in ANIMALS]  # which threads must not make at once
        outcomes = list(pool.map(visit, ANIMALS, folders))
    return Visit({animal.name: both for animal, both in zip(ANIMALS, outcomes, strict=True)}, list_children() - before)


def test_the_zoo_is_large() -> None:
    """It has at least forty animals, and most are handlers of both kinds."""
    assert len({animal.file for animal in ANIMALS}) >= 40
    assert len(ANIMALS) >= 120


@pytest.mark.parametrize("animal", ANIMALS, ids=lambda animal: animal.name)
def test_each_animal_has_its_outcome(animal: Animal, visited: Visit) -> None:
    """Each has the outcome that its file names, and the next call of the handler succeeds."""
    wild, tame = visited.outcomes[animal.name]
    expected = animal.expected
    assert name_outcome(wild) == expected.get("answer", expected["outcome"]), wild
    assert "answer" in expected or expected.get("error", "") in describe_outcome(wild), wild
    assert len(getattr(wild, "output", "")) <= 4 * 4096, "of 4 KiB each byte may be escaped"
    assert name_outcome(tame) == expected["next"], tame
    if animal.kind == "python" and expected["next"] == "done" and "log" not in expected:
        assert tame.output.endswith("tame\ntame\n"), tame


def test_no_processes_are_left(visited: Visit) -> None:
    """When all handlers are closed, none of the processes that they started exists, dead or alive."""
    assert visited.left == set()
