"""What kind of query a text is, by the rules of ``lexicons/kinds.toml``.

The rules know words, not the world: they are a floor that costs nothing and needs no network, not a
safety classifier. What they miss is measured in the tests.
"""

import re
from functools import cache
from typing import NamedTuple

from msgspec import Struct

from metaalign.policy.lexicon import any_of, plain, read_lexicon
from metaalign.schema import Classified, Kind

OPINION = "opinion"
"""The rule that looks before what is harmless is taken out."""
HARMLESS = "harmless"
"""Name of the rule by which a query only sounds harmful once its harmless part is taken out."""
NO_RULE = "no rule"
"""No rule found anything: the query is benign."""


class _Rule(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    kind: Kind
    phrases: tuple[str, ...]
    where: tuple[str, ...] = ()
    """If given, one of these must be found too."""


class _Lexicon(Struct, frozen=True, forbid_unknown_fields=True):
    harmless: tuple[str, ...]
    macros: dict[str, str]
    rule: tuple[_Rule, ...]


class _Compiled(NamedTuple):
    harmless: re.Pattern[str]
    rules: tuple[tuple[_Rule, re.Pattern[str], re.Pattern[str] | None], ...]


def classify_query(query: str) -> Kind:
    """The kind of ``query``; ``benign`` if no rule finds anything in it."""
    return classify(query).kind


def classify(query: str) -> Classified:
    """The kind of ``query`` and the name of the rule that decided."""
    compiled = _compiled()
    text = plain(query).strip()
    reduced = compiled.harmless.sub(" ", text)
    for rule, pattern, where in compiled.rules:
        if where is not None and not where.search(text):
            continue
        if pattern.search(text if rule.name == OPINION else reduced):
            return Classified(rule.kind, rule.name)
    if reduced != text:
        return Classified("sounds_harmful", HARMLESS)
    return Classified("benign", NO_RULE)


@cache
def _compiled() -> _Compiled:
    """The lexicon, read and compiled on first use."""
    lexicon = read_lexicon("kinds", _Lexicon)
    return _Compiled(
        any_of(lexicon.harmless, lexicon.macros),
        tuple(
            (
                rule,
                any_of(rule.phrases, lexicon.macros),
                any_of(rule.where, lexicon.macros) if rule.where else None,
            )
            for rule in lexicon.rule
        ),
    )
