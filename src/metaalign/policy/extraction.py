"""What a free text asks for, by the rules of ``lexicons/preferences.toml``.

The rules look at one sentence at a time. A closed value is found by its phrases, an open one by the
phrase around it, and a negation turns either into its opposite or into nothing.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from msgspec import Struct

from metaalign.policy.lexicon import any_of, expand, plain, read_lexicon
from metaalign.schema import MetaPrompt, Preference

_SENTENCE = re.compile(
    r"""(?: "[^"\n]*"                                   # what is quoted stays in one piece
          | \b(?:mr|mrs|ms|dr|prof|st|e\.g|i\.e|vs)\.   # abbreviations
          | [^.!?\n"] | [.!?](?=\w) | "
        )+ [.!?]*""",
    re.VERBOSE | re.IGNORECASE,
)
_CLAUSE_BORDER = re.compile(r"[,;:]\s+(?:(?:and|but|so)\s+)?|\s+(?:and|but|–|—)\s+", re.I)
_PERSON_BORDER = re.compile(
    r"[;:]\s+|,\s+(?=(?:so|but|please|and|i|my|we|our|keep|give|use)\b)"
    r"|\s+and\s+(?=(?:i|i'm|my|we|our)\b)",
    re.IGNORECASE,
)
_LONGEST = 500
"""Characters after which a sentence is cut, so that the time stays linear in the text."""
_NAMED = re.compile(r"\b(?:words?|phrase|term|expression|name)\s+\S$", re.IGNORECASE)
"""What is called a word is meant as one, however plain."""


class _Closed(Struct, frozen=True, forbid_unknown_fields=True):
    phrases: tuple[str, ...] = ()
    settled: tuple[str, ...] = ()
    opposite: str | None = None


class _Open(Struct, frozen=True, forbid_unknown_fields=True):
    phrases: tuple[str, ...]
    not_values: frozenset[str] | None = None
    opposite: str | None = None


class _Negation(Struct, frozen=True, forbid_unknown_fields=True):
    before: tuple[str, ...]
    reach: int
    after: tuple[str, ...]
    exceptions: tuple[str, ...]


class _Background(Struct, frozen=True, forbid_unknown_fields=True):
    tiers: tuple[str, ...]
    phrases: tuple[str, ...]
    exceptions: tuple[str, ...]


class _Lexicon(Struct, frozen=True, forbid_unknown_fields=True):
    ignored: tuple[str, ...]
    not_values: frozenset[str]
    macros: dict[str, str]
    negation: _Negation
    closed: dict[str, dict[str, _Closed]]
    open: dict[str, _Open]
    background: _Background


class _ClosedRule(NamedTuple):
    dimension: str
    value: str
    pattern: re.Pattern[str]
    opposite: str | None
    """The value that a negation asks for."""
    settled: bool
    """No negation is looked for."""


class _OpenRule(NamedTuple):
    dimension: str
    pattern: re.Pattern[str]
    opposite: str | None
    """The dimension that a negation asks for."""
    not_values: frozenset[str]
    """First words that no value of it has."""


class _Rules(NamedTuple):
    closed: tuple[_ClosedRule, ...]
    open: tuple[_OpenRule, ...]
    ignored: tuple[re.Pattern[str], ...]
    negated_before: re.Pattern[str]
    negator: re.Pattern[str]
    negated_after: re.Pattern[str]
    not_negated: re.Pattern[str]
    person_tiers: tuple[str, ...]
    person: re.Pattern[str]
    not_person: re.Pattern[str]


class _Find(NamedTuple):
    dimension: str
    value: str
    start: int
    end: int


def extract(meta_prompt: MetaPrompt) -> tuple[Preference, ...]:
    """The preferences that the tiers state, in the order of the text.

    Every preference carries its tier, the words that asked for it (its sentence, or its clause if
    the sentence asks for more than one thing) and their span. What a tier says of the person in
    passing comes as one implicit ``background``.
    """
    found: list[Preference] = []
    for tier in meta_prompt.tiers:
        found += _extract_tier(tier.tier, tier.text)
    return tuple(found)


def _extract_tier(tier: str, text: str) -> list[Preference]:
    rules = _rules()
    seen = plain(text)
    asked: list[Preference] = []
    person: list[tuple[int, int]] = []
    for start, sentence in _sentences(seen):
        finds = _merged(_finds(sentence, rules))
        about = _about(sentence, finds, rules) if tier in rules.person_tiers else []
        alone = len(finds) == 1 and not about
        for find in finds:
            begin, end = (0, len(sentence)) if alone else _clause(sentence, find)
            span = (start + begin, start + end)
            asked.append(
                Preference(tier, find.dimension, find.value, text[slice(*span)], True, span)
            )
        person += [(start + begin, start + end) for begin, end in about]
    if person:
        # The clauses are facts of one person and do not contradict each other: one background.
        span = (person[0][0], person[-1][1])
        value = "; ".join(text[begin:end].rstrip(".!? ") for begin, end in person)
        asked.append(Preference(tier, "background", value, text[slice(*span)], False, span))
    return sorted(asked, key=lambda p: p.span or (0, 0))


def _sentences(text: str) -> Iterator[tuple[int, str]]:
    """Every sentence and where it starts, list marks left out; what is overlong comes in pieces."""
    for match in _SENTENCE.finditer(text):
        start = match.start()
        while start < match.end():
            end = match.end()
            if end - start > _LONGEST:
                space = text.rfind(" ", start + 1, start + _LONGEST)
                end = space if space > 0 else start + _LONGEST
            piece = text[start:end].lstrip(" \t\r-*•")
            yield end - len(piece), piece.rstrip()
            start = end


def _finds(sentence: str, rules: _Rules) -> list[_Find]:
    """All that one sentence asks for."""
    finds: list[_Find] = []
    masks = [m.span("value") for pattern in rules.ignored for m in pattern.finditer(sentence)]
    for opened in rules.open:
        for match in opened.pattern.finditer(sentence):
            value = match["value"].strip("\"'")
            if not value.strip():
                continue
            named = _NAMED.search(sentence, 0, match.start("value") + 1) or value != match["value"]
            if not named and value.split()[0].casefold() in opened.not_values:
                continue
            masks.append(match.span("value"))
            dimension: str | None = opened.dimension
            if _negated(sentence, match.start(), match.end(), rules):
                dimension = opened.opposite
            if dimension is not None:
                finds.append(_Find(dimension, value, *match.span()))
    closed: list[tuple[_ClosedRule, int, int]] = []
    for rule in rules.closed:
        for match in rule.pattern.finditer(sentence):
            start, end = match.span()
            if not any(start < stop and begin < end for begin, stop in masks):
                closed.append((rule, start, end))
    # Of phrases that overlap, the longest knows best: "no lists" is about prose, not bullets.
    taken: list[tuple[str, int, int]] = []
    for rule, start, end in sorted(closed, key=lambda c: (c[1] - c[2], not c[0].settled, c[1])):
        if any(rule.dimension == d and start < e and s < end for d, s, e in taken):
            continue
        taken.append((rule.dimension, start, end))
        chosen: str | None = rule.value
        if not rule.settled and (
            rules.negator.search(sentence, start, end) or _negated(sentence, start, end, rules)
        ):
            chosen = rule.opposite
        if chosen is not None:
            finds.append(_Find(rule.dimension, chosen, start, end))
    return finds


def _merged(finds: list[_Find]) -> list[_Find]:
    """One find for each dimension and value, over all the words that asked for it."""
    merged: dict[tuple[str, str], _Find] = {}
    for find in finds:
        key = (find.dimension, find.value.casefold())
        old = merged.get(key, find)
        merged[key] = old._replace(start=min(old.start, find.start), end=max(old.end, find.end))
    # Where a phrase reads both ways, the sentence that names a word to avoid means just that.
    return [
        find
        for (dimension, value), find in merged.items()
        if dimension != "include" or ("avoid", value) not in merged
    ]


def _negated(sentence: str, start: int, end: int, rules: _Rules) -> bool:
    since = 0
    for border in _CLAUSE_BORDER.finditer(sentence, 0, start):
        # In "never stiff and formal" the negation reaches over the "and".
        if border.end() < start or border[0].strip().casefold() != "and":
            since = border.end()
    before = rules.not_negated.sub("", sentence[since:start])
    if rules.negated_before.search(before):
        return True
    return rules.negated_after.match(sentence, end) is not None


def _clause(sentence: str, find: _Find) -> tuple[int, int]:
    """The clause in which a find stands."""
    start, end = 0, len(sentence)
    for border in _CLAUSE_BORDER.finditer(sentence):
        if border.end() <= find.start:
            start = border.end()
        elif border.start() >= find.end:
            end = min(end, border.start())
    return start, end


def _about(sentence: str, finds: list[_Find], rules: _Rules) -> list[tuple[int, int]]:
    """The clauses that say who the person is and ask for nothing."""
    if not rules.person.search(sentence):
        return []
    borders = list(_PERSON_BORDER.finditer(sentence))
    starts = [0, *(b.end() for b in borders)]
    ends = [*(b.start() for b in borders), len(sentence)]
    found = []
    for start, end in zip(starts, ends, strict=True):
        clause = sentence[start:end]
        if any(find.start < end and start < find.end for find in finds):
            continue
        if rules.person.match(clause) and not rules.not_person.match(clause):
            if clause[:3].casefold() == "as " and "," in clause:
                end = start + clause.index(",")
            found.append((start, end))
    return found


@cache
def _rules() -> _Rules:
    """The lexicon, read and compiled on first use."""
    lexicon = read_lexicon("preferences", _Lexicon)
    macros = lexicon.macros
    closed = [
        _ClosedRule(dimension, value, any_of(phrases, macros), entry.opposite, settled)
        for dimension, values in lexicon.closed.items()
        for value, entry in values.items()
        for phrases, settled in ((entry.phrases, False), (entry.settled, True))
        if phrases
    ]
    opened = [
        _OpenRule(
            dimension, any_of([p], macros), entry.opposite, entry.not_values or lexicon.not_values
        )
        for dimension, entry in lexicon.open.items()
        for p in entry.phrases
    ]
    negation, person = lexicon.negation, lexicon.background
    before = "|".join(expand(p, macros) for p in negation.before)
    after = "|".join(expand(p, macros) for p in negation.after)
    return _Rules(
        tuple(closed),
        tuple(opened),
        tuple(any_of([phrase], macros) for phrase in lexicon.ignored),
        re.compile(rf"(?<![\w'-])(?:{before})(?:\s+[\w'-]+){{0,{negation.reach}}}\s*$", re.I),
        re.compile(rf"(?<![\w'-])(?:{before})(?![\w-])", re.I),
        re.compile(rf"(?:\s+\w+){{0,2}}\s+(?:{after})(?![\w-])", re.I),
        any_of(negation.exceptions, macros),
        person.tiers,
        any_of(person.phrases, macros),
        any_of(person.exceptions, macros),
    )
