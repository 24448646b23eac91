"""Proof: whatever happens in whatever order, the store and its delivery do what a model in plain Python does."""

from proofs.trial import Broken, Figures, Trial
from tests.support.store_model import machine_on, tried


def prove(trial: Trial) -> Figures:
    """Runs the machine of tests/support/store_model.py for long."""
    examples = trial.size(20_000, 200)
    with machine_on(trial.folder) as machine:
        try:
            tried(machine, examples=examples, seed=trial.random.getrandbits(32), shrink=not trial.quick)
        except AssertionError as error:
            raise Broken("\n".join([str(error), *getattr(error, "__notes__", [])])) from error
        return {"examples": examples, "steps": machine.steps}
