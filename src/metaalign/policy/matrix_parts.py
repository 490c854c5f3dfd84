"""What a Priority Matrix is put together from: the entries of its file, and their names."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from msgspec import Struct

from metaalign.schema import Behaviour, Kind

PRIORITY = "priority"
"""The dimension that the tables are over."""
UNSTATED = "-"
"""In a table: a tier that puts nothing first."""
CONFLICT = "conflict"
"""In a table: the two tiers contradict each other, and the conflict rule settles it."""
CORNER = "higher / lower"
"""The first entry of a table: rows are the higher tier, columns the lower one."""

Rule = Literal["system_first", "safety_first", "user_first"]


class Dimension(Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that can be preferred, and how its values conflict."""

    conflict: Literal["exclusive", "ordered", "additive"]
    values: tuple[str, ...] = ()
    """The values there are; empty if any value is allowed. Of an ordered dimension from the most to
    the least demanding."""
    opposes: str | None = None
    """The dimension in which the same word is the contrary of this one."""


class BehaviourRule(Struct, frozen=True, forbid_unknown_fields=True):
    """What follows from a way to answer."""

    lifts: tuple[str, ...] = ()
    """Dimensions that mean nothing under it."""
    needs: str | None = None
    """A dimension that some tier must have stated; it is asked for under this behaviour only."""
    otherwise: Behaviour | None = None
    """What is done instead when ``needs`` is not stated."""


class KindEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A kind of query as the file writes it."""

    table: tuple[tuple[str, ...], ...]
    floor: Behaviour | None = None


class MatrixFile(NamedTuple):
    """A decoded and checked file; the fields are those of ``PriorityMatrix``."""

    name: str
    version: str
    rule: Rule
    tiers: tuple[str, ...]
    talk: str | None
    priorities: tuple[str, ...]
    caution: tuple[Behaviour, ...]
    dimensions: Mapping[str, Dimension]
    behaviours: Mapping[Behaviour, BehaviourRule]
    tables: Mapping[Kind, Mapping[tuple[str, str], str]]
    floors: Mapping[Kind, Behaviour]


def cell_name(kind: str, higher: str, lower: str) -> str:
    """The name of a cell: ``harmful[safety, helpfulness]``."""
    return f"{kind}[{higher}, {lower}]"
