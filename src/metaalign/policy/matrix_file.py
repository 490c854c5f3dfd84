"""A Priority Matrix as it stands in its TOML file, and in the file that this one extends."""

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar, get_args

import msgspec
from msgspec import Struct

from metaalign.policy.matrix_checks import (
    Names,
    check_behaviours,
    check_dimensions,
    check_floor,
    check_names,
    read_tables,
)
from metaalign.policy.matrix_parts import BehaviourRule, Dimension, KindEntry, MatrixFile, Rule
from metaalign.schema import SCHEMA_VERSION, Behaviour, Kind, UserError

_Raw = dict[str, Any]
"""A file as TOML gives it, before anything of it is checked."""
_T = TypeVar("_T")

_TABLES = ("dimensions", "behaviours", "kinds")
"""The keys whose entries a file that extends another replaces one by one."""
_OWN = ("name", "version")
"""What a file that extends another says for itself, so that no two matrices share a label."""


class _Top(Struct, frozen=True, forbid_unknown_fields=True):
    schema: int
    name: str
    version: str
    rule: Rule
    tiers: tuple[str, ...]
    priorities: tuple[str, ...]
    caution: tuple[Behaviour, ...]
    dimensions: dict[str, _Raw]
    behaviours: dict[str, _Raw]
    kinds: dict[str, _Raw]
    talk: str | None = None


def is_packaged(source: str) -> bool:
    """True if ``source`` is a bare name, as of the matrices in the package; else it is a path."""
    return not source.endswith(".toml") and Path(source).name == source


def packaged_names() -> list[str]:
    """The names of the matrices that come with the package."""
    return sorted(path.stem for path in _folder().glob("*.toml"))


def packaged(name: str) -> Path:
    """The path of the matrix that comes with the package under this name."""
    path = _folder() / f"{name}.toml"
    if not path.is_file():
        raise UserError(
            f"no Priority Matrix is called {name!r}: use {', '.join(packaged_names())}, "
            "or the path of a .toml file"
        )
    return path


def _folder() -> Path:
    return Path(str(files("metaalign.policy") / "matrices"))


def read_matrix_file(path: Path) -> MatrixFile:
    """Decode and check the file at ``path``; raises ``UserError`` naming all that is wrong."""
    return _checked(_read(path, ()), path)


def _read(path: Path, extending: tuple[Path, ...]) -> _Raw:
    """The content of the file, laid over that of the file which it extends, if any.

    ``extending`` holds the files that led here, to find a circle.
    """
    if any(path.resolve() == other.resolve() for other in extending):
        circle = " -> ".join(str(each) for each in (*extending, path))
        raise UserError(f"{extending[0]}: extends goes round in a circle: {circle}")
    own = _parse(path)
    if "extends" not in own:
        return own
    base = _base(own.pop("extends"), path)
    missing = [name for name in _OWN if name not in own]
    if missing:
        raise UserError(
            f"{path}: {' and '.join(missing)} missing: what extends a matrix has its own"
        )
    try:
        below = _read(base, (*extending, path))
    except UserError as error:
        if base.is_file():
            raise
        raise UserError(f"{path}: extends: {error}") from error
    # By itself first: what is wrong with the base is told with its own name.
    _checked(below, base)
    return _laid_over(below, own)


def _base(extends: object, path: Path) -> Path:
    """The file that ``extends`` names in the file at ``path``."""
    if not isinstance(extends, str) or not extends:
        raise UserError(f"{path}: extends must be the name of a matrix, or the path of a file")
    if not is_packaged(extends):
        return path.parent / extends
    try:
        return packaged(extends)
    except UserError as error:
        raise UserError(f"{path}: extends: {error}") from error


def _laid_over(below: _Raw, own: _Raw) -> _Raw:
    whole = {**below, **own}
    for name in _TABLES:
        if isinstance(own.get(name), dict):  # whatever else it is, the checks refuse it
            whole[name] = {**below[name], **own[name]}
    return whole


def _parse(path: Path) -> _Raw:
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"cannot read the Priority Matrix {path}: {error.strerror or error}"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a TOML file: {error}") from error
    schema = raw.get("schema")
    if isinstance(schema, int) and schema > SCHEMA_VERSION:
        raise UserError(
            f"{path} has schema {schema}, this metaalign reads up to {SCHEMA_VERSION}: "
            "upgrade metaalign"
        )
    return raw


def _checked(raw: _Raw, path: Path) -> MatrixFile:
    top = _convert(raw, _Top, path)
    dimensions = _entries(top.dimensions, Dimension, path, "dimensions")
    behaviours = _entries(top.behaviours, BehaviourRule, path, "behaviours")
    kinds = _entries(top.kinds, KindEntry, path, "kinds")
    # Empty is how a file that extends another says that the turns ask for nothing after all.
    names = Names(top.tiers, top.talk or None, top.priorities, top.caution)
    problems = [*check_names(names), *check_dimensions(dimensions)]
    problems += check_behaviours(behaviours, dimensions)
    tables, wrong = read_tables(kinds, top.priorities)
    problems += wrong
    if not problems:
        for kind, entry in kinds.items():
            if entry.floor is not None:
                problems += check_floor(kind, entry.floor, tables[kind], behaviours, top.caution)
    if problems:
        raise UserError(f"{path}: " + "; ".join(dict.fromkeys(problems)))
    # The checks above have shown that the names are exactly those of the literals.
    return MatrixFile(
        top.name,
        top.version,
        top.rule,
        top.tiers,
        names.talk,
        top.priorities,
        top.caution,
        dimensions,
        msgspec.convert(behaviours, dict[Behaviour, BehaviourRule]),
        {kind: tables[kind] for kind in get_args(Kind)},
        {kind: entry.floor for kind in get_args(Kind) if (entry := kinds[kind]).floor is not None},
    )


def _entries(raw: dict[str, _Raw], kind: type[_T], path: Path, where: str) -> dict[str, _T]:
    return {name: _convert(entry, kind, path, f"{where}.{name}: ") for name, entry in raw.items()}


def _convert(raw: object, kind: type[_T], path: Path, where: str = "") -> _T:
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise UserError(f"{path}: {where}{error}") from error
