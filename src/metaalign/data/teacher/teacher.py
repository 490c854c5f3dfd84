"""Asking a teacher: streams of requests in, checked answers out, in the same order.

What the journal has is never asked again. Everything that talks to the server runs in one event
loop in a thread of its own. Callers are ordinary functions, or plans: coroutines that ask one
question after another for one item.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TypeVar

from metaalign.data.teacher.batches import Batches
from metaalign.data.teacher.endpoint import Endpoint
from metaalign.data.teacher.journal import Journal, Kept
from metaalign.data.teacher.ledger import Ledger
from metaalign.data.teacher.live import Live
from metaalign.data.teacher.requests import Outcome, ReplyError, Request, Status, UselessError
from metaalign.data.teacher.settings import Settings
from metaalign.data.teacher.streams import WINDOW, Loop, Stream, in_order
from metaalign.schema import Progress, UserError, silent

CUT_OFF = "cut off at max_tokens"
EMPTY = "the reply is empty"

I = TypeVar("I")  # noqa: E741
R = TypeVar("R")
T = TypeVar("T")

Check = Callable[[str], T]
"""Makes a value of a reply's text, or raises ``ReplyError`` with what is wrong with it
(``RefusedError`` if it refuses). It finds the same whenever it is given the same."""


class Sender(Protocol):
    """A way to send requests; ``Live`` and ``Batches``."""

    async def room(self) -> None:
        """Return when another request would soon be sent."""

    async def send(self, request: Request, key: str) -> Kept:
        """Ask, keep the reply, return what is kept."""

    def end(self, error: UserError) -> UserError:
        """Send nothing more: whoever tries gets ``error``, or what ended it before."""

    async def close(self) -> None: ...


class Teacher:
    """A teacher that is asked with ``settings``; to be used in a ``with`` statement.

    ``ask`` is for streams of requests that need no other's reply, ``each`` for plans that ask
    several questions for every item. Both give results in the order of what went in, whatever the
    order of the replies, so what is made of them does not depend on the server's haste.

    With ``retry_quarantined``, requests in quarantine are asked once more, unless the check can
    meanwhile use what was replied.

    ``progress`` is sent how far a batch of the batch API has come.

    Raises ``UserError`` where there is no key for OpenAI, and for a journal that cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        retry_quarantined: bool = False,
        progress: Progress = silent,
    ) -> None:
        self.settings = settings
        self.endpoint = Endpoint.find(settings.model, settings.base_url, settings.key_variable)
        self.journal = Journal(Path(settings.journal))
        self.outcomes: Counter[tuple[str, Status]] = Counter()
        """How many requests of this run ended how, by task; those from the journal count too."""
        self._retry = retry_quarantined
        self._retried: set[str] = set()
        self._flights: dict[str, asyncio.Task[Kept]] = {}
        """Requests that are being sent, by key: equal ones share a flight."""
        self._ledger = Ledger(self.journal, settings)
        self._loop = Loop()
        self._window = max(WINDOW, settings.batch_size if settings.batch else 0)
        self._sender: Sender
        if settings.batch:
            self._sender = Batches(self.endpoint, settings, self._ledger, progress)
        else:
            self._sender = Live(self.endpoint, settings, self._ledger)

    @property
    def calls(self) -> int:
        """Replies that this run has received from the server."""
        return self._ledger.calls

    def ask(self, requests: Iterable[Request], check: Check[T]) -> Iterator[Outcome[T]]:
        """What became of every request, in order.

        ``requests`` may be endless: a window of them is in memory. Raises ``BudgetSpent``, or
        another ``UserError`` if the server cannot be asked; ``close`` keeps what is on its way.
        """
        return self.each(requests, lambda request: self.call(request, check))

    def each(self, items: Iterable[I], plan: Callable[[I], Coroutine[Any, Any, R]]) -> Iterator[R]:
        """What ``plan`` makes of every item, in order.

        A plan is a coroutine that awaits ``call`` as often as it likes. ``items`` are read in a
        thread of their own and may come from another ``each``. Raises as ``ask`` does.
        """
        return in_order(self._loop, lambda: Stream(items, plan, self._sender.room, self._window))

    async def call(self, request: Request, check: Check[T]) -> Outcome[T]:
        """Ask one question within a plan: its checked answer, or why there is none.

        A reply that ``check`` cannot use is sent back once to be repaired.
        """
        key = request.key(self.settings.model)
        outcome = await self._outcome(request, key, check)
        self.outcomes[request.task, outcome.status] += 1
        return outcome

    def close(self) -> None:
        """Wait for the calls on their way, keep their replies, and end."""
        self._sender.end(UserError("the teacher was told to stop"))
        self._loop.run(self._end())
        self._loop.close()
        self.journal.close()

    def __enter__(self) -> "Teacher":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def _outcome(self, request: Request, key: str, check: Check[T]) -> Outcome[T]:
        kept = await self._flying(key) or self.journal.get(key)
        if kept is not None and self._asks_again(key, kept):
            try:
                value = _checked(kept, check)
            except ReplyError:
                kept = None
            else:
                await self._ledger.judge({key: ("answered", "")})
                return Outcome(request, key, "answered", value)
        if kept is None:
            kept = await self._sent(request, key)
        if kept.status != "answered":
            return Outcome(request, key, kept.status, reason=kept.reason)
        try:
            return Outcome(request, key, "answered", _checked(kept, check))
        except UselessError as error:
            await self._ledger.judge({key: (error.status, str(error))})
            return Outcome(request, key, error.status, reason=str(error))
        except ReplyError as error:
            return await self._repaired(request, key, request.repaired(kept.text, error), check)

    async def _repaired(
        self, request: Request, key: str, repair: Request, check: Check[T]
    ) -> Outcome[T]:
        """What became of ``request`` by its repair, which is asked, kept and paid as any other."""
        repair_key = repair.key(self.settings.model)
        kept = await self._flying(repair_key) or self.journal.get(repair_key)
        if kept is None or self._asks_again(repair_key, kept):
            kept = await self._sent(repair, repair_key)
        status, reason = kept.status, kept.reason
        try:
            if status == "answered":
                return Outcome(request, key, "answered", _checked(kept, check))
        except UselessError as error:
            status, reason = error.status, str(error)
        except ReplyError as error:
            status, reason = "malformed", str(error)
        await self._ledger.judge({key: (status, reason), repair_key: (status, reason)})
        return Outcome(request, key, status, reason=reason)

    def _asks_again(self, key: str, kept: Kept) -> bool:
        """Whether a reply in quarantine is to be asked for again: once in a run, if at all."""
        if kept.status == "answered" or not self._retry or key in self._retried:
            return False
        self._retried.add(key)
        return True

    async def _flying(self, key: str) -> Kept | None:
        flight = self._flights.get(key)
        return None if flight is None else await asyncio.shield(flight)

    async def _sent(self, request: Request, key: str) -> Kept:
        flight = asyncio.create_task(self._sender.send(request, key))
        self._flights[key] = flight
        flight.add_done_callback(lambda _: self._flights.pop(key))
        # A plan that is ended does not end what was paid for.
        return await asyncio.shield(flight)

    async def _end(self) -> None:
        await asyncio.gather(*self._flights.values(), return_exceptions=True)
        await self._ledger.close()
        await self._sender.close()


def _checked(kept: Kept, check: Check[T]) -> T:
    if kept.finish == "length":
        raise UselessError(CUT_OFF)
    if not kept.text.strip():
        raise UselessError(EMPTY)
    return check(kept.text)
