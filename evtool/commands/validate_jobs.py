"""Proves JSON Lines valid in several processes, for `evtool validate --jobs N`: the same answers in the same order."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import cycle
from typing import BinaryIO, NamedTuple, NoReturn

from evtool.errors import ConfigError
from evtool.schemas.fast_path import Check, FastPath
from evtool.schemas.validator import Schemas

BEGUN_BLOCKS = 3  # of each process: one that it proves, and what it can go on with at once
SIZE_BYTES = 4  # of the number that says how long a block is


class _Worker(NamedTuple):
    """A process that proves blocks, one after the other. It ends when nobody can send it more."""

    process: int
    blocks: BinaryIO
    answers: BinaryIO


class ProofPool(FastPath):
    """A FastPath that has the blocks of JSON Lines proven by processes. They begin with the first block."""

    def __init__(self, schemas: Schemas, on_proven: Callable[[int], None], *, jobs: int):
        super().__init__(schemas.find_check, on_proven)
        self.most_begun = jobs * BEGUN_BLOCKS
        self._schemas, self._jobs = schemas, jobs
        self._workers: list[_Worker] = []
        self._turns = cycle(self._workers)

    def begin_lines(self, block: bytes) -> Callable[[], list[bool]]:
        """Gives a block to the process whose turn it is. The answer waits for it."""
        while len(self._workers) < self._jobs:
            self._workers.append(self._start_worker())
        worker = next(self._turns)
        with suppress(BrokenPipeError):  # it was killed, which its answers show
            worker.blocks.write(len(block).to_bytes(SIZE_BYTES, "little") + block)
            worker.blocks.flush()
        return partial(self._receive, worker, block)

    def close(self) -> None:
        """Ends the processes."""
        for worker in self._workers:
            with suppress(BrokenPipeError):
                worker.blocks.close()
            worker.answers.close()
            os.waitpid(worker.process, 0)

    def _receive(self, worker: _Worker, block: bytes) -> list[bool]:
        number = block.count(b"\n")
        answer = worker.answers.read(number)
        if len(answer) < number:
            return self.prove_lines(block)
        proven = [*map(bool, answer)]
        self._count(sum(proven))
        return proven

    def _start_worker(self) -> _Worker:
        blocks, answers = os.pipe(), os.pipe()
        process = os.fork()
        if process == 0:
            for worker in self._workers:
                os.close(worker.blocks.fileno())
                os.close(worker.answers.fileno())
            os.close(blocks[1])
            os.close(answers[0])
            _prove_blocks(FastPath(partial(_find_check, self._schemas)), blocks[0], answers[1])
        os.close(blocks[0])
        os.close(answers[1])
        return _Worker(process, open(blocks[1], "wb"), open(answers[0], "rb"))  # noqa: PTH123


def _prove_blocks(fast_path: FastPath, blocks: int, answers: int) -> NoReturn:
    """Answers with a byte for each line of each block, until nobody can send more."""
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.SIG_IGN)
        with open(blocks, "rb") as stream:
            while size := stream.read(SIZE_BYTES):
                block = stream.read(int.from_bytes(size, "little"))
                os.write(answers, bytes(fast_path.prove_lines(block)))
    finally:
        os._exit(0)


def _find_check(schemas: Schemas, event_type: str, source: str, payload_key: str) -> Check | None:
    """The check of a type, also if no event of it came to this process. Errors in a schema are reported elsewhere."""
    with suppress(ConfigError):
        schemas.find(event_type, source, payload_key)
    return schemas.find_check(event_type, source, payload_key)
