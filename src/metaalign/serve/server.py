"""Running the endpoint: the port first, then the model, then requests until Ctrl-C."""

import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import uvicorn

from metaalign.generate import Engine
from metaalign.policy import PriorityMatrix
from metaalign.schema import UserError
from metaalign.serve.app import create_app
from metaalign.serve.worker import Worker

_GRACE = 5
"""Seconds that open connections get to end after Ctrl-C."""


class _Server(uvicorn.Server):
    """Ends answers under way when it is told to stop, and does not wait for them."""

    def __init__(self, config: uvicorn.Config, worker: Worker) -> None:
        super().__init__(config)
        self._worker = worker

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._worker.stop()
        await super().shutdown(sockets)


def serve(
    model: str | Path,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    name: str | None = None,
    matrix: PriorityMatrix | None = None,
    announce: Callable[[str], None] = lambda _line: None,
) -> None:
    """Serve ``model`` until Ctrl-C, which raises ``KeyboardInterrupt`` when all is closed.

    Args:
        port: 0 takes any free one.
        name: what clients call the model; by default the folder's name, or the hub name.
        matrix: what explains a resolution to clients that ask for it.
        announce: is given one line, with the address, once requests are answered.

    Raises:
        UserError: the port is in use or not allowed, the host is unknown, or the model cannot be
            opened.
    """
    with closing(_bind(host, port)) as listener:
        engine = Engine.load(model)
        called = name or (Path(model).resolve().name if Path(model).is_dir() else str(model))
        app = create_app(engine, called, matrix)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, timeout_graceful_shutdown=_GRACE
        )
        announce(f"{called} answers at {_address(host, listener)}/v1 (Ctrl-C ends it)")
        _Server(config, app.state.worker).run(sockets=[listener])


def _bind(host: str, port: int) -> socket.socket:
    """A listening socket, made before the model is loaded so that a used port is told at once."""
    if not 0 <= port <= 65535:
        raise UserError(f"port {port} does not exist: give one from 1 to 65535")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=2048)
        # Head and body of an answer are written apart: the second must not wait 40 ms for the
        # client's acknowledgement of the first. Connections inherit it.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        reason = (error.strerror or str(error)).split(" (while ")[0]
        raise UserError(
            f"cannot serve at {host} port {port} ({reason}): give another --port or --host"
        ) from error


def _address(host: str, listener: socket.socket) -> str:
    port = listener.getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
