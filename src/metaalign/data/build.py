"""From a recipe to a dataset folder: read, pass through the stages, split, write.

Everything between the sources and the dataset lies in a staging folder beside it, in parts that
appear whole. So memory does not grow with the groups, and a build that was killed goes on with what
it finds. Equal recipes, inputs and seeds give equal bytes, whatever the engine and the number of
restarts.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from metaalign.data.building import staging
from metaalign.data.building.engines import open_engine
from metaalign.data.building.index import Index
from metaalign.data.building.inputs import Input, Writer, open_inputs, place_stages
from metaalign.data.building.running import Run, Sizes
from metaalign.data.manifest import Manifest, fingerprint, is_done
from metaalign.data.recipe import Recipe
from metaalign.data.sources import SOURCES, Source
from metaalign.data.splits import DROPPED, Assignment, assign, check_assignment
from metaalign.data.store import (
    DROPPED_NAME,
    HELD_OUT_NAME,
    check_dataset,
    remove_leftovers,
    write_dataset,
)
from metaalign.policy import load_matrix
from metaalign.schema import Event, Progress, UserError, silent

_FIRST = ("train", "sft", "dpo", "test")
"""The order of the splits that sources name; others follow by name."""

_SIZES = Sizes()


class HeldOutValue(Struct, frozen=True):
    """One line of ``held_out.jsonl``: what only the test asks for."""

    by: str
    """``preference``, ``wording``, ``persona`` or ``cell``."""
    value: str


def build_dataset(
    recipe: Recipe,
    out: Path,
    *,
    files: Path = Path(),
    engine: str = "local",
    sources: Mapping[str, Source] = SOURCES,
    writers: Sequence[Writer] = (),
    keep_staging: bool = False,
    sizes: Sizes = _SIZES,
    progress: Progress = silent,
) -> Manifest:
    """Build the dataset of ``recipe`` at ``out`` and return its manifest.

    Args:
        recipe: what to build; see ``data.recipe``.
        out: the dataset's folder. Beside it lies the staging until the build is finished.
        files: the folder in which the places of the recipe's sources lie.
        engine: ``local``, or ``ray``.
        sources: every source that the recipe can name.
        writers: what writes groups, one for each ``[[write]]``.
        keep_staging: keep the staging of a finished build, to look at what was dropped.

    A dataset that is already there, whole and made from the same, is not built again. What is left
    out is counted in the manifest, under ``skipped.``, with examples in ``dropped.jsonl``. Raises
    ``UserError`` for what is wrong with an input, the recipe or ``out``; what was finished before
    stays, and the next call goes on from there.
    """
    started = time.monotonic()
    inputs = open_inputs(recipe, files, sources, writers)
    stages, sets = place_stages(recipe, files)
    settings, hashes = recipe.settings(), _hashes(recipe, inputs) | sets
    folder = staging.staging_folder(out)
    done = _finished(out, fingerprint(settings, hashes, seed=recipe.seed))
    if done:
        if not keep_staging:
            staging.remove(folder)  # the last run may have been killed before it could
        return done
    placed = msgspec.structs.replace(recipe, stages=stages)
    run = Run(placed, folder, sizes, progress, list(sets.values()))
    run.read(inputs)
    with open_engine(engine) as opened:
        run.pass_all(opened)
    index = Index(run.parts, run.beside, run.keys.by)
    assignment = _split(recipe, index, progress)
    _tell_dropped(run, index, assignment)
    manifest = write_dataset(
        out,
        index.in_order(
            assignment.splits, _names(recipe, assignment), folder / "buckets", sizes.bucket
        ),
        settings=settings,
        seed=recipe.seed,
        inputs=hashes,
        sources_licences={one.name: one.licence for one in inputs},
        skipped=run.skipped + Counter(run.tally.counts()),
        counts=run.counts(),
        notes=(*run.damaged, *(note for one in inputs for note in one.notes()), *assignment.notes),
        reports={
            DROPPED_NAME: run.tally.lines(),
            HELD_OUT_NAME: _held_out(index, assignment),
        },
        shard_rows=recipe.shard_rows,
        started=started,
        progress=progress,
    )
    if not keep_staging:
        staging.remove(folder)
    return manifest


def _finished(out: Path, expected: str) -> Manifest | None:
    """The manifest of a dataset that is whole and made from the same."""
    if not is_done(out, expected):
        return None
    try:
        manifest = check_dataset(out)
    except UserError:
        return None  # a file of it is gone or damaged
    remove_leftovers(out)
    return manifest


def _hashes(recipe: Recipe, inputs: Sequence[Input]) -> dict[str, str]:
    """The hash of everything that decides, by name."""
    names = Counter(one.name for one in inputs)
    hashes = {
        one.name if names[one.name] == 1 else f"{one.name}, {Path(one.place).name}": one.content
        for one in inputs
    }
    if "cell" in recipe.split.by:
        hashes["matrix"] = load_matrix(recipe.matrix).content_hash
    return hashes


def _split(recipe: Recipe, index: Index, progress: Progress) -> Assignment:
    """Where every group goes, proved to let nothing cross."""
    if not len(index):
        raise UserError("the stages left no group: --dry-run shows what they are; loosen one")
    index.check_ids()
    if "given" in recipe.split.by:
        return _as_given(index)
    progress(Event("split", 0, len(index), "group"))
    links = _links(recipe, index)
    split = recipe.split
    assignment = assign(len(index), index.edges, split.shares, recipe.seed, links)
    check_assignment(assignment, index.edges, links)
    _check_sizes(recipe, assignment)
    progress(Event("split", len(index), len(index), "group"))
    return assignment


def _links(recipe: Recipe, index: Index) -> list[tuple[int, int]]:
    """Pairs of queries that are nearly the same."""
    if not recipe.split.near:
        return []
    from metaalign.data.filters.near import near_links

    return list(near_links(index.talks(), recipe.split.near))


def _as_given(index: Index) -> Assignment:
    for number, split in enumerate(index.given):
        if not split:
            raise UserError(
                f"the group {index.group(number).id} says no split of its own: "
                'by = ["given"] is for sources that publish splits'
            )
    return Assignment(index.given, ())


def _names(recipe: Recipe, assignment: Assignment) -> list[str]:
    if "given" not in recipe.split.by:
        return list(recipe.split.shares)
    found = set(assignment.splits)
    known = [name for name in _FIRST if name in found]
    return known + sorted(found.difference(known))


def _check_sizes(recipe: Recipe, assignment: Assignment) -> None:
    sizes = Counter(assignment.splits)
    for name, share in recipe.split.shares.items():
        if share > 0 and not sizes[name]:
            said = "".join(f"; {note}" for note in assignment.notes)
            raise UserError(
                f"the split {name} came out empty: {len(assignment.splits)} groups are too few "
                f"for the fractions {recipe.split.shares}{said}; raise the limit, give larger "
                "files, or hold out by less"
            )


def _tell_dropped(run: Run, index: Index, assignment: Assignment) -> None:
    """Count what no split could take, with examples, as for a stage."""
    for number, split in enumerate(assignment.splits):
        if split == DROPPED:
            order = index.orders[number]
            if run.tally.count(None, assignment.reason, order):
                run.tally.keep(None, assignment.reason, order, index.group(number))


def _held_out(index: Index, assignment: Assignment) -> list[HeldOutValue]:
    return [
        HeldOutValue(held.by, text)
        for held in assignment.held_out
        for text in index.texts(held.by, held.values)
    ]
