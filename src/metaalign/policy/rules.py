"""The lexicon of preferences, compiled: every phrase with what it means and what brings it up."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

from msgspec import Struct

from metaalign.policy.lexicon import any_of, expand, read_lexicon
from metaalign.policy.priorities import Named, Order, Priorities, priorities
from metaalign.policy.table import Phrase, Role, Table
from metaalign.policy.triggers import triggers


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
    permitted: tuple[str, ...]
    taken_back: tuple[str, ...]
    exceptions: tuple[str, ...]


class _Marks(Struct, frozen=True, forbid_unknown_fields=True):
    phrases: tuple[str, ...]
    exceptions: tuple[str, ...] = ()


class _Questions(Struct, frozen=True, forbid_unknown_fields=True):
    openers: frozenset[str]
    phrases: tuple[str, ...]
    yes: tuple[str, ...]
    no: tuple[str, ...]


class _Wishes(Struct, frozen=True, forbid_unknown_fields=True):
    words: frozenset[str]
    telling: frozenset[str]
    phrases: tuple[str, ...]


class _Background(Struct, frozen=True, forbid_unknown_fields=True):
    tiers: tuple[str, ...]
    phrases: tuple[str, ...]
    facts: tuple[str, ...]
    trades: tuple[str, ...]
    endings: tuple[str, ...]
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
    priority: dict[str, Named]
    order: Order
    open: dict[str, _Open]
    background: _Background


class Fact(NamedTuple):
    """What tells something of the person even where the same words ask for something."""

    first: frozenset[str] | None
    """What its first word may begin with, see ``triggers``; None for anything."""
    pattern: re.Pattern[str]


class Rules(NamedTuple):
    """The lexicon."""

    table: Table
    """All phrases. Its parts: what may be "asked" for, or names what may come first; what says
    that it does ("order", "loose order"); "marks" of how wishes are meant; "questions" that speak
    of the answers; "wishes", which speak to whoever answers, or of the answers; what is said of
    the "person"."""
    priorities: Priorities
    wish_words: frozenset[str]
    """Single words that do so: nearly every wish has one, and a set is quickly asked."""
    telling: frozenset[str]
    """Words by which somebody tells something."""
    asking: frozenset[str]
    """Words with which a question about anything begins."""
    over: Mapping[tuple[str, str], frozenset[str]]
    """(dimension, value) -> the values that say nothing beside it."""
    taken_back: re.Pattern[str]
    """What a sentence is that says "not that" of the one before."""
    yes: re.Pattern[str]
    """How the answer to "bullets?" begins that makes it a wish."""
    no: re.Pattern[str]
    reach: int
    """Words over which a negation reaches."""
    person_tiers: tuple[str, ...]
    person: re.Pattern[str]
    facts: tuple[Fact, ...]
    trades: tuple[Fact, ...]
    """Facts that are told by a trade."""
    endings: tuple[str, ...]
    """Of the words for trades each holds one."""
    """How a clause begins that says who somebody is, whatever else it asks for."""
    not_person: re.Pattern[str]
    talk: re.Pattern[str]
    """What a sentence of the talk holds that speaks of how to answer from now on."""
    not_talk: re.Pattern[str]


@cache
def rules() -> Rules:
    """The lexicon, read on first use."""
    lexicon = read_lexicon("preferences", _Lexicon)
    person, talk = lexicon.background, lexicon.talk
    first = priorities(lexicon.priority, lexicon.order)
    parts = {
        "asked": (*_asked(lexicon), *first.named),
        "order": first.order,
        "loose order": first.loose,
        "marks": _marks(lexicon),
        "questions": (Phrase("question", source) for source in lexicon.questions.phrases),
        "wishes": (Phrase("wish", source) for source in lexicon.wishes.phrases),
        "person": _person(lexicon),
    }
    return Rules(
        Table(parts, {**lexicon.macros, **first.macros}),
        first,
        lexicon.wishes.words,
        lexicon.wishes.telling,
        lexicon.questions.openers,
        {
            (dimension, value): entry.over
            for dimension, values in lexicon.closed.items()
            for value, entry in values.items()
            if entry.over
        },
        any_of(lexicon.negation.taken_back, lexicon.macros, lowered=True),
        any_of(lexicon.questions.yes, lexicon.macros, lowered=True),
        any_of(lexicon.questions.no, lexicon.macros, lowered=True),
        lexicon.negation.reach,
        person.tiers,
        any_of(person.phrases, lexicon.macros, lowered=True),
        tuple(_fact(source, lexicon.macros) for source in person.facts),
        tuple(_fact(source, lexicon.macros) for source in person.trades),
        person.endings,
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


def _fact(source: str, macros: Mapping[str, str]) -> Fact:
    first, _ = triggers(expand(source, macros))
    return Fact(first, any_of((source,), macros, lowered=True))


def _person(lexicon: _Lexicon) -> Iterator[Phrase]:
    background = lexicon.background
    for source in (*background.phrases, *background.facts):
        yield Phrase("person", source)


def _marks(lexicon: _Lexicon) -> Iterator[Phrase]:
    negation, left_open = lexicon.negation, lexicon.ambiguity
    roles: tuple[tuple[Role, tuple[str, ...]], ...] = (
        ("ignored", lexicon.ignored),
        ("negator", negation.before),
        ("negated_after", negation.after),
        ("doubled", negation.doubled),
        ("needless", negation.needless),
        ("permitted", negation.permitted),
        ("not_negator", negation.exceptions),
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
