"""Proves JSON Lines valid in several processes, for `evtool validate --jobs N`: the same answers in the same order."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial

from evtool.commands.block_workers import BlockWorkers
from evtool.errors import ConfigError
from evtool.schemas.fast_path import Check, FastPath
from evtool.schemas.validator import Schemas


class ProofPool(FastPath):
    """A FastPath that has the blocks of JSON Lines proven by processes. They begin with the first block."""

    def __init__(self, schemas: Schemas, on_proven: Callable[[int], None], *, jobs: int):
        super().__init__(schemas.find_check, on_proven)
        prover = FastPath(partial(_find_check, schemas))
        self._workers = BlockWorkers(lambda block: bytes(prover.prove_lines(block)), jobs)
        self.most_begun = self._workers.most_begun

    def begin_lines(self, block: bytes) -> Callable[[], list[bool]]:
        """Gives a block to the process whose turn it is. The answer waits for it."""
        return partial(self._receive, self._workers.begin(block), block)

    def close(self) -> None:
        """Ends the processes."""
        self._workers.close()

    def _receive(self, take_answer: Callable[[], bytes | None], block: bytes) -> list[bool]:
        answer = take_answer()
        if answer is None:
            return self.prove_lines(block)
        proven = [*map(bool, answer)]
        self._count(sum(proven))
        return proven


def _find_check(schemas: Schemas, event_type: str, source: str, payload_key: str) -> Check | None:
    """The check of a type, also if no event of it came to this process. Errors in a schema are reported elsewhere."""
    with suppress(ConfigError):
        schemas.find(event_type, source, payload_key)
    return schemas.find_check(event_type, source, payload_key)
