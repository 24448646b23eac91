"""Whatever a handler does, its outcome is the right one, nothing of it is left, and the next event is handled."""

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


def named(outcome: Outcome) -> str:
    """The outcome in a word."""
    return "done" if isinstance(outcome, Done) else outcome.outcome if isinstance(outcome, Failed) else "unavailable"


def told(outcome: Outcome) -> str:
    """What is told of it."""
    return "" if isinstance(outcome, Done) else outcome.error if isinstance(outcome, Failed) else outcome.reason


def children() -> set[str]:
    """The children of this process; none where the system does not tell."""
    if sys.platform != "linux":
        return set()
    found: set[str] = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError):  # a thread that has ended meanwhile
            found.update((task / "children").read_text().split())
    return found


def visit(animal: Animal, folder: Path) -> tuple[Outcome, Outcome]:
    """What comes of an animal when it is wild, and of the same handler when it is then tame."""
    cage(animal, folder)
    handler = Routes.load(folder / "routes.yaml").handlers["animal"].open()
    try:
        wild = handler(Call(event("wild", "animal", WILD), "wild", "zoo.animal", "animal", 1))
        tame = handler(Call(event("tame", "animal", TAME), "tame", "zoo.animal", "animal", 1))
    finally:
        handler.close()
    return wild, tame


class Visit(NamedTuple):
    """What came of each animal, and the processes that are there when all handlers are closed."""

    outcomes: dict[str, tuple[Outcome, Outcome]]
    left: set[str]


@pytest.fixture(scope="module")
def visited(tmp_path_factory: pytest.TempPathFactory) -> Visit:
    """A visit to the whole zoo, from several threads of this process, as deliveries are made."""
    before = children()
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(THREADS) as pool:
        patch.setattr(python, "START_LIMIT", 3.0)
        folders = [tmp_path_factory.mktemp(animal.name) for animal in ANIMALS]  # which threads must not make at once
        outcomes = list(pool.map(visit, ANIMALS, folders))
    return Visit({animal.name: both for animal, both in zip(ANIMALS, outcomes, strict=True)}, children() - before)


def test_the_zoo_is_large() -> None:
    """There are at least forty animals, and most are both kinds of handlers."""
    assert len({animal.file for animal in ANIMALS}) >= 40
    assert len(ANIMALS) >= 120


@pytest.mark.parametrize("animal", ANIMALS, ids=lambda animal: animal.name)
def test_no_animal_gets_out(animal: Animal, visited: Visit) -> None:
    """Each has the outcome that its file tells, and the next call of the handler is right."""
    wild, tame = visited.outcomes[animal.name]
    expected = animal.expected
    assert named(wild) == expected.get("answer", expected["outcome"]), wild
    assert "answer" in expected or expected.get("error", "") in told(wild), wild
    assert len(getattr(wild, "output", "")) <= 4 * 4096, "of 4 KiB each byte may be escaped"
    assert named(tame) == expected["next"], tame
    if animal.kind == "python" and expected["next"] == "done" and "log" not in expected:
        assert tame.output.endswith("tame\ntame\n"), tame


def test_nothing_is_left(visited: Visit) -> None:
    """When all handlers are closed, none of the processes that they started is there, dead or alive."""
    assert visited.left == set()
