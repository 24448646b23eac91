"""Runs what takes long besides the event loop, so that a long request does not delay the responses to others."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

SMALL_BYTES = 32 << 10  # of a body that is handled at once: it takes about as long as handing it to another thread

T = TypeVar("T")

_executor = ThreadPoolExecutor(4, "evtool-parser")  # so that one request that takes seconds delays no other


async def run_beside(size: int, work: Callable[[], T]) -> T:
    """The result of some work on so many bytes."""
    if size <= SMALL_BYTES:
        return work()
    return await asyncio.get_running_loop().run_in_executor(_executor, work)
