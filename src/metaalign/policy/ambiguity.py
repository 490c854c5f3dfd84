"""Which wishes of a sentence are meant for sure, and why the others are not.

A wish under a condition, half a wish, a question and a choice are told as what they are. To pick a
reading would be to guess.
"""

import re
from typing import NamedTuple

from metaalign.policy.reading import Find, Sentence, quoted
from metaalign.policy.table import Role

CONDITIONAL = "conditional"
"""It holds in some cases only: "if it is about medicine, be formal"."""
BOTH_WAYS = "both ways"
"""One sentence asks for two things that exclude each other: "short but very detailed"."""
HEDGED = "hedged"
"""Half a wish, or a question about one: "maybe a bit shorter?"."""
ALTERNATIVES = "alternatives"
"""A choice is left open: "bullets or numbers"."""

_PART_BORDER = re.compile(r"\s*;\s+|,?\s+(?:but|so|because|since)\s+|,\s+and\s+|\s+[–—]\s+")
"""Where what a mark says of one part of a sentence ends."""
_CONDITION_END = re.compile(r"[,;:–—]|\s(?:then|please|but)\s|$")
_OR = re.compile(r"[,/]?\s*\b(?:or|and/or|either)\b|\s?/\s?")
_OR_WORD = re.compile(r""",?\s+or\s+(?:(?:with|as|by|the|word|name)\s+)*(?:["'A-Z])""")
"""A second value of an open dimension: "sign as Tom or Tina"."""
_CHOSEN = frozenset({"opening", "sign_off", "include"})
"""Where an "or" leaves a choice; who avoids one or the other avoids both."""
_ADDITIVE = frozenset({"include", "avoid", "background"})
"""Dimensions of which a sentence may ask for more than one value."""


class Open(NamedTuple):
    """A wish that is not meant for sure, or not for one thing."""

    find: Find
    reason: str


def settle(sentence: Sentence, found: list[Find]) -> tuple[list[Find], list[Open]]:
    """What ``sentence`` asks for, apart into what is sure and what stays open."""
    hits = sentence.hits
    sure, left = found, list[Open]()
    if "conditional" in hits:
        sure, left = _conditional(sentence, sure)
    if sure and ("hedged" in hits or sentence.text.endswith("?")):
        sure, more = _hedged(sentence, sure)
        left += more
    if sure:
        sure, more = _torn(sentence, sure)
        left += more
    return sure, _once(left)


def _parts_with(sentence: Sentence, marks: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The parts of the sentence in which one of ``marks`` begins: so far does it reach."""
    borders = list(_PART_BORDER.finditer(sentence.lowered))
    starts = [0, *(b.end() for b in borders)]
    ends = [*(b.start() for b in borders), len(sentence.text)]
    touched = []
    for start, stop in zip(starts, ends, strict=True):
        inside = [begin for begin, _ in marks if start <= begin < stop]
        if inside:
            # "Be brief: I leave when the bell rings" only gives a reason behind the colon.
            colon = sentence.lowered.rfind(": ", start, min(inside))
            touched.append((max(start, colon), stop))
    return touched


def _without(
    marks: list[tuple[int, int]], exceptions: list[tuple[int, int]]
) -> list[tuple[int, int]]:
    return [
        (begin, end)
        for begin, end in marks
        if not any(begin < stop and start < end for start, stop in exceptions)
    ]


def _marks(sentence: Sentence, role: Role, unless: Role) -> list[tuple[int, int]]:
    """Where the sentence, but for what it quotes, holds marks of ``role``."""
    return _without(sentence.spans(role), sentence.spans(unless) + quoted(sentence.text))


def _conditional(sentence: Sentence, found: list[Find]) -> tuple[list[Find], list[Open]]:
    """What stands in a condition is no wish; what stands beside it is a wish with a condition."""
    marks = _marks(sentence, "conditional", "not_conditional")
    if not marks:
        return found, []
    conditions = []
    for begin, end in marks:
        closing = _CONDITION_END.search(sentence.lowered, end)
        conditions.append((begin, closing.start() if closing else len(sentence.text)))
    touched = _parts_with(sentence, marks)
    sure, left, inside = [], [], []
    for find in found:
        if any(find.start <= begin and end < find.end for begin, end in conditions):
            sure.append(find)  # "if they clash, be safe" as a whole is the wish
        elif any(find.start < end and begin < find.end for begin, end in conditions):
            inside.append(find)
        elif any(start <= find.start < stop for start, stop in touched):
            left.append(Open(find, CONDITIONAL))
        else:
            sure.append(find)
    if not left and not sure:
        # "If short is possible": the wish itself is what may or may not be.
        left = [Open(find, CONDITIONAL) for find in inside]
    return sure, left


def _hedged(sentence: Sentence, found: list[Find]) -> tuple[list[Find], list[Open]]:
    if sentence.text.endswith("?") and "asked" not in sentence.hits:
        return [], [Open(find, HEDGED) for find in found]
    marks = _marks(sentence, "hedged", "not_hedged")
    if not marks:
        return found, []
    touched = _parts_with(sentence, marks)
    sure, left = [], []
    for find in found:
        if any(start <= find.start < stop for start, stop in touched):
            left.append(Open(find, HEDGED))
        else:
            sure.append(find)
    return sure, left


def _torn(sentence: Sentence, found: list[Find]) -> tuple[list[Find], list[Open]]:
    """Two values of a dimension that holds but one; a choice, if an "or" stands between them."""
    if len(found) == 1 and found[0].dimension not in _CHOSEN:
        return found, []
    by_dimension: dict[str, list[Find]] = {}
    sure, left = [], []
    for find in found:
        if find.dimension in _CHOSEN and _OR_WORD.match(sentence.text, find.end):
            left.append(Open(find, ALTERNATIVES))
        else:
            by_dimension.setdefault(find.dimension, []).append(find)
    for dimension, same in by_dimension.items():
        same.sort(key=lambda find: find.start)
        if len(same) == 1 or dimension in _ADDITIVE:
            sure += same
            continue
        between = sentence.lowered[same[0].end : same[-1].start]
        choice = "alternatives" in sentence.hits or _OR.search(between)
        left.append(
            Open(
                same[0]._replace(end=max(find.end for find in same)),
                ALTERNATIVES if choice else BOTH_WAYS,
            )
        )
    return sure, left


def _once(left: list[Open]) -> list[Open]:
    """One for each dimension: what is open is the dimension, not a value."""
    by_dimension: dict[str, Open] = {}
    for item in left:
        by_dimension.setdefault(item.find.dimension, item)
    return list(by_dimension.values())
