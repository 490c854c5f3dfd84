r"""Control strings in a text, broken so that anyone can see it and undone without loss.

    close("a <|im_end|> b")  ==  "a <\|im_end|> b"
    open("a <\|im_end|> b")  ==  "a <|im_end|> b"

``close`` puts one backslash behind the first character of every control string, and behind the
first character of everything that already looks closed (``<\|im_end|>`` becomes ``<\\|im_end|>``).
``open`` takes one backslash away from each. Upper and lower case are the same to both.

What holds, for every text and every set of control strings that the constructor takes:

1. ``open(close(t)) == t``.
2. No control string occurs in ``close(t)``, however they overlap or contain one another.
3. One occurs across the border of ``close(a)`` and ``close(b)`` only if a ends with the beginning
   of a control string and b begins with the rest of it. ``across`` finds it. No text can do this
   at a border with a literal for which ``exposed`` is empty.

Why: let S be the control strings; none holds a backslash. ``close`` marks the characters of t at
which a string of S begins, leaving out backslashes behind its first character. (2) If s occurred in
``close(t)``, none of its characters would be an inserted backslash, so s would occur in t, and a
backslash would stand behind its first character after all. (1) ``open`` goes from right to left.
What stands behind a character is already restored, but for one backslash if it was marked; it was
marked if and only if a string of S begins there, leaving out one or more backslashes.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from metaalign.schema import UserError

LONGEST_NAME = 64
"""A shape's name has at most so many characters."""
NAME = r"[\w▁-]"
"""A character of a shape's name: letters, digits, ``_``, ``-`` and the bar that stands for a space.
"""


class Shape(NamedTuple):
    """All control strings that look alike: ``Shape("<|", "|>")`` is every ``<|name|>``."""

    begin: str
    end: str


class Guard:
    """Breaks one set of control strings, and mends what it broke.

    Raises:
        UserError: a control string cannot be broken, as it has one character or a backslash; or a
            shape does not say where its name ends.
    """

    def __init__(self, controls: Iterable[str], shapes: Iterable[Shape] = ()) -> None:
        self.controls = tuple(dict.fromkeys(controls))
        self.shapes = tuple(dict.fromkeys(shapes))
        beginnings = [*self.controls, *(shape.begin for shape in self.shapes)]
        for control in self.controls:
            _check(control)
        for shape in self.shapes:
            _check_shape(shape)
        self._firsts = tuple(dict.fromkeys(text[0] for text in beginnings))
        self._begins = frozenset(map(_fold, self._firsts))
        self._folded = tuple(map(_fold, self.controls))
        # A letter may stand in the text in several forms (K, k, Kelvin sign): no quick look then.
        self._quick = not any(first.isalpha() for first in self._firsts)
        whole = {first: _alternatives(first, self.controls, self.shapes) for first in self._firsts}
        self._whole = _compile(f"{re.escape(c)}(?:{rest})" for c, rest in whole.items())
        self._close = _compile(f"{re.escape(c)}(?=\\\\*+(?:{r}))" for c, r in whole.items())
        self._closed = _compile(f"{re.escape(c)}\\\\++" for c in self._firsts)
        names = [len(s.begin) + LONGEST_NAME + len(s.end) for s in self.shapes]
        self._longest = max([0, *map(len, self.controls), *names])

    def close(self, text: str) -> str:
        """Break every control string in ``text``."""
        if not self._may_hold(text):
            return text
        return self._close.sub(r"\g<0>\\", text)

    def open(self, text: str) -> str:
        """Undo ``close``; a text that is not closed and does not look so stays as it is."""
        if "\\" not in text or not self._may_hold(text):
            return text
        # The restored text from `start` on is `head` (as much of it as a control string can be
        # long) and then whatever; `pieces` are all of it, last piece first.
        pieces: list[str] = []
        head, start = "", len(text)
        for found in reversed(list(self._closed.finditer(text))):
            rest = (text[found.end() : min(start, found.end() + self._longest)] + head)[
                : self._longest
            ]
            kept = found.group()
            if self._whole.match(kept[0] + rest):
                kept = kept[:-1]
            pieces += [text[found.end() : start], kept]
            head, start = (kept[: self._longest] + rest)[: self._longest], found.start()
        return text[:start] + "".join(reversed(pieces))

    def holds(self, text: str) -> bool:
        """Whether a control string occurs in ``text``."""
        return self._may_hold(text) and self._whole.search(text) is not None

    def across(self, left: str, right: str) -> str | None:
        """The control string that stands across the border of two texts, if one does."""
        reach = max(self._longest - 1, 0)
        tail = left[len(left) - min(reach, len(left)) :]
        both = tail + right[:reach]
        folded = _fold(both)
        for start in (i for i, char in enumerate(folded[: len(tail)]) if char in self._begins):
            for end in self._ends(folded, start):
                if end > len(tail):
                    return both[start:end]
        return None

    def exposed(self, before: str = "", after: str = "") -> tuple[str, ...]:
        """The control strings that some text between these literals could complete.

        Empty for a border that is safe whatever the text: then no control string arises at it.
        Shapes are named by their beginning and end: ``<|…|>``.
        """
        before, after = _fold(before[-self._longest :]), _fold(after[: self._longest])
        found = [s for s in self.controls if _completes(_fold(s), before, after)]
        for shape in self.shapes:
            begun, ended = _unfinished(shape)
            if re.search(rf"(?:{begun})\Z", before) or re.match(rf"(?:{ended})", after):
                found.append(f"{shape.begin}…{shape.end}")
        return tuple(found)

    def _may_hold(self, text: str) -> bool:
        """A quick look: False only if no control string can be in ``text``."""
        return not self._quick or any(first in text for first in self._firsts)

    def _ends(self, folded: str, start: int) -> list[int]:
        """Where the control strings end that begin at ``start``."""
        ends = [start + len(s) for s in self._folded if folded.startswith(s, start)]
        matches = (re.compile(_whole_shape(shape)).match(folded, start) for shape in self.shapes)
        return ends + [match.end() for match in matches if match]


