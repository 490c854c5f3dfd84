"""What changes from one Priority Matrix to another."""

from collections.abc import Iterator
from itertools import product

from msgspec import Struct

from metaalign.policy.matrix import PriorityMatrix
from metaalign.policy.matrix_parts import UNSTATED, BehaviourRule, Dimension
from metaalign.schema import Behaviour, Kind


class CellChange(Struct, frozen=True, rename={"before": "from", "after": "to"}):
    """A combination for which something else happens."""

    kind: Kind
    higher: str
    lower: str
    before: Behaviour | None
    """The behaviour in the first matrix; None if it does not know one of the priorities."""
    after: Behaviour | None


class PartChange(Struct, frozen=True, rename={"before": "from", "after": "to"}):
    """Another part that is not the same."""

    part: str
    """``tiers``, ``talk``, ``caution``, ``dimensions.length``, ``floors.severe``, ..."""
    before: str | None
    """In words; None if the first matrix has no such part."""
    after: str | None


class Difference(Struct, frozen=True, rename={"before": "from", "after": "to"}):
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


def _behaviour(matrix: PriorityMatrix, kind: Kind, higher: str, lower: str) -> Behaviour | None:
    outcome = matrix.outcomes[kind].get((higher, lower))
    return outcome.behaviour if outcome else None


def _parts(before: PriorityMatrix, after: PriorityMatrix) -> Iterator[PartChange]:
    old, new = _described(before), _described(after)
    for part in old | new:
        if old.get(part) != new.get(part):
            yield PartChange(part, old.get(part), new.get(part))
    both = before.dimensions.keys() & after.dimensions.keys()
    shared = [[name for name in m.dimensions if name in both] for m in (before, after)]
    if shared[0] != shared[1]:
        yield PartChange("order of dimensions", *map(", ".join, shared))


def _described(matrix: PriorityMatrix) -> dict[str, str]:
    """Every part of the matrix besides its tables, in words to compare and to show."""
    return {
        "tiers": ", ".join(matrix.tiers),
        **({"talk": matrix.talk} if matrix.talk else {}),
        "priorities": ", ".join(matrix.priorities),
        "caution": ", ".join(matrix.caution),
        **{f"floors.{kind}": floor for kind, floor in matrix.floors.items()},
        **{f"dimensions.{name}": _dimension(d) for name, d in matrix.dimensions.items()},
        **{f"behaviours.{name}": _behaviour_rule(r) for name, r in matrix.behaviours.items()},
    }


def _dimension(dimension: Dimension) -> str:
    words = f"{dimension.conflict}: {', '.join(dimension.values) or 'any value'}"
    return f"{words}, opposes {dimension.opposes}" if dimension.opposes else words


def _behaviour_rule(rule: BehaviourRule) -> str:
    words = f"lifts {', '.join(rule.lifts) or 'nothing'}"
    return f"{words}; needs {rule.needs}, otherwise {rule.otherwise}" if rule.needs else words
