"""Data recipes: what a dataset is made of, as a frozen record that is a TOML file.

Those that ship are in ``recipes/``; their comments and docs/data.md explain every key.
"""

from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import msgspec
from msgspec import Meta, Struct

from metaalign.data.manifest import Scalar
from metaalign.data.stages import Stage
from metaalign.data.teacher.settings import Settings
from metaalign.schema import UserError

By = Literal["query", "preference", "wording", "persona", "cell", "group", "given"]
Layout = Literal["one-stage", "two-stage"]

LAYOUTS: Mapping[Layout, Mapping[str, float]] = {
    "one-stage": {"train": 0.9, "test": 0.1},
    "two-stage": {"sft": 0.45, "dpo": 0.45, "test": 0.1},
}
"""The splits of a layout, and how the groups are shared out unless the recipe says otherwise."""
TRAINING = frozenset({"train", "sft", "dpo"})
"""The splits that a model is trained on; all others are held out."""

_Count = Annotated[int, Meta(ge=1)]
_Share = Annotated[float, Meta(ge=0, le=1)]


class SourceTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ``[[sources]]``: a published dataset to read."""

    name: str
    """Name of the adapter: ``habermas``, ``hh-rlhf``, ..."""
    place: str = ""
    """As ``sources.place`` has it: a file, from the folder that ``--files`` names or else from the
    recipe's own, or ``hf:OWNER/NAME`` for a dataset on the hub. Empty for a source without."""
    limit: _Count | None = None
    """Groups at most, drawn by hash over the whole source."""
    max_chars: _Count | None = None
    """Groups whose talk and longest candidate have more characters are left out."""
    options: dict[str, Scalar] = {}
    """What else the adapter can be told."""


