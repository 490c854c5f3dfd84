"""``serve``: the port, the address, Ctrl-C."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.generate.makers import make_endless, make_tokenizer, save

from metaalign.schema import UserError
from metaalign.serve import serve

SERVE = """
import sys
from metaalign.serve import serve
try:
    serve(sys.argv[1], port=0, announce=lambda line: print(line, flush=True))
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@contextmanager
def started(folder: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A process that serves ``folder``, and the line that it announced."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVE, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline()
        finally:
            process.kill()


def test_it_says_where_it_answers_and_ends_with_ctrl_c(folder: Path) -> None:
    with started(folder) as (process, line):
        assert line.startswith("tiny answers at http://127.0.0.1:") and "Ctrl-C" in line
        address = line.split(" at ")[1].split()[0]
        assert httpx.get(f"{address}/models").json()["data"][0]["id"] == "tiny"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20) == ("interrupted\n", "")


def test_ctrl_c_does_not_wait_for_answers_under_way(tmp_path: Path) -> None:
    """One is being streamed, one waits; each would take minutes."""
    tokenizer = make_tokenizer()
    endless = save(make_endless(tokenizer), tokenizer, tmp_path / "endless")
    body = {
        "model": "endless",
        "messages": [{"role": "user", "content": "Go on."}],
        "max_tokens": 60_000,
    }
    with started(endless) as (process, line), ThreadPoolExecutor(1) as pool:
        url = line.split(" at ")[1].split()[0] + "/chat/completions"
        with httpx.stream("POST", url, json={**body, "stream": True}, timeout=60) as streamed:
            lines = streamed.iter_lines()
            assert next(lines).startswith("data: ")
            waiting = pool.submit(httpx.post, url, json=body, timeout=60)
            time.sleep(0.5)
            began = time.perf_counter()
            process.send_signal(signal.SIGINT)
            assert "going down" in "".join(lines)
            assert waiting.result().status_code == 503
        assert process.communicate(timeout=20) == ("interrupted\n", "")
        assert time.perf_counter() - began < 8


def test_a_port_in_use_is_told_before_the_model_is_opened() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=rf"port {port} \(Address already in use\).*--port"):
            serve("/there/is/no/such/model", port=port)


@pytest.mark.parametrize(
    ("host", "port", "complaint"),
    [
        ("127.0.0.1", 70_000, "port 70000"),
        ("127.0.0.1", -1, "port -1"),
        ("256.0.0.1", 8000, "256.0.0.1"),
        ("192.0.2.1", 0, "192.0.2.1"),
    ],
)
def test_an_address_that_cannot_be(host: str, port: int, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        serve("unused", host=host, port=port)


def test_an_unknown_model_frees_the_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    for _ in range(2):
        with pytest.raises(UserError, match="no model folder"):
            serve(tmp_path / "nothing" / "here", port=port)
