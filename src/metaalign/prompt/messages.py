"""OpenAI chat messages to a dialogue and back."""

from collections.abc import Mapping, Sequence

from metaalign.prompt.parts import DEFAULT_TIERS, ROLES
from metaalign.schema import (
    SYSTEM_INFO,
    USER_INFO,
    Dialogue,
    MetaPrompt,
    TierText,
    Turn,
    UserError,
)

_SYSTEM_ROLES = ("system", "developer")


def from_messages(
    messages: Sequence[Mapping[str, object]],
    user_info: str = "",
    tiers: Sequence[str] = DEFAULT_TIERS,
) -> Dialogue:
    """Read a dialogue from chat messages.

    ``system`` and ``developer`` messages are System Info; every other tier has the role of its own
    name (``user_info``). They may stand anywhere; several of a tier are joined by line breaks.
    ``user_info`` is put after those that the messages carry.

    Args:
        tiers: the tiers that there are, highest first.

    Raises:
        UserError: a message has no known role, or its content is not text.
    """
    said: dict[str, list[str]] = {tier: [] for tier in tiers}
    roles = {tier: tier for tier in tiers if tier != SYSTEM_INFO}
    roles |= dict.fromkeys(_SYSTEM_ROLES if SYSTEM_INFO in tiers else (), SYSTEM_INFO)
    turns: list[Turn] = []
    for number, message in enumerate(messages):
        if not isinstance(message, Mapping):
            raise UserError(f"messages[{number}]: not an object with role and content")
        role, text = message.get("role"), _text_of(message.get("content"), number)
        if isinstance(role, str) and role in roles:
            said[roles[role]].append(text)
        elif role == "user":
            turns.append(Turn("user", text))
        elif role == "assistant":
            turns.append(Turn("assistant", text))
        else:
            raise UserError(
                f"messages[{number}].role: {role!r} is not one of "
                f"{', '.join((*_SYSTEM_ROLES, *(t for t in tiers if t != SYSTEM_INFO), *ROLES))}"
            )
    if user_info:
        said.setdefault(USER_INFO, []).append(user_info)
    joined = [(tier, "\n".join(text for text in texts if text)) for tier, texts in said.items()]
    return Dialogue(
        MetaPrompt(tuple(TierText(tier, text) for tier, text in joined if text)), tuple(turns)
    )


def to_messages(dialogue: Dialogue) -> list[dict[str, str]]:
    """Write a dialogue as chat messages; ``from_messages`` with the same tiers reads it back."""
    said = [
        {"role": "system" if tier.tier == SYSTEM_INFO else tier.tier, "content": tier.text}
        for tier in dialogue.meta_prompt.tiers
    ]
    return said + [{"role": turn.role, "content": turn.text} for turn in dialogue.turns]


def _text_of(content: object, number: int) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        return "".join(
            _part(part, f"messages[{number}].content[{i}]") for i, part in enumerate(content)
        )
    raise UserError(f"messages[{number}].content: must be text, or a list of text parts")


def _part(part: object, where: str) -> str:
    kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
    if isinstance(part, Mapping) and kind in ("text", "input_text"):
        text = part.get("text")
        if isinstance(text, str):
            return text
    raise UserError(f"{where}: only text parts can be answered, not {kind!r}")
