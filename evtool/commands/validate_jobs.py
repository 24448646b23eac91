"""Proves JSON Lines valid in several processes, for `evtool validate --jobs N`.

The answers and their order are the same as with one process. Lines that are not proven are validated in this process,
which alone builds messages.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial

from evtool.commands.block_workers import BlockWorkers
from evtool.errors import ConfigError
from evtool.schemas.fast_path import Check, FastPath
from evtool.schemas.validator import Schemas


class ProofPool(FastPath):
    """A FastPath whose blocks of JSON Lines are proven by other processes. These start with the first block."""

    def __init__(self, schemas: Schemas, on_proven: Callable[[int], None], *, jobs: int):
        super().__init__(schemas.find_check, on_proven)
        self._prover = FastPath(partial(_find_check, schemas))
        self._workers = BlockWorkers(self._answer, jobs)
        self.most_begun = self._workers.most_begun

    def begin_lines(self, block: bytes) -> Callable[[], list[bool]]:
        """Gives a block to the next process. The returned function waits for the answer: which lines are valid."""
        return partial(self._receive, self._workers.begin(block), block)

    def close(self) -> None:
        """Ends the processes."""
        self._workers.close()

    def _answer(self, block: bytes) -> bytes:
        """Runs in a worker process: one byte for each line, 1 if it is proven valid."""
        return bytes(self._prover.prove_lines(block))

    def _receive(self, take_answer: Callable[[], bytes | None], block: bytes) -> list[bool]:
        answer = take_answer()
        # The process was killed, for example because memory ran out.
        if answer is None:
            return self.prove_lines(block)
        proven = list(map(bool, answer))
        self._count(sum(proven))
        return proven


def _find_check(schemas: Schemas, event_type: str, source: str, payload_key: str) -> Check | None:
    """Returns the check of a type, also if this process has not seen an event of the type yet."""
    # The main process reports an error in a schema.
    with suppress(ConfigError):
        schemas.find(event_type, source, payload_key)
    return schemas.find_check(event_type, source, payload_key)
