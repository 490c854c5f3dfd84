"""What becomes of a request to the mock teacher: all of it drawn by hash from what was asked."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from hashlib import sha256
from random import Random
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from metaalign.data.draw import digest, unit
from metaalign.data.teacher.counting import by_characters
from metaalign.data.teacher.mock.filling import fill, sentences

_Share = Annotated[float, Meta(ge=0, le=1)]
_Rate = Annotated[float, Meta(gt=0)]

DEFAULT_LIMIT = 1024
"""Tokens of a reply, where the request sets no limit."""
ERRORS = ((500, "server_error"), (429, "rate_limit_exceeded"), (503, "overloaded"))
RETRY_AFTER = 0.05
"""Seconds that drawn errors ask to wait."""
REFUSAL = "I'm sorry, but I can't help with that."

Said = Callable[[list[dict[str, Any]], Mapping[str, Any] | None], str | None]
"""Writes a reply to messages, under a schema if there is one; None leaves it to the mock."""


class Manners(Struct, frozen=True, kw_only=True):
    """How the mock teacher behaves."""

    latency: Annotated[float, Meta(ge=0)] = 0.0
    """Seconds that every answer takes."""
    error_rate: _Share = 0.0
    """Share of the calls that meet a server which is broken or busy. Drawn for every call anew."""
    malformed_rate: _Share = 0.0
    """Share of the requests whose reply is not of the form that was asked for."""
    refusal_rate: _Share = 0.0
    """Share of the requests that are refused."""
    requests_per_minute: _Rate | None = None
    tokens_per_minute: _Rate | None = None
    """Counted as OpenAI does: what goes in, and the limit of what comes out."""
    seed: int = 0
    model: str = "mock"
    """The one model there is. Replies of a mock are never mistaken for a real model's."""


class Answer(Struct, frozen=True):
    """One HTTP answer."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = {}


class Stats(Struct):
    """What the mock has done since it was started."""

    calls: int = 0
    answered: int = 0
    """Completions sent, good or bad: what a real server would charge for."""
    repeated: int = 0
    """Of these, completions of a request that had been answered before."""
    malformed: int = 0
    refused: int = 0
    errors: dict[str, int] = {}
    """Answers other than completions, by HTTP status."""
    tokens_in: int = 0
    tokens_out: int = 0
    on_their_way: int = 0
    most_on_their_way: int = 0
    seconds: float = 0.0
    """From the first call to the last completion."""


class Bucket:
    """A limit of ``rate`` units a minute, with room for one second's share; None for none."""

    def __init__(self, rate: float | None) -> None:
        self._per_second = rate / 60 if rate else None
        self._level, self._at = 0.0, 0.0

    def take(self, units: float) -> float:
        """Seconds to wait before there is room; 0 if there is, and it is taken."""
        if self._per_second is None:
            return 0.0
        now = time.monotonic()
        self._level = max(0.0, self._level - (now - self._at) * self._per_second)
        self._at = now
        # One call may take more than a second's share: it is let in, and the next ones wait.
        over = self._level - max(self._per_second, 1.0)
        if over > 0:
            return over / self._per_second
        self._level += units
        return 0.0


