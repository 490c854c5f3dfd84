"""How many tokens a request takes: by estimate, and at most."""

from collections.abc import Callable

from metaalign.data.teacher.requests import Request

TokenCount = Callable[[str], int]
"""How many tokens a text has; a tokenizer fits: ``lambda text: len(tokenizer.encode(text))``."""

CHARACTERS_PER_TOKEN = 4
"""The usual rule for English; other languages and code take more tokens."""
PER_MESSAGE = 4
"""Tokens that a chat template puts around a message, by estimate."""
PER_MESSAGE_AT_MOST = 16
PER_CALL_AT_MOST = 256
"""Room for what templates say of their own accord."""


def by_characters(text: str) -> int:
    """A token for every four characters, rounded up."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def estimated_in(request: Request, count: TokenCount = by_characters) -> int:
    """Tokens that go in, by estimate: all messages, and the schema."""
    texts = [message.content for message in request.messages]
    schema = count(request.schema.decode()) if request.schema else 0
    return sum(count(text) + PER_MESSAGE for text in texts) + schema


def most_in(request: Request) -> int:
    """Tokens that go in, at most: no tokenizer makes more than one of a byte.

    The schema counts twice, since servers may spell it out and hold the model to it.
    """
    contents = sum(len(message.content.encode()) for message in request.messages)
    around = PER_CALL_AT_MOST + PER_MESSAGE_AT_MOST * len(request.messages)
    return contents + around + 2 * len(request.schema or b"")
