"""OpenAI chat messages to a dialogue and back."""

from collections.abc import Mapping, Sequence

from metaalign.schema import SYSTEM_INFO, USER_INFO, Dialogue, MetaPrompt, Turn, UserError

_TIER_OF_ROLE = {"system": SYSTEM_INFO, "developer": SYSTEM_INFO, "user_info": USER_INFO}


def from_messages(messages: Sequence[Mapping[str, object]], user_info: str = "") -> Dialogue:
    """Read a dialogue from chat messages.

    ``system`` and ``developer`` messages are System Info and ``user_info`` messages User Info,
    wherever they stand; several of a tier are joined by line breaks. ``user_info`` is put after
    those that the messages carry.

    Raises:
        UserError: a message has no known role, or its content is not text.
    """
    said: dict[str, list[str]] = {SYSTEM_INFO: [], USER_INFO: []}
    turns: list[Turn] = []
    for number, message in enumerate(messages):
        if not isinstance(message, Mapping):
            raise UserError(f"messages[{number}]: not an object with role and content")
        role, text = message.get("role"), _text_of(message.get("content"), number)
        if isinstance(role, str) and role in _TIER_OF_ROLE:
            said[_TIER_OF_ROLE[role]].append(text)
        elif role == "user":
            turns.append(Turn("user", text))
        elif role == "assistant":
            turns.append(Turn("assistant", text))
        else:
            raise UserError(
                f"messages[{number}].role: {role!r} is not one of "
                "system, developer, user_info, user, assistant"
            )
    said[USER_INFO].append(user_info)
    tiers = {tier: "\n".join(text for text in texts if text) for tier, texts in said.items()}
    return Dialogue(MetaPrompt.of(**tiers), tuple(turns))


def to_messages(dialogue: Dialogue) -> list[dict[str, str]]:
    """Write a dialogue as chat messages; ``from_messages`` reads it back.

    Raises:
        UserError: the Meta-Prompt has a tier for which there is no role.
    """
    roles = {SYSTEM_INFO: "system", USER_INFO: "user_info"}
    messages = []
    for said in dialogue.meta_prompt.tiers:
        if said.tier not in roles:
            raise UserError(
                f"tier {said.tier!r} has no chat role: only {', '.join(roles)} have one"
            )
        messages.append({"role": roles[said.tier], "content": said.text})
    return messages + [{"role": turn.role, "content": turn.text} for turn in dialogue.turns]


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
