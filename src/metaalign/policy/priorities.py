"""What a sentence puts first: safety, helpfulness, consensus, or the person's own background.

People have no end of words for the four, and no end of ways to say that something comes first.
Taken together they would be the product of the two, so each is looked for by itself. First the
sentence is masked: where it names one of the four, or what becomes of it when it is not kept
("a refusal", "an injured customer"), stands a run of one capital letter, as long as the words were.
Then the rules of what comes first are tried on that: "better an R than a D" is about safety.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import NamedTuple

from msgspec import Struct

from metaalign.policy.table import Hit, Phrase

PRIORITY = "priority"
_ASIDE = re.compile(r"(?<=\w )\([^()]{4,}\)")


class Named(Struct, frozen=True, forbid_unknown_fields=True):
    """How people name a priority."""

    kept: tuple[str, ...]
    broken: tuple[str, ...] = ()
    """What there is when it is not kept."""
    against: str = ""
    """The priority that gives way to it where no other is named."""


class Order(Struct, frozen=True, forbid_unknown_fields=True):
    """How people say what comes first; see the comments in the lexicon."""

    first: tuple[str, ...]
    settled: tuple[str, ...]
    fallback: tuple[str, ...]


class Priorities(NamedTuple):
    """The priorities as phrases: their names, and the rules for what comes first."""

    named: list[Phrase]
    order: list[Phrase]
    loose: list[Phrase]
    """Rules that count only where the others find nothing."""
    macros: dict[str, str]
    """What the rules have beside the macros of the lexicon."""
    values: dict[str, str]
    """Letter -> the priority that is kept, or broken."""
    letters: dict[str, str]
    """Priority -> the letter of its being kept."""
    against: dict[str, str]
    """Priority -> the one that is meant where this one gives way, and no other is named."""


def ordered(masked: str, hits: Iterable[Hit], known: Priorities) -> list[Hit]:
    """``hits`` of the rules in ``masked``, as phrases of closed values."""
    found = []
    for hit in hits:
        value = _value(hit, masked, known)
        if value:
            found.append(Hit(_closed(hit.phrase, value), hit.start, hit.end, hit.match))
    return found


@cache
def _closed(rule: Phrase, value: str) -> Phrase:
    return rule._replace(role="closed", value=value)


def _value(hit: Hit, masked: str, known: Priorities) -> str | None:
    """What comes first by the rule of ``hit``; None if it only says what does not."""
    group = hit.match.lastgroup
    assert group is not None  # every rule has one slot
    named = known.values[hit.match[group][0]]
    if group in ("first", "broken"):
        return named
    others = {known.values[letter] for letter in masked if letter in known.values} - {named}
    return others.pop() if len(others) == 1 else known.against.get(named)


def mask(lowered: str, mentions: Iterable[Hit]) -> str:
    """``lowered`` with a run of its letter for each mention; of those that overlap the longest.

    What stands in brackets only explains: "who they are (faith, health)" does not name health.
    """
    masked = lowered
    asides: list[tuple[int, int]] = []
    if "(" in lowered:
        asides = [aside.span() for aside in _ASIDE.finditer(lowered)]
        mentions = [m for m in mentions if not any(a <= m.start < b for a, b in asides)]
    for hit in sorted(mentions, key=lambda hit: (hit.start - hit.end, hit.start)):
        if masked[hit.start : hit.end] == lowered[hit.start : hit.end]:
            run = hit.phrase.value * (hit.end - hit.start)
            masked = masked[: hit.start] + run + masked[hit.end :]
    for begin, end in asides:
        masked = masked[:begin] + " " * (end - begin) + masked[end:]
    return masked


def priorities(names: Mapping[str, Named], order: Order) -> Priorities:
    """The priorities of a lexicon, a letter for each side of each."""
    values: dict[str, str] = {}
    phrases: list[Phrase] = []
    letters = {"kept": "", "broken": ""}
    macros: dict[str, str] = {}
    for value, named in names.items():
        for side, sources in (("kept", named.kept), ("broken", named.broken)):
            letter = chr(ord("A") + len(values))
            values[letter] = value
            letters[side] += letter
            macros[f"{value}_{side}"] = f"{letter}[A-Z]*"
            phrases += [Phrase("named", source, value=letter) for source in sources]
    kept, broken = letters["kept"], letters["broken"]
    # The public's view: what is the public's counts as the public.
    macros |= {
        "first": f"(?P<first>[{kept}])[A-Z]*(?:'s?)?",
        "broken": f"(?P<broken>[{broken}])[A-Z]*(?:'s?)?",
        "lost": f"(?P<lost>[{kept}])[A-Z]*(?:'s?)?",
        "given_up": f"(?P<given_up>[{broken}])[A-Z]*(?:'s?)?",
        "kept": f"[{kept}][A-Z]*(?:'s?)?",
        "bad": f"[{broken}][A-Z]*(?:'s?)?",
        "any": "[A-Z]+(?:'s?)?",
    }
    rule = Phrase("order", "", dimension=PRIORITY, negated_inside=True)
    rules = [
        *(rule._replace(source=source) for source in order.first),
        *(rule._replace(source=source, settled=True) for source in order.settled),
    ]
    loose = [rule._replace(source=s, fallback=True, wished=True) for s in order.fallback]
    against = {named.against: value for value, named in names.items() if named.against}
    letter_of = {values[letter]: letter for letter in kept}
    return Priorities(phrases, rules, loose, macros, values, letter_of, against)
