"""Where the sentences of a text begin and end."""

import re
from collections.abc import Iterator

_STOP = re.compile(r"""[.!?"\n'](?:(?<!')|(?<!\w')(?=\w))""")
_SINGLE_QUOTED = re.compile(r"'[^'\n]{1,100}(?:(?<=\w)'(?=\w)[^'\n]{1,100})*'(?!\w)")
_ABBREVIATION = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|prof|st|e\.g|i\.e|a\.m|p\.m|vs|etc)|\bno)$", re.IGNORECASE
)
_NUMBERED = re.compile(r"(?:^|[:;,\s])\d$")
_LONGEST = 500
"""Characters after which a sentence is cut, so that the time stays linear in the text."""


def sentences(text: str) -> Iterator[tuple[int, str]]:
    """Every sentence and where it starts, list marks left out; what is overlong comes in pieces."""
    begin = 0
    for end in _ends(text):
        while begin < end:
            stop = end
            if stop - begin > _LONGEST:
                space = text.rfind(" ", begin + 1, begin + _LONGEST)
                stop = space if space > 0 else begin + _LONGEST
            piece = text[begin:stop].lstrip(" \t\r\n-*•")
            if piece:
                yield stop - len(piece), piece.rstrip()
            begin = stop


def _ends(text: str) -> Iterator[int]:
    """Where the sentences end; what is quoted stays in one piece."""
    closing = 0
    for stop in _STOP.finditer(text):
        at = stop.start()
        if at < closing:
            continue
        if stop[0] == '"':
            quoted = text.find('"', at + 1, at + _LONGEST)
            if quoted > 0 and "\n" not in text[at:quoted]:
                closing = quoted + 1
        elif stop[0] == "'":
            single = _SINGLE_QUOTED.match(text, at)
            closing = single.end() if single else closing
        elif stop[0] == "\n":
            yield at
        elif text[at + 1 : at + 2] not in ".!?" and not _goes_on(text, at):
            yield at + 1
    yield len(text)


def _goes_on(text: str, at: int) -> bool:
    """Whether the full stop at ``at`` ends no sentence."""
    after = text[at + 1 : at + 2]
    if after.isalnum() or after == "_":
        return True
    if text[at] != ".":
        return False
    if _ABBREVIATION.search(text, max(0, at - 5), at):
        return True
    # "Rank them: 1. safety 2. speed": what follows is an item, not a sentence.
    item = after == " " and text[at + 2 : at + 3].islower()
    return item and _NUMBERED.search(text, max(0, at - 2), at) is not None
