"""Many phrases, filed so that a sentence tries only the few that it may match.

Which phrases these are is told by sets of phrases, for each word one of those that may begin with
it, and some of those that need it. A set is a number with one bit for each phrase, so that the
words of a sentence single out a few of a thousand phrases in a few dozen operations.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Literal, NamedTuple

from msgspec import Struct

from metaalign.policy.lexicon import between_borders, expand, unfold
from metaalign.policy.triggers import beginnings, triggers

Role = Literal[
    "closed", "open", "ignored", "negator", "negated_after", "not_negator", "doubled", "needless",
    "permitted",
    "person", "named", "order",
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


class Hit(Struct, frozen=True, gc=False):
    """A place where a phrase of the lexicon matches; a ``Struct``, for many are made."""

    phrase: Phrase
    start: int
    end: int
    match: re.Match[str]


Hits = dict[Role, list[Hit]]
"""Role -> where its phrases match."""

_CLAUSE_START = re.compile(r"[,;:\s](?:(?<=[,;:])\s|(?<=\s)(?:and|but|so)\s)")
"""Behind this a clause begins; see ``lexicon.expand``. As all that is searched through whole
sentences it begins with one set of characters, for which the search is much quicker."""
_SLOTS = ("{first}", "{lost}", "{broken}", "{given_up}")
"""What begins with one of these begins where a word in capitals does."""
_RUN = re.compile(r"[A-Z](?<![\w'-].)")


@lru_cache(maxsize=4)  # the phrases of one sentence ask one after the other
def _clause_starts(lowered: str) -> list[int]:
    return [0, *(border.end() for border in _CLAUSE_START.finditer(lowered))]


@lru_cache(maxsize=4)
def _runs(masked: str) -> list[int]:
    return [run.start() for run in _RUN.finditer(masked)]


_NEEDS = 3
"""Places of a phrase, its most telling ones, for which it is asked whether a text has a word."""
_Sets = tuple[int, int, int, int]
"""Of a word: the phrases that may begin with it, then for each place those it does for."""
_Matcher = tuple[Callable[[str, int], re.Match[str] | None], bool]
"""How a phrase is matched at a place, and whether that is in the text as it is written."""


class Candidates(NamedTuple):
    """The phrases that a text may match."""

    places: list[tuple[int, int]]
    """Where in the text a phrase may begin, and the set of those."""
    loose: int
    """Those that may begin anywhere."""


class Table:
    """Phrases in parts, each looked for by itself, and which words bring them up.

    A class for once, with patterns that are compiled when a text first needs them: a few texts need
    few of the many.
    """

    def __init__(self, parts: Mapping[str, Iterable[Phrase]], macros: Mapping[str, str]) -> None:
        self.macros = macros
        filed = [(part, phrase) for part, phrases in parts.items() for phrase in phrases][::-1]
        """Backwards, for the highest bit of a set is the one that is quickly found."""
        self.phrases = tuple(p._replace(source=unfold(p.source)) for _, p in filed)
        self._parts = dict.fromkeys(parts, 0)
        self._loose = 0
        """The phrases that may begin anywhere."""
        self._anchored = 0
        """Those that begin where a text does."""
        self._content = [0] * _NEEDS
        """For each place the phrases that ask nothing of it."""
        sets: dict[str, list[int]] = {}
        for number, (part, _) in enumerate(filed):
            self._parts[part] |= 1 << number
            self._file(number, sets)
        self._inside = (1 << len(filed)) - 1 - self._anchored
        self._sets: dict[str, _Sets] = {word: (a, b, c, d) for word, (a, b, c, d) in sets.items()}
        self._patterns: list[re.Pattern[str] | None] = [None] * len(filed)
        self._matchers: list[_Matcher | None] = [None] * len(filed)
        self._bits = [1 << number for number in range(len(filed))]

    def _file(self, number: int, sets: dict[str, list[int]]) -> None:
        phrase, bit = self.phrases[number], 1 << number
        first, needed = triggers(expand(phrase.source, self.macros))
        if first is None:
            self._loose |= bit
        elif phrase.source.startswith("\\A"):
            self._anchored |= bit
        for word in first or ():
            sets.setdefault(word, [0, 0, 0, 0])[0] |= bit
        for place in range(_NEEDS):
            if place >= len(needed):
                self._content[place] |= bit
                continue
            for word in needed[place]:
                sets.setdefault(word, [0, 0, 0, 0])[1 + place] |= bit

    def candidates(self, lowered: str) -> Candidates:
        """What a text may match, by the beginnings of its words."""
        sets_of = self._sets.get
        one, two, three = self._content
        places = []
        # From the last word to the first, for what a phrase needs stands where it begins or behind.
        for at, word in reversed(beginnings(lowered)):
            sets = sets_of(word)
            if sets:
                first, for_one, for_two, for_three = sets
                one |= for_one
                two |= for_two
                three |= for_three
                if first:
                    able = first & one & two & three
                    if able and (not at or (able := able & self._inside)):
                        places.append((at, able))
        places.reverse()
        return Candidates(places, one & two & three & self._loose)

    def find(self, part: str, candidates: Candidates, text: str, lowered: str, hits: Hits) -> None:
        """Adds what of a part stands in a text, by its roles: in the order of the text, last what
        may begin anywhere. ``candidates`` are those of its words.
        """
        members = self._parts[part]
        matchers, bits = self._matchers, self._bits
        ends: dict[int, int] = {}
        for at, able in candidates.places:
            tried = able & members
            while tried:
                number = tried.bit_length() - 1
                tried ^= bits[number]
                matches, written = matchers[number] or self._matcher(number)
                match = matches(text if written else lowered, at)
                # As finditer does: a match begins where the one before has ended.
                if match and not (number in ends and at < ends[number]):
                    end = ends[number] = match.end()
                    phrase = self.phrases[number]
                    hit = Hit(phrase, at, end, match)
                    if phrase.role in hits:
                        hits[phrase.role].append(hit)
                    else:
                        hits[phrase.role] = [hit]
        tried = candidates.loose & members
        while tried:
            number = tried.bit_length() - 1
            tried ^= bits[number]
            for hit in self._loose_hits(number, text, lowered):
                hits.setdefault(hit.phrase.role, []).append(hit)

    def found(self, part: str, candidates: Candidates, text: str) -> list[Hit]:
        """What of a part stands in a text of small letters."""
        hits: Hits = {}
        self.find(part, candidates, text, text, hits)
        return [hit for same in hits.values() for hit in same]

    def holds(self, part: str, candidates: Candidates, text: str) -> bool:
        """Whether anything of a part stands in a text of small letters: the first hit tells."""
        members = self._parts[part]
        for at, able in candidates.places:
            tried = able & members
            while tried:
                number = tried.bit_length() - 1
                tried ^= self._bits[number]
                matches, _ = self._matchers[number] or self._matcher(number)
                if matches(text, at):
                    return True
        tried = candidates.loose & members
        while tried:
            number = tried.bit_length() - 1
            tried ^= self._bits[number]
            if self._loose_hits(number, text, text):
                return True
        return False

    def _loose_hits(self, number: int, text: str, lowered: str) -> list[Hit]:
        phrase, pattern = self.phrases[number], self._pattern(number)
        seen = lowered if phrase.lowered else text
        if phrase.source.startswith("^"):
            matches = [
                match for at in _clause_starts(lowered) if (match := pattern.match(seen, at))
            ]
        elif phrase.source.startswith(_SLOTS):
            matches = []
            for at in _runs(lowered):
                if not matches or at >= matches[-1].end():
                    match = pattern.match(seen, at)
                    matches += [match] if match else []
        else:
            matches = list(pattern.finditer(seen))
        return [Hit(phrase, match.start(), match.end(), match) for match in matches]

    def _matcher(self, number: int) -> _Matcher:
        matcher = self._pattern(number).match, not self.phrases[number].lowered
        self._matchers[number] = matcher
        return matcher

    def _pattern(self, number: int) -> re.Pattern[str]:
        pattern = self._patterns[number]
        if pattern is None:
            phrase = self.phrases[number]
            expanded = expand(phrase.source, self.macros)
            pattern = between_borders(expanded, lowered=phrase.lowered)
            self._patterns[number] = pattern
        return pattern
