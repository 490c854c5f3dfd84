"""A real HTTP server on loopback that speaks chat completions, and misbehaves when told to."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

Request = dict[str, Any]


@dataclass
class Answer:
    """One HTTP answer: a reply of the model, or whatever else a server may send."""

    reply: str | None = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    """The whole body, in place of a completion with ``reply``."""
    wait: float = 0.0

    def encoded(self) -> bytes:
        if self.body is not None:
            return self.body.encode()
        if self.status >= 400:
            return json.dumps({"error": {"message": self.reply or "no", "type": "t"}}).encode()
        choice = {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": self.reply},
        }
        made = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
        return json.dumps({**made, "choices": [choice]}).encode()


@dataclass
class ChatServer:
    """What the server was asked, and what it says: the next of ``queue``, or else ``say``."""

    url: str = ""
    say: Callable[[Request], Answer] = lambda _: Answer("{}")
    queue: list[Answer] = field(default_factory=list)
    seen: list[Request] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def answer(self, request: Request, key: str) -> Answer:
        self.seen.append(request)
        self.keys.append(key)
        self.times.append(time.monotonic())
        return self.queue.pop(0) if self.queue else self.say(request)


@contextmanager
def chat_server() -> Iterator[ChatServer]:
    """A server that runs until the block ends, on a free port."""
    state = ChatServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            request = json.loads(self.rfile.read(length))
            answer = state.answer(request, self.headers.get("Authorization", ""))
            time.sleep(answer.wait)
            body = answer.encoded()
            try:
                self.send_response(answer.status)
                headers = {"Content-Type": "application/json", **answer.headers}
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
            except BrokenPipeError:
                pass  # the client did not wait

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
