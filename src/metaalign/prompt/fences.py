"""Fences: how tiers share one message, for models that know no tiers.

    You are the assistant of a garden shop.         System Info, in the system message

    <user_info>                                     User Info, at the top of the first user message
    I keep bees.
    </user_info>

    How do I water a cactus?                        the query

The highest tier stands bare at the top of the system message; every other tier has a fence of its
own: those above User Info in the system message, User Info and those below it in the first user
message, so that a person never speaks with the provider's voice.
"""

import re
from collections.abc import Sequence

from metaalign.prompt.parts import Part
from metaalign.schema import SYSTEM_INFO, USER_INFO, MetaPrompt, TierText, UserError


def fence_strings(tiers: Sequence[str]) -> list[str]:
    """What no text between fences may hold."""
    return [fence for tier in (SYSTEM_INFO, *tiers) for fence in (f"<{tier}>", f"</{tier}>")]


def split_tiers(
    meta_prompt: MetaPrompt, tiers: Sequence[str]
) -> tuple[list[TierText], list[TierText]]:
    """The tiers of the system message, and those of the first user message.

    Raises:
        UserError: a tier was not declared.
    """
    names = [said.tier for said in meta_prompt.tiers]
    for name in names:
        if name not in tiers:
            raise UserError(
                f"the tier {name!r} is not declared: use {', '.join(tiers)}, "
                "or name all tiers in tiers=(...)"
            )
    border = names.index(USER_INFO) if USER_INFO in names else len(names)
    return list(meta_prompt.tiers[:border]), list(meta_prompt.tiers[border:])


def system_message(said: Sequence[TierText], *, fenced: bool = False) -> list[Part]:
    """The content of the system message; System Info bare unless ``fenced``."""
    parts: list[Part] = []
    for number, tier in enumerate(said):
        parts += [Part(tier.tier, "\n\n")] if number else []
        if tier.tier == SYSTEM_INFO and number == 0 and not fenced:
            parts.append(Part(tier.tier, tier.text))
        else:
            parts.append(Part(tier.tier, _fenced(tier)))
    return parts


def above_query(said: Sequence[TierText]) -> list[Part]:
    """What stands above the query in the first user message."""
    return [Part(tier.tier, f"{_fenced(tier)}\n\n") for tier in said]


def read_system_message(text: str, tiers: Sequence[str]) -> list[TierText]:
    """The tiers of which ``system_message`` made this text."""
    said, rest = _read_fences(text, tiers)
    if rest is None or said:
        return said
    first = re.search(rf"\n\n(?=<(?:{_names(tiers)})>\n)", rest)
    if first is None:
        return [TierText(SYSTEM_INFO, rest)] if rest else []
    return [
        TierText(SYSTEM_INFO, rest[: first.start()]),
        *_read_fences(rest[first.end() :], tiers)[0],
    ]


def read_first_message(text: str, tiers: Sequence[str]) -> tuple[list[TierText], str]:
    """The tiers above the query, and the query."""
    said, rest = _read_fences(text, tiers)
    return said, rest or ""


def _fenced(said: TierText) -> str:
    return f"<{said.tier}>\n{said.text}\n</{said.tier}>"


def _read_fences(text: str, tiers: Sequence[str]) -> tuple[list[TierText], str | None]:
    """The fences at the start of ``text``, and what comes after them; None if nothing does."""
    one = re.compile(rf"<({_names(tiers)})>\n(.*?)\n</\1>(\n\n|\Z)", re.DOTALL)
    said, start = [], 0
    while match := one.match(text, start):
        said.append(TierText(match[1], match[2]))
        start = match.end()
        if not match[3]:
            return said, None
    return said, text[start:]


def _names(tiers: Sequence[str]) -> str:
    return "|".join(re.escape(tier) for tier in dict.fromkeys((SYSTEM_INFO, *tiers)))
