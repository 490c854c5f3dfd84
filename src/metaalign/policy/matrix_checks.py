"""What is wrong with a Priority Matrix, entry by entry and cell by cell; nothing if it is whole.

Every function gives one phrase for each fault, made to stand behind the name of the file.
"""

from collections.abc import Mapping
from itertools import product
from typing import NamedTuple, get_args

from metaalign.policy.matrix_parts import (
    CONFLICT,
    CORNER,
    PRIORITY,
    UNSTATED,
    BehaviourRule,
    Dimension,
    KindEntry,
    cell_name,
)
from metaalign.schema import Behaviour, Kind

Cells = dict[tuple[str, str], str]


class Names(NamedTuple):
    """The names that a matrix declares at its top."""

    tiers: tuple[str, ...]
    talk: str | None
    priorities: tuple[str, ...]
    caution: tuple[Behaviour, ...]


def read_tables(
    kinds: Mapping[str, KindEntry], priorities: tuple[str, ...]
) -> tuple[dict[str, Cells], list[str]]:
    """The cells of every table, and all that is wrong with them."""
    problems = _missing_or_unknown("kinds", kinds, get_args(Kind))
    allowed = (*get_args(Behaviour), CONFLICT)
    tables = {}
    for kind, entry in kinds.items():
        tables[kind], wrong = _read_table(kind, entry.table, (UNSTATED, *priorities), allowed)
        problems += wrong
    return tables, problems


def _missing_or_unknown(
    where: str, given: Mapping[str, object], known: tuple[str, ...]
) -> list[str]:
    return [f"{where}.{name} is missing" for name in known if name not in given] + [
        f"{where}.{name} is unknown (known: {', '.join(known)})"
        for name in given
        if name not in known
    ]


def _doubled(where: str, values: tuple[str, ...]) -> list[str]:
    twice = [value for value in dict.fromkeys(values) if values.count(value) > 1]
    return [f"{where} names {value!r} twice" for value in twice]


def check_names(names: Names) -> list[str]:
    problems = _doubled("tiers", names.tiers) + _doubled("priorities", names.priorities)
    problems += _doubled("caution", names.caution)
    problems += [f"caution leaves out {b!r}" for b in get_args(Behaviour) if b not in names.caution]
    if not names.tiers:
        problems.append("tiers is empty")
    elif names.talk is not None and names.talk not in names.tiers:
        problems.append(f"talk is {names.talk!r}, which is not among tiers")
    if UNSTATED in names.priorities:
        problems.append(f"priorities holds {UNSTATED!r}, which stands for a silent tier")
    return problems


def check_dimensions(dimensions: Mapping[str, Dimension]) -> list[str]:
    problems = []
    for name, dimension in dimensions.items():
        problems += _doubled(f"dimensions.{name}.values", dimension.values)
        if name == PRIORITY:
            problems.append("dimensions.priority: its values stand in priorities and kinds")
        if dimension.conflict == "ordered" and len(dimension.values) < 2:
            problems.append(
                f"dimensions.{name} is ordered and needs its values, the most demanding first"
            )
        if dimension.opposes is None:
            continue
        other = dimensions.get(dimension.opposes)
        if other is None:
            problems.append(f"dimensions.{name} opposes the unknown {dimension.opposes!r}")
        elif other.opposes != name or name == dimension.opposes:
            problems.append(f"dimensions.{dimension.opposes} must oppose {name!r} in its turn")
        elif dimension.conflict != "additive":
            problems.append(f"dimensions.{name}: only an additive dimension can oppose another")
    return problems


def check_behaviours(
    behaviours: Mapping[str, BehaviourRule], dimensions: Mapping[str, Dimension]
) -> list[str]:
    problems = _missing_or_unknown("behaviours", behaviours, get_args(Behaviour))
    for name, rule in behaviours.items():
        if (rule.needs is None) != (rule.otherwise is None):
            problems.append(f"behaviours.{name}: needs and otherwise go together")
        elif rule.otherwise is not None and (
            (other := behaviours.get(rule.otherwise)) is not None and other.needs is not None
        ):
            problems.append(f"behaviours.{name}.otherwise must be one that needs nothing itself")
        problems += [
            f"behaviours.{name} speaks of the unknown dimension {dimension!r}"
            for dimension in (*rule.lifts, *filter(None, [rule.needs]))
            if dimension not in dimensions
        ]
    return problems


def _read_table(
    kind: str, rows: tuple[tuple[str, ...], ...], stated: tuple[str, ...], allowed: tuple[str, ...]
) -> tuple[dict[tuple[str, str], str], list[str]]:
    """The cells of one table, and all that is wrong with it."""
    header, *body = rows or ((),)
    problems: list[str] = []
    if header[:1] != (CORNER,):
        problems.append(f"kinds.{kind}.table must begin with the entry {CORNER!r}")
    columns = header[1:]
    cells: dict[tuple[str, str], str] = {}
    for row in body:
        name, values = (row[0], row[1:]) if row else ("", ())
        problems += [
            f"{cell_name(kind, name, f'column {n + 1}')} is one too many"
            for n in range(len(columns), len(values))
        ]
        for column, value in zip(columns, values, strict=False):
            cell = cell_name(kind, name, column)
            if name not in stated or column not in stated:
                problems.append(f"the cell {cell} is unknown (known: {', '.join(stated)})")
            elif (name, column) in cells:
                problems.append(f"the cell {cell} is given twice")
            elif value not in allowed:
                problems.append(f"the cell {cell} says {value!r} (known: {', '.join(allowed)})")
            elif value == CONFLICT and UNSTATED in (name, column):
                problems.append(f"the cell {cell} has only one side and cannot be a conflict")
            cells.setdefault((name, column), value)
    problems += [
        f"the cell {cell_name(kind, *pair)} is missing"
        for pair in product(stated, stated)
        if pair not in cells
    ]
    return cells, problems


def check_floor(
    kind: str,
    floor: Behaviour,
    cells: Mapping[tuple[str, str], str],
    behaviours: Mapping[str, BehaviourRule],
    caution: tuple[Behaviour, ...],
) -> list[str]:
    """Every behaviour in the table, and what stands in for it, is at least as cautious."""
    order: list[str] = list(caution)
    problems = []
    for pair, value in cells.items():
        if value == CONFLICT:
            continue  # settled by a cell of one side, which is checked itself
        for reached in (value, behaviours[value].otherwise or value):
            if order.index(reached) > order.index(floor):
                cell = cell_name(kind, *pair)
                problems.append(f"the cell {cell} comes to {reached!r}, below the floor {floor!r}")
    return problems
