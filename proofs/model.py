"""Proof: the store and its delivery behave like a model in plain Python after any sequence of actions."""

from proofs.trial import Broken, Figures, Trial
from tests.support.store_model import machine_on, tried


def prove(trial: Trial) -> Figures:
    """Runs many random sequences on the state machine of tests/support/store_model.py."""
    examples = trial.size(20_000, 200)
    with machine_on(trial.folder) as machine:
        try:
            tried(machine, examples=examples, seed=trial.random.getrandbits(32), shrink=not trial.quick)
        except AssertionError as error:
            # Hypothesis puts the failing sequence into the notes of the error.
            lines = [str(error)] + getattr(error, "__notes__", [])
            raise Broken("\n".join(lines)) from error
        return {"examples": examples, "steps": machine.steps}
