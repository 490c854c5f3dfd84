"""What one sentence asks for, before anybody looks whether it is meant for sure.

A closed value is found by its phrases, an open one by the phrase around it, and a negation turns
either into its opposite or into nothing.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from metaalign.policy.lexicon import lower
from metaalign.policy.priorities import PRIORITY, mask, ordered
from metaalign.policy.referring import NOTHING_BEFORE, Before, refer
from metaalign.policy.rules import Rules
from metaalign.policy.table import Candidates, Hit, Hits, Role

_QUOTED = re.compile(r"""\"[^\"]*\"|(?<!\w)'(?:[^']|(?<=\w)'(?=\w))+'(?!\w)""")
CLAUSE_BORDER = re.compile(
    r"[,;:\s](?:(?<=[,;:])\s+(?:(?:and|but|so)\s+)?|(?<=\s)\s*(?:and|but|–|—|-)\s+)"
)
_NAMED = re.compile(r"\b(?:words?|phrase|term|expression|name)\s+\S$")
"""What is called a word is meant as one, however plain."""
_PLACED = frozenset({"opening", "sign_off"})
"""Dimensions that say where in the answer their value stands."""
_SEVERAL = frozenset({"include", "avoid"})
"""Dimensions of which one wish may name several values."""
_AGAINST = "avoid"
"""The dimension that is meant all the more where a sentence is taken back."""
_MORE = re.compile(
    r"""\s*(?:,|,?\s+(?:and|or|nor|&))\s+(?:(?:the|words?|phrase|term|not|never)\s+)*"""
    r"""(?P<value>"[^"]+"|(?<!\w)'(?:[^']|(?<=\w)'(?=\w))+'(?!\w))"""
)
_SCRAP = 6
"""Words that a wish without a verb has at most."""
_REACHED = re.compile(r"[\w'-]+")
_BETWEEN = re.compile(r"(?:\s+(?!(?:and|but)\s)[\w'-]+)*(?:\s+and)?\s*")
"""What a negation reaches over: in "never stiff and formal" over the "and", but no further."""


class Sentence(NamedTuple):
    """A sentence and what of the lexicon stands in it."""

    text: str
    lowered: str
    candidates: Candidates
    """The phrases that its words bring up."""
    hits: Hits
    taken_back: bool = False
    """The next sentence says "not that"."""

    def spans(self, role: Role) -> list[tuple[int, int]]:
        """Where phrases of ``role`` stand."""
        return [(hit.start, hit.end) for hit in self.hits.get(role, ())]


class Find(NamedTuple):
    """A wish, and where in its sentence the words for it stand."""

    dimension: str
    value: str
    start: int
    end: int


def look(text: str, rules: Rules, before: Before = NOTHING_BEFORE) -> Sentence:
    """``text``, a sentence, with what the lexicon finds in it.

    ``before``: what the sentence before it spoke of, for "that comes first" may mean it.
    """
    lowered = lower(text)
    table = rules.table
    candidates = table.candidates(lowered)
    hits: Hits = {}
    table.find("asked", candidates, text, lowered, hits)
    named = hits.get("named", ())
    if named or before.speaks:
        masked = mask(lowered, named)
        referred = refer(masked, before, rules.priorities)
        if named or referred != masked:
            _put_in_order(hits, referred, candidates, rules)
    if "closed" in hits or "open" in hits:
        # Most sentences ask for nothing, and then nobody needs to know how it is meant.
        table.find("marks", candidates, text, lowered, hits)
    return Sentence(text, lowered, candidates, hits)


def _put_in_order(hits: Hits, masked: str, candidates: Candidates, rules: Rules) -> None:
    """Adds what comes first in a sentence that names something that may; see ``priorities``."""
    rules.table.find("order", candidates, masked, masked, hits)
    found = ordered(masked, hits.get("order", ()), rules.priorities)
    closed = hits.get("closed", [])
    if found:
        # "Be helpful, but never at the expense of safety" names both and puts one first.
        closed = [hit for hit in closed if hit.phrase.dimension != PRIORITY]
    else:
        rules.table.find("loose order", candidates, masked, masked, hits)
        found = ordered(masked, hits.get("order", ()), rules.priorities)
    if found:
        hits["closed"] = closed + found


