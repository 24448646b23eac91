"""Processes that answer blocks of bytes. They are forked from this process, so they know everything that it knows."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import BinaryIO, NamedTuple, NoReturn

BEGUN_BLOCKS = 3  # of each process: one that it works on, and the next ones, so that it need not wait
SIZE_BYTES = 4  # of the number in front of a block or answer that is its length


class _Worker(NamedTuple):
    """A process that answers blocks, one after the other. It ends when nobody can send it more."""

    process: int
    blocks: BinaryIO
    answers: BinaryIO


class BlockWorkers:
    """Processes that each call `answer` for the blocks that they get in turn."""

    def __init__(self, answer: Callable[[bytes], bytes], number: int):
        self._answer, self._number = answer, number
        self._workers: list[_Worker] = []
        self._begun = 0
        self.most_begun = number * BEGUN_BLOCKS  # blocks whose answers are still to be taken

    def start(self) -> None:
        """Starts the processes, unless they run. Without it they start with the first block."""
        while len(self._workers) < self._number:
            self._workers.append(self._start_worker())

    def begin(self, block: bytes) -> Callable[[], bytes | None]:
        """Gives a block to the next process. What is returned waits for the answer: None if the process was killed.

        Answers must be taken in the order of the blocks.
        """
        self.start()
        worker = self._workers[self._begun % self._number]
        self._begun += 1
        with suppress(BrokenPipeError):  # it was killed, which its answers show
            worker.blocks.write(len(block).to_bytes(SIZE_BYTES, "little") + block)
            worker.blocks.flush()
        return partial(_read_block, worker.answers)

    def close(self) -> None:
        """Ends the processes."""
        for worker in self._workers:
            with suppress(BrokenPipeError):
                worker.blocks.close()
            worker.answers.close()
            os.waitpid(worker.process, 0)
        self._workers.clear()

    def _start_worker(self) -> _Worker:
        blocks, answers = os.pipe(), os.pipe()
        process = os.fork()
        if process == 0:
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
    """Answers each block, until nobody can send more."""
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.SIG_IGN)
        with open(blocks, "rb") as stream, open(answers, "wb") as output:
            while (block := _read_block(stream)) is not None:
                result = answer(block)
                output.write(len(result).to_bytes(SIZE_BYTES, "little") + result)
                output.flush()
    finally:
        os._exit(0)


def _read_block(stream: BinaryIO) -> bytes | None:
    """The next block, or None if the stream ends before it is complete."""
    size = int.from_bytes(stream.read(SIZE_BYTES), "little")
    block = b""
    if size:
        block = stream.read(size)
    if size and len(block) == size:
        return block
    return None