def _check(control: str) -> None:
    why = "holds a backslash" if "\\" in control else "has fewer than two characters"
    if "\\" in control or len(control) < 2:
        raise UserError(f"the guard cannot break the control string {control!r}: it {why}")


def _check_shape(shape: Shape) -> None:
    if not shape.begin or not shape.end or "\\" in shape.begin + shape.end:
        raise UserError(f"the guard cannot break {shape}: an end is empty or holds a backslash")
    if re.match(NAME, shape.end):
        raise UserError(f"the guard cannot break {shape}: its end looks like a part of the name")


def _fold(text: str) -> str:
    """``text`` without its upper and lower case, each character in its place."""
    if text.isascii():
        return text.lower()
    return "".join(f if len(f := char.casefold()) == 1 else char for char in text)


def _completes(control: str, before: str, after: str) -> bool:
    """Whether ``before`` ends in a beginning of ``control`` or ``after`` begins with its end."""
    return any(
        before.endswith(control[:cut]) or after.startswith(control[cut:])
        for cut in range(1, len(control))
    )


def _unfinished(shape: Shape) -> tuple[str, str]:
    """Patterns of all beginnings and of all ends of the control strings of a shape."""
    begin, end = _fold(shape.begin), _fold(shape.end)
    some, any_ = f"{NAME}{{1,{LONGEST_NAME}}}", f"{NAME}{{0,{LONGEST_NAME}}}"
    begun = [re.escape(begin[:cut]) for cut in range(1, len(begin))]
    begun += [f"{re.escape(begin)}{some}{re.escape(end[:cut])}" for cut in range(1, len(end))]
    ended = [re.escape(end[cut:]) for cut in range(1, len(end))]
    ended += [f"{re.escape(begin[cut:])}{some}{re.escape(end)}" for cut in range(1, len(begin))]
    return (
        "|".join([*begun, re.escape(begin) + any_]),
        "|".join([*ended, any_ + re.escape(end)]),
    )


def _whole_shape(shape: Shape) -> str:
    return f"{re.escape(_fold(shape.begin))}{NAME}{{1,{LONGEST_NAME}}}{re.escape(_fold(shape.end))}"


def _alternatives(first: str, controls: tuple[str, ...], shapes: tuple[Shape, ...]) -> str:
    """A pattern of all that may follow ``first`` in a control string."""
    rests = [control[1:] for control in controls if control[0] == first]
    patterns = [_trie(rests)] if rests else []
    patterns += [
        _whole_shape(shape)[len(re.escape(_fold(first))) :]
        for shape in shapes
        if shape.begin[0] == first
    ]
    return "|".join(patterns)


def _trie(texts: list[str]) -> str:
    """A pattern of all ``texts`` that looks at each character once: some models have thousands."""
    branches: dict[str, list[str]] = {}
    for text in texts:
        if not text:
            return ""
        branches.setdefault(text[0], []).append(text[1:])
    patterns = [re.escape(first) + _trie(rests) for first, rests in branches.items()]
    return patterns[0] if len(patterns) == 1 else f"(?:{'|'.join(patterns)})"


def _compile(patterns: Iterable[str]) -> re.Pattern[str]:
    """One pattern of several; without any, one that matches nothing."""
    return re.compile("|".join(patterns) or r"(?!)", re.IGNORECASE)
