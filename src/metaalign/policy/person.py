"""Who somebody is, as far as a sentence tells it in passing."""

import re

from metaalign.policy.reading import CLAUSE_BORDER, Find, Sentence
from metaalign.policy.rules import Fact, Rules
from metaalign.policy.triggers import beginning

_PERSON_BORDER = re.compile(
    r"[;:,\s](?:(?<=[;:])\s+|(?<=,)\s+(?=(?:so|but|please|and|i|my|we|our|keep|give|use)\b)"
    r"|(?<=\s)(?:and\s+(?=(?:i|i'm|my|we|our)\b)"
    r"|(?P<turn>so|hence|therefore|because|since|thus)\s+))"
)
_SELF = frozenset({
    "i", "i'm", "i've", "im", "ive", "am", "my", "me", "we", "we're", "we've", "our", "as", "being",
    "been", "with", "having", "you're", "you", "living", "suffering", "recovering", "recovered",
    "diagnosed", "born", "speaking", "writing", "asking", "coming",
})  # fmt: skip
"""Words with one of which somebody speaks of themselves."""


def _last_border(lowered: str, start: int, stop: int) -> int:
    borders = [b.start() for b in CLAUSE_BORDER.finditer(lowered, start, stop)]
    return borders[-1] if borders else start


def _fact(clause: str, facts: tuple[Fact, ...], hinted: bool) -> re.Match[str] | None:
    first = beginning(clause)
    for fact in facts:
        # Few have the first word of the clause, and to try the patterns takes much longer.
        able = hinted if fact.first is None else first in fact.first
        if able and (match := fact.pattern.match(clause)):
            return match
    return None


def about(sentence: Sentence, found: list[Find], rules: Rules) -> list[tuple[int, int]]:
    """The clauses that say who the person is and ask for nothing."""
    lowered = sentence.lowered
    trade = any(map(lowered.__contains__, rules.endings))
    facts = rules.facts + rules.trades if trade else rules.facts
    hinted = trade or rules.table.holds("person", sentence.candidates, lowered)
    if not hinted and _SELF.isdisjoint(lowered.split()):
        return []
    borders = list(_PERSON_BORDER.finditer(lowered))
    starts = [(0, False), *((b.end(), b["turn"] is not None) for b in borders)]
    ends = [*(b.start() for b in borders), len(lowered)]
    clauses = []
    for (start, turned), end in zip(starts, ends, strict=True):
        asked = [find.start for find in found if find.start < end and start < find.end]
        fact = _fact(lowered[start:end], facts, hinted)
        told = start + fact.end() if fact else start
        if asked:
            # "I am a nurse and want it short" still says who I am.
            end = max(told, _last_border(lowered, start, min(asked)))
        text = lowered[start:end]
        # "So we keep talking": what follows from something is mostly a wish.
        said = (
            hinted and not turned and rules.person.match(text) and not rules.not_person.match(text)
        )
        if fact or said:
            if text.startswith("as ") and "," in text:
                end = start + text.index(",")
            clauses.append((start, end))
    return clauses
