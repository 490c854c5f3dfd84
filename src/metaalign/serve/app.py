"""The endpoint as an ASGI application: chat completions, models, health."""

import asyncio
import json
import logging
import secrets
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import aclosing, asynccontextmanager
from typing import Any, NamedTuple, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Send

from metaalign.generate import Answer, AnswerStream, ContextOverflow, Engine, Sampling
from metaalign.policy import PriorityMatrix, explain, load_matrix, resolve_dialogue
from metaalign.schema import UserError
from metaalign.serve.request import BadRequest, ChatRequest, read_request
from metaalign.serve.worker import Stopping, Worker

MAX_BODY = 8 * 1024 * 1024
"""Bytes of a request, at most."""
MAX_NEW_TOKENS = 1024
"""Most tokens of an answer if the client does not say: less where the context is shorter."""

_BROKEN = "the server has failed; its log says how"

_log = logging.getLogger(__name__)

Fields = dict[str, Any]
T = TypeVar("T")


def create_app(engine: Engine, name: str, matrix: PriorityMatrix | None = None) -> Starlette:
    """The application that serves ``engine`` under the model name ``name``.

    Args:
        matrix: what ``extra_body={"explain": True}`` goes by; the packaged one by default.
    """
    gateway = _Gateway(engine, name, matrix or load_matrix())

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        gateway.worker.stop()

    app = Starlette(
        routes=[
            Route("/v1/chat/completions", gateway.complete, methods=["POST"]),
            Route("/v1/models", gateway.models),
            Route("/v1/models/{name:path}", gateway.model),
            Route("/healthz", gateway.health),
        ],
        exception_handlers=dict.fromkeys(_ERRORS, _error_response),
        lifespan=lifespan,
    )
    app.state.worker = gateway.worker
    return app


class _Task(NamedTuple):
    """A request that can be answered."""

    request: ChatRequest
    sampling: Sampling
    prompt_tokens: int
    extra: Fields
    """``{"metaalign": ...}`` if the client wants the resolution, else empty."""


class _Gateway:
    def __init__(self, engine: Engine, name: str, matrix: PriorityMatrix) -> None:
        self.engine = engine
        self.name = name
        self.matrix = matrix
        self.worker = Worker()
        self.created = int(time.time())

    async def health(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok", "model": self.name})

    async def models(self, _request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._card()]})

    async def model(self, request: Request) -> Response:
        self._check_name(request.path_params["name"])
        return JSONResponse(self._card())

    async def complete(self, request: Request) -> Response:
        asked = read_request(await _body(request))
        self._check_name(asked.model)
        # Tokenising and reading a long Meta-Prompt take a while: not on the event loop.
        task = await asyncio.to_thread(self._prepare, asked)
        if asked.stream:
            return _EventStream(self._events(task))
        answers = await _unless_gone(request, self._answer(task))
        return JSONResponse(self._completion(task, answers))

    def _prepare(self, asked: ChatRequest) -> _Task:
        engine = self.engine
        try:
            prompt_tokens = engine.check(asked.dialogue, asked.max_new_tokens or 1)
            extra = {"metaalign": self._explanation(asked)} if asked.explain else {}
        except ContextOverflow as error:
            raise BadRequest(str(error), "messages", "context_length_exceeded") from error
        except UserError as error:
            raise BadRequest(str(error), "messages") from error
        limit = asked.max_new_tokens
        if limit is None:
            left = MAX_NEW_TOKENS if engine.context is None else engine.context - prompt_tokens
            limit = min(MAX_NEW_TOKENS, left)
        sampling = Sampling(
            temperature=asked.temperature,
            top_p=asked.top_p,
            max_new_tokens=limit,
            seed=secrets.randbits(62) if asked.seed is None else asked.seed,
            stop=asked.stop,
        )
        return _Task(asked, sampling, prompt_tokens, extra)

    def _explanation(self, asked: ChatRequest) -> Fields:
        resolution = resolve_dialogue(asked.dialogue, self.matrix)
        return {
            "resolution": msgspec.to_builtins(resolution),
            "explanation": explain(resolution),
        }

    def _answer(self, task: _Task) -> Coroutine[Any, Any, list[Answer]]:
        asked = task.request
        return self.worker.run(
            lambda cancelled: self.engine.respond(
                [asked.dialogue], task.sampling, samples=asked.samples, cancelled=cancelled
            )[0]
        )

    def _completion(self, task: _Task, answers: list[Answer]) -> Fields:
        choices = [
            {
                "index": i,
                "message": {"role": "assistant", "content": answer.text, "refusal": None},
                "logprobs": None,
                "finish_reason": answer.finish,
            }
            for i, answer in enumerate(answers)
        ]
        return {
            **self._head("chat.completion"),
            "choices": choices,
            "usage": _usage(task.prompt_tokens, sum(answer.tokens for answer in answers)),
            **task.extra,
        }

    async def _events(self, task: _Task) -> AsyncGenerator[str, None]:
        """The answer as server-sent events; what goes wrong on the way is one as well."""
        head = self._head("chat.completion.chunk")
        if task.request.include_usage:
            head["usage"] = None

        def event(delta: Fields, finish: str | None = None, **more: object) -> str:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            return _event({**head, "choices": [choice], **more})

        yield event({"role": "assistant", "content": ""}, **task.extra)
        try:
            stream = await asyncio.to_thread(self._stream, task)
            async with aclosing(self.worker.stream(lambda: stream)) as pieces:
                async for piece in pieces:
                    if piece:
                        yield event({"content": piece})
        except (UserError, Stopping) as error:
            yield _event(_error(str(error), "server_error"))
        except Exception:
            _log.exception("an answer broke off")
            yield _event(_error(_BROKEN, "server_error"))
        else:
            yield event({}, stream.finish)
            if task.request.include_usage:
                usage = _usage(task.prompt_tokens, stream.tokens)
                yield _event({**head, "choices": [], "usage": usage})
            yield "data: [DONE]\n\n"

    def _stream(self, task: _Task) -> AnswerStream:
        return self.engine.stream(task.request.dialogue, **msgspec.structs.asdict(task.sampling))

    def _head(self, kind: str) -> Fields:
        return {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "object": kind,
            "created": int(time.time()),
            "model": self.name,
        }

    def _card(self) -> Fields:
        return {
            "id": self.name,
            "object": "model",
            "created": self.created,
            "owned_by": "metaalign",
        }

    def _check_name(self, asked: str) -> None:
        if asked != self.name:
            raise BadRequest(
                f"there is no model {asked!r} here: this server has {self.name!r}",
                "model",
                "model_not_found",
                404,
            )


