"""The lexicon of preferences, compiled: every phrase with what it means and what brings it up."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Literal, NamedTuple

from msgspec import Struct

from metaalign.policy.lexicon import any_of, expand, read_lexicon
from metaalign.policy.triggers import beginnings, triggers

Role = Literal[
    "closed", "open", "ignored", "negator", "negated_after", "not_negator", "doubled", "needless",
    "person",
    "wish", "topic", "not_topic",
    "conditional", "not_conditional", "hedged", "not_hedged", "asked", "not_asked", "alternatives",
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
    pattern: re.Pattern[str]
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
    over: frozenset[str] = frozenset()
    """Values that say nothing beside this one."""
    not_values: frozenset[str] = frozenset()
    """First words that no value of an open dimension has."""


_NOTHING = re.compile(r"(?!)")


class Rules(NamedTuple):
    """All phrases, and what finds the few of them that a sentence can match."""

    phrases: tuple[Phrase, ...]
    index: Mapping[str, tuple[int, ...]]
    """Beginning of a word -> the phrases that it brings up."""
    always: tuple[int, ...]
    """The phrases that no word brings up: tried on every sentence."""
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

    def brought_up(self, lowered: str) -> list[Phrase]:
        """The phrases that may match a text, in the order of the lexicon."""
        found = set(self.always)
        for beginning in beginnings(lowered):
            found.update(self.index.get(beginning, ()))
        return [self.phrases[i] for i in sorted(found)]


@cache
def rules() -> Rules:
    """The lexicon, read and compiled on first use."""
    lexicon = read_lexicon("preferences", _Lexicon)
    phrases: list[Phrase] = []
    index: dict[str, list[int]] = {}
    always: list[int] = []
    for source, phrase in _phrases(lexicon):
        words = triggers(expand(source, lexicon.macros))
        if words is None:
            always.append(len(phrases))
        for word in words or ():
            index.setdefault(word, []).append(len(phrases))
        phrases.append(phrase)
    person, talk = lexicon.background, lexicon.talk
    return Rules(
        tuple(phrases),
        {word: tuple(numbers) for word, numbers in index.items()},
        tuple(always),
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


def _phrases(lexicon: _Lexicon) -> Iterator[tuple[str, Phrase]]:
    """Every phrase of the lexicon and what it means."""
    macros = lexicon.macros
    for dimension, values in lexicon.closed.items():
        for value, entry in values.items():
            common = Phrase(
                "closed",
                _NOTHING,
                dimension,
                value,
                entry.opposite,
                wished=entry.wished,
                negated_inside=entry.negated_inside,
            )
            for kind, sources in (
                (common, entry.phrases),
                (common._replace(wished=True), entry.words),
                (common._replace(settled=True), entry.settled),
            ):
                for source in sources:
                    yield source, kind._replace(pattern=any_of([source], macros, lowered=True))
    for dimension, opened in lexicon.open.items():
        barred = opened.not_values or lexicon.not_values
        for source in opened.phrases:
            # Capitals tell a name, so these look at the text as it is written.
            pattern = any_of([source], macros)
            yield (
                source,
                Phrase("open", pattern, dimension, opposite=opened.opposite, not_values=barred),
            )
    for role, sources in _marks(lexicon):
        for source in sources:
            yield source, Phrase(role, any_of([source], macros, lowered=True))


def _marks(lexicon: _Lexicon) -> Iterable[tuple[Role, tuple[str, ...]]]:
    negation, open_ = lexicon.negation, lexicon.ambiguity
    return (
        ("ignored", lexicon.ignored),
        ("negator", negation.before),
        ("negated_after", negation.after),
        ("doubled", negation.doubled),
        ("needless", negation.needless),
        ("not_negator", negation.exceptions),
        ("person", lexicon.background.phrases),
        ("wish", lexicon.wishes.phrases),
        ("topic", lexicon.topics.phrases),
        ("not_topic", lexicon.topics.exceptions),
        ("conditional", open_.conditional.phrases),
        ("not_conditional", open_.conditional.exceptions),
        ("hedged", open_.hedged.phrases),
        ("not_hedged", open_.hedged.exceptions),
        ("asked", open_.asked.phrases),
        ("not_asked", open_.asked.exceptions),
        ("alternatives", open_.alternatives.phrases),
    )