def finds(sentence: Sentence, rules: Rules) -> list[Find]:
    """All that the sentence asks for: one find for each dimension and value, in no set order."""
    hits = sentence.hits
    if "closed" not in hits and "open" not in hits:
        return []
    if "topic" in hits and "not_topic" not in hits:
        return []
    if sentence.text.endswith("?") and not _of_answers(sentence, rules):
        return []
    masks = [hit.match.span("value") for hit in hits.get("ignored", ())]
    found = _apart(list(_open_finds(sentence, masks, rules))) if "open" in hits else []
    closed = list(_closed_finds(sentence, masks, rules)) if "closed" in hits else []
    for find in closed:
        weaker = rules.over.get((find.dimension, find.value))
        if weaker is not None:
            closed = [f for f in closed if f.dimension != find.dimension or f.value not in weaker]
    found += closed
    return _merged(found) if len(found) > 1 else found


def _open_finds(sentence: Sentence, masks: list[tuple[int, int]], rules: Rules) -> Iterator[Find]:
    """The open values; where they stand is added to ``masks``."""
    for hit in sentence.hits.get("open", ()):
        begin, end = hit.match.span("value")
        value = hit.match["value"].strip("\"'").strip("-–— ")
        if not value.strip():
            continue
        named = value != hit.match["value"] or _NAMED.search(sentence.lowered, 0, begin + 1)
        if not named and _too_plain(value, hit.phrase.not_values):
            continue
        if hit.phrase.dimension in _SEVERAL and (
            _permitted(sentence, hit.start) or _asks_back(sentence, begin)
        ):
            continue
        masks.append((begin, end))
        dimension: str | None = hit.phrase.dimension
        against = sentence.taken_back and dimension == _AGAINST
        if not against and _negated(sentence, hit.start, hit.end, rules):
            dimension = None if _needless(sentence, hit.start) else hit.phrase.opposite
        if dimension is not None:
            yield Find(dimension, value, hit.start, hit.end)
            if dimension in _SEVERAL:
                yield from _others(sentence, hit, dimension, masks)


def _permitted(sentence: Sentence, start: int) -> bool:
    """Whether what begins at ``start`` may be, but need not: "feel free to say ..."."""
    return any(hit.start <= start <= hit.end + 1 for hit in sentence.hits.get("permitted", ()))


def _asks_back(sentence: Sentence, at: int) -> bool:
    """Whether what is quoted stands for a question back: no "anything else?", please."""
    return any(
        hit.phrase.settled and hit.phrase.dimension == "follow_up" and hit.start <= at < hit.end
        for hit in sentence.hits.get("closed", ())
    )


def _others(
    sentence: Sentence, hit: Hit, dimension: str, masks: list[tuple[int, int]]
) -> Iterator[Find]:
    """The further words of a list: avoid "cheap", "free" and "deal"."""
    end = hit.match.end("value")
    while more := _MORE.match(sentence.text, end):
        masks.append(more.span("value"))
        end = more.end()
        yield Find(dimension, more["value"].strip("\"'"), hit.start, end)


def _too_plain(value: str, not_values: frozenset[str]) -> bool:
    first, *more = value.split()
    # "The Harbour Team" is a name.
    return lower(first) in not_values and not (more and first[0].isupper())


def _apart(found: list[Find]) -> list[Find]:
    """A word that begins or closes the answer is not asked for, or barred, in it as well."""
    found = _longest(found)
    places = [(f.start, f.end, f.value) for f in found if f.dimension in _PLACED]
    return [
        find
        for find in found
        if find.dimension in _PLACED
        or not any(
            value == find.value and start < find.end and find.start < end
            for start, end, value in places
        )
    ]


