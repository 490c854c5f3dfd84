"""Which words a phrase cannot do without.

A text of a few words can match only few of the lexicon's many hundred phrases. So every phrase is
filed under the beginnings of words of which each of its matches holds at least one, and a sentence
tries only the phrases that its own words bring up. The words are read off the regular expression
itself: a list kept by hand would one day leave a wording out, and nobody would notice.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

WIDTH = 5
"""Characters of a word that count: enough to tell words apart, few enough for "answer(s|ing)"."""
_MOST = 80
"""Beginnings after which a place in a phrase says too little to be worth them."""
_COMMON = frozenset(
    "a all an and answe any are as at be by can do don for from get give have i if in is it just keep"
    " like make me more must my need no not of on one only or pleas shoul so t that the them they"
    " things this to us use want we what when with word words you your".split()
)
"""Beginnings that stand in most sentences; as triggers they would spare little."""

_WORD = re.compile(r"\w+")


def beginnings(lowered: str) -> set[str]:
    """What the words of a text begin with."""
    return {word[:WIDTH] for word in _WORD.findall(lowered)}


def triggers(pattern: str) -> frozenset[str] | None:
    """Beginnings of words of which any match of ``pattern`` holds one; None if none can be told.

    The pattern is one that ``lexicon.expand`` gives, to be matched from border to border of words
    in a lower-case text.
    """
    return _best(_Parser(pattern).alternatives(), (), at_border=True)


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
            repeated = self._repeat(node) if node is not None else None
            if repeated is not None:
                nodes.append(repeated)
        return _Seq(tuple(nodes))

    def _atom(self) -> _Node | None:
        if self._take("("):
            return self._group()
        if self._take("["):
            return self._class()
        char = self.pattern[self.at]
        self.at += 1
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
        return _Chars(frozenset(char)) if not char.isalnum() else _Chars(None)

    def _group(self) -> _Node | None:
        opening = re.compile(r"\?(?::|-i:|P<\w+>|<?[=!])").match(self.pattern, self.at)
        self.at = opening.end() if opening else self.at
        inner = self.alternatives()
        if not self._take(")"):
            raise ValueError(f"a bracket is not closed in {self.pattern!r}")
        return None if opening and opening[0][-1] in "=!" else inner

    def _class(self) -> _Node:
        body = re.compile(r"\^?\]?(?:\\.|[^\]\\])*").match(self.pattern, self.at)
        assert body is not None
        self.at = body.end() + 1
        listed = body[0].replace(r"\s", " ")
        plain = re.fullmatch(r"[^\\^-]+|-[^\\^-]*|[^\\^-]+-", listed)
        return _Chars(frozenset(listed) if plain else None)

    def _repeat(self, node: _Node) -> _Node:
        found = re.compile(r"(?:([*+?])|\{(\d*)(,?)(\d*)\})[?+]?").match(self.pattern, self.at)
        if found is None:
            return node
        self.at = found.end()
        if found[1]:
            return _Repeated(node, int(found[1] == "+"), found[1] == "?")
        return _Repeated(node, int(found[2] or 0), found[4] in ("0", "1"))


def _best(node: _Node, after: tuple[_Node, ...], at_border: bool) -> frozenset[str] | None:
    """The triggers of the most telling place in ``node``, which ``after`` follows."""
    if isinstance(node, _Alt):
        found = [_best(branch, after, at_border) for branch in node.nodes]
        known = [f for f in found if f is not None]
        return frozenset().union(*known) if len(known) == len(found) else None
    if not isinstance(node, _Seq):
        return None
    places: list[frozenset[str]] = []
    for i, part in enumerate(node.nodes):
        rest = (*node.nodes[i + 1 :], *after)
        if at_border:
            places += _at(part, rest)
        if isinstance(part, _Alt | _Seq):
            inner = _best(part, rest, at_border)
            places += [inner] if inner is not None else []
        at_border = part == _SPACE or (isinstance(part, _Repeated) and part.node == _SPACE)
    return min(places, key=_cost, default=None)


def _at(part: _Node, rest: tuple[_Node, ...]) -> Iterator[frozenset[str]]:
    closed: set[str] = set()
    try:
        left = frozenset({""})
        for node in (part, *rest):
            left = _advance(node, left, closed)
            if not left:
                break
    except _AnythingError:
        return
    if "" not in left:
        yield frozenset(closed | left)


def _cost(found: Iterable[str]) -> int:
    return sum(20 if beginning in _COMMON else 1 for beginning in found)


def _advance(node: _Node, heads: frozenset[str], closed: set[str]) -> frozenset[str]:
    """The unfinished beginnings after ``node``; the finished ones go to ``closed``."""
    if len(heads) + len(closed) > _MOST:
        raise _AnythingError
    if isinstance(node, _Chars):
        return _advance_chars(node, heads, closed)
    if isinstance(node, _Alt):
        return frozenset().union(*(_advance(n, heads, closed) for n in node.nodes))
    if isinstance(node, _Seq):
        for part in node.nodes:
            heads = _advance(part, heads, closed)
            if not heads:
                break
        return heads
    reached = frozenset() if node.least else heads
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
        for head in heads:
            if not _WORD.match(char):
                if not head:
                    raise _AnythingError
                closed.add(head)
            elif len(head) + 1 == WIDTH:
                closed.add(head + char)
            else:
                longer.add(head + char)
    return frozenset(longer)
