"""What a recipe says of groups that a teacher writes: ``[[write]]``."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from metaalign.schema import Family, UserError

OWN = "own"
"""The source of queries that is a file of one's own: ``query``, and ``kind`` if it is known."""

_Share = Annotated[float, Meta(ge=0, le=1)]


class WriteTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ``[[write]]``: which queries, under which Meta-Prompts, and how the answers are made."""

    name: Annotated[str, Meta(pattern=r"^[\w-]+$")]
    """Name of the plan, and ``Group.source`` of what is written."""
    family: Family
    queries: str = OWN
    """A source of queries (``prism``, ``advbench``, ``false-refusal``, ``roleplay``), or ``own``:
    records with ``query``, and ``kind`` where it is known (else the rules tell it)."""
    place: str
    """Where the queries are found, as for ``[[sources]]``."""
    limit: Annotated[int, Meta(ge=1)] | None = None
    """Queries at most, drawn by hash over all of them."""
    personas: str = ""
    """People for User Info, a place: ``text``, or as Synthetic-Persona-Chat has them. The families
    ``consensus`` and ``opinion`` need them."""
    system_prompts: str = ""
    """Roles for System Info, a place, as awesome-chatgpt-prompts has them; else the packaged ones.
    """
    preferences: str = ""
    """Preferences that ``metaalign data preferences`` has found: a place."""
    answers: Annotated[int, Meta(ge=2, le=4)] = 2
    """Answers that the Meta-Prompts of a group want at most: a candidate is written for each."""
    views: Annotated[int, Meta(ge=1, le=4)] = 2
    """Meta-Prompts that want the same answer, at most; how many is drawn."""
    near_miss: _Share = 0.0
    """Share of the groups with one more candidate, which ignores one wish of a Meta-Prompt."""
    rounds: Annotated[int, Meta(ge=0, le=5)] = 0
    """How often a candidate is criticised and revised, at most."""
    order: Literal["matrix", "teacher", "matrix+teacher"] = "matrix"
    """Who orders the candidates. ``matrix``: first comes what was written for what a Meta-Prompt
    comes to. ``teacher``: asked twice, in two orders. Both: weighted by ``weights``."""
    weights: dict[Literal["matrix", "teacher"], Annotated[float, Meta(gt=0)]] = {}
    """What an order counts. Unless it is said, ``matrix`` counts 2 and each of the teacher's two
    orders 1: a teacher that contradicts the Matrix twice makes a tie."""
    max_tokens: Annotated[int, Meta(ge=16)] | None = None
    """Tokens of an answer at most; the prompt's own number if not given."""
    licence: str = ""
    """Licence of what is written; that of the queries unless it is said. Mind the terms of the
    teacher."""

    def __post_init__(self) -> None:
        if self.family in ("consensus", "opinion") and not self.personas:
            raise ValueError(f"the family {self.family} needs personas: say their place")
        if self.preferences and self.family != "helpful":
            raise ValueError("preferences have an effect on the family helpful alone")
        if self.weights and self.order != "matrix+teacher":
            raise ValueError("weights have an effect on order = matrix+teacher alone")
        if self.max_tokens is not None and self.max_tokens > 32_768:
            raise ValueError("max_tokens must be at most 32768")


def write_tables(tables: Iterable[Mapping[str, Any]]) -> tuple[WriteTable, ...]:
    """The tables of a recipe, decoded; ``UserError`` that names the table and the key."""
    found = []
    for number, table in enumerate(tables):
        try:
            found.append(msgspec.convert(dict(table), WriteTable, strict=False))
        except msgspec.ValidationError as error:
            raise UserError(
                f"the recipe: write[{number}]: {error}; docs/writing.md explains every key"
            ) from None
    names = [table.name for table in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"the recipe: two [[write]] are called {twice!r}: name each once")
    return tuple(found)
