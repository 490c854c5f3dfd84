"""Sending requests one by one, many at a time."""

import asyncio
from contextlib import suppress
from random import Random
from typing import Any

import msgspec
import openai

from metaalign.data.teacher.completion import body_of, reply_in
from metaalign.data.teacher.counting import estimated_in, most_in
from metaalign.data.teacher.endpoint import Endpoint, line_of
from metaalign.data.teacher.journal import Kept
from metaalign.data.teacher.ledger import BudgetSpent, Ledger
from metaalign.data.teacher.manner import Manner
from metaalign.data.teacher.pace import Pace, backoff, retry_after
from metaalign.data.teacher.requests import Reply, Request
from metaalign.data.teacher.settings import Settings
from metaalign.schema import UserError

LONGEST_PATIENCE = 600.0
"""Seconds that a server may ask to wait; one that asks for more is not waited for."""
AHEAD = 2
"""Calls that are written down, for every one that may be on its way: a place that becomes free is
taken at once."""
REFUSALS = (openai.BadRequestError, openai.UnprocessableEntityError)
REFUSED = frozenset({400, 413, 422})
"""The request itself is at fault."""
PASSING = frozenset({408, 409, 425, 429})
"""What may be gone at the next try, besides all from 500 on."""
NO_MONEY = "insufficient_quota"
NEVER_SENT = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout"})
"""What the client calls its failures before anything was sent."""


