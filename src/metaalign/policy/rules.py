"""The lexicon of preferences, compiled: every phrase with what it means and what brings it up."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Literal, NamedTuple

from msgspec import Struct

from metaalign.policy.lexicon import any_of, between_borders, expand, read_lexicon, unfold
from metaalign.policy.triggers import triggers

Role = Literal[
    "closed", "open", "ignored", "negator", "negated_after", "not_negator", "doubled", "needless",
    "person",
    "wish", "topic", "not_topic", "question",
    "conditional", "not_conditional", "hedged", "not_hedged", "asked", "alternatives",
]  # fmt: skip
"""What a phrase is for; see the comments in the lexicon."""


class _Closed(Struct, frozen=True, forbid_unknown_fields=True):
    phrases: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    settled: tuple[str, ...] = ()
    fallback: tuple[str, ...] = ()
    opposite: str | None = None
    wished: bool = False
    negated_inside: bool = False
    over: frozenset[str] = frozenset()


class _Open(Struct, frozen=True, forbid_unknown_fields=True):
    phrases: tuple[str, ...]
    not_values: frozenset[str] | None = None
    opposite: str | None = None


class _Negation(Struct, frozen=True, forbid_unknown_fields=True):
    before: tuple[str, ...]
    reach: int
    after: tuple[str, ...]
    doubled: tuple[str, ...]
    needless: tuple[str, ...]
    exceptions: tuple[str, ...]


class _Marks(Struct, frozen=True, forbid_unknown_fields=True):
    phrases: tuple[str, ...]
    exceptions: tuple[str, ...] = ()


class _Questions(Struct, frozen=True, forbid_unknown_fields=True):
    openers: frozenset[str]
    phrases: tuple[str, ...]


class _Wishes(Struct, frozen=True, forbid_unknown_fields=True):
    words: frozenset[str]
    telling: frozenset[str]
    phrases: tuple[str, ...]


class _Background(Struct, frozen=True, forbid_unknown_fields=True):
    tiers: tuple[str, ...]
    phrases: tuple[str, ...]
    exceptions: tuple[str, ...]


class _Ambiguity(Struct, frozen=True, forbid_unknown_fields=True):
    conditional: _Marks
    hedged: _Marks
    asked: _Marks
    alternatives: _Marks


class _Lexicon(Struct, frozen=True, forbid_unknown_fields=True):
    ignored: tuple[str, ...]
    not_values: frozenset[str]
    macros: dict[str, str]
    negation: _Negation
    ambiguity: _Ambiguity
    wishes: _Wishes
    topics: _Marks
    questions: _Questions
    talk: _Marks
    closed: dict[str, dict[str, _Closed]]
    open: dict[str, _Open]
    background: _Background


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


_Entry = tuple[int, tuple[frozenset[str], ...]]
"""The number of a phrase, and what else it needs: one word of each of these."""


class _Head(NamedTuple):
    """The phrases that begin with one word."""

    alone: list[_Entry]
    """Those that need no other."""
    beside: dict[str, list[_Entry]]
    """The others, by each of the words of which they need one."""


class Table:
    """Phrases, filed so that a sentence tries the few that it may match, where it may match them.

    A class for once, with patterns that are compiled when a text first needs them: a few texts need
    few of the many.
    """

    def __init__(self, phrases: Iterable[Phrase], macros: Mapping[str, str]) -> None:
        self.phrases = tuple(p._replace(source=unfold(p.source)) for p in phrases)
        self.macros = macros
        self._heads: dict[str, _Head] = {}
        self._loose: dict[str, list[int]] = {}
        """A word that they need -> the phrases that may begin anywhere."""
        self._always: list[int] = []
        """The phrases of which nothing can be told."""
        self._needed: list[tuple[frozenset[str], ...]] = []
        """What else each phrase needs: a text without one word of each cannot match."""
        self._patterns: list[re.Pattern[str] | None] = [None] * len(self.phrases)
        for number, phrase in enumerate(self.phrases):
            self._file(number, phrase)

    def _file(self, number: int, phrase: Phrase) -> None:
        first, needed = triggers(expand(phrase.source, self.macros))
        rest = needed[1:]
        self._needed.append(rest)
        if first is not None:
            for word in first:
                head = self._heads.setdefault(word, _Head([], {}))
                if not needed or word in needed[0]:
                    head.alone.append((number, rest))
                else:
                    for other in needed[0]:
                        head.beside.setdefault(other, []).append((number, rest))
        elif needed:
            for word in needed[0]:
                self._loose.setdefault(word, []).append(number)
        else:
            self._always.append(number)

    def hits(self, text: str, lowered: str, words: list[tuple[int, str]]) -> list[Hit]:
        """All that stands in a text; ``words`` are its words' places and beginnings."""
        # Every word once, in the order of the text, so that the hits come in a set order.
        order = list(dict.fromkeys([word for _, word in words]))
        known = set(order)
        heads, phrases, patterns = self._heads, self.phrases, self._patterns
        unknown = known.isdisjoint
        found: list[Hit] = []
        ends: dict[int, int] = {}
        # The inner loops run for every word of every text: no look-up that is not needed.
        for at, word in words:
            if word not in heads:
                continue
            entries, beside = heads[word]
            if beside:
                for other in order:
                    if other in beside:
                        entries = entries + beside[other]
            for number, needed in entries:
                for one_of in needed:
                    if unknown(one_of):
                        break
                else:
                    # As finditer does: a match begins where the one before has ended. It also
                    # keeps a phrase that two words bring up from matching twice.
                    if number in ends and at < ends[number]:
                        continue
                    phrase = phrases[number]
                    pattern = patterns[number] or self._compile(number)
                    match = pattern.match(lowered if phrase.lowered else text, at)
                    if match:
                        end = ends[number] = match.end()
                        found.append(Hit(phrase, at, end, match))
        if self._loose.keys().isdisjoint(known) and not self._always:
            return found
        return found + self._loose_hits(text, lowered, known)

    def _loose_hits(self, text: str, lowered: str, known: set[str]) -> list[Hit]:
        numbers = set(self._always)
        for word in self._loose.keys() & known:
            numbers.update(self._loose[word])
        found: list[Hit] = []
        for number in sorted(numbers):
            if any(known.isdisjoint(needed) for needed in self._needed[number]):
                continue
            phrase = self.phrases[number]
            pattern = self._patterns[number] or self._compile(number)
            seen = lowered if phrase.lowered else text
            if phrase.source.startswith("^"):
                places = [0, *(border.end() for border in _CLAUSE_START.finditer(lowered))]
                matches = [m for m in (pattern.match(seen, at) for at in places) if m]
            else:
                matches = list(pattern.finditer(seen))
            found += [Hit(phrase, match.start(), match.end(), match) for match in matches]
        return found

    def _compile(self, number: int) -> re.Pattern[str]:
        phrase = self.phrases[number]
        expanded = expand(phrase.source, self.macros)
        pattern = between_borders(expanded, lowered=phrase.lowered)
        self._patterns[number] = pattern
        return pattern


