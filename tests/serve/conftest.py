"""A real server on a free loopback port, with the model that has learnt six answers."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import openai
import pytest
import uvicorn
from starlette.applications import Starlette
from tests.generate.makers import make_model, make_tokenizer, save, teach

from metaalign.generate import Engine
from metaalign.serve import create_app

NAME = "tiny"


@contextmanager
def running(app: Starlette) -> Iterator[str]:
    """Serve ``app`` in a thread; gives the address."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer = make_tokenizer()
    model = make_model(tokenizer)
    teach(model, tokenizer)
    return save(model, tokenizer, tmp_path_factory.mktemp("served") / NAME)


@pytest.fixture(scope="session")
def engine(folder: Path) -> Engine:
    return Engine.load(folder)


@pytest.fixture(scope="session")
def address(engine: Engine) -> Iterator[str]:
    with running(create_app(engine, NAME)) as found:
        yield found


@pytest.fixture(scope="session")
def client(address: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as made:
        yield made


@pytest.fixture(scope="session")
def http(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=60) as made:
        yield made