class Live:
    """Sends requests to ``endpoint``, ``settings.concurrency`` at a time, and keeps the replies."""

    def __init__(self, endpoint: Endpoint, settings: Settings, ledger: Ledger) -> None:
        self._endpoint = endpoint
        self._settings = settings
        self._ledger = ledger
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._load = 0
        self._room = asyncio.Event()
        self._room.set()
        self._requests = Pace(settings.requests_per_minute)
        self._tokens = Pace(settings.tokens_per_minute)
        # What works is found out for every schema: servers take some and refuse others.
        self._manners: dict[bytes | None, Manner] = {None: Manner("words")}
        self._ended: UserError | None = None
        self._stopped = asyncio.Event()
        self._answered = ledger.journal.spent().calls > 0
        """Whether the server is known to answer: it did so before, or in this run."""
        self._random = Random()  # for waiting only: no result depends on it
        self._client = openai.AsyncOpenAI(
            api_key=endpoint.key,
            base_url=endpoint.base_url,
            timeout=settings.timeout,
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(limits=_limits(settings.concurrency)),
        )

    async def room(self) -> None:
        """Return when another request would soon be sent."""
        await self._room.wait()

    async def send(self, request: Request, key: str) -> Kept:
        """Ask, keep the reply, return what is kept.

        A request that the server refuses although it has answered others is kept as refused.
        Raises ``UserError`` if the server cannot be asked, or ``BudgetSpent``; no further request
        is sent then, and those on their way are waited for and kept.
        """
        self._take(1)
        try:
            call = await self._reserve(request, key)
            async with self._slots:
                call, reply = await self._asked(call, request, key)
            return await self._ledger.keep(call, request, key, reply)
        finally:
            self._take(-1)

    async def _reserve(self, request: Request, key: str) -> int:
        if self._ended is not None:
            raise self._ended
        try:
            return await self._ledger.reserve(request, key)
        except BudgetSpent as error:
            raise self.end(error) from None

    def end(self, error: UserError) -> UserError:
        """Send nothing more: whoever tries gets ``error``, or what ended it before."""
        self._ended = self._ended or error
        self._stopped.set()
        return self._ended

    async def close(self) -> None:
        await self._client.close()

    def _take(self, calls: int) -> None:
        self._load += calls
        if self._load < AHEAD * self._settings.concurrency:
            self._room.set()
        else:
            self._room.clear()

    async def _asked(self, call: int, request: Request, key: str) -> tuple[int, Reply]:
        """The reply, and the call that it pays for, after as many tries as are worth it."""
        manner, tries = self._manners.get(request.schema, Manner()), 0
        while True:
            await self._pause(self._turn(request))
            if self._ended is not None:
                await self._ledger.release(call)
                raise self._ended
            try:
                body = await self._post(body_of(request, self._endpoint.model, manner), key)
                reply = reply_in(body, (most_in(request), request.max_tokens))
            except (openai.OpenAIError, msgspec.DecodeError) as error:
                simpler = manner.without(str(error)) if isinstance(error, REFUSALS) else None
                if simpler is not None:
                    manner = simpler
                    continue
                tries += 1
                seconds = self._wait(error, tries)
                if seconds is None:
                    return call, await self._given_up(call, error, tries)
                if _perhaps_paid(error):
                    call = await self._reserve_again(call, request, key)
                await self._pause(seconds)
            else:
                # Only what has worked is kept: a text that is too long is refused in any manner.
                self._manners[request.schema] = manner
                self._answered = True
                return call, reply

    def _turn(self, request: Request) -> float:
        """Seconds until the rates let this request through."""
        tokens = estimated_in(request) + request.max_tokens
        return max(self._requests.turn(), self._tokens.turn(tokens))

    async def _pause(self, seconds: float) -> None:
        """Wait, unless nothing more is to be sent."""
        if seconds > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), seconds)

    async def _post(self, body: dict[str, object], key: str) -> bytes:
        # Past the client's own types: they name one server's fields, and to check them takes as
        # long as all the rest.
        return await self._client.post(
            "/chat/completions",
            cast_to=bytes,
            body=body,
            options={"headers": {"X-Client-Request-Id": key}},
        )

    def _wait(self, error: Exception, tries: int) -> float | None:
        """Seconds until the next try; None if there should be none."""
        # Whoever gave a wrong address should not wait long to be told.
        retries = self._settings.retries if self._answered else min(2, self._settings.retries)
        if tries > retries or not _passes(error, self._answered):
            return None
        asked = None
        if isinstance(error, openai.APIStatusError):
            asked = retry_after(error.response.headers)
        if asked is None:
            return backoff(tries - 1, self._random)
        # A little more, so that not all come back in the same moment.
        seconds = asked + self._random.uniform(0, min(1.0, asked / 4))
        return seconds if asked <= LONGEST_PATIENCE else None

    async def _reserve_again(self, call: int, request: Request, key: str) -> int:
        """Another call for a request whose last one may have been paid for."""
        self._ledger.lose(call)
        try:
            return await self._ledger.reserve(request, key, wait=False)
        except BudgetSpent as error:
            raise self.end(error) from None

    async def _given_up(self, call: int, error: Exception, tries: int) -> Reply:
        """A refusal in the place of a reply if only this request is to blame; or the end."""
        if self._answered and _is_refusal(error):
            return Reply("", 0, 0, "error", refusal=f"the server: {line_of(error)}")
        if _perhaps_paid(error):
            self._ledger.lose(call)
        else:
            await self._ledger.release(call)
        raise self.end(self._told(error, tries)) from error

    def _told(self, error: Exception, tries: int) -> UserError:
        """The line for an error that ends the run; it says what is kept."""
        if not isinstance(error, openai.OpenAIError):
            told = self._endpoint.no_such_server()
        elif _is_refusal(error):
            told = self._endpoint.refuses(error)
        else:
            told = self._endpoint.failed(error, tries, self._settings.timeout)
        return self._ledger.with_kept(told)


def _is_refusal(error: Exception) -> bool:
    return isinstance(error, openai.APIStatusError) and error.status_code in REFUSED


def _passes(error: Exception, answered: bool) -> bool:
    """Whether the same request may well be answered later."""
    if isinstance(error, openai.APIStatusError):
        busy = error.status_code in PASSING or error.status_code >= 500
        return busy and error.code != NO_MONEY
    # What is no completion at all is a wrong address, unless the server has answered before.
    return answered if isinstance(error, msgspec.DecodeError) else True


def _perhaps_paid(error: Exception) -> bool:
    """Whether the server may have worked for a call that brought nothing."""
    if isinstance(error, openai.APIConnectionError):
        return type(error.__cause__).__name__ not in NEVER_SENT
    return isinstance(error, msgspec.DecodeError)


def _limits(connections: int) -> Any:
    # The client's own HTTP library, whichever it is.
    kind = type(openai.DEFAULT_CONNECTION_LIMITS)
    return kind(max_connections=connections, max_keepalive_connections=connections)
