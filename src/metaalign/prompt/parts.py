"""What a rendered dialogue is made of, before it is tokens."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from metaalign.schema import SYSTEM_INFO, USER_INFO, Dialogue

DEFAULT_TIERS = (SYSTEM_INFO, USER_INFO)
ROLES = ("user", "assistant")
START = "start"
"""The tier of the token that some tokenizers put before everything (``<s>``)."""


class Part(NamedTuple):
    """One control token, or a stretch of text that is read as ordinary text."""

    tier: str
    """Who speaks."""
    text: str = ""
    control: int | None = None
    """Id of the control token; None for text."""
    loss: bool = False
    """True for responses and for what ends them."""


Read = int | str
"""A control token by its id, or the text between two of them."""


class Layout(Protocol):
    """How the tiers and turns of a dialogue are carried in tokens."""

    end: int
    """Id of the token that closes an answer."""

    def parts(self, dialogue: Dialogue) -> list[Part]:
        """The dialogue, part by part."""
        ...

    def read(self, stretches: Sequence[Read]) -> Dialogue:
        """The dialogue of which ``parts`` made this.

        Raises:
            UserError: no dialogue gives it.
        """
        ...


class Run(NamedTuple):
    """A stretch of text between control tokens: one text to the tokenizer."""

    text: str
    owners: list[Part]
    """The first part of each that speaks in it, in order."""
    borders: list[int]
    """Where one of them ends and the next begins, in characters."""


def runs(parts: Sequence[Part]) -> list[Part | Run]:
    """The control tokens, and the stretches of text before, between and after them."""
    row: list[Part | Run] = []
    waiting: list[Part] = []
    for part in parts:
        if part.control is None:
            if part.text:
                waiting.append(part)
            continue
        if waiting:
            row.append(_run(waiting))
            waiting.clear()
        row.append(part)
    if waiting:
        row.append(_run(waiting))
    return row


def _run(parts: Sequence[Part]) -> Run:
    owners = [parts[0]]
    borders: list[int] = []
    size = len(parts[0].text)
    for part in parts[1:]:
        if part.tier != owners[-1].tier or part.loss != owners[-1].loss:
            owners.append(part)
            borders.append(size)
        size += len(part.text)
    return Run("".join([part.text for part in parts]), owners, borders)