class Behaviour:
    """Answers requests, and counts. ``said`` may write the replies."""

    def __init__(self, manners: Manners, said: Said | None = None) -> None:
        self.manners = manners
        self.stats = Stats()
        self.answered: Counter[str] = Counter()
        """How often every request was answered with a completion, by the client's name for it."""
        self._said = said
        self._began = 0.0
        self._attempts: Counter[str] = Counter()
        self._requests = Bucket(manners.requests_per_minute)
        self._tokens = Bucket(manners.tokens_per_minute)

    def failure(self, body: Mapping[str, Any], name: str) -> Answer | None:
        """The error that meets this call, if one does."""
        if not self.stats.calls:
            self._began = time.monotonic()
        self.stats.calls += 1
        complaint = _complaint(body, self.manners.model)
        if complaint is not None:
            return self._error(*complaint)
        attempt = self._attempts[name]
        self._attempts[name] += 1
        wait = self._requests.take(1) or self._tokens.take(_tokens_in(body) + _limit(body))
        if wait > 0:
            return self._error(429, "rate_limit_exceeded", "too fast", wait)
        if self._draw("error", name, attempt) < self.manners.error_rate:
            status, code = ERRORS[int(digest("which", name, attempt), 16) % len(ERRORS)]
            return self._error(status, code, "drawn by the mock teacher", RETRY_AFTER)
        return None

    def completion(self, body: Mapping[str, Any], name: str) -> Answer:
        """The model's answer to this call; ``count`` it when it is sent."""
        schema = _schema_of(body)
        refused = self._draw("refusal", name) < self.manners.refusal_rate
        text = REFUSAL if refused else self._text(body, schema, name)
        cut = _limit(body) * 4
        finish = "length" if len(text) > cut else "stop"
        text = text[:cut]
        # With a schema there is a field of its own for it, as OpenAI has it.
        message = {"role": "assistant", "content": text, "refusal": None}
        if refused and schema is not None:
            message |= {"content": None, "refusal": text}
        tokens_in, tokens_out = _tokens_in(body), by_characters(text)
        usage = {"prompt_tokens": tokens_in, "completion_tokens": tokens_out}
        return Answer(
            200,
            {
                "id": f"chatcmpl-{name[:24]}",
                "object": "chat.completion",
                "created": 0,
                "model": self.manners.model,
                "choices": [{"index": 0, "message": message, "finish_reason": finish}],
                "usage": {**usage, "total_tokens": tokens_in + tokens_out},
            },
        )

    def count(self, name: str, answer: Answer, client_name: str | None = None) -> None:
        """A completion is sent: from now on a real server would charge for it.

        ``client_name`` is what the client itself calls the request, if it says so.
        """
        usage = answer.body["usage"]
        self.stats.seconds = time.monotonic() - self._began
        self.stats.answered += 1
        self.stats.repeated += self.answered[client_name or name] > 0
        self.answered[client_name or name] += 1
        self.stats.refused += self._draw("refusal", name) < self.manners.refusal_rate
        self.stats.malformed += self._draw("malformed", name) < self.manners.malformed_rate
        self.stats.tokens_in += usage["prompt_tokens"]
        self.stats.tokens_out += usage["completion_tokens"]

    def _text(self, body: Mapping[str, Any], schema: Any, name: str) -> str:
        said = self._said(list(body["messages"]), schema) if self._said is not None else None
        random = Random(f"{self.manners.seed}/{name}")
        if said is None and schema is None:
            said = sentences(random, random.randint(10, 40))
        elif said is None:
            said = msgspec.json.encode(fill(schema, random)).decode()
        if self._draw("malformed", name) >= self.manners.malformed_rate:
            return said
        return _spoilt(said, schema is not None, random)

    def _error(self, status: int, code: str, message: str, wait: float | None = None) -> Answer:
        errors = self.stats.errors
        errors[str(status)] = errors.get(str(status), 0) + 1
        headers = {}
        if wait is not None:
            headers = {"Retry-After": str(-int(-wait // 1)), "Retry-After-Ms": f"{wait * 1e3:.0f}"}
        error = {"message": message, "type": code, "code": code, "param": None}
        return Answer(status, {"error": error}, headers)

    def _draw(self, what: str, *name: object) -> float:
        return unit(self.manners.seed, what, *name)


def name_of(body: object) -> str:
    """The name of a request: equal for equal ones."""
    return sha256(msgspec.json.encode(body, order="sorted")).hexdigest()


def _complaint(body: Mapping[str, Any], model: str) -> tuple[int, str, str] | None:
    messages = body.get("messages")
    if not isinstance(messages, list) or not all(isinstance(one, dict) for one in messages):
        return 400, "invalid_request_error", "messages must be a list of objects"
    if not messages:
        return 400, "invalid_request_error", "messages is empty"
    if body.get("model") != model:
        return 404, "model_not_found", f"the model {body.get('model')!r} does not exist"
    return None


def _schema_of(body: Mapping[str, Any]) -> Any:
    """The schema that the reply must follow; None if it is free."""
    held = body.get("response_format") or {}
    if held.get("type") == "json_object":
        return {"type": "object"}
    return held.get("json_schema", {}).get("schema") if held.get("type") == "json_schema" else None


def _spoilt(text: str, has_schema: bool, random: Random) -> str:
    """A reply that is not of the form that was asked for."""
    if not has_schema:
        return ""
    return random.choice(
        (text[: len(text) // 2], "Sure! Here is what you asked for.", '{"wrong": true}', "[]")
    )


def _limit(body: Mapping[str, Any]) -> int:
    return int(body.get("max_tokens") or body.get("max_completion_tokens") or DEFAULT_LIMIT)


def _tokens_in(body: Mapping[str, Any]) -> int:
    return sum(by_characters(str(one.get("content", ""))) + 4 for one in body["messages"])
