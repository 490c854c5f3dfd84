"""Sending requests by the batch API: a file of many, whose replies come within a day.

A batch is written into the journal before it is made at the server, and bears its name there. So
whoever is killed at whatever point finds it again, and waits for it instead of paying twice.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Literal
from uuid import uuid4

import msgspec
import openai
from msgspec import Struct

from metaalign.data.teacher.completion import body_of, reply_in
from metaalign.data.teacher.endpoint import Endpoint
from metaalign.data.teacher.journal import Kept
from metaalign.data.teacher.ledger import Ledger
from metaalign.data.teacher.live import REFUSED
from metaalign.data.teacher.manner import Manner
from metaalign.data.teacher.requests import Reply, Request
from metaalign.data.teacher.settings import Settings
from metaalign.schema import Event, Progress, UserError, silent

GATHERING_SECONDS = 0.5
"""A batch is sent when no request has come for so long, or when it is full."""
ENDPOINT: Literal["/v1/chat/completions"] = "/v1/chat/completions"
LABEL = "metaalign"
"""Key of the batch's metadata that holds its name."""
LINES = 500
"""Replies that are committed together."""
ENDED = frozenset({"completed", "failed", "expired", "cancelled"})


class _Response(Struct):
    status_code: int
    body: msgspec.Raw = msgspec.Raw(b"null")


class _Line(Struct):
    custom_id: str
    response: _Response | None = None


class _Waiting(Struct):
    request: Request
    future: "asyncio.Future[Kept]"
    tries: int = 0


