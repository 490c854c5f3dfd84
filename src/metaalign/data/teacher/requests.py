"""What is asked of a teacher, and what comes back."""

from hashlib import sha256
from typing import Generic, Literal, TypeVar

import msgspec
from msgspec import Struct

from metaalign.policy.asking import Message, Question, ReplyError

__all__ = [
    "Message",
    "Outcome",
    "RefusedError",
    "Reply",
    "ReplyError",
    "Request",
    "Status",
    "UselessError",
    "key_of",
]

KEY_VERSION = 1
"""Goes up whenever equal requests would mean something else: kept replies are keyed by it."""

Status = Literal["answered", "malformed", "refused"]
"""What became of a request; all but ``answered`` are in quarantine."""

T = TypeVar("T")


class UselessError(ReplyError):
    """A reply that asking for its repair would not help."""

    status: Status = "malformed"


class RefusedError(UselessError):
    """A reply that refuses. Whoever checks replies raises it."""

    status: Status = "refused"


class Request(Struct, frozen=True):
    """One thing asked of a teacher. Equal requests are asked once, and paid for once."""

    task: str
    """What it is for: ``write``, ``order``, ... It names the schema, and costs are counted by it:
    letters, digits, ``_`` and ``-``."""
    messages: tuple[Message, ...]
    schema: bytes | None = None
    """The JSON schema of the reply, as JSON; None for a reply in free words."""
    max_tokens: int = 1024
    """Tokens of the reply at most. One that was cut off there goes to quarantine."""
    temperature: float = 0.0
    sample: int = 0
    """Tells draws of the same question apart: 0, 1, 2, ..."""

    def __post_init__(self) -> None:
        # Half of a surrogate pair has no UTF-8: it could be neither hashed nor sent.
        if not all(_is_text(message.content) for message in self.messages):
            clean = tuple(Message(m.role, _clean(m.content)) for m in self.messages)
            msgspec.structs.force_setattr(self, "messages", clean)

    def key(self, model: str) -> str:
        """The name of all that is asked, of the model ``model``: 64 hex digits.

        The server's address is no part of it: a server that moves is the same teacher.
        """
        return key_of(KEY_VERSION, model, self)

    def repaired(self, reply: str, error: ReplyError) -> "Request":
        """The request again, after a ``reply`` that could not be used."""
        question = self.question.repaired(reply, error)
        return msgspec.structs.replace(self, task=f"{self.task}-repair", messages=question.messages)

    @property
    def question(self) -> Question:
        """What is asked, without the settings of sampling."""
        return Question(self.task, self.messages, (self.schema or b"").decode())


class Reply(Struct, frozen=True):
    """What a server sent back."""

    text: str
    tokens_in: int
    """As the server counts them, or what they are at most where it does not say."""
    tokens_out: int
    finish: str = "stop"
    """Why it ended: ``stop``, ``length``, ``content_filter``, ..."""
    model: str = ""
    """Who the server says that it was."""
    refusal: str = ""
    """The server's own word that the model refused."""


class Outcome(Struct, Generic[T], frozen=True):
    """What became of one request."""

    request: Request
    key: str
    status: Status
    value: T | None = None
    """What the check made of the reply; None unless it is answered."""
    reason: str = ""
    """Why it is in quarantine."""


def key_of(*asked: object) -> str:
    """A name for all that was asked: equal for equal parts, in this order."""
    return sha256(msgspec.json.encode(asked)).hexdigest()


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
