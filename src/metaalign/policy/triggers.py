"""Which words a phrase cannot do without.

A text of a few words can match only few of the lexicon's many hundred phrases. So every phrase is
filed under the words with which its matches begin, and under others of which each match holds one.
A sentence then tries only the phrases that its own words bring up, and only where such a word
stands. The words are read off the regular expression itself: a list kept by hand would one day
leave a wording out, and nobody would notice.
"""

import re
from collections.abc import Iterable
from itertools import accumulate, islice
from typing import NamedTuple

WIDTH = 5
"""Characters of a word that count: enough to tell words apart, few enough for "answer(s|ing)"."""
_MOST = 400
"""Beginnings after which a place in a phrase says too little to be worth them."""
_EVERYWHERE = frozenset((
    "a", "and", "at", "be", "for", "i", "in", "is", "it", "me", "my", "no", "not", "of", "so", "t",
    "that", "the", "to", "with", "you", "your",
))  # fmt: skip
"""Words that stand in most sentences; as triggers they would spare nothing."""
_OFTEN = frozenset((
    "all", "an", "answe", "any", "every", "are", "as", "by", "can", "do", "don", "from", "get",
    "give", "have", "if", "just", "keep", "like", "make", "more", "must", "need", "on", "one",
    "only", "or", "pleas", "shoul", "them", "they", "thing", "this", "us", "use", "want", "we",
    "what", "when", "word", "words",
))  # fmt: skip
"""Words that stand in many."""

NUMBER = "0"
"""The beginning of every word that begins with a digit."""
QUOTE = '"'
"""Counts as a word: what begins with a quotation begins with it."""
_SIGNS = {'"': QUOTE, "'": QUOTE, ">": ">"}
"""Signs with which a match may begin, and that count as words: "my view > yours"."""
_WORD = re.compile(r"(\w+)")
_PIECE = re.compile(r"""(\w+|[">]|(?<!\w)')""")
_OPENING = re.compile(r"\?(?::|-i:|P<\w+>|<?[=!])")
_CLASS = re.compile(r"\^?\]?(?:\\.|[^\]\\])*")
_DIGITS = re.compile(r"\d(?:-\d)?")
_PLAIN_CLASS = re.compile(r"[^\\^-]+|-[^\\^-]*|[^\\^-]+-")
_REPEAT = re.compile(r"(?:([*+?])|\{(\d*)(,?)(\d*)\})[?+]?")


def beginnings(lowered: str) -> list[tuple[int, str]]:
    """Where the words of a text stand, and what they begin with."""
    plain = '"' not in lowered and "'" not in lowered and ">" not in lowered
    piece = _WORD if plain else _PIECE  # which takes longer
    pieces = piece.split(lowered)  # what is between words, a word, what is between, ...
    starts = islice(accumulate(map(len, pieces)), 0, None, 2)
    words = [word[:WIDTH] if word.isalpha() else _beginning(word) for word in pieces[1::2]]
    return list(zip(starts, words, strict=False))


def beginning(lowered: str) -> str:
    """What the first word of a text begins with, if the text begins with it; else nothing."""
    piece = _PIECE.match(lowered)
    return _beginning(piece[0]) if piece else ""


def _beginning(word: str) -> str:
    return _SIGNS.get(word) or (NUMBER if word[0].isdigit() else word[:WIDTH])


class Triggers(NamedTuple):
    """What a text must hold to match a phrase."""

    first: frozenset[str] | None
    """Beginnings of words, with one of which every match begins; None if that may be anything."""
    needed: tuple[frozenset[str], ...]
    """Every match holds a word of each of these, the rarest first."""


def triggers(pattern: str) -> Triggers:
    """The triggers of ``pattern``: one that ``lexicon.expand`` gives.

    It is matched from border to border of words in a lower-case text.
    """
    tree = _Parser(pattern).alternatives()
    first = next(iter(_at(tree, ())), None)
    places = sorted(set(_needed(tree, (), at_border=True)) - {first}, key=_cost)
    needed = [p for i, p in enumerate(places) if not any(p >= rarer for rarer in places[:i])]
    return Triggers(first, tuple(needed))


class _Chars(NamedTuple):
    """One character out of a set; None for a set too wide to list."""

    allowed: frozenset[str] | None


class _Repeated(NamedTuple):
    node: "_Node"
    least: int
    once: bool
    """It comes at most one time."""


class _Seq(NamedTuple):
    nodes: tuple["_Node", ...]


class _Alt(NamedTuple):
    nodes: tuple[_Seq, ...]


_Node = _Chars | _Repeated | _Seq | _Alt
_SPACE = _Chars(frozenset(" "))


class _AnythingError(Exception):
    """Any word may stand here."""


