"""The one thread that the model runs in: one job at a time, in the order of asking.

The event loop stays free meanwhile. A job that nobody waits for any more is told so.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")

Cancelled = Callable[[], bool]


class Stopping(Exception):
    """The server is going down, so a job was not done or not finished."""


class Worker:
    """Runs jobs in its thread. Make it, and ask it, from anywhere on the event loop."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="generate")
        self._stopping = threading.Event()

    async def run(self, job: Callable[[Cancelled], T]) -> T:
        """The result of ``job``. It is given a function that says whether it may stop early."""
        gone = threading.Event()

        def work() -> T:
            self._check()
            result = job(lambda: gone.is_set() or self._stopping.is_set())
            self._check()
            return result

        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            gone.set()

    async def stream(self, job: Callable[[], Iterator[T]]) -> AsyncGenerator[T, None]:
        """What the iterator of ``job`` gives. It runs ahead of a reader who is slow, and is left
        where it is when the reader goes."""
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[tuple[T] | None] = asyncio.Queue()
        gone = threading.Event()

        def tell(item: tuple[T] | None) -> None:
            # The loop may be closed by now; then nobody listens.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(queue.put_nowait, item)

        def work() -> None:
            try:
                self._check()
                for item in job():
                    if gone.is_set():
                        return
                    self._check()
                    tell((item,))
            finally:
                tell(None)

        future = loop.run_in_executor(self._pool, work)
        try:
            while (item := await queue.get()) is not None:
                yield item[0]
            await future
        finally:
            gone.set()
            future.cancel()

    def stop(self) -> None:
        """End the job under way and refuse all others; they raise ``Stopping``."""
        self._stopping.set()
        self._pool.shutdown(wait=False)

    def _check(self) -> None:
        if self._stopping.is_set():
            raise Stopping("the server is going down")