class _EventStream(StreamingResponse):
    """Server-sent events, whose source is closed when the client goes, wherever it stood."""

    def __init__(self, events: AsyncGenerator[str, None]) -> None:
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._events = events

    async def stream_response(self, send: Send) -> None:
        async with aclosing(self._events):
            await super().stream_response(send)


async def _body(request: Request) -> bytes:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_BODY:
            raise BadRequest(f"the request is longer than {MAX_BODY} bytes", status=413)
    return bytes(data)


async def _unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``, which is cancelled if the client goes before it is there."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    tasks = (asyncio.create_task(work), asyncio.create_task(gone()))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not tasks[0].done():
            raise ClientDisconnect
        return tasks[0].result()
    finally:
        for task in tasks:
            task.cancel()


def _usage(prompt: int, completion: int) -> dict[str, int]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _event(data: Fields) -> str:
    # ASCII only: some clients take U+2028 and its like for the end of a line.
    return f"data: {json.dumps(data, ensure_ascii=True)}\n\n"


def _error(
    message: str, kind: str, param: str | None = None, code: str | None = None
) -> dict[str, dict[str, str | None]]:
    """OpenAI's error object."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _error_response(request: Request, error: Exception) -> Response:
    if isinstance(error, BadRequest):
        body = _error(str(error), "invalid_request_error", error.param, error.code)
        return JSONResponse(body, error.status)
    if isinstance(error, HTTPException):
        message = f"{request.method} {request.url.path}: {error.detail}"
        body = _error(message, "invalid_request_error")
        return JSONResponse(body, error.status_code, headers=error.headers)
    if isinstance(error, ClientDisconnect):
        return Response(status_code=400)  # nobody reads it
    if isinstance(error, Stopping):
        return JSONResponse(_error(str(error), "server_error"), 503)
    if isinstance(error, UserError):
        return JSONResponse(_error(str(error), "server_error"), 500)
    return JSONResponse(_error(_BROKEN, "server_error"), 500)


_ERRORS = (BadRequest, ClientDisconnect, HTTPException, Stopping, UserError, Exception)
