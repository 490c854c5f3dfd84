"""New splits for a dataset: the groups stay, where each stands is drawn anew.

The groups are read once for the keys by which they must not cross, and once more for every split.
"""

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from metaalign.data.build import HeldOutValue
from metaalign.data.building.dropped import Dropped, Tally
from metaalign.data.building.keys import Edges, key_hash, keys_of, talk
from metaalign.data.manifest import Manifest, Scalar, Setting
from metaalign.data.recipe import Split
from metaalign.data.splits import DROPPED, Assignment, assign, check_assignment
from metaalign.data.store import check_dataset, iter_groups, write_dataset
from metaalign.data.tools.carrying import carried
from metaalign.policy import PriorityMatrix, load_matrix
from metaalign.schema import Event, Group, Progress, UserError, silent

Groups = Callable[[], Iterator[Group]]
"""Reads all groups from the beginning, in the same order every time."""

_EVERY = 2_000


class Drawn(Struct, frozen=True, kw_only=True):
    """Splits as ``write_dataset`` takes them, and what came of drawing them."""

    splits: dict[str, Iterator[Group]]
    """To be read one after the other."""
    notes: tuple[str, ...]
    held_out: tuple[HeldOutValue, ...]
    dropped: tuple[Dropped, ...]
    skipped: dict[str, int]
    """Groups that no split could take, by reason."""


def split_dataset(
    dataset: Path,
    out: Path,
    split: Split,
    *,
    seed: int | None = None,
    progress: Progress = silent,
) -> Manifest:
    """Write ``dataset`` with other splits to ``out`` and return its manifest.

    ``seed`` is that of the dataset if not given. Groups that no split can take are counted as
    skipped. Raises ``UserError`` for what is no whole dataset, and for splits that come out empty.
    """
    manifest = check_dataset(dataset)
    whole = carried(dataset, manifest)
    seed = manifest.seed if seed is None else seed
    matrix = matrix_of(manifest.settings)
    drawn = draw(lambda: iter_groups(dataset), split, seed, matrix, progress=progress)
    whole.skipped.update(drawn.skipped)
    return write_dataset(
        out,
        drawn.splits,
        settings=split_settings(manifest.settings, split),
        seed=seed,
        inputs={**whole.inputs, "the dataset that was split": manifest.fingerprint},
        sources_licences=whole.licences,
        skipped=whole.skipped,
        counts=whole.counts,
        # What was said of the former splits does not hold any more.
        notes=drawn.notes,
        reports={
            "dropped.jsonl": (*whole.dropped, *drawn.dropped),
            "held_out.jsonl": drawn.held_out,
        },
        progress=progress,
    )


def matrix_of(settings: Mapping[str, Setting]) -> PriorityMatrix:
    """The Priority Matrix that a dataset was made with, as far as it is packaged or at hand."""
    name = settings.get("matrix")
    return load_matrix(name.partition("@")[0] if isinstance(name, str) else "default")


def split_settings(settings: Mapping[str, Setting], split: Split) -> dict[str, Setting]:
    """``settings`` with those of another split, named as a recipe's are."""
    others = {k: v for k, v in settings.items() if not k.startswith("split.")}
    by: list[Scalar] = list(split.by)
    own: dict[str, Setting] = {"split.by": by, "split.near": split.near}
    own |= {"split.layout": split.layout or "two-stage"}
    return others | own | {f"split.fractions.{k}": v for k, v in split.shares.items()}


def draw(
    groups: Groups,
    split: Split,
    seed: int,
    matrix: PriorityMatrix,
    *,
    progress: Progress = silent,
) -> Drawn:
    """Where all groups go, proved to let nothing cross; see ``splits.assign``.

    Raises ``UserError`` for a split that comes out empty.
    """
    if "given" in split.by:
        raise UserError("by = given keeps the splits of a source: name what is to be held out")
    count, edges = _edges(groups, split.by, matrix, progress)
    links = _links(groups, split.near)
    found = assign(count, edges, split.shares, seed, links)
    check_assignment(found, edges, links)
    for name, share in split.shares.items():
        if share > 0 and name not in found.splits:
            said = "".join(f"; {note}" for note in found.notes)
            raise UserError(
                f"the split {name} comes out empty: {count} groups are too few for the fractions "
                f"{split.shares}{said}; hold out by less, or give it more"
            )
    tally = _tally(groups, found)
    return Drawn(
        splits={name: _stream(groups, found.splits, name) for name in split.shares},
        notes=found.notes,
        held_out=tuple(_held_out(groups, found, matrix)),
        dropped=tuple(tally.lines()),
        skipped=tally.counts(),
    )


def _edges(
    groups: Groups, by: Sequence[str], matrix: PriorityMatrix, progress: Progress
) -> tuple[int, dict[str, Edges]]:
    """How many groups there are, and their keys: 16 bytes each."""
    hashes = {one: array("Q") for one in by}
    numbers = {one: array("q") for one in by}
    count = 0
    for count, group in enumerate(groups(), 1):
        for one, keys in keys_of(group, by, matrix).items():
            hashes[one].extend(map(key_hash, keys))
            numbers[one].extend([count - 1] * len(keys))
        if count % _EVERY == 0:
            progress(Event("read keys", count, 0, "group"))
    return count, {one: Edges(hashes[one], numbers[one]) for one in by}


def _links(groups: Groups, near: float) -> list[tuple[int, int]]:
    """Pairs of queries that are nearly the same, by the hash of their key."""
    if not near:
        return []
    from metaalign.data.filters.near import near_links

    matrix = load_matrix()

    def talks() -> Iterator[tuple[int, str]]:
        seen: set[int] = set()
        for group in groups():
            key = key_hash(keys_of(group, ("query",), matrix)["query"][-1])
            if key not in seen:
                seen.add(key)
                yield key, talk(group)

    return list(near_links(talks(), near))


def _tally(groups: Groups, found: Assignment) -> Tally:
    tally = Tally()
    if found.dropped:
        for number, group in enumerate(groups()):
            if found.splits[number] == DROPPED and tally.count(None, found.reason, number):
                tally.keep(None, found.reason, number, group)
    return tally


def _stream(groups: Groups, splits: Sequence[str], name: str) -> Iterator[Group]:
    return (group for number, group in enumerate(groups()) if splits[number] == name)


def _held_out(groups: Groups, found: Assignment, matrix: PriorityMatrix) -> Iterator[HeldOutValue]:
    """The texts of the values that only the test asks for, sorted."""
    held = {one.by: one.values for one in found.held_out}
    texts: dict[str, set[str]] = {by: set() for by in held}
    for group in groups() if held else ():
        for by, keys in keys_of(group, held, matrix).items():
            texts[by].update(key for key in keys if key_hash(key) in held[by])
    for by, own in texts.items():
        for text in sorted(own):
            yield HeldOutValue(by, text)
