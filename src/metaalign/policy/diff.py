"""What changes from one Priority Matrix to another."""

from collections.abc import Iterator, Mapping
from itertools import product

import msgspec
from msgspec import Struct

from metaalign.policy.matrix import PriorityMatrix
from metaalign.policy.matrix_parts import UNSTATED
from metaalign.schema import Kind


class CellChange(Struct, frozen=True, rename={"before": "from", "after": "to"}):
    """A combination for which something else happens."""

    kind: Kind
    higher: str
    lower: str
    before: str | None
    """The behaviour in the first matrix; None if it does not know one of the priorities."""
    after: str | None


class PartChange(Struct, frozen=True, rename={"before": "from", "after": "to"}):
    """Another part that is not the same."""

    part: str
    """``tiers``, ``talk``, ``caution``, ``dimensions.length``, ``floors.severe``, ..."""
    before: str | None
    """As JSON; None if the first matrix has no such part."""
    after: str | None


class Difference(Struct, frozen=True):
    """All that is not the same in two matrices."""

    before: str
    """Label of the first matrix."""
    after: str
    combinations: tuple[CellChange, ...] = ()
    parts: tuple[PartChange, ...] = ()


def diff(before: PriorityMatrix, after: PriorityMatrix) -> Difference:
    """Every combination that changes, and every other part that does.

    A combination is compared by what happens in the end, its conflict settled by the matrix's rule.
    """
    return Difference(
        before.label, after.label, tuple(_cells(before, after)), tuple(_parts(before, after))
    )


def _cells(before: PriorityMatrix, after: PriorityMatrix) -> Iterator[CellChange]:
    new = [p for p in after.priorities if p not in before.priorities]
    stated = [UNSTATED, *before.priorities, *new]
    for kind in before.tables:
        for higher, lower in product(stated, stated):
            was, becomes = (_behaviour(m, kind, higher, lower) for m in (before, after))
            if was != becomes:
                yield CellChange(kind, higher, lower, was, becomes)


def _behaviour(matrix: PriorityMatrix, kind: Kind, higher: str, lower: str) -> str | None:
    outcome = matrix.outcomes[kind].get((higher, lower))
    return outcome.behaviour if outcome else None


def _parts(before: PriorityMatrix, after: PriorityMatrix) -> Iterator[PartChange]:
    old, new = _described(before), _described(after)
    for part in old | new:
        if old.get(part) != new.get(part):
            yield PartChange(part, old.get(part), new.get(part))
    if [d for d in before.dimensions if d in after.dimensions] != [
        d for d in after.dimensions if d in before.dimensions
    ]:
        yield PartChange("order of dimensions", *map(_json, (before.dimensions, after.dimensions)))


def _described(matrix: PriorityMatrix) -> dict[str, str]:
    """Every part of the matrix besides its tables, as text to compare and to show."""
    parts: Mapping[str, object] = {
        "tiers": matrix.tiers,
        **({"talk": matrix.talk} if matrix.talk else {}),
        "priorities": matrix.priorities,
        "caution": matrix.caution,
        **{f"floors.{kind}": floor for kind, floor in matrix.floors.items()},
        **{f"dimensions.{name}": dimension for name, dimension in matrix.dimensions.items()},
        **{f"behaviours.{name}": rule for name, rule in matrix.behaviours.items()},
    }
    return {name: _json(part) for name, part in parts.items()}


def _json(part: object) -> str:
    if isinstance(part, Mapping):
        part = list(part)
    return msgspec.json.encode(part).decode()