class Split(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[split]``: what is held out, and into which splits."""

    by: tuple[By, ...] = ("query",)
    """What never stands on both sides; ``given`` keeps the splits of the source itself."""
    layout: Layout | None = None
    """``two-stage`` (sft, dpo, test), which is meant if nothing is said, or ``one-stage``."""
    fractions: dict[str, _Share] = {}
    """Share of the groups in every split of the layout; one that is not named is empty."""
    near: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    """Queries whose words are at least so alike (Jaccard) count as one query; 0 asks for the same
    words."""

    def __post_init__(self) -> None:
        if not self.by or len(set(self.by)) < len(self.by):
            raise ValueError("by must name at least one key, each once")
        if self.near and "query" not in self.by:
            raise ValueError("near has an effect on by = query alone")
        if "given" in self.by:
            self._check_given()
        elif self.fractions:
            self._check_fractions()

    def _check_given(self) -> None:
        if len(self.by) > 1 or self.layout or self.fractions:
            raise ValueError(
                "by = given keeps the splits of the source: no other key, layout "
                "or fractions can stand beside it"
            )

    def _check_fractions(self) -> None:
        known = LAYOUTS[self.layout or "two-stage"]
        for name in self.fractions:
            if name not in known:
                raise ValueError(
                    f"fractions names the split {name}, which the layout does not "
                    f"have: it has {', '.join(known)}"
                )
        if abs(sum(self.fractions.values()) - 1) > 1e-6:
            raise ValueError(f"fractions must sum to 1, not {sum(self.fractions.values()):g}")

    @property
    def shares(self) -> dict[str, float]:
        """Share of every split, in the layout's order."""
        layout = LAYOUTS[self.layout or "two-stage"]
        return (
            {name: self.fractions.get(name, 0.0) for name in layout}
            if self.fractions
            else (dict(layout))
        )


class Recipe(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One dataset: from what, through which stages, into which splits."""

    seed: Annotated[int, Meta(ge=0)] = 0
    matrix: str = "default"
    """The Priority Matrix whose cells ``by = cell`` means: a packaged one, or a TOML file."""
    sources: tuple[SourceTable, ...] = ()
    stages: tuple[Any, ...] = ()
    """``data.stages.Stage`` each, in the order in which they work."""
    teacher: Settings | None = None
    """The model that is asked."""
    write: tuple[dict[str, Any], ...] = ()
    """Plans by which the teacher writes groups."""
    split: Split = Split()
    order: Literal["drawn", "given"] = "drawn"
    """By hash, so that the first rows show every source; or as the sources have them."""
    shard_rows: _Count = 50_000
    """Rows of one Parquet file of the dataset."""

    def __post_init__(self) -> None:
        if not self.sources and not self.write:
            raise ValueError("has neither [[sources]] nor [[write]]: nothing to build from")
        named = [(source.name, source.place) for source in self.sources]
        twice = next((one for one in named if named.count(one) > 1), None)
        if twice:
            raise ValueError(f"names the source {' '.join(twice).strip()} twice")
        if self.write and self.teacher is None:
            raise ValueError("has [[write]] and no [teacher] to write it")
        if self.teacher is not None and not self.write:
            raise ValueError("has a [teacher] and no [[write]]: it would have nothing to do")

    def settings(self) -> dict[str, object]:
        """Every key that decides the result by its dotted name, ``sources.0.name``, for manifests.

        ``sources`` has the names alone. The seed is left out: a manifest has a field for it.
        """
        tree = msgspec.to_builtins(self)
        del tree["seed"], tree["teacher"]
        if self.teacher:
            # How fast and for how much it is asked decides nothing.
            tree["teacher"] = {"model": self.teacher.model, "base_url": self.teacher.base_url}
        names = [*(table.name for table in self.sources), *(t.get("name") for t in self.write)]
        return {"sources": names, **dict(_flat(tree))}


StageTypes = Mapping[str, type[Struct]]
"""Every known stage by its name in a recipe."""


def known_stages() -> StageTypes:
    """The stages that metaalign has: those of ``data.filters``."""
    from metaalign.data.filters import STAGES

    return STAGES


def load_recipe(
    name: str | Path,
    overrides: Mapping[str, Scalar] | None = None,
    *,
    every_source: Mapping[str, Scalar] | None = None,
    stages: StageTypes | None = None,
) -> Recipe:
    """Read a data recipe by the name of one that ships, or by the path of a TOML file.

    Args:
        name: ``sandbox``, or ``my/recipe.toml``.
        overrides: values by dotted key: ``{"split.near": 0.9, "sources.0.limit": 100}``. Texts that
            are numbers, as they come from a command line, are read as such.
        every_source: values by key, for all of ``[[sources]]``.
        stages: what ``[[stages]]`` can name; ``known_stages()`` if not given.

    Raises:
        UserError: no such recipe, broken TOML, an unknown key or stage, or a value out of range;
            the file and the key are named.
    """
    text, where = _read(name)
    try:
        tree = msgspec.toml.decode(text)
    except msgspec.DecodeError as error:
        raise UserError(f"{where}: not valid TOML: {error}") from None
    for key, value in (overrides or {}).items():
        _set(tree, key, value)
    for key, value in (every_source or {}).items():
        if not tree.get("sources"):
            raise UserError(f"{where} has no [[sources]] for which {key} could have an effect")
        for source in range(len(tree["sources"])):
            _set(tree, f"sources.{source}.{key}", value)
    return _convert(tree, where, stages)


def make_recipe(tree: Mapping[str, Any], *, stages: StageTypes | None = None) -> Recipe:
    """The recipe that a file with these tables would be; raises ``UserError`` as ``load_recipe``.

    A table's value that is None is as if it were not there.
    """
    return _convert(_without_none(tree), "the recipe", stages)


def recipe_names() -> tuple[str, ...]:
    """Names of the recipes that ship."""
    folder = resources.files("metaalign.data") / "recipes"
    return tuple(sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".toml")))


def recipe_folder(name: str | Path) -> Path:
    """Where the files of a recipe's sources lie unless somebody says otherwise."""
    return Path() if str(name) in recipe_names() else Path(name).parent


def _convert(tree: dict[str, Any], where: str, known: StageTypes | None) -> Recipe:
    try:
        tables = tree.get("stages", [])
        recipe = msgspec.convert({**tree, "stages": []}, Recipe, strict=False)
        return msgspec.structs.replace(recipe, stages=tuple(_stages(tables, known)))
    except ValueError as error:
        raise UserError(f"{where}: {error}; docs/data.md explains every key") from None


def _stages(tables: object, known: StageTypes | None) -> Iterator[Stage]:
    """The records of the tables; ``ValueError`` that names the table and the key."""
    if not isinstance(tables, list):
        raise ValueError("stages must be a list of tables: write [[stages]]")
    if tables and known is None:
        known = known_stages()
    for number, table in enumerate(tables):
        name = table.get("name") if isinstance(table, dict) else None
        if not isinstance(name, str) or name not in (known or {}):
            raise ValueError(
                f"stages[{number}] has the unknown name {name!r}: "
                f"known are {', '.join(known or ())}"
            )
        try:
            yield cast(Stage, msgspec.convert(table, (known or {})[name], strict=False))
        except msgspec.ValidationError as error:
            raise ValueError(f"stages[{number}], {name}: {error}") from None


def _read(name: str | Path) -> tuple[str, str]:
    names = recipe_names()
    if str(name) in names:
        file = resources.files("metaalign.data") / "recipes" / f"{name}.toml"
        return file.read_text(encoding="utf-8"), f"recipe {name}"
    try:
        return Path(name).read_text(encoding="utf-8"), str(name)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"cannot read the recipe {name} ({reason}): "
            f"give the path of a TOML file, or one of {', '.join(names)}"
        ) from None


def _set(tree: Any, key: str, value: Scalar) -> None:
    """Set one dotted key; the number of a table in a list is part of the key."""
    *tables, last = key.split(".")
    at = tree
    for table in tables:
        if isinstance(at, list):
            if not table.isdecimal() or int(table) >= len(at):
                raise UserError(f"override {key}: there is no table {table} in a list of {len(at)}")
            at = at[int(table)]
        else:
            at = at.setdefault(table, {})
        if not isinstance(at, dict | list):
            raise UserError(f"override {key}: {table} is a value and has no keys")
    if isinstance(at, list):
        raise UserError(f"override {key}: say which table of the list, such as 0, and its key")
    at[last] = value


def _without_none(tree: Any) -> Any:
    if isinstance(tree, Mapping):
        return {key: _without_none(value) for key, value in tree.items() if value is not None}
    if isinstance(tree, list | tuple):
        return [_without_none(value) for value in tree]
    return tree


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple) and any(isinstance(v, dict | list) for v in value):
            yield from _flat({str(n): v for n, v in enumerate(value)}, f"{prefix}{key}.")
        elif value is not None and value != [] and value != ():
            yield f"{prefix}{key}", value
