"""Random sequences of events, outcomes, crashes, lost leases and clock changes, compared with a model of the store."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evtool.delivery import intake, lease, loop, outcomes, settlement
from evtool.delivery.retry import GiveUp
from evtool.store.rows import StoreResult
from tests.support.store_model import machine_on, tried

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", range(1, 5))
def test_no_delivery_is_lost_or_done_twice(tmp_path: Path, seed: int) -> None:
    """After every step the store agrees with the model. At the end every delivery is done or dead."""
    with machine_on(tmp_path) as machine:
        tried(machine, examples=300, seed=seed)  # asserts after every step

        assert machine.steps > 300


@pytest.mark.parametrize(
    ("place", "name", "broken"),
    [
        (settlement, "accept", lambda *_, **__: StoreResult(0, "duplicate", "", "")),
        (outcomes, "delay_after_failure", lambda *_, **__: 1.0),
        (outcomes, "delay_while_unavailable", lambda *_, **__: GiveUp("NotRetriable")),
        (lease, "LEASE_MARGIN", -5.0),
        (loop, "MAX_LEASE", 10**15),
        (intake, "MAX_DEPTH", 1),
    ],
    ids=[
        "what is emitted is lost",
        "a failure is tried again for ever",
        "what waits is given up",
        "a lease ends before its handler must",
        "a lease of the future holds a delivery",
        "a chain is cut off early",
    ],
)
def test_the_model_detects_broken_promises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Any, name: str, broken: Callable[..., Any] | float
) -> None:
    """Each deliberate bug makes some of the examples fail."""
    monkeypatch.setattr(place, name, broken)
    with machine_on(tmp_path) as machine, pytest.raises(AssertionError):
        tried(machine, examples=500, seed=1, shrink=False)
