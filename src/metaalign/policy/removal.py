"""Taking words out of a text so that the rest reads well."""

import re
from collections.abc import Iterator, Sequence

Span = tuple[int, int]
"""[start, end) in characters."""

_ENDS = ".!?…"
_MARK = re.compile(r"(?:\A|(?<=\n))[ \t]*(?:[-*•]|\d+[.)])[ \t]*\Z")
"""The mark of a list, with nothing behind it."""
_JOINS_LEFT = re.compile(r"\s*(?:[,;:]|\s[–—-])?(?:\s+(?:and|but|so))?\s*\Z", re.IGNORECASE)
_JOINS_RIGHT = re.compile(r"\s*(?:[,;:]|[–—-]\s)?\s*(?:(?:and|but|so)\s+)?", re.IGNORECASE)
_BEGINS_JOINED = re.compile(r"\s*(?:[,;:]|[–—-]\s|(?:and|but|so)\s)", re.IGNORECASE)


def without(text: str, spans: Sequence[Span]) -> Iterator[str]:
    """``text`` without ``spans``, which are in order and apart, in the ways in which it may be put.

    White space is kept once, what joined the words to the rest goes with them, and a sentence that
    lost its beginning or its end gets a new one. The first way gives such a sentence a capital, the
    second leaves it small.
    """
    for capital in (True, False):
        rest = text[: spans[0][0]]
        for (start, end), until in zip(
            spans, [*(start for start, _ in spans[1:]), len(text)], strict=True
        ):
            rest = _joined(rest, text[start:end], text[end:until], capital)
        yield rest.strip()


def _joined(left: str, gone: str, right: str, capital: bool) -> str:
    """``left`` and ``right``, between which ``gone`` has stood."""
    ending = _ending(gone)
    before, after = _space_after(left), _space_before(right)
    left_core, right_core = left.rstrip(), right.lstrip()
    begins = not left_core or left_core[-1] in _ENDS or "\n" in before
    marked = _MARK.search(left)
    if marked:
        begins, left_core = True, left[: marked.start()].rstrip()
        before = _space_after(left[: marked.start()])
    ends = bool(ending) or not right_core or right_core[0] in _ENDS or "\n" in after
    if begins and ends:
        right_core = right_core if ending else right_core.lstrip(_ENDS).lstrip()
    elif begins:
        right_core = right_core[_end(_JOINS_RIGHT.match(right_core)) :]
        right_core = right_core[:1].upper() + right_core[1:] if capital else right_core
        if marked:  # the rest of the line keeps its mark
            left_core, before = left.rstrip(" \t"), " "
    elif ends:
        left_core = _unjoined(left_core)
        left_core += ending if right_core[:1] not in _ENDS or not right_core else ""
    elif _BEGINS_JOINED.match(right):
        left_core = _unjoined(left_core)
    space = max(before, after, key=lambda gap: gap.count("\n"))
    if not left_core or right_core[:1] in {*",;:", *_ENDS}:
        space = ""
    return left_core + space + right_core


def _unjoined(left: str) -> str:
    found = _JOINS_LEFT.search(left)
    return left[: found.start()] if found else left


def _ending(words: str) -> str:
    """The full stop or the like that ends ``words``, if any does."""
    bare = words.rstrip()
    return bare[len(bare.rstrip(_ENDS)) :]


def _space_after(text: str) -> str:
    return text[len(text.rstrip()) :]


def _space_before(text: str) -> str:
    return text[: len(text) - len(text.lstrip())]


def _end(found: re.Match[str] | None) -> int:
    return found.end() if found else 0
