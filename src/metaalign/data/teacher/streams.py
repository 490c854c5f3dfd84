"""Streams of items through plans: many at once, results in the order of the items.

A slow item does not hold up those after it, until a whole window of them waits for it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import Any, Generic, TypeVar

I = TypeVar("I")  # noqa: E741
R = TypeVar("R")
T = TypeVar("T")

WINDOW = 4096
"""Items that are under way or wait for an earlier one, at most."""
CHUNK = 256
MOMENT = 0.005
"""Items and results change threads in chunks: of so many, or what came in so many seconds."""


class Loop:
    """An event loop in a thread of its own, which ends with the process."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="teacher", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` in the loop and wait for it; it is cancelled if the waiting is."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Stream(Generic[I, R]):
    """The results of ``plan`` for all ``items``. To be used in one event loop.

    Args:
        items: read in a thread of their own, so that they may take their time.
        plan: makes a result of an item.
        room: returns when another item should be begun.
        window: items that are under way or wait for an earlier one, at most.
    """

    def __init__(
        self,
        items: Iterable[I],
        plan: Callable[[I], Coroutine[Any, Any, R]],
        room: Callable[[], Awaitable[None]],
        window: int = WINDOW,
    ) -> None:
        self._items = iter(items)
        self._plan = plan
        self._room = room
        self._window: asyncio.Queue[asyncio.Future[R] | None] = asyncio.Queue(window)
        self._next: asyncio.Future[R] | None = None
        """Was taken out of the window and not handed on yet."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="items")
        self._feeding = asyncio.create_task(self._feed())

    async def results(self) -> list[R]:
        """The next results, as many as are ready, at least one; none at the end.

        Raises what the next item's plan has raised, or the items themselves.
        """
        first = self._next or await self._window.get()
        if first is None:
            return []
        self._next = first
        ready = [await asyncio.shield(first)]
        self._next = None
        while len(ready) < CHUNK and not self._window.empty():
            self._next = self._window.get_nowait()
            if self._next is None:
                self._window.put_nowait(None)  # for the next time
                break
            if not self._next.done() or self._next.exception() is not None:
                break
            ready.append(self._next.result())
            self._next = None
        return ready

    async def close(self) -> None:
        """Begin nothing more, and end what is under way."""
        tasks: list[asyncio.Future[Any]] = [self._feeding]
        if self._next is not None:
            tasks.append(self._next)
        while not self._window.empty():
            one = self._window.get_nowait()
            tasks += [one] if one is not None else []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._thread.shutdown(wait=False)

    async def _feed(self) -> None:
        loop = asyncio.get_running_loop()
        ended: Exception | None = None
        items: list[I] = []
        while ended is None:
            items, ended = await loop.run_in_executor(self._thread, _some, self._items)
            for item in items:
                await self._room()
                await self._window.put(asyncio.create_task(self._plan(item)))
                # Let it begin, so that ``room`` knows of it.
                await asyncio.sleep(0)
        if not isinstance(ended, _End):
            failed: asyncio.Future[R] = loop.create_future()
            failed.set_exception(ended)
            await self._window.put(failed)
        await self._window.put(None)


class _End(Exception):
    """There are no more items."""


def in_order(loop: Loop, make: Callable[[], Stream[I, R]]) -> Iterator[R]:
    """The results of the stream that ``make`` makes in ``loop``, one by one."""

    async def begin() -> Stream[I, R]:
        return make()

    stream = loop.run(begin())
    try:
        while ready := loop.run(stream.results()):
            yield from ready
    finally:
        loop.run(stream.close())


def _some(items: Iterator[I]) -> tuple[list[I], Exception | None]:
    """The next items, and why they end if they do."""
    until = time.monotonic() + MOMENT
    found: list[I] = []
    try:
        while len(found) < CHUNK and (not found or time.monotonic() < until):
            found.append(next(items))
    except StopIteration:
        return found, _End()
    except Exception as error:
        return found, error
    return found, None
