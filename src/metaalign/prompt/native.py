"""Native: every tier has a control token of its own. For models that are trained with them.

A rendered dialogue is a row of fields, each opened by one control token and closed by the next:

    <|system_info|>…<|user_info|>…<|user|>…<|assistant|>…<|end|>
"""

from collections.abc import Sequence
from typing import Any

from metaalign.prompt.parts import DEFAULT_TIERS, ROLES, START, Part, Read
from metaalign.schema import Dialogue, MetaPrompt, TierText, Turn, UserError

END = "<|end|>"
"""Closes an assistant turn; a model stops after it."""


def marker(name: str) -> str:
    """The control token that opens the field of a tier or a role."""
    return f"<|{name}|>"


def markers(tiers: Sequence[str] = DEFAULT_TIERS) -> list[str]:
    """All control tokens of a layout with these tiers."""
    return [*(marker(name) for name in (*tiers, *ROLES)), END]


def add_markers(tokenizer: Any, tiers: Sequence[str] = DEFAULT_TIERS) -> int:
    """Make the markers of ``tiers`` and of the turns special tokens of a Hugging Face tokenizer.

    Returns how many were new, so that the caller can grow the model's embeddings.
    """
    added: int = tokenizer.add_tokens(markers(tiers), special_tokens=True)
    return added


def has_markers(tokenizer: Any, tiers: Sequence[str] = DEFAULT_TIERS) -> bool:
    """Whether every marker of these tiers is one token of this tokenizer."""
    known = tokenizer.get_added_vocab()
    return all(name in known for name in markers(tiers))


def token_id(tokenizer: Any, token: str) -> int:
    """The id of a control token; an error for people if the tokenizer does not have it."""
    found = tokenizer.get_added_vocab().get(token)
    if found is None:
        raise UserError(
            f"this tokenizer has no control token {token}: "
            "it belongs to a model that metaalign has not trained (metaalign train --model NAME)"
        )
    return int(found)


class NativeLayout:
    """The layout of a tokenizer that has the markers."""

    def __init__(self, tokenizer: Any, tiers: Sequence[str] = DEFAULT_TIERS) -> None:
        self._tokenizer = tokenizer
        self._ids = {name: token_id(tokenizer, marker(name)) for name in (*tiers, *ROLES)}
        self._names = {index: name for name, index in self._ids.items()}
        self._start = _start(tokenizer)
        self.end = token_id(tokenizer, END)

    def parts(self, dialogue: Dialogue) -> list[Part]:
        parts = [] if self._start is None else [Part(START, control=self._start)]
        for said in dialogue.meta_prompt.tiers:
            parts += [Part(said.tier, control=self._id(said.tier)), Part(said.tier, said.text)]
        for turn in dialogue.turns:
            role, answer = turn.role, turn.role == "assistant"
            parts += [Part(role, control=self._ids[role]), Part(role, turn.text, loss=answer)]
            if answer:
                parts.append(Part(role, control=self.end, loss=True))
        if dialogue.turns[-1].role == "user":
            parts.append(Part("assistant", control=self._ids["assistant"]))
        return parts

    def read(self, stretches: Sequence[Read]) -> Dialogue:
        fields: list[tuple[str, str]] = []
        closed = True
        for number, stretch in enumerate(stretches):
            if isinstance(stretch, str):
                if not fields:
                    raise UserError(
                        "these ids are no rendered dialogue: they do not begin with a marker"
                    )
                fields[-1] = fields[-1][0], fields[-1][1] + stretch
            elif stretch in self._names:
                fields.append((self._names[stretch], ""))
                closed = False
            elif stretch == self.end:
                closed = True
            elif number or stretch != self._start:
                raise UserError(
                    f"these ids are no rendered dialogue: id {stretch} is a control token of none"
                )
        # An open marker at the very end is the place where an answer would begin.
        if fields and not closed and fields[-1] == ("assistant", ""):
            fields.pop()
        return Dialogue(
            MetaPrompt(tuple(TierText(name, text) for name, text in fields if name not in ROLES)),
            tuple(_turn(name, text) for name, text in fields if name in ROLES),
        )

    def _id(self, tier: str) -> int:
        if tier not in self._ids:
            return token_id(self._tokenizer, marker(tier))
        return self._ids[tier]


def _turn(name: str, text: str) -> Turn:
    return Turn("user", text) if name == "user" else Turn("assistant", text)


def _start(tokenizer: Any) -> int | None:
    """What the tokenizer itself puts before a text: the start token of Llama, nothing for Qwen."""
    bos = getattr(tokenizer, "bos_token_id", None)
    if bos is None:
        return None
    first = tokenizer([""], add_special_tokens=True)["input_ids"][0][:1]
    return int(bos) if first == [bos] else None
