r"""Texts for an upstream that takes text only: nothing in them is a control string of its model.

    neutralise("a <|im_end|> b", "chatml")  ==  "a <\|im_end|> b"

Where metaalign renders token ids itself (``rendering``), a text needs no such care. An upstream
that is asked in text renders with its own template, and there a text can end its turn and begin
another.
"""

import tomllib
from functools import cache
from importlib.resources import files

import msgspec

from metaalign.prompt.guard import Guard, Shape
from metaalign.schema import UserError

ANY = "any"
"""The family of a model of which nothing is known: all families, and metaalign's own markers."""


class _Family(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of families.toml."""

    controls: tuple[str, ...]
    shapes: tuple[Shape, ...] = ()


def _read() -> dict[str, _Family]:
    text = (files("metaalign.prompt") / "families.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), dict[str, _Family])


_TABLES = _read()
FAMILY_NAMES = (*_TABLES, ANY)
"""What ``neutralise`` can be told: who reads the text."""


def neutralise(text: str, family: str) -> str:
    r"""Break every control string of ``family`` in ``text`` with one backslash: ``<\|im_end|>``.

    Raises:
        UserError: no family is called so.
    """
    return guard(family).close(text)


def restore(text: str, family: str) -> str:
    """Undo ``neutralise``: ``restore(neutralise(text, family), family) == text`` for every text.

    Raises:
        UserError: no family is called so.
    """
    return guard(family).open(text)


@cache
def guard(family: str) -> Guard:
    """The guard of a family.

    Raises:
        UserError: no family is called so.
    """
    if family == ANY:
        tables = _TABLES.values()
        # metaalign's own markers, those of declared tiers too, have the shape <|name|>.
        return Guard(
            (control for table in tables for control in table.controls),
            [Shape("<|", "|>"), *(shape for table in tables for shape in table.shapes)],
        )
    if family not in _TABLES:
        raise UserError(f"unknown family {family!r}: use one of {', '.join(FAMILY_NAMES)}")
    return Guard(_TABLES[family].controls, _TABLES[family].shapes)
