"""What of the four that may come first a word points back to: "That outranks everything."

A pronoun stands for the one that the sentence before it spoke of, "the latter" for the second of
the two that were named. Where that is not plain, nothing is guessed.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from metaalign.policy.priorities import Priorities, mask
from metaalign.policy.table import Hit

PERSON = "background"
"""The priority of which somebody speaks who tells of themselves."""
_SAID = "Z"
"""Masks what is said of everything else."""
_POINTED = r"(?:all (?:of )?)?(?:that|this|these|those|it|they|them)"
_MATTER = (
    r"(?: (?:alone|fact|facts|mission|promise|duty|principle|principles|goal|aim|rule|belief|"
    r"beliefs|values?|views?|concern|point|side|part|obligation|responsibility|is what))?"
)
_PRONOUN = re.compile(
    r"\A(?:(?:so|and|hence|therefore|for us|for me|here|please|let|make sure)[,:]? )*"
    rf"(?P<it>{_POINTED}{_MATTER})(?= [a-z]|'s (?:what|the|my|our))"
    r"(?! (?:means|is (?:why|how|because|when|where)))"
    r"|\b(?:put|place|treat|rank|weigh|hold|set|regard|value|consider|keep|give|prioriti[sz]e)"
    r" (?P<that>that|this|these|those|it|them)\b"
    r"|\b(?:outranks?|outweighs?|overrides?|trumps?|beats?|above|before|ahead of|over|"
    r"more important than|matters? more than|more than|higher than)"
    r" (?P<these>that|this|these|those|it|them)(?=[.!,;]|\Z)"
)
_WITHIN = re.compile(
    r"[,;] (?:and |then )?(?P<it>that|this|these|those|they|that world)"
    r"(?=,| (?:outranks?|outweighs?|overrides?|decides?|wins?|comes? first|"
    r"goes|go|takes? pre|is the))"
)
"""A pronoun for what stands before it in the same sentence."""
_REST = re.compile(
    r"\A(?:and )?(?P<it>(?:everything|all|anything) (?:else|other [a-z]+)|the rest),?"
    r"(?: [a-z]+ included,)? (?P<then>(?:is|are|comes?|follows?|serves?|ranks?|bows?|yields?|"
    r"waits?|can|must|has to|may|counts?|matters?)(?: [a-z]+)?"
    r"(?: (?:to have|later|after|to it|to that))?)"
)
"""What is said of everything else says that the one before it comes first."""
_OF_TWO = re.compile(r"\bthe (?P<which>latter|former)(?: (?:standard|view|one|goal|aim|option))?\b")


class Before(NamedTuple):
    """The sentence before, as far as a word may point back to it."""

    lowered: str
    named: Sequence[Hit]
    """What it names of what may come first."""
    told: bool
    """It tells something of the person."""

    @property
    def speaks(self) -> bool:
        """Whether a word may point back to it at all."""
        return bool(self.named) or self.told


NOTHING_BEFORE = Before("", (), told=False)


def refer(masked: str, before: Before, known: Priorities) -> str:
    """``masked`` with what points back to one of the four masked as that."""
    if "the latter" in masked or "the former" in masked:
        named = _named(masked, known) or _named(mask(before.lowered, before.named), known)
        if len(named) == 2:
            return _OF_TWO.sub(lambda two: _run(two, named, known), masked)
    if within := _WITHIN.search(masked):
        named = _named(masked[: within.start()], known)
        if len(named) == 1:
            return _masked(masked, within.span("it"), known.letters[named[0]])
    rest = _REST.match(masked) if before.speaks else None
    pronoun = rest or (_PRONOUN.search(masked) if before.speaks else None)
    if pronoun is None:
        return masked
    named = _named(mask(before.lowered, before.named), known)
    if before.told and not named:
        named = [PERSON]
    if len(named) != 1:
        return masked
    letter = known.letters[named[0]]
    if rest:
        return _masked(_masked(masked, rest.span("it"), letter), rest.span("then"), _SAID)
    return _masked(masked, pronoun.span(pronoun.lastgroup or 0), letter)


def _masked(text: str, span: tuple[int, int], letter: str) -> str:
    return text[: span[0]] + letter * (span[1] - span[0]) + text[span[1] :]


def _named(masked: str, known: Priorities) -> list[str]:
    """The priorities that a masked sentence names, in the order of the text."""
    return list(dict.fromkeys(known.values[c] for c in masked if c in known.values))


def _run(two: re.Match[str], named: list[str], known: Priorities) -> str:
    return known.letters[named[two["which"] == "latter"]] * len(two[0])
