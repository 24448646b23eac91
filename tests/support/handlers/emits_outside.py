"""Handlers that emit where no call runs, and some that only look like it."""

import asyncio
import atexit
import copy
import multiprocessing
import os
import pickle
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

KEPT = []
OVER = threading.Event()


def joined_thread(event, context):
    thread = threading.Thread(target=context.emit, args=("order.told", {}))
    thread.start()
    thread.join()


def joined_executor(event, context):
    with ThreadPoolExecutor() as executor:
        executor.submit(context.emit, "order.told", {})


def coroutine(event, context):
    async def tell():
        await asyncio.to_thread(context.emit, "order.told", {})

    asyncio.run(tell())


def copied_context(event, context):
    copy.deepcopy(context).emit("order.told", {})


def pickled_context(event, context):
    pickle.loads(pickle.dumps(context)).emit("order.told", {})


def forked_child(event, context):
    child = os.fork()
    if not child:
        try:
            context.emit("order.told", {})
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def forked_child_that_returns(event, context):
    child = os.fork()
    if not child:
        context.emit("order.told", {})
    else:
        os.waitpid(child, 0)


def _run_process(method, context):
    process = multiprocessing.get_context(method).Process(target=context.emit, args=("order.told", {}))
    process.start()
    process.join()


def fork_process(event, context):
    _run_process("fork", context)


def spawn_process(event, context):
    _run_process("spawn", context)


def process_pool(event, context):
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as executor:
        executor.submit(context.emit, "order.told", {})


def kept_context(event, context):
    """Emits with the context of the first call."""
    KEPT.append(context)
    KEPT[0].emit("order.told", {})


def _emit_when_over(context):
    OVER.wait()
    context.emit("order.told", {})


def late_thread(event, context):
    """The thread of the first call emits in the second call."""
    if KEPT:
        OVER.set()
        KEPT[0].join()
        return
    KEPT.append(threading.Thread(target=_emit_when_over, args=(context,)))
    KEPT[0].start()


def late_executor(event, context):
    """The future of the first call keeps the exception; nobody asks for it."""
    if KEPT:
        OVER.set()
        KEPT[0].shutdown()
        return
    KEPT.append(ThreadPoolExecutor(1))
    KEPT[0].submit(_emit_when_over, context)


def late_child(event, context):
    """The child of the first call emits in the second call."""
    if KEPT:
        os.write(KEPT[1], b"!")
        os.waitpid(KEPT[2], 0)
        return
    KEPT.extend(os.pipe())
    KEPT.append(os.fork())
    if not KEPT[2]:
        try:
            os.read(KEPT[0], 1)
            context.emit("order.told", {})
        finally:
            os._exit(0)


def at_exit(event, context):
    if not KEPT:
        KEPT.append(context)
        atexit.register(context.emit, "order.told", {})