class Rules(NamedTuple):
    """The lexicon."""

    asked: Table
    """What may be asked for, and what is said of the person."""
    wishes: Table
    """Phrases that speak to whoever answers, or of the answers."""
    wish_words: frozenset[str]
    """Single words that do so: nearly every wish has one, and a set is quickly asked."""
    telling: frozenset[str]
    """Words by which somebody tells something."""
    asking: frozenset[str]
    """Words with which a question about anything begins."""
    marks: Table
    """What a sentence holds that says how its wishes are meant."""
    over: Mapping[tuple[str, str], frozenset[str]]
    """(dimension, value) -> the values that say nothing beside it."""
    reach: int
    """Words over which a negation reaches."""
    person_tiers: tuple[str, ...]
    person: re.Pattern[str]
    not_person: re.Pattern[str]
    talk: re.Pattern[str]
    """What a sentence of the talk holds that speaks of how to answer from now on."""
    not_talk: re.Pattern[str]


@cache
def rules() -> Rules:
    """The lexicon, read on first use."""
    lexicon = read_lexicon("preferences", _Lexicon)
    person, talk = lexicon.background, lexicon.talk
    return Rules(
        Table(_asked(lexicon), lexicon.macros),
        Table((Phrase("wish", source) for source in lexicon.wishes.phrases), lexicon.macros),
        lexicon.wishes.words,
        lexicon.wishes.telling,
        lexicon.questions.openers,
        Table(_marks(lexicon), lexicon.macros),
        {
            (dimension, value): entry.over
            for dimension, values in lexicon.closed.items()
            for value, entry in values.items()
            if entry.over
        },
        lexicon.negation.reach,
        person.tiers,
        any_of(person.phrases, lexicon.macros, lowered=True),
        any_of(person.exceptions, lexicon.macros, lowered=True),
        any_of(talk.phrases, lexicon.macros, lowered=True),
        any_of(talk.exceptions, lexicon.macros, lowered=True),
    )


def _asked(lexicon: _Lexicon) -> Iterator[Phrase]:
    for dimension, values in lexicon.closed.items():
        for value, entry in values.items():
            common = Phrase(
                "closed",
                "",
                dimension=dimension,
                value=value,
                opposite=entry.opposite,
                wished=entry.wished,
                negated_inside=entry.negated_inside,
            )
            for kind, sources in (
                (common, entry.phrases),
                (common._replace(wished=True), entry.words),
                (common._replace(settled=True), entry.settled),
                (common._replace(wished=True, fallback=True), entry.fallback),
            ):
                for source in sources:
                    yield kind._replace(source=source)
    for dimension, opened in lexicon.open.items():
        barred = opened.not_values or lexicon.not_values
        for source in opened.phrases:
            # Capitals tell a name, so these look at the text as it is written.
            yield Phrase(
                "open",
                source,
                lowered=False,
                dimension=dimension,
                opposite=opened.opposite,
                not_values=barred,
            )
    for source in lexicon.background.phrases:
        yield Phrase("person", source)


def _marks(lexicon: _Lexicon) -> Iterator[Phrase]:
    negation, left_open = lexicon.negation, lexicon.ambiguity
    roles: tuple[tuple[Role, tuple[str, ...]], ...] = (
        ("ignored", lexicon.ignored),
        ("negator", negation.before),
        ("negated_after", negation.after),
        ("doubled", negation.doubled),
        ("needless", negation.needless),
        ("not_negator", negation.exceptions),
        ("topic", lexicon.topics.phrases),
        ("question", lexicon.questions.phrases),
        ("not_topic", lexicon.topics.exceptions),
        ("conditional", left_open.conditional.phrases),
        ("not_conditional", left_open.conditional.exceptions),
        ("hedged", left_open.hedged.phrases),
        ("not_hedged", left_open.hedged.exceptions),
        ("asked", left_open.asked.phrases),
        ("alternatives", left_open.alternatives.phrases),
    )
    for role, sources in roles:
        for source in sources:
            yield Phrase(role, source)
