"""What a client asks: the body of a chat completion, checked field by field.

A field that would have no effect here is an error that names it; so is one of a wrong type.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from metaalign.prompt import from_messages
from metaalign.schema import Dialogue, UserError

_HARMLESS = {
    "metadata",
    "parallel_tool_calls",
    "prediction",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "store",
    "user",
}
"""Fields that say nothing about the answer: accepted with any value."""

_NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "frequency_penalty": (0,),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "presence_penalty": (0,),
    "response_format": ({"type": "text"},),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "top_logprobs": (0,),
}
"""Fields that are accepted only with a value that changes nothing."""

_MESSAGE_FIELDS = {"role", "content"}


class BadRequest(Exception):
    """A request that cannot be answered, in the terms of OpenAI's error object."""

    def __init__(
        self, message: str, param: str | None = None, code: str | None = None, status: int = 400
    ) -> None:
        super().__init__(message)
        self.param = param
        self.code = code
        self.status = status


class StreamOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """How a streamed answer is reported."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None
    """Accepted: it is about traffic, not about the answer."""


class _Body(Struct, frozen=True):
    """The fields that have an effect."""

    model: str
    messages: list[Any]
    user_info: str | None = None
    explain: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: str | list[str] | None = None


class ChatRequest(Struct, frozen=True):
    """A checked request."""

    model: str
    dialogue: Dialogue
    samples: int
    temperature: float
    top_p: float
    seed: int | None
    stop: tuple[str, ...]
    max_new_tokens: int | None
    """None if the client leaves it to the server."""
    explain: bool
    stream: bool
    include_usage: bool


def read_request(data: bytes) -> ChatRequest:
    """Check the body of ``POST /v1/chat/completions``.

    Raises:
        BadRequest: it is not JSON, a field is missing, of a wrong type, or without effect here, or
            the messages hold no query.
    """
    try:
        fields = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"the body is not valid JSON: {error}") from error
    if not isinstance(fields, dict):
        raise BadRequest("the body must be a JSON object")
    _check_known(fields)
    try:
        body = msgspec.convert(fields, _Body)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from error
    if body.n is not None and body.n > 1 and body.stream:
        raise BadRequest("n must be 1 when stream is true", "n")
    if body.stream_options is not None and not body.stream:
        raise BadRequest("stream_options has no effect unless stream is true", "stream_options")
    return ChatRequest(
        model=body.model,
        dialogue=_dialogue(body),
        samples=body.n or 1,
        temperature=body.temperature or 0.0,
        top_p=1.0 if body.top_p is None else body.top_p,
        seed=body.seed,
        stop=_stop(body.stop),
        max_new_tokens=_max_new_tokens(body),
        explain=bool(body.explain),
        stream=bool(body.stream),
        include_usage=bool(body.stream_options and body.stream_options.include_usage),
    )


def _check_known(fields: dict[str, Any]) -> None:
    known = {f.name for f in msgspec.structs.fields(_Body)}
    for name, value in fields.items():
        if name in known or name in _HARMLESS or value is None:
            continue
        if name not in _NEUTRAL:
            raise BadRequest(
                f"{name!r} is not supported: remove it. Supported are {', '.join(sorted(known))}",
                name,
                "unsupported_parameter",
            )
        if value not in _NEUTRAL[name]:
            accepted = " or ".join(msgspec.json.encode(v).decode() for v in _NEUTRAL[name])
            raise BadRequest(
                f"{name!r} is not supported: remove it, or set it to {accepted}",
                name,
                "unsupported_parameter",
            )


def _invalid(message: str) -> BadRequest:
    """``Expected `int`, got `str` - at `$.seed``` with the field in its place."""
    said, _, path = message.partition(" - at `")
    param = path.removesuffix("`").removeprefix("$.")
    if not param:
        # "Object missing required field `model`" names its field in the text.
        _, _, param = said.partition(" field `")
        param = param.removesuffix("`")
    return BadRequest(f"{param}: {said}" if path else said, param or None, "invalid_value")


def _dialogue(body: _Body) -> Dialogue:
    for number, message in enumerate(body.messages):
        if not isinstance(message, dict):
            raise BadRequest(f"messages[{number}] must be an object", "messages")
        for name, value in message.items():
            # Clients send back whole messages, with empty fields of what this server never writes.
            if name not in _MESSAGE_FIELDS and value not in (None, [], {}):
                raise BadRequest(
                    f"messages[{number}].{name} is not supported: remove it",
                    "messages",
                    "unsupported_parameter",
                )
    try:
        dialogue = from_messages(body.messages, body.user_info or "")
    except UserError as error:
        raise BadRequest(str(error), "messages") from error
    if not dialogue.turns or dialogue.turns[-1].role != "user":
        raise BadRequest("the last turn in messages must have the role user", "messages")
    return dialogue


def _stop(stop: str | list[str] | None) -> tuple[str, ...]:
    texts = (stop,) if isinstance(stop, str) else tuple(stop or ())
    if not all(texts):
        raise BadRequest("stop holds an empty text", "stop")
    if len(texts) > 16:
        raise BadRequest(f"stop holds {len(texts)} texts, at most 16 are supported", "stop")
    return texts


def _max_new_tokens(body: _Body) -> int | None:
    old, new = body.max_tokens, body.max_completion_tokens
    if old is not None and new is not None and old != new:
        raise BadRequest(
            f"max_tokens is {old} and max_completion_tokens {new}: give one of them", "max_tokens"
        )
    return new if new is not None else old
