"""Many phrases, filed so that a sentence tries only the few that it may match.

Which phrases these are is told by sets of phrases, for each word one of those that may begin with
it, and some of those that need it. A set is a number with one bit for each phrase, so that the
words of a sentence single out a few of a thousand phrases in a few dozen operations.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

from metaalign.policy.lexicon import between_borders, expand, unfold
from metaalign.policy.triggers import triggers

Role = Literal[
    "closed", "open", "ignored", "negator", "negated_after", "not_negator", "doubled", "needless",
    "person",
    "wish", "topic", "not_topic", "question",
    "conditional", "not_conditional", "hedged", "not_hedged", "asked", "alternatives",
]  # fmt: skip
"""What a phrase is for; see the comments in the lexicon."""


class Phrase(NamedTuple):
    """One phrase of the lexicon."""

    role: Role
    source: str
    """As the lexicon has it, macros and all."""
    lowered: bool = True
    """It is matched in the text in small letters."""
    dimension: str = ""
    value: str = ""
    opposite: str | None = None
    """What a negation asks for: a value, or in an open dimension another dimension."""
    settled: bool = False
    """No negation is looked for."""
    wished: bool = False
    """It counts only where the sentence speaks to whoever answers."""
    fallback: bool = False
    """It counts only where nothing else of its dimension is found."""
    negated_inside: bool = False
    """It may hold a negation of its own; only one around it counts."""
    not_values: frozenset[str] = frozenset()
    """First words that no value of an open dimension has."""


class Hit(NamedTuple):
    """A place where a phrase of the lexicon matches."""

    phrase: Phrase
    start: int
    end: int
    match: re.Match[str]


_CLAUSE_START = re.compile(r"[,;:]\s|\s(?:and|but|so)\s")
"""Behind this a clause begins; see ``lexicon.expand``."""
_NEEDS = 3
"""Places of a phrase, its most telling ones, for which it is asked whether a text has a word."""
_Sets = tuple[int, ...]
"""Of a word: the phrases that may begin with it, then for each place those it does for."""
_UNKNOWN: _Sets = (0,) * (1 + _NEEDS)


class Table:
    """Phrases, and which words bring them up.

    A class for once, with patterns that are compiled when a text first needs them: a few texts need
    few of the many.
    """

    def __init__(self, phrases: Iterable[Phrase], macros: Mapping[str, str]) -> None:
        self.phrases = tuple(p._replace(source=unfold(p.source)) for p in phrases)
        self.macros = macros
        self._patterns: list[re.Pattern[str] | None] = [None] * len(self.phrases)
        self._loose = 0
        """The phrases that may begin anywhere."""
        content = [0] * _NEEDS
        """For each place the phrases that ask nothing of it."""
        sets: dict[str, list[int]] = {}
        for number, phrase in enumerate(self.phrases):
            bit = 1 << number
            first, needed = triggers(expand(phrase.source, macros))
            if first is None:
                self._loose |= bit
            for word in first or ():
                sets.setdefault(word, [*_UNKNOWN])[0] |= bit
            for place in range(_NEEDS):
                if place >= len(needed):
                    content[place] |= bit
                for word in needed[place] if place < len(needed) else ():
                    sets.setdefault(word, [*_UNKNOWN])[1 + place] |= bit
        self._content = tuple(content)
        self._sets: dict[str, _Sets] = {word: tuple(found) for word, found in sets.items()}

    def hits(self, text: str, lowered: str, words: list[tuple[int, str]]) -> list[Hit]:
        """All that stands in a text; ``words`` are its words' places and beginnings.

        In the order of the text, those last that may begin anywhere.
        """
        sets = self._sets
        one, two, three = self._content
        places = []
        for at, word in words:
            if word in sets:
                first, for_one, for_two, for_three = sets[word]
                one |= for_one
                two |= for_two
                three |= for_three
                if first:
                    places.append((at, first))
        able = one & two & three
        found: list[Hit] = []
        if not able:
            return found
        ends: dict[int, int] = {}
        for at, first in places:
            tried = able & first
            while tried:
                bit = tried & -tried
                tried ^= bit
                number = bit.bit_length() - 1
                # As finditer does: a match begins where the one before has ended.
                if number in ends and at < ends[number]:
                    continue
                phrase = self.phrases[number]
                pattern = self._patterns[number] or self._compile(number)
                match = pattern.match(lowered if phrase.lowered else text, at)
                if match:
                    end = ends[number] = match.end()
                    found.append(Hit(phrase, at, end, match))
        for number in _members(able & self._loose):
            found += self._loose_hits(number, text, lowered)
        return found

    def _loose_hits(self, number: int, text: str, lowered: str) -> Iterator[Hit]:
        phrase = self.phrases[number]
        pattern = self._patterns[number] or self._compile(number)
        seen = lowered if phrase.lowered else text
        matches: Iterable[re.Match[str] | None]
        if phrase.source.startswith("^"):
            places = [0, *(border.end() for border in _CLAUSE_START.finditer(lowered))]
            matches = [pattern.match(seen, at) for at in places]
        else:
            matches = pattern.finditer(seen)
        return (Hit(phrase, match.start(), match.end(), match) for match in matches if match)

    def _compile(self, number: int) -> re.Pattern[str]:
        phrase = self.phrases[number]
        expanded = expand(phrase.source, self.macros)
        pattern = between_borders(expanded, lowered=phrase.lowered)
        self._patterns[number] = pattern
        return pattern


def _members(numbers: int) -> Iterator[int]:
    """The numbers of the bits that are set, the lowest first."""
    while numbers:
        lowest = numbers & -numbers
        yield lowest.bit_length() - 1
        numbers ^= lowest
