"""The journal as many calls at once see it: writes that are committed together, and the budget."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from metaalign.data.teacher.counting import most_in
from metaalign.data.teacher.journal import Changes, Journal, Kept, Limits, Worst
from metaalign.data.teacher.requests import Reply, Request, Status
from metaalign.data.teacher.settings import Settings
from metaalign.schema import UserError

T = TypeVar("T")


class BudgetSpent(UserError):
    """The next call could cost more than is left. All that was paid for is kept."""


class Ledger:
    """Writes to ``journal`` on behalf of calls that run in one event loop.

    What is written while a commit is under way is committed together afterwards: a commit that
    waits for the disk takes as long for one reply as for a hundred.
    """

    def __init__(self, journal: Journal, settings: Settings) -> None:
        self.journal = journal
        self.calls = 0
        """Replies that this process has paid for."""
        self._settings = settings
        self._limits = Limits(settings.max_tokens, settings.max_cost)
        self._open: set[int] = set()
        """Calls of this process that are written down and not answered."""
        self._freed = asyncio.Event()
        """Set, and replaced, whenever a call has ended, so that less is reserved."""
        self._waiting: list[tuple[Callable[[Changes], object], asyncio.Future[object]]] = []
        self._committing: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")

    async def write(self, change: Callable[[Changes], T]) -> T:
        """Make ``change``; what it returns, once it is on disk."""
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._waiting.append((change, future))
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit())
        return await future  # type: ignore[return-value]

    async def reserve(
        self, request: Request, key: str, batch: str = "", *, wait: bool = True
    ) -> int:
        """Write down that ``request`` will be sent; the number of the call.

        Where there is no room in the budget, waits for calls under way to cost less than they
        could. Raises ``BudgetSpent`` if there are none, or without ``wait``.
        """
        worst = self.worst(request, key)
        while True:
            freed = self._freed
            call = await self.write(lambda changes: changes.reserve(worst, self._limits, batch))
            if call is not None:
                self._open.add(call)
                return call
            # Those who were given room in the same commit come first.
            await asyncio.sleep(0)
            if not wait or not (self._open or freed.is_set()):
                raise self._spent(worst)
            await freed.wait()

    async def open_batch(self, name: str, requests: Mapping[str, Request]) -> list[str]:
        """Write down that a batch of ``requests`` will be sent, by key; the keys that there is room
        for.

        Raises ``BudgetSpent`` if there are none.
        """
        worst = [self.worst(request, key) for key, request in requests.items()]

        def change(changes: Changes) -> list[str]:
            changes.open_batch(name)
            return [
                one.key for one in worst if changes.reserve(one, self._limits, name) is not None
            ]

        keys = await self.write(change)
        if not keys:
            await self.write(lambda changes: changes.close_batch(name))
            raise self._spent(worst[0])
        return keys

    async def keep_batch(self, replies: Sequence[tuple[int, str, str, Reply]]) -> list[Kept]:
        """As ``keep`` for many: (call, key, task, reply) each."""

        def change(changes: Changes) -> list[Kept]:
            return [
                changes.keep(call, key, task, reply, self._cost(reply))
                for call, key, task, reply in replies
            ]

        kept = await self.write(change)
        self.calls += len(kept)
        return kept

    async def keep(self, call: int, request: Request, key: str, reply: Reply) -> Kept:
        """Put the reply in the place of its call; what is kept under ``key`` from now on."""
        cost = self._cost(reply)
        kept = await self.write(lambda changes: changes.keep(call, key, request.task, reply, cost))
        self.calls += 1
        self._ended(call)
        return kept

    async def release(self, call: int) -> None:
        """Forget a call that cost nothing."""
        await self.write(lambda changes: changes.release(call))
        self._ended(call)

    def lose(self, call: int) -> None:
        """Leave a call in the journal that may have been paid for: it counts at its worst case."""
        self._ended(call)

    async def judge(self, found: Mapping[str, tuple[Status, str]]) -> None:
        """Say what the checks found in replies: key -> status, and the reason of a quarantine."""

        def change(changes: Changes) -> None:
            for key, (status, reason) in found.items():
                changes.judge(key, status, reason)

        await self.write(change)

    def worst(self, request: Request, key: str) -> Worst:
        """What ``request`` takes at most."""
        tokens_in, tokens_out = most_in(request), request.max_tokens
        cost = self._settings.cost(tokens_in, tokens_out)
        return Worst(key, request.task, tokens_in + tokens_out, cost)

    def with_kept(self, error: UserError) -> UserError:
        """``error``, and how to go on, if anything is kept."""
        calls = self.journal.spent().calls
        if not calls:
            return error
        return UserError(
            f"{error}; all {calls} replies so far are kept in {self.journal.path}: "
            "run the same command to go on"
        )

    async def close(self) -> None:
        """Wait for what is being written."""
        if self._committing is not None:
            await self._committing
        self._thread.shutdown()

    def _cost(self, reply: Reply) -> float:
        return self._settings.cost(reply.tokens_in, reply.tokens_out)

    def _ended(self, call: int) -> None:
        self._open.discard(call)
        self._freed.set()
        self._freed = asyncio.Event()

    async def _commit(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            changes, self._waiting = self._waiting, []
            try:
                made = await loop.run_in_executor(
                    self._thread, self.journal.write, [change for change, _ in changes]
                )
            except Exception as error:
                for _, future in changes:
                    if not future.done():
                        future.set_exception(error)
            else:
                for (_, future), one in zip(changes, made, strict=True):
                    if not future.done():
                        future.set_result(one)
        self._committing = None

    def _spent(self, worst: Worst) -> BudgetSpent:
        spent, limits = self.journal.spent(), self._limits
        parts = []
        if limits.cost is not None:
            parts.append(
                f"{spent.cost + spent.open_cost:.4f} of {limits.cost:g} are spent and the next "
                f"call may take {worst.cost:.4f}"
            )
        if limits.tokens is not None:
            parts.append(
                f"{spent.tokens + spent.open_tokens} of {limits.tokens} tokens are used and the "
                f"next call may take {worst.tokens}"
            )
        return BudgetSpent(
            f"the budget is used up: {', '.join(parts)}; all {spent.calls} replies are kept in "
            f"{self.journal.path}: run the same command with a larger --max-cost or --max-tokens "
            "to go on"
        )