def _longest(found: list[Find]) -> list[Find]:
    """Of names in one place the whole: "signed by Dr. Quill" is not signed by a "Dr"."""
    kept: list[Find] = []
    for find in sorted(found, key=lambda f: -len(f.value)):
        if not any(
            find.dimension == k.dimension
            and find.start < k.end
            and k.start < find.end
            and (find.dimension in _PLACED or k.value.startswith(f"{find.value} "))
            for k in kept
        ):
            kept.append(find)
    return kept


def _closed_finds(sentence: Sentence, masks: list[tuple[int, int]], rules: Rules) -> Iterator[Find]:
    doubled = sentence.spans("doubled")
    # "Rank safety above a full answer" asks for no full answers.
    names = sentence.spans("named") if "order" in sentence.hits else []
    inside = quoted(sentence.text)
    taken: list[Hit] = []
    for hit in _ranked(sentence, rules):
        phrase, start, end = hit.phrase, hit.start, hit.end
        if (
            (masks and _covered(hit, masks))
            or (inside and _within(start, end, inside))
            or (doubled and phrase.settled and _doubled(start, end, doubled))
            or (names and phrase.dimension != PRIORITY and _within(start, end, names))
            or (taken and _takes(taken, hit))
        ):
            continue
        taken.append(hit)
        value: str | None = phrase.value
        if not phrase.settled and (
            _negated(sentence, start, end, rules)
            or (not phrase.negated_inside and _negator_in(sentence, start, end))
        ):
            value = None if _needless(sentence, start) else phrase.opposite
        if value is not None:
            yield Find(phrase.dimension, value, start, end)


def _covered(hit: Hit, masks: list[tuple[int, int]]) -> bool:
    """Whether words of ``hit`` mean something else; what comes first is told by the beginning."""
    end = hit.start + 1 if hit.phrase.dimension == PRIORITY else hit.end
    return any(hit.start < stop and begin < end for begin, stop in masks)


def _within(start: int, end: int, spans: list[tuple[int, int]]) -> bool:
    return any(begin <= start and end <= stop for begin, stop in spans)


def _doubled(start: int, end: int, doubled: list[tuple[int, int]]) -> bool:
    """Whether what negates in a settled phrase is itself negated: "do not end without"."""
    return any(
        (start <= begin and stop <= end) or (begin <= start < stop) for begin, stop in doubled
    )


def _takes(taken: list[Hit], hit: Hit) -> bool:
    """Whether words of ``hit`` have already told of its dimension."""
    dimension = hit.phrase.dimension
    return any(
        dimension == t.phrase.dimension and hit.start < t.end and t.start < hit.end for t in taken
    )


def _ranked(sentence: Sentence, rules: Rules) -> list[Hit]:
    """The phrases of closed values, those first that know best what their words mean."""
    hits = sentence.hits.get("closed", [])
    if any(hit.phrase.wished for hit in hits) and not _is_wish(sentence, rules):
        hits = [hit for hit in hits if not hit.phrase.wished]
    if len(hits) < 2:
        return hits
    closer = {hit.phrase.dimension for hit in hits if not hit.phrase.fallback}
    hits = [h for h in hits if not h.phrase.fallback or h.phrase.dimension not in closer]

    def rank(hit: Hit) -> tuple[bool, int, bool, int]:
        # Of phrases that overlap, the longest knows best: "no lists" is about prose, not bullets.
        # Before that come the values that say more than others beside them.
        weak = (hit.phrase.dimension, hit.phrase.value) not in rules.over
        return weak, hit.start - hit.end, not hit.phrase.settled, hit.start

    return sorted(hits, key=rank)


def quoted(text: str) -> list[tuple[int, int]]:
    """Where ``text`` quotes something."""
    if '"' not in text and "'" not in text:
        return []
    return [match.span() for match in _QUOTED.finditer(text)]


