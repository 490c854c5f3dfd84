"""What kind of query a text is, by the rules of ``lexicons/kinds.toml``.

The rules know words, not the world: they are a floor that costs nothing and needs no network, not a
safety classifier. They read English. A text that they cannot read is ``unknown``, unless they find
something harmful in it all the same. ``docs/kinds.md`` has what they get right, measured.
"""

import re
from functools import cache
from typing import NamedTuple

from msgspec import Struct

from metaalign.policy.lexicon import any_of, plain, read_lexicon
from metaalign.schema import Classified, Kind

BY_RULES = "rules: {}"
"""Who decided, with the name of the rule."""
HARMLESS = "harmless"
"""Name of the rule by which a query only sounds harmful once its harmless part is taken out."""
NOTHING_FOUND = "nothing found"
"""No rule found anything: the query is benign."""
UNREADABLE = "no rule reads this"
"""The text is not of the language that the rules are written for, or has no words at all."""

LEAST_LATIN = 0.5
"""Share of the letters that must be of the plain alphabet."""
FEW_WORDS = 5
"""A text of up to so many words may well have none of the words that every longer one has."""
CERTAIN: frozenset[Kind] = frozenset({"harmful", "severe"})
"""Kinds that a text can have whatever stands in the part that was not read."""

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")


class _Rule(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    kind: Kind
    phrases: tuple[str, ...]
    whole: bool = False
    """It looks at the whole text, before what is harmless is taken out."""
    where: tuple[str, ...] = ()
    """If given, one of these must be found too."""
    unless: tuple[str, ...] = ()
    """If one of these is found, the rule does not hold."""


class _Lexicon(Struct, frozen=True, forbid_unknown_fields=True):
    english: str
    shared: str
    foreign: str
    harmless: tuple[str, ...]
    macros: dict[str, str]
    rule: tuple[_Rule, ...]


class _CompiledRule(NamedTuple):
    rule: _Rule
    phrases: re.Pattern[str]
    where: re.Pattern[str] | None
    unless: re.Pattern[str] | None

    def holds(self, text: str, reduced: str) -> bool:
        """Whether the rule applies to ``text``; ``reduced`` is what is left without the harmless.

        ``where`` and ``unless`` look at the whole text: they ask what it is about.
        """
        if self.where is not None and not self.where.search(text):
            return False
        if not self.phrases.search(text if self.rule.whole else reduced):
            return False
        return self.unless is None or not self.unless.search(text)


class _Compiled(NamedTuple):
    harmless: re.Pattern[str]
    rules: tuple[_CompiledRule, ...]
    english: frozenset[str]
    """Words of English and of none of the languages that ``foreign`` is from."""
    shared: frozenset[str]
    """Words of English and of others."""
    foreign: frozenset[str]


def classify_query(query: str) -> Kind:
    """The kind of ``query``, without who decided: see ``classify``."""
    return classify(query).kind


def classify(query: str) -> Classified:
    """The kind of ``query`` and the name of the rule that decided: ``rules: severe harm``.

    ``benign`` if no rule finds anything in a text that the rules can read, and ``unknown`` if they
    cannot read it: it is empty, has no letters, or is not English.
    """
    text = plain(query).strip()
    kind, name = _by_rules(text)
    if kind not in CERTAIN and not readable(text):
        kind, name = "unknown", UNREADABLE
    return Classified(kind, BY_RULES.format(name))


def readable(text: str) -> bool:
    """Whether the rules can read ``text``: the plain alphabet, and more English than anything else.

    A text of a few words need not have a word that marks it as English; one that marks it as
    another language still makes it unreadable.
    """
    letters = sum(character.isalpha() for character in text)
    if not letters:
        return False
    latin = sum(character.isascii() and character.isalpha() for character in text)
    if latin < LEAST_LATIN * letters:
        return False
    compiled = _compiled()
    words = _WORD.findall(plain(text).lower())
    english = sum(word in compiled.english for word in words)
    if sum(word in compiled.foreign for word in words) > english:
        return False
    if english or len(words) <= FEW_WORDS:
        return True
    return any(word in compiled.shared for word in words)


def _by_rules(text: str) -> tuple[Kind, str]:
    compiled = _compiled()
    reduced = compiled.harmless.sub(" ", text)
    for compiled_rule in compiled.rules:
        if compiled_rule.holds(text, reduced):
            return compiled_rule.rule.kind, compiled_rule.rule.name
    if reduced != text:
        return "sounds_harmful", HARMLESS
    return "benign", NOTHING_FOUND


@cache
def _compiled() -> _Compiled:
    """The lexicon, read and compiled on first use."""
    lexicon = read_lexicon("kinds", _Lexicon)
    macros = lexicon.macros

    def optional(phrases: tuple[str, ...]) -> re.Pattern[str] | None:
        return any_of(phrases, macros) if phrases else None

    return _Compiled(
        any_of(lexicon.harmless, macros),
        tuple(
            _CompiledRule(
                rule,
                any_of(rule.phrases, macros),
                optional(rule.where),
                optional(rule.unless),
            )
            for rule in lexicon.rule
        ),
        frozenset(lexicon.english.split()),
        frozenset(lexicon.shared.split()),
        frozenset(lexicon.foreign.split()),
    )
