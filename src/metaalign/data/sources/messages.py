"""Messages as chat APIs write them: who says what in which tier, and the talk."""

from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec import Struct, field

from metaalign.schema import SYSTEM_INFO, USER_INFO, MetaPrompt, Turn

Role = Literal["user", "assistant"]

_TURN: Mapping[str, Role] = {
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "chatgpt": "assistant",
}
_TIER = {
    "system": SYSTEM_INFO,
    "developer": SYSTEM_INFO,
    SYSTEM_INFO: SYSTEM_INFO,
    USER_INFO: USER_INFO,
}


class Unread(Exception):
    """Why a record becomes no group, in words that count as a reason."""


class Part(Struct, frozen=True):
    """One part of a message's content."""

    type: str = "text"
    text: str | None = None


class Message(Struct, frozen=True):
    """One message; ``from`` and ``value`` are ShareGPT's names of the two fields."""

    role: str | None = None
    content: str | tuple[Part, ...] | None = None
    speaker: str | None = field(name="from", default=None)
    value: str | None = None

    @property
    def text(self) -> str:
        """What it says; raises ``Unread`` for a part that is no text."""
        content = self.content if self.content is not None else self.value
        if content is None or isinstance(content, str):
            return (content or "").strip()
        if any(part.text is None for part in content):
            raise Unread("a message has a part that is not text")
        return "\n".join(part.text for part in content if part.text is not None).strip()

    @property
    def who(self) -> str:
        return (self.role or self.speaker or "").strip().lower()


class Talk(Struct, frozen=True):
    """What the tiers say, and the turns; the last one is the query."""

    tiers: tuple[tuple[str, str], ...]
    turns: tuple[Turn, ...]

    def said(self, tier: str) -> str:
        """The text of ``tier``, empty if it says nothing."""
        return next((text for name, text in self.tiers if name == tier), "")

    @property
    def meta_prompt(self) -> MetaPrompt:
        return MetaPrompt.of(self.said(SYSTEM_INFO), self.said(USER_INFO))


def parse_messages(messages: Iterable[Message]) -> Talk:
    """The talk of ``messages``, which ends with a person's turn.

    A system or developer message is System Info and one of the role ``user_info`` is User Info,
    before the first turn; several are paragraphs of one. Two turns of one speaker are paragraphs
    of one turn. Raises ``Unread`` for a tier that speaks within the talk, for roles such as
    ``tool``, for parts that are not text, and for a talk that is empty or ends otherwise.
    """
    tiers: dict[str, str] = {}
    turns: list[Turn] = []
    for message in messages:
        text, who = message.text, message.who
        if who in _TIER:
            if turns and text:
                raise Unread("a system message stands within the talk")
            if text:
                before = tiers.get(_TIER[who])
                tiers[_TIER[who]] = f"{before}\n\n{text}" if before else text
        elif who in _TURN:
            if turns and turns[-1].role == _TURN[who]:
                text = f"{turns.pop().text}\n\n{text}".strip()
            turns.append(Turn(_TURN[who], text))
        else:
            raise Unread(f"a message has the role {who or 'of nobody'}, which is not read")
    if not turns or turns[-1].role != "user":
        raise Unread("the talk does not end with a person's turn")
    if not all(turn.text for turn in turns):
        raise Unread("a turn of the talk is empty")
    return Talk(tuple(tiers.items()), tuple(turns))
