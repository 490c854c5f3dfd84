"""What is left out when a dialogue is longer than a model reads: a decision, told to whoever asks.

System Info and User Info are never cut, nor is the query. The oldest exchanges go first, whole.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from metaalign.prompt.parts import DEFAULT_TIERS
from metaalign.prompt.rendering import Encoded, Tokenizer, encode
from metaalign.schema import Dialogue, Turn, UserError


class TooLong(UserError):
    """What may not be left out is longer than the model reads."""


class Fitted(NamedTuple):
    """A dialogue that fits, and what had to go for it."""

    dialogue: Dialogue
    encoded: Encoded
    dropped: tuple[Turn, ...]
    """The turns that were left out, the oldest first."""


def fit(
    dialogue: Dialogue,
    tokenizer: Tokenizer,
    limit: int,
    *,
    reserve: int = 0,
    tiers: Sequence[str] = DEFAULT_TIERS,
) -> Fitted:
    """The dialogue with as few of its oldest turns left out as ``limit`` tokens ask for.

    What is left begins with a turn of the user. The last query stays, and an answer after it.

    Args:
        limit: tokens that the model reads.
        reserve: tokens of these that are kept free for the answer.

    Raises:
        TooLong: the Meta-Prompt, the last query and ``reserve`` alone are longer than ``limit``; it
            says by how many tokens.
    """
    starts = _possible_starts(dialogue.turns)

    def shortened(number: int) -> Dialogue:
        return Dialogue(dialogue.meta_prompt, dialogue.turns[starts[number] :])

    def fits(number: int) -> bool:
        return len(encode(shortened(number), tokenizer, tiers).ids) + reserve <= limit

    # Fewer turns are never longer, so the least number that fits can be searched for.
    number = bisect_left(range(len(starts)), True, key=fits)
    if number == len(starts):
        least = len(encode(shortened(number - 1), tokenizer, tiers).ids)
        answer = f" and {reserve} for the answer" if reserve else ""
        raise TooLong(
            f"System Info, User Info and the last query take {least} tokens{answer}: "
            f"{least + reserve - limit} more than the {limit} that the model reads; shorten them"
        )
    kept = shortened(number)
    return Fitted(kept, encode(kept, tokenizer, tiers), dialogue.turns[: starts[number]])


def _possible_starts(turns: Sequence[Turn]) -> list[int]:
    """Where the talk may begin: as it does, or with a later turn of the user."""
    users = [i for i, turn in enumerate(turns) if turn.role == "user" and i > 0]
    return [0, *users]
