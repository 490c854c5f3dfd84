"""What a build would do, without doing it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from metaalign.data.building.inputs import Writer, open_inputs
from metaalign.data.recipe import Recipe
from metaalign.data.sources import Source
from metaalign.data.stages import stage_name

Plan = tuple[str, Sequence[str], Sequence[tuple[str, ...]]]
"""A table: its title, its columns, its rows."""


def plan_of(
    recipe: Recipe, files: Path, sources: Mapping[str, Source], writers: Sequence[Writer] = ()
) -> Iterator[Plan]:
    """Tables of what ``recipe`` would read, do and write.

    Its files are looked for and their records counted. Raises ``UserError`` as the build would.
    """
    inputs = open_inputs(recipe, files, sources, writers)
    rows: list[tuple[str, ...]] = [
        (one.name, one.licence, one.place or "-", _number(one.count()), _number(one.limit or 0))
        for one in inputs
    ]
    yield "reads", ("source", "licence", "place", "records", "limit"), rows
    if recipe.stages:
        yield "stages", ("stage", "settings"), [(stage_name(s), _said(s)) for s in recipe.stages]
    yield "splits", ("what", ""), list(_splits(recipe))


def _number(count: int) -> str:
    return f"{count:,}" if count else "-"


def _said(stage: object) -> str:
    """The settings of a stage as a recipe has them."""
    tree = msgspec.to_builtins(stage)
    return ", ".join(f"{key} = {value}" for key, value in tree.items() if key != "name") or "-"


def _splits(recipe: Recipe) -> Iterator[tuple[str, str]]:
    split = recipe.split
    yield "held out by", ", ".join(split.by)
    if split.near:
        yield "queries count as one if alike by", f"{split.near:g}"
    shares: Sequence[str] = [f"{name} {share:.0%}" for name, share in split.shares.items()]
    yield "splits", "as the source has them" if "given" in split.by else ", ".join(shares)
