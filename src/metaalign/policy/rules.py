"""The lexicon of preferences, compiled: every phrase with what it means and what brings it up."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Literal, NamedTuple

from msgspec import Struct

from metaalign.policy.lexicon import any_of, between_borders, expand, read_lexicon
from metaalign.policy.triggers import triggers

Role = Literal[
    "closed", "open", "ignored", "negator", "negated_after", "not_negator", "doubled", "needless",
    "person",
    "wish", "topic", "not_topic",
    "conditional", "not_conditional", "hedged", "not_hedged", "asked", "alternatives",
]  # fmt: skip
"""What a phrase is for; see the comments in the lexicon."""


class _Closed(Struct, frozen=True, forbid_unknown_fields=True):
    phrases: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    settled: tuple[str, ...] = ()
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
    wishes: _Marks
    topics: _Marks
    talk: _Marks
    closed: dict[str, dict[str, _Closed]]
    open: dict[str, _Open]
    background: _Background


class Phrase(NamedTuple):
    """One phrase of the lexicon."""

    role: Role
    source: str
    """Its regular expression, the macros filled in."""
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
    negated_inside: bool = False
    """It may hold a negation of its own; only one around it counts."""
    not_values: frozenset[str] = frozenset()
    """First words that no value of an open dimension has."""
    needed: tuple[frozenset[str], ...] = ()
    """Beginnings of words: a text without one of each cannot match."""

    def pattern(self) -> re.Pattern[str]:
        return _compiled(self.source, self.lowered)


class Hit(NamedTuple):
    """A place where a phrase of the lexicon matches."""

    phrase: Phrase
    start: int
    end: int
    match: re.Match[str]


class Table(NamedTuple):
    """Phrases, filed so that a sentence tries the few that it may match, where it may match them."""

    phrases: tuple[Phrase, ...]
    heads: Mapping[str, tuple[tuple[int, ...], Mapping[str, tuple[int, ...]]]]
    """Beginning of a word -> the phrases that begin with it: those that need no other word, and
    the others by a word that they need."""
    loose: Mapping[str, tuple[int, ...]]
    """A word that they need -> the phrases that may begin anywhere."""
    always: tuple[int, ...]
    """The phrases of which nothing can be told."""

    def hits(self, text: str, lowered: str, words: list[tuple[int, str]]) -> list[Hit]:
        """All that stands in a text; ``words`` are its words' places and beginnings."""
        known = {word for _, word in words}
        found: list[Hit] = []
        ends: dict[int, int] = {}
        for at, word in words:
            head = self.heads.get(word)
            if head is None:
                continue
            numbers, beside = head
            for other in beside.keys() & known:
                numbers += beside[other]
            for number in numbers if len(numbers) < 2 else sorted(set(numbers)):
                # As finditer does: a match begins where the one before has ended.
                if at >= ends.get(number, 0):
                    hit = self._at(number, at, text, lowered, known)
                    if hit is not None:
                        ends[number] = hit.end
                        found.append(hit)
        loose = list(self.always)
        for word in self.loose.keys() & known:
            loose += self.loose[word]
        for number in sorted(set(loose)):
            phrase = self.phrases[number]
            if not any(known.isdisjoint(needed) for needed in phrase.needed):
                seen = lowered if phrase.lowered else text
                found += [Hit(phrase, *m.span(), m) for m in phrase.pattern().finditer(seen)]
        return found

    def _at(self, number: int, at: int, text: str, lowered: str, known: set[str]) -> Hit | None:
        phrase = self.phrases[number]
        for needed in phrase.needed:
            if known.isdisjoint(needed):
                return None
        match = phrase.pattern().match(lowered if phrase.lowered else text, at)
        return Hit(phrase, *match.span(), match) if match else None


class Rules(NamedTuple):
    """The lexicon."""

    wishes: Table
    """What may be asked for, and what is said of the person."""
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
        _table(_wishes(lexicon), lexicon.macros),
        _table(_marks(lexicon), lexicon.macros),
        {
            (dimension, value): entry.over
            for dimension, values in lexicon.closed.items()
            for value, entry in values.items()
            if entry.over
        },
        lexicon.negation.reach,
        person.tiers,
        any_of(person.phrases, lexicon.macros),
        any_of(person.exceptions, lexicon.macros),
        any_of(talk.phrases, lexicon.macros),
        any_of(talk.exceptions, lexicon.macros),
    )


def _table(phrases: Iterable[Phrase], macros: Mapping[str, str]) -> Table:
    """File the phrases under their triggers."""
    filed: list[Phrase] = []
    heads: dict[str, tuple[list[int], dict[str, list[int]]]] = {}
    loose: dict[str, list[int]] = {}
    always: list[int] = []
    for number, phrase in enumerate(phrases):
        expanded = expand(phrase.source, macros)
        first, needed = triggers(expanded)
        filed.append(phrase._replace(source=expanded, needed=needed[1:]))
        if first is not None:
            for word in first:
                alone, beside = heads.setdefault(word, ([], {}))
                if not needed or word in needed[0]:
                    alone.append(number)
                else:
                    for other in needed[0]:
                        beside.setdefault(other, []).append(number)
        elif needed:
            for word in needed[0]:
                loose.setdefault(word, []).append(number)
        else:
            always.append(number)
    return Table(
        tuple(filed),
        {
            word: (tuple(alone), {other: tuple(n) for other, n in beside.items()})
            for word, (alone, beside) in heads.items()
        },
        {word: tuple(numbers) for word, numbers in loose.items()},
        tuple(always),
    )


def _wishes(lexicon: _Lexicon) -> Iterator[Phrase]:
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
        ("wish", lexicon.wishes.phrases),
        ("topic", lexicon.topics.phrases),
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


@cache
def _compiled(expanded: str, lowered: bool) -> re.Pattern[str]:
    """Compiled when a text first needs it: a few texts need few of the many phrases."""
    return between_borders(expanded, lowered=lowered)
