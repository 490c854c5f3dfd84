"""Running the mock teacher: until Ctrl-C, or in a thread of a test."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from metaalign.data.teacher.mock.batches import Batches
from metaalign.data.teacher.mock.behaviour import Answer, Behaviour, name_of
from metaalign.schema import UserError

HOST = "127.0.0.1"
CLIENT_NAME = "x-client-request-id"
"""The header in which a client names its request, as OpenAI has it."""
_GRACE = 2
"""Seconds that calls on their way get to end after Ctrl-C."""


def create_app(behaviour: Behaviour) -> Starlette:
    """The mock teacher as an ASGI application."""

    async def chat(request: Request) -> Response:
        try:
            body = msgspec.json.decode(await request.body(), type=dict[str, Any])
        except ClientDisconnect:
            return Response(status_code=499)  # nobody is there to read it
        except msgspec.DecodeError as error:
            return _response(Answer(400, {"error": {"message": str(error), "type": "mock"}}))
        began = time.monotonic()
        stats, name = behaviour.stats, name_of(body)
        failure = behaviour.failure(body, name)
        if failure is not None:
            return _response(failure)
        stats.on_their_way += 1
        stats.most_on_their_way = max(stats.most_on_their_way, stats.on_their_way)
        try:
            answer = behaviour.completion(body, name)
            # What it took to think is part of the latency.
            await asyncio.sleep(behaviour.manners.latency - (time.monotonic() - began))
        finally:
            stats.on_their_way -= 1
        behaviour.count(name, answer, request.headers.get(CLIENT_NAME))
        return _response(answer)

    async def models(_request: Request) -> Response:
        made = {"id": behaviour.manners.model, "object": "model", "created": 0, "owned_by": "mock"}
        return _response(Answer(200, {"object": "list", "data": [made]}))

    async def stats(_request: Request) -> Response:
        return Response(msgspec.json.encode(behaviour.stats), media_type="application/json")

    return Starlette(
        routes=[
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/v1/models", models),
            Route("/stats", stats),
            *Batches(behaviour).routes(),
        ]
    )


def serve_mock(
    behaviour: Behaviour, port: int = 0, *, announce: Callable[[str], None] = lambda _line: None
) -> None:
    """Run the mock teacher on this machine until Ctrl-C, which raises ``KeyboardInterrupt``.

    ``port`` 0 takes any free one. ``announce`` is given the server's base URL once it listens.
    Raises ``UserError`` if the port cannot be had.
    """
    with _listening(port) as listener:
        announce(_url(listener))
        _server(behaviour).run(sockets=[listener])


@contextmanager
def running_mock(behaviour: Behaviour, port: int = 0) -> Iterator[str]:
    """The base URL of a mock teacher that runs in a thread until the block ends."""
    with _listening(port) as listener:
        server = _server(behaviour)
        thread = Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        try:
            yield _url(listener)
        finally:
            server.should_exit = True
            thread.join()


def _server(behaviour: Behaviour) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            create_app(behaviour),
            log_level="warning",
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=_GRACE,
        )
    )


def _listening(port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise UserError(f"port {port} does not exist: give one from 1 to 65535, or 0 for any")
    try:
        listener = socket.create_server((HOST, port), backlog=2048)
        # Connections inherit it. Head and body are written one after the other: without it the
        # body waits 40 ms for the client's kernel to acknowledge the head.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        raise UserError(
            f"cannot serve at port {port} ({error.strerror or error}): give another --port"
        ) from error


def _url(listener: socket.socket) -> str:
    return f"http://{HOST}:{listener.getsockname()[1]}/v1"


def _response(answer: Answer) -> Response:
    return Response(
        msgspec.json.encode(answer.body),
        answer.status,
        answer.headers,
        media_type="application/json",
    )
