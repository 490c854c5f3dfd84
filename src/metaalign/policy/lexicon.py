"""Reading the lexicons that come with the package: phrases in TOML to regular expressions."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import TypeVar

import msgspec

_T = TypeVar("_T")

# Where a clause may begin or end inside its sentence.
_CLAUSE_START = r"(?:^|(?<=[,;:]\s)|(?<=\sand\s)|(?<=\sbut\s)|(?<=\sso\s))"
_CLAUSE_END = r"(?=\s*(?:$|[,;:.!?]|\band\b|\bbut\b))"


def read_lexicon(name: str, kind: type[_T]) -> _T:
    """The packaged lexicon ``name`` as a ``kind``; unknown keys are errors."""
    source = files("metaalign.policy") / "lexicons" / f"{name}.toml"
    return msgspec.convert(tomllib.loads(source.read_text(encoding="utf-8")), kind)


def expand(phrase: str, macros: Mapping[str, str]) -> str:
    """The regular expression of a phrase.

    ``{name}`` becomes the macro, which may use those that stand before it; a space any white space;
    a leading ``^`` and a closing ``$`` the border of a clause. A line break and the white space
    around it only fold a long phrase. ``KeyError`` for an unknown macro.
    """
    phrase = unfold(phrase)
    while True:
        expanded = re.sub(r"\{([a-z_]+)\}", lambda m: unfold(macros[m[1]]), phrase)
        if expanded == phrase:
            break
        phrase = expanded
    if phrase.startswith("^"):
        phrase = _CLAUSE_START + phrase[1:]
    if phrase.endswith("$"):
        phrase = phrase[:-1] + _CLAUSE_END
    return phrase.replace(" ", r"\s+")


def unfold(phrase: str) -> str:
    """A phrase in one line: the line breaks of the file are no part of it."""
    return "".join(line.strip() for line in phrase.split("\n"))


def any_of(
    phrases: Iterable[str], macros: Mapping[str, str], *, lowered: bool = False
) -> re.Pattern[str]:
    """One pattern that finds any of ``phrases`` (at least one) between borders of words."""
    return between_borders("|".join(expand(p, macros) for p in phrases), lowered=lowered)


def between_borders(expanded: str, *, lowered: bool = False) -> re.Pattern[str]:
    """The pattern that finds what ``expand`` gave between borders of words.

    ``lowered``: in texts that ``lower`` gave. Nothing is folded then, which is twice as fast.
    """
    return re.compile(rf"(?<![\w'-])(?:{expanded})(?![\w-])", 0 if lowered else re.IGNORECASE)


_PLAIN = str.maketrans({"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"', "\u2011": "-"})


def plain(text: str) -> str:
    """``text`` with plain quotes and hyphens, every character in its place."""
    return text if text.isascii() else text.translate(_PLAIN)


def lower(text: str) -> str:
    """``text`` in small letters, every character in its place."""
    small = text.lower()
    if len(small) == len(text):
        return small
    return "".join(c if len(c.lower()) > 1 else c.lower() for c in text)
