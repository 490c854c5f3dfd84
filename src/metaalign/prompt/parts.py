"""What a rendered dialogue is made of, before it is tokens."""

from collections.abc import Iterator, Sequence
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


def runs(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """The stretches of text between control tokens, each as the parts that it is made of."""
    run: list[Part] = []
    for part in parts:
        if part.control is None:
            if part.text:
                run.append(part)
        elif run:
            yield run
            run = []
    if run:
        yield run