class _Parser:
    """Reads the part of the language of regular expressions that the lexicons use.

    What takes no room (borders, looks ahead and behind) is left out: then more texts match than
    should, and a trigger is never missed.
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0

    def alternatives(self) -> _Alt:
        branches = [self._sequence()]
        while self._take("|"):
            branches.append(self._sequence())
        return _Alt(tuple(branches))

    def _take(self, text: str) -> bool:
        if not self.pattern.startswith(text, self.at):
            return False
        self.at += len(text)
        return True

    def _sequence(self) -> _Seq:
        nodes: list[_Node] = []
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            node = self._atom()
            if node is not None:
                nodes.append(self._repeat(node))
        return _Seq(tuple(nodes))

    def _atom(self) -> _Node | None:
        char = self.pattern[self.at]
        self.at += 1
        if char == "(":
            return self._group()
        if char == "[":
            return self._class()
        if char in "^$":
            return None
        if char == ".":
            return _Chars(None)
        if char == "\\":
            return self._escape()
        return _Chars(frozenset(char))

    def _escape(self) -> _Node | None:
        char = self.pattern[self.at]
        self.at += 1
        if char in "AZbB":
            return None
        if char == "s":
            return _SPACE
        if char == "d":
            return _Chars(frozenset(NUMBER))
        return _Chars(frozenset(char)) if not char.isalnum() else _Chars(None)

    def _group(self) -> _Node | None:
        opening = _OPENING.match(self.pattern, self.at)
        self.at = opening.end() if opening else self.at
        inner = self.alternatives()
        if not self._take(")"):
            raise ValueError(f"a bracket is not closed in {self.pattern!r}")
        return None if opening and opening[0][-1] in "=!" else inner

    def _class(self) -> _Node:
        body = _CLASS.match(self.pattern, self.at)
        assert body is not None  # it may be empty, but it matches anywhere
        self.at = body.end() + 1
        if _DIGITS.fullmatch(body[0]):
            return _Chars(frozenset(NUMBER))
        listed = body[0].replace(r"\s", " ")
        return _Chars(frozenset(listed) if _PLAIN_CLASS.fullmatch(listed) else None)

    def _repeat(self, node: _Node) -> _Node:
        if self.pattern[self.at : self.at + 1] not in ("*", "+", "?", "{"):
            return node
        found = _REPEAT.match(self.pattern, self.at)
        if found is None:
            return node
        self.at = found.end()
        if found[1]:
            return _Repeated(node, int(found[1] == "+"), found[1] == "?")
        return _Repeated(node, int(found[2] or 0), found[4] in ("0", "1"))


def _needed(node: _Node, after: tuple[_Node, ...], at_border: bool) -> list[frozenset[str]]:
    """What every place of ``node``, which ``after`` follows, asks of a text."""
    if isinstance(node, _Alt):
        branches = [_needed(branch, after, at_border) for branch in node.nodes]
        if len(branches) == 1:
            return branches[0]
        if not all(branches):
            return []
        # Of each branch its most telling place: a text needs one of them.
        return [frozenset[str]().union(*(min(places, key=_cost) for places in branches))]
    if not isinstance(node, _Seq):
        return []
    needed: list[frozenset[str]] = []
    for i, part in enumerate(node.nodes):
        rest = (*node.nodes[i + 1 :], *after)
        if at_border:
            needed += _at(part, rest)
        if isinstance(part, _Alt | _Seq):
            needed += _needed(part, rest, at_border)
        at_border = _ends_word(part, at_border)
    return needed


def _ends_word(node: _Node, at_border: bool) -> bool:
    """Whether a word may only begin behind ``node``, if one may only begin ``at_border`` before."""
    if isinstance(node, _Chars):
        return node.allowed is not None and not any(c.isalnum() or c == "_" for c in node.allowed)
    if isinstance(node, _Repeated):
        return _ends_word(node.node, at_border) and (at_border or node.least > 0)
    if isinstance(node, _Alt):
        return all(_ends_word(branch, at_border) for branch in node.nodes)
    for part in node.nodes:
        at_border = _ends_word(part, at_border)
    return at_border


def _at(part: _Node, rest: tuple[_Node, ...]) -> list[frozenset[str]]:
    """The beginnings of the word that stands at ``part``, at most one set of them."""
    closed: set[str] = set()
    try:
        left = frozenset({""})
        for node in (part, *rest):
            left = _advance(node, left, closed)
            if not left:
                break
    except _AnythingError:
        return []
    return [frozenset(closed | left)] if "" not in left else []


def _cost(found: Iterable[str]) -> int:
    return sum(
        100 if beginning in _EVERYWHERE else 20 if beginning in _OFTEN else 1 for beginning in found
    )


def _advance(node: _Node, heads: frozenset[str], closed: set[str]) -> frozenset[str]:
    """The unfinished beginnings after ``node``; the finished ones go to ``closed``."""
    if len(heads) + len(closed) > _MOST:
        raise _AnythingError
    if isinstance(node, _Chars):
        return _advance_chars(node, heads, closed)
    if isinstance(node, _Alt):
        return frozenset[str]().union(*(_advance(n, heads, closed) for n in node.nodes))
    if isinstance(node, _Seq):
        for part in node.nodes:
            heads = _advance(part, heads, closed)
            if not heads:
                break
        return heads
    reached = frozenset[str]() if node.least else heads
    while heads:
        heads = _advance(node.node, heads, closed) - reached
        reached |= heads
        if node.once:
            break
    return reached


def _advance_chars(node: _Chars, heads: frozenset[str], closed: set[str]) -> frozenset[str]:
    if node.allowed is None:
        raise _AnythingError
    longer = set()
    for char in node.allowed:
        word = char.isalnum() or char == "_"
        for head in heads:
            if not head and char.isdigit():
                closed.add(NUMBER)
            elif not word:
                if not head and char not in _SIGNS:
                    raise _AnythingError
                closed.add(head or _SIGNS[char])
            elif len(head) + 1 == WIDTH:
                closed.add(head + char)
            else:
                longer.add(head + char)
    return frozenset(longer)
