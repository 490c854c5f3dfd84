"""A Priority Matrix as it stands in its TOML file: decoding and checking, cell by cell."""

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar, get_args

import msgspec
from msgspec import Struct

from metaalign.schema import SCHEMA_VERSION, Behaviour, Kind, UserError

UNSTATED = "-"
"""In a table: a tier that puts nothing first."""
CONFLICT = "conflict"
"""In a table: the two tiers contradict each other, and the conflict rule settles it."""
CORNER = "higher / lower"
"""The first entry of a table: rows are the higher tier, columns the lower one."""

Rule = Literal["system_first", "safety_first", "user_first"]
_T = TypeVar("_T")


class Dimension(Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that can be preferred, and how its values conflict."""

    conflict: Literal["exclusive", "additive"]
    values: tuple[str, ...] = ()
    """The values there are; empty if any value is allowed."""
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


class MatrixFile(NamedTuple):
    """A decoded and checked file; the fields are those of ``PriorityMatrix``."""

    name: str
    version: str
    rule: Rule
    tiers: tuple[str, ...]
    priorities: tuple[str, ...]
    caution: tuple[Behaviour, ...]
    dimensions: Mapping[str, Dimension]
    behaviours: Mapping[Behaviour, BehaviourRule]
    tables: Mapping[Kind, Mapping[tuple[str, str], str]]
    floors: Mapping[Kind, Behaviour]


class _Kind(Struct, frozen=True, forbid_unknown_fields=True):
    table: tuple[tuple[str, ...], ...]
    floor: Behaviour | None = None


class _Top(Struct, frozen=True, forbid_unknown_fields=True):
    schema: int
    name: str
    version: str
    rule: Rule
    tiers: tuple[str, ...]
    priorities: tuple[str, ...]
    caution: tuple[Behaviour, ...]
    dimensions: dict[str, dict[str, Any]]
    behaviours: dict[str, dict[str, Any]]
    kinds: dict[str, dict[str, Any]]


def cell_name(kind: str, higher: str, lower: str) -> str:
    """The name of a cell: ``harmful[safety, helpfulness]``."""
    return f"{kind}[{higher}, {lower}]"


def is_packaged(source: str) -> bool:
    """True if ``source`` is a bare name, as of the matrices in the package; else it is a path."""
    return not source.endswith(".toml") and Path(source).name == source


def packaged(name: str) -> Path:
    """The path of the matrix that comes with the package under this name."""
    folder = Path(str(files("metaalign.policy") / "matrices"))
    path = folder / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.toml")))
        raise UserError(
            f"no Priority Matrix is called {name!r}: use {known}, or the path of a .toml file"
        )
    return path


def read_matrix_file(path: Path) -> MatrixFile:
    """Decode and check the file at ``path``; raises ``UserError`` naming all that is wrong."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"cannot read the Priority Matrix {path}: {error.strerror or error}"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a TOML file: {error}") from error
    top = _convert(raw, _Top, path, "")
    if top.schema > SCHEMA_VERSION:
        raise UserError(
            f"{path} has schema {top.schema}, this metaalign reads up to {SCHEMA_VERSION}: "
            "upgrade metaalign"
        )
    dimensions = {
        name: _convert(entry, Dimension, path, f"dimensions.{name}")
        for name, entry in top.dimensions.items()
    }
    behaviours = {
        name: _convert(entry, BehaviourRule, path, f"behaviours.{name}")
        for name, entry in top.behaviours.items()
    }
    kinds = {
        name: _convert(entry, _Kind, path, f"kinds.{name}") for name, entry in top.kinds.items()
    }

    problems = [*_check_top(top), *_check_dimensions(dimensions), *_check_behaviours(behaviours)]
    problems += [
        f"behaviours.{name} speaks of the unknown dimension {dimension!r}"
        for name, rule in behaviours.items()
        for dimension in (*rule.lifts, *filter(None, [rule.needs]))
        if dimension not in dimensions
    ]
    problems += _missing_or_unknown("kinds", kinds, get_args(Kind))
    allowed = (*get_args(Behaviour), CONFLICT)
    tables = {}
    for kind, entry in kinds.items():
        cells, wrong = _read_table(kind, entry.table, (UNSTATED, *top.priorities), allowed)
        tables[kind] = cells
        problems += wrong
    if not problems:
        for kind, entry in kinds.items():
            if entry.floor is not None:
                problems += _check_floor(kind, entry.floor, tables[kind], behaviours, top.caution)
    if problems:
        raise UserError(f"{path}: " + "; ".join(dict.fromkeys(problems)))
    # The checks above have shown that the names are exactly those of the literals.
    return MatrixFile(
        top.name,
        top.version,
        top.rule,
        top.tiers,
        top.priorities,
        top.caution,
        dimensions,
        msgspec.convert(behaviours, dict[Behaviour, BehaviourRule]),
        {kind: tables[kind] for kind in get_args(Kind)},
        {kind: entry.floor for kind in get_args(Kind) if (entry := kinds[kind]).floor is not None},
    )


def _convert(raw: object, kind: type[_T], path: Path, where: str) -> _T:
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise UserError(f"{path}: {where + ': ' if where else ''}{error}") from error


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


def _check_top(top: _Top) -> list[str]:
    problems = _doubled("tiers", top.tiers) + _doubled("priorities", top.priorities)
    problems += _doubled("caution", top.caution)
    problems += [f"caution leaves out {b!r}" for b in get_args(Behaviour) if b not in top.caution]
    if not top.tiers:
        problems.append("tiers is empty")
    if UNSTATED in top.priorities:
        problems.append(f"priorities holds {UNSTATED!r}, which stands for a silent tier")
    return problems


def _check_dimensions(dimensions: Mapping[str, Dimension]) -> list[str]:
    problems = []
    for name, dimension in dimensions.items():
        problems += _doubled(f"dimensions.{name}.values", dimension.values)
        if name == "priority":
            problems.append("dimensions.priority: its values stand in priorities and kinds")
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


def _check_behaviours(behaviours: Mapping[str, BehaviourRule]) -> list[str]:
    problems = _missing_or_unknown("behaviours", behaviours, get_args(Behaviour))
    for name, rule in behaviours.items():
        if (rule.needs is None) != (rule.otherwise is None):
            problems.append(f"behaviours.{name}: needs and otherwise go together")
        elif rule.otherwise is not None and (
            (other := behaviours.get(rule.otherwise)) is not None and other.needs is not None
        ):
            problems.append(f"behaviours.{name}.otherwise must be one that needs nothing itself")
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


def _check_floor(
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
