"""A Meta-Prompt in words, and what the Priority Matrix makes of it for one query."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec

from metaalign.data.draw import digest, pick
from metaalign.data.families.framing import TIERS
from metaalign.data.writing.brief import BACKGROUND, Target, target_of
from metaalign.data.writing.pools import Found, Said
from metaalign.policy import PriorityMatrix, extract, resolve
from metaalign.policy.matrix_parts import PRIORITY
from metaalign.schema import (
    USER_INFO,
    Kind,
    MetaPrompt,
    Preference,
    Resolution,
    TierText,
)


class Sentence(NamedTuple):
    """What a tier says in one place, and what it asks for by that."""

    tier: str
    text: str
    preferences: tuple[Preference, ...] = ()
    """Their spans are within the text."""


class Settled(NamedTuple):
    """A Meta-Prompt in words, all that it asks for, and what comes of it."""

    meta_prompt: MetaPrompt
    preferences: tuple[Preference, ...]
    resolution: Resolution
    target: Target


def settled(
    sentences: Sequence[Sentence], kind: Kind, matrix: PriorityMatrix, *draw: object
) -> Settled | None:
    """The Meta-Prompt of ``sentences`` for a query of ``kind``; None if there are none.

    The sentences of a tier stand in an order drawn under the name ``draw``.
    """
    tiers, preferences = [], list[Preference]()
    for tier in TIERS:
        said = [one for one in sentences if one.tier == tier]
        said.sort(key=lambda one: digest(*draw, "place", one.text))
        start = 0
        for one in said:
            preferences += [_moved(preference, start) for preference in one.preferences]
            start += len(one.text) + 1
        if said:
            tiers.append(TierText(tier, " ".join(one.text for one in said)))
    if not tiers:
        return None
    known = [p for p in preferences if p.dimension in matrix.places]
    resolution = resolve(known, kind, matrix)
    target = target_of(resolution, preferences)
    return Settled(MetaPrompt(tuple(tiers)), tuple(preferences), resolution, target)


def as_read(tier: str, text: str) -> Sentence:
    """``text`` with what the rules read in it."""
    return Sentence(tier, text, _read(tier, text))


def wish(tier: str, dimension: str, value: str, said: Said, *draw: object) -> Sentence | None:
    """``value`` in drawn words of ``tier``; None if there are none."""
    options = said.wordings.get((dimension, value, tier), ())
    if not options:
        return None
    text = pick(options, *draw, "wording")
    return Sentence(tier, text, (_whole(tier, dimension, value, text, explicit=True),))


def other_wish(tier: str, found: Found) -> Sentence:
    """A wish in words of its own."""
    text = found.wording(tier)
    asked = _whole(tier, found.dimension, found.value, text, explicit=True)
    return Sentence(tier, text, (asked,))


def first_of_all(tier: str, value: str, said_wordings: Sequence[str], *draw: object) -> Sentence:
    """``tier`` puts the priority ``value`` first, in drawn words."""
    text = pick(said_wordings, *draw, "wording")
    return Sentence(tier, text, (_whole(tier, PRIORITY, value, text, explicit=True),))


def person(text: str) -> Sentence:
    """Somebody who tells of themselves: their background is all that they say."""
    read = [p for p in _read(USER_INFO, text) if p.dimension != BACKGROUND]
    own = _whole(USER_INFO, BACKGROUND, text, text, explicit=False)
    return Sentence(USER_INFO, text, (own, *read))


def _whole(tier: str, dimension: str, value: str, text: str, *, explicit: bool) -> Preference:
    return Preference(tier, dimension, value, text, explicit, (0, len(text)))


def _moved(preference: Preference, by: int) -> Preference:
    if preference.span is None:
        return preference
    start, end = preference.span
    return msgspec.structs.replace(preference, span=(start + by, end + by))


@lru_cache(maxsize=65_536)
def _read(tier: str, text: str) -> tuple[Preference, ...]:
    return extract(MetaPrompt((TierText(tier, text),)))