class Batches:
    """Sends requests to ``endpoint`` in batches, one after the other, and keeps the replies."""

    def __init__(
        self,
        endpoint: Endpoint,
        settings: Settings,
        ledger: Ledger,
        progress: Progress = silent,
    ) -> None:
        self._endpoint = endpoint
        self._settings = settings
        self._ledger = ledger
        self._progress = progress
        self._waiting: dict[str, _Waiting] = {}
        self._came = asyncio.Event()
        self._manners: dict[bytes | None, Manner] = {None: Manner("words")}
        self._working: asyncio.Task[None] | None = None
        self._ended: UserError | None = None
        self._client = openai.AsyncOpenAI(
            api_key=endpoint.key,
            base_url=endpoint.base_url,
            timeout=settings.timeout,
            max_retries=settings.retries,
        )

    async def room(self) -> None:
        """Return at once: the window of the stream is what a batch can hold."""

    async def send(self, request: Request, key: str) -> Kept:
        """Ask in the next batch, keep the reply, return what is kept.

        A request that the server refuses is kept as refused. Raises ``UserError`` if the server
        cannot be asked, and ``BudgetSpent``.
        """
        if self._ended is not None:
            raise self._ended
        waiting = _Waiting(request, asyncio.get_running_loop().create_future())
        self._waiting[key] = waiting
        self._came.set()
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        return await waiting.future

    def end(self, error: UserError) -> UserError:
        """Send nothing more, and wait for nothing: the journal knows which batches are owed."""
        self._ended = self._ended or error
        if self._working is not None:
            self._working.cancel()
        self._fail(self._ended)
        return self._ended

    async def close(self) -> None:
        if self._working is not None:
            await asyncio.gather(self._working, return_exceptions=True)
        await self._client.close()

    async def _work(self) -> None:
        try:
            for name, server_id in self._ledger.journal.batches():
                await self._resume(name, server_id)
            while self._waiting:
                await self._gather()
                await self._batch(list(self._waiting)[: self._settings.batch_size])
        except openai.OpenAIError as error:
            tries = self._settings.retries + 1
            failed = self._endpoint.failed(error, tries, self._settings.timeout)
            self._fail(self._ledger.with_kept(failed))
        except Exception as error:
            self._fail(error)
        finally:
            self._working = None

    async def _gather(self) -> None:
        """Wait until a batch is full or nobody has anything to add."""
        while len(self._waiting) < self._settings.batch_size:
            self._came.clear()
            try:
                await asyncio.wait_for(self._came.wait(), GATHERING_SECONDS)
            except TimeoutError:
                return

    async def _batch(self, keys: list[str]) -> None:
        name = uuid4().hex
        granted = await self._ledger.open_batch(
            name, {key: self._waiting[key].request for key in keys}
        )
        try:
            server_id = await self._create(name, granted)
        except openai.APIStatusError as error:
            # It was not made, so nothing of it can cost anything.
            await self._ledger.write(lambda changes: changes.close_batch(name))
            if error.status_code in REFUSED:
                raise self._ledger.with_kept(self._endpoint.refuses(error)) from error
            raise
        await self._collect(name, server_id)

    async def _create(self, name: str, keys: Iterable[str]) -> str:
        """Make the batch at the server; its id there, which is in the journal."""
        lines = b"".join(self._line(key) for key in keys)
        file = await self._client.files.create(file=(f"{name}.jsonl", lines), purpose="batch")
        batch = await self._client.batches.create(
            input_file_id=file.id,
            endpoint=ENDPOINT,
            completion_window="24h",
            metadata={LABEL: name},
        )
        await self._named(name, batch.id)
        return batch.id

    async def _named(self, name: str, server_id: str) -> None:
        await self._ledger.write(lambda changes: changes.name_batch(name, server_id))

    def _line(self, key: str) -> bytes:
        request = self._waiting[key].request
        body = body_of(request, self._endpoint.model, self._manner(request))
        made = {"custom_id": key, "method": "POST", "url": ENDPOINT, "body": body}
        return msgspec.json.encode(made) + b"\n"

    async def _resume(self, name: str, server_id: str) -> None:
        """Collect a batch of an earlier run, if it was ever made."""
        if not server_id:
            server_id = await self._find(name)
        if server_id:
            await self._collect(name, server_id)
        else:
            await self._ledger.write(lambda changes: changes.close_batch(name))

    async def _find(self, name: str) -> str:
        async for batch in self._client.batches.list(limit=100):
            if batch.metadata and batch.metadata.get(LABEL) == name:
                await self._named(name, batch.id)
                return batch.id
        return ""

    async def _collect(self, name: str, server_id: str) -> None:
        """Wait for a batch and keep its replies; a request without one goes into the next batch."""
        batch = await self._finished(server_id)
        calls = self._ledger.journal.calls_of(name)
        refused: dict[str, str] = {}
        worked: set[bytes | None] = set()
        for file in filter(None, (batch.output_file_id, batch.error_file_id)):
            content = await self._client.files.content(file)
            for lines in _some(content.content):
                known = [line for line in lines if line.custom_id in calls]
                refused |= {line.custom_id: _complaint(line) for line in known if _refuses(line)}
                await self._keep(calls, _answers(known), worked)
        await self._keep(calls, self._final(refused, worked), set())
        await self._ledger.write(lambda changes: changes.close_batch(name))
        if batch.status == "failed":
            found = batch.errors.data if batch.errors and batch.errors.data else []
            why = found[0].message if found else "no reason given"
            raise UserError(f"{self._endpoint.host} refuses batch {server_id}: {why}")
        self._count_tries(calls)

    async def _finished(self, server_id: str) -> openai.types.Batch:
        while True:
            batch = await self._client.batches.retrieve(server_id)
            if (counts := batch.request_counts) is not None:
                self._progress(
                    Event(f"batch {server_id}", counts.completed, counts.total, "requests")
                )
            if batch.status in ENDED:
                return batch
            await asyncio.sleep(self._settings.poll_seconds)

    async def _keep(
        self,
        calls: Mapping[str, tuple[int, str]],
        replies: Mapping[str, Reply],
        worked: set[bytes | None],
    ) -> None:
        """Put ``replies`` into the journal, hand them to who waits, and note which schemas work."""
        if not replies:
            return
        kept = await self._ledger.keep_batch(
            [(calls[key][0], key, calls[key][1], reply) for key, reply in replies.items()]
        )
        for key, one in zip(replies, kept, strict=True):
            waiting = self._waiting.pop(key, None)
            if waiting is not None:
                worked.add(waiting.request.schema)
                if not waiting.future.done():
                    waiting.future.set_result(one)

    def _final(self, refused: Mapping[str, str], worked: set[bytes | None]) -> dict[str, Reply]:
        """Those of the refused requests that no other manner of asking could help."""
        final = {}
        asked = dict(self._manners)
        for key, complaint in refused.items():
            waiting = self._waiting.get(key)
            if waiting is None:
                continue  # nobody asks for it in this run
            schema = waiting.request.schema
            simpler = asked.get(schema, Manner()).without(complaint)
            if simpler is None or schema in worked:
                final[key] = Reply("", 0, 0, "error", refusal=f"the server: {complaint}")
            else:
                self._manners[schema] = simpler
        return final

    def _count_tries(self, calls: Iterable[str]) -> None:
        """Give up when a request was in too many batches that brought it no answer."""
        for key in calls:
            waiting = self._waiting.get(key)
            if waiting is not None:
                waiting.tries += 1
                if waiting.tries > self._settings.retries:
                    raise self._ledger.with_kept(
                        UserError(f"{self._endpoint.name} failed in {waiting.tries} batches")
                    )

    def _manner(self, request: Request) -> Manner:
        return self._manners.get(request.schema, Manner())

    def _fail(self, error: Exception) -> None:
        waiting, self._waiting = self._waiting, {}
        for one in waiting.values():
            if not one.future.done():
                one.future.set_exception(error)


def _some(content: bytes) -> Iterator[list[_Line]]:
    """The lines of a file, a commit's worth at a time."""
    decoder, lines = msgspec.json.Decoder(_Line), filter(None, content.split(b"\n"))
    while some := [decoder.decode(line) for line in islice(lines, LINES)]:
        yield some


def _answers(lines: Iterable[_Line]) -> dict[str, Reply]:
    found = {}
    for line in lines:
        if line.response is not None and line.response.status_code == 200:
            try:
                found[line.custom_id] = reply_in(bytes(line.response.body))
            except msgspec.DecodeError:
                continue  # of no known form: asked again
    return found


def _refuses(line: _Line) -> bool:
    return line.response is not None and line.response.status_code in REFUSED


def _complaint(line: _Line) -> str:
    text = bytes(line.response.body).decode() if line.response else ""
    return " ".join(text.split())[:300]
