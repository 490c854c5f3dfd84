"""The batch API of the mock teacher: files in, a batch that takes its time, files out."""

import email.parser
import email.policy
import time
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from metaalign.data.teacher.mock.behaviour import Behaviour, name_of


class _Line(Struct):
    custom_id: str
    body: dict[str, Any]


class Batches:
    """Files and batches, in memory."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._files: dict[str, bytes] = {}
        self._batches: dict[str, dict[str, Any]] = {}

    def routes(self) -> list[Route]:
        return [
            Route("/v1/files", self._upload, methods=["POST"]),
            Route("/v1/files/{id}/content", self._content),
            Route("/v1/batches", self._create, methods=["POST"]),
            Route("/v1/batches", self._list),
            Route("/v1/batches/{id}", self._look),
        ]

    async def _upload(self, request: Request) -> Response:
        content = _uploaded(request.headers["content-type"], await request.body())
        if content is None:
            return _error(400, "there is no file in it")
        return JSONResponse(self._file(content))

    async def _content(self, request: Request) -> Response:
        content = self._files.get(request.path_params["id"])
        return _error(404, "no such file") if content is None else Response(content)

    async def _create(self, request: Request) -> Response:
        asked = msgspec.json.decode(await request.body(), type=dict[str, Any])
        if asked.get("input_file_id") not in self._files:
            return _error(400, "no such file")
        lines = sum(1 for _ in _lines(self._files[asked["input_file_id"]]))
        batch = {
            "id": f"batch_{len(self._batches):04d}",
            "object": "batch",
            "endpoint": asked["endpoint"],
            "completion_window": asked["completion_window"],
            "input_file_id": asked["input_file_id"],
            "created_at": int(time.time()),
            "status": "in_progress",
            "metadata": asked.get("metadata"),
            "output_file_id": None,
            "error_file_id": None,
            "request_counts": {"total": lines, "completed": 0, "failed": 0},
        }
        self._batches[batch["id"]] = batch
        batch["_ready"] = time.monotonic() + self._behaviour.manners.latency
        return JSONResponse(_shown(batch))

    async def _list(self, request: Request) -> Response:
        data = [_shown(one) for one in reversed(self._batches.values())]
        return JSONResponse({"object": "list", "data": data, "has_more": False})

    async def _look(self, request: Request) -> Response:
        batch = self._batches.get(request.path_params["id"])
        if batch is None:
            return _error(404, "no such batch")
        if batch["status"] == "in_progress" and time.monotonic() >= batch["_ready"]:
            self._complete(batch)
        return JSONResponse(_shown(batch))

    def _complete(self, batch: dict[str, Any]) -> None:
        good: list[dict[str, Any]] = []
        bad: list[dict[str, Any]] = []
        for line in _lines(self._files[batch["input_file_id"]]):
            name = name_of(line.body)
            answer = self._behaviour.failure(line.body, name)
            if answer is None:
                answer = self._behaviour.completion(line.body, name)
                self._behaviour.count(name, answer, line.custom_id)
            response = {"status_code": answer.status, "request_id": name, "body": answer.body}
            made = {"id": name, "custom_id": line.custom_id, "response": response, "error": None}
            (good if answer.status == 200 else bad).append(made)
        batch["status"] = "completed"
        batch["request_counts"] |= {"completed": len(good), "failed": len(bad)}
        for kind, lines in (("output_file_id", good), ("error_file_id", bad)):
            if lines:
                # Not in the order of the requests: the API promises none.
                lines.sort(key=lambda line: str(line["id"]))
                batch[kind] = self._file(msgspec.json.Encoder().encode_lines(lines))["id"]

    def _file(self, content: bytes) -> dict[str, Any]:
        name = f"file-{len(self._files):04d}"
        self._files[name] = content
        made = {"id": name, "object": "file", "bytes": len(content), "created_at": 0}
        return {**made, "filename": f"{name}.jsonl", "purpose": "batch", "status": "processed"}


def _lines(content: bytes) -> Iterator[_Line]:
    yield from msgspec.json.Decoder(_Line).decode_lines(content)


def _shown(batch: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in batch.items() if not name.startswith("_")}


def _uploaded(content_type: str, body: bytes) -> bytes | None:
    """The file in a form with several parts. ``email`` reads these as it reads mail."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    for part in form.iter_parts():
        if part.get_param("name", header="content-disposition") == "file":
            content = part.get_payload(decode=True)
            return content if isinstance(content, bytes) else None
    return None


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": {"message": message, "type": "mock"}}, status)