def _of_answers(question: Sentence, rules: Rules) -> bool:
    """Whether a question asks for something, or may speak of how to answer."""
    if "asked" in question.hits or _holds(question, "questions", rules):
        return True
    words = _REACHED.findall(question.lowered)
    return _is_scrap(words, rules) and words[0] not in rules.asking


def _is_scrap(words: list[str], rules: Rules) -> bool:
    """Whether so few words tell nothing: then they are a wish that has no verb."""
    return len(words) <= _SCRAP and rules.telling.isdisjoint(words)


def _is_wish(sentence: Sentence, rules: Rules) -> bool:
    """Whether the sentence speaks to whoever answers, or is a scrap such as "prose, thanks"."""
    # Most hold such a word with no sign beside it, and to split at spaces is quick.
    if not rules.wish_words.isdisjoint(sentence.lowered.split()):
        return True
    words = _REACHED.findall(sentence.lowered)
    said = not rules.wish_words.isdisjoint(words) or _is_scrap(words, rules)
    return said or _holds(sentence, "wishes", rules)


def _holds(sentence: Sentence, part: str, rules: Rules) -> bool:
    return rules.table.holds(part, sentence.candidates, sentence.lowered)


def _merged(found: list[Find]) -> list[Find]:
    """One find for each dimension and value, over all the words that asked for it."""
    merged: dict[tuple[str, str], Find] = {}
    for find in found:
        key = (find.dimension, find.value.casefold())
        old = merged.get(key, find)
        merged[key] = old._replace(start=min(old.start, find.start), end=max(old.end, find.end))
    # Where one word is read both ways, the longer phrase knows best.
    for dimension, value in list(merged):
        avoided = merged.get(("avoid", value))
        included = merged.get(("include", value))
        if dimension == "include" and avoided and included:
            shorter = included.end - included.start <= avoided.end - avoided.start
            del merged["include" if shorter else "avoid", value]
    return list(merged.values())


def _negated(sentence: Sentence, start: int, end: int, rules: Rules) -> bool:
    """Whether a negation stands shortly before or right behind [start, end)."""
    if sentence.taken_back:
        return True
    hits = sentence.hits
    doubled = hits.get("doubled", [])
    for negator in hits.get("negator", ()):
        if negator.end > start or _overlaps(negator, hits.get("not_negator", ())):
            continue
        if _overlaps(negator, doubled):
            continue
        between = sentence.lowered[negator.end : start]
        near = len(_REACHED.findall(between)) <= rules.reach
        if near and _BETWEEN.fullmatch(between):
            return True
    for after in hits.get("negated_after", ()):
        if _overlaps(after, doubled):
            continue
        between = sentence.lowered[end : after.start]
        # At most two words, and nothing else, stand between: "jokes in here are not welcome".
        if after.start > end and len(between.split()) <= 2 and between.replace(" ", "a").isalnum():
            return True
    return False


def _overlaps(hit: Hit, others: Iterable[Hit]) -> bool:
    return any(hit.start < other.end and other.start < hit.end for other in others)


def _needless(sentence: Sentence, start: int) -> bool:
    """Whether the negation before ``start`` only says that it need not be."""
    return any(hit.start <= start for hit in sentence.hits.get("needless", ()))


def _negator_in(sentence: Sentence, start: int, end: int) -> bool:
    # Or reaches into it, as "prefer miles to" does into "to kilometres".
    return any(start < hit.end <= end for hit in sentence.hits.get("negator", ()))


def clause(sentence: Sentence, start: int, end: int) -> tuple[int, int]:
    """The clause in which [start, end) stands."""
    left, right = 0, len(sentence.text)
    for border in CLAUSE_BORDER.finditer(sentence.lowered):
        if border.end() <= start:
            left = border.end()
        elif border.start() >= end:
            right = min(right, border.start())
    return left, right
