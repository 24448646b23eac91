"""Processes that answer blocks of bytes, in turn, so that several processors share the work of one command.

    workers = BlockWorkers(bytes.upper, 2)
    first = workers.begin(b"a")     process 1 gets "a"; begin returns at once
    second = workers.begin(b"b")    process 2 gets "b"
    first(), second()               b"A", b"B": each call waits for its answer, in the order of the blocks

The processes are forked, so that they have the compiled schemas of this process without loading them again.
"""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import BinaryIO, NamedTuple, NoReturn

# Blocks that a process has at a time: it works on one, and finds the next ones in the pipe without waiting.
BEGUN_BLOCKS = 3
# The length of a block or an answer is sent before it, as a number of 4 bytes.
SIZE_BYTES = 4


class _Worker(NamedTuple):
    """A process that answers blocks, one after the other. It ends when its input is closed."""

    process: int
    blocks: BinaryIO
    answers: BinaryIO


class BlockWorkers:
    """Processes that each call `answer` for the blocks that they get in turn."""

    def __init__(self, answer: Callable[[bytes], bytes], number: int):
        self._answer, self._number = answer, number
        self._workers: list[_Worker] = []
        self._begun = 0
        # The caller takes an answer before more blocks are begun: with full pipes in both directions all would wait.
        self.most_begun = number * BEGUN_BLOCKS

    def start(self) -> None:
        """Starts the processes that do not run yet. `begin` does so, too."""
        while len(self._workers) < self._number:
            self._workers.append(self._start_worker())

    def begin(self, block: bytes) -> Callable[[], bytes | None]:
        """Gives a block to the next process, and returns a function that waits for the answer.

        The answer is None if the process was killed. Answers must be taken in the order of the blocks.
        """
        self.start()
        worker = self._workers[self._begun % self._number]
        self._begun += 1
        # A killed process is found when its answer is read.
        with suppress(BrokenPipeError):
            _write_block(worker.blocks, block)
        return partial(_read_block, worker.answers)

    def close(self) -> None:
        """Ends the processes."""
        for worker in self._workers:
            with suppress(BrokenPipeError):
                worker.blocks.close()
            worker.answers.close()
            # Without this call the ended process would stay in the process table.
            os.waitpid(worker.process, 0)
        self._workers.clear()

    def _start_worker(self) -> _Worker:
        blocks, answers = os.pipe(), os.pipe()
        process = os.fork()
        if process == 0:
            # An earlier worker sees the end of its input only when no process has its pipe open any more.
            for worker in self._workers:
                os.close(worker.blocks.fileno())
                os.close(worker.answers.fileno())
            os.close(blocks[1])
            os.close(answers[0])
            _answer_blocks(self._answer, blocks[0], answers[1])
        os.close(blocks[0])
        os.close(answers[1])
        return _Worker(process, open(blocks[1], "wb"), open(answers[0], "rb"))  # noqa: PTH123


def _answer_blocks(answer: Callable[[bytes], bytes], blocks: int, answers: int) -> NoReturn:
    """Answers each block, until the input is closed."""
    try:
        # Ctrl-C and a closed terminal reach all processes; the parent handles them, and then closes the input.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with open(blocks, "rb") as stream, open(answers, "wb") as output:
            for block in iter(partial(_read_block, stream), None):
                _write_block(output, answer(block))
    finally:
        # A normal exit would flush the buffers that the parent had when it forked, and print its output twice.
        os._exit(0)


def _write_block(stream: BinaryIO, block: bytes) -> None:
    stream.write(len(block).to_bytes(SIZE_BYTES, "little") + block)
    stream.flush()


def _read_block(stream: BinaryIO) -> bytes | None:
    """Reads the next block; None if the stream ends before it is complete. No block is empty."""
    size = int.from_bytes(stream.read(SIZE_BYTES), "little")
    if size == 0:
        return None
    block = stream.read(size)
    if len(block) < size:
        return None
    return block
