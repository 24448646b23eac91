"""Runs what takes long besides the event loop, so that a long request does not delay the responses to others."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

# Bytes of a body that is parsed in the event loop. This takes about as long as a hand-over to another thread.
SMALL_BYTES = 32 << 10

T = TypeVar("T")

# Several threads, so that one request that takes seconds does not delay the others.
_executor = ThreadPoolExecutor(4, "evtool-parser")


async def run_beside(size: int, work: Callable[[], T]) -> T:
    """Runs some work on `size` bytes, and returns its result."""
    if size <= SMALL_BYTES:
        return work()
    return await asyncio.get_running_loop().run_in_executor(_executor, work)
