"""The body of a completion, as it is sent and as it comes back."""

import msgspec
from msgspec import Struct

from metaalign.data.teacher.manner import Manner
from metaalign.data.teacher.requests import Reply, Request


class _Message(Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(Struct):
    message: _Message
    finish_reason: str | None = None


class _Usage(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Completion(Struct):
    choices: list[_Choice]
    model: str | None = None
    usage: _Usage | None = None


def body_of(request: Request, model: str, manner: Manner) -> dict[str, object]:
    """What is sent to a server that is asked in this manner."""
    made: dict[str, object] = {"model": model, **manner.held(request.question)}
    made[manner.limit] = request.max_tokens
    if manner.temperature:
        made["temperature"] = request.temperature
    if manner.seed and request.sample:
        made["seed"] = request.sample
    return made


def reply_in(body: bytes, at_most: tuple[int, int] = (0, 0)) -> Reply:
    """The reply in what a server sent. ``msgspec.DecodeError`` if it holds none.

    ``at_most`` are the tokens in and out that count where the server does not say how many it took.
    """
    completion = msgspec.json.decode(body, type=_Completion)
    if not completion.choices:
        raise msgspec.ValidationError("the list of choices is empty")
    choice, usage = completion.choices[0], completion.usage or _Usage()
    return Reply(
        choice.message.content or "",
        at_most[0] if usage.prompt_tokens is None else usage.prompt_tokens,
        at_most[1] if usage.completion_tokens is None else usage.completion_tokens,
        choice.finish_reason or "stop",
        completion.model or "",
        choice.message.refusal or "",
    )
