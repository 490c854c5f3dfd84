"""The dataset folder: written whole or not at all, and read back as groups.

OUT/groups/{split}-00000.parquet    groups, nested
OUT/samples/{split}-00000.parquet   samples, flat: easy to read and to train on elsewhere
OUT/dropped.jsonl                   what was left out by which stage and why, with examples
OUT/held_out.jsonl                  values that only the test asks for, if a split holds some out
OUT/README.md                       dataset card; ``datasets.load_dataset(OUT)`` reads it
OUT/manifest.json                   where it came from; written last
"""

import re
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from metaalign.data import tables
from metaalign.data.card import TABLES, dataset_card
from metaalign.data.manifest import (
    FILE_NAME,
    Manifest,
    fingerprint,
    plain_settings,
    read_manifest,
    versions,
    write_manifest,
    writing,
)
from metaalign.data.samples import Census, samples_of
from metaalign.schema import Event, Group, Progress, UserError, silent

CARD_NAME = "README.md"
DROPPED_NAME = "dropped.jsonl"
HELD_OUT_NAME = "held_out.jsonl"
REPORTS = (DROPPED_NAME, HELD_OUT_NAME)
"""Reports of a build: JSON lines; one that has none is not there."""
SHARD_ROWS = 50_000
"""Rows of one Parquet file."""

_BATCH = 1_000
_OURS = {*TABLES, *REPORTS, CARD_NAME, FILE_NAME}
_SPLIT_NAME = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")


def write_dataset(
    out: Path,
    splits: Mapping[str, Iterable[Group]],
    *,
    settings: Mapping[str, object],
    seed: int,
    inputs: Mapping[str, str] | None = None,
    sources_licences: Mapping[str, str] | None = None,
    skipped: Mapping[str, int] | None = None,
    counts: Mapping[str, int] | None = None,
    notes: Sequence[str] = (),
    reports: Mapping[str, Sequence[Struct]] | None = None,
    started: float | None = None,
    shard_rows: int = SHARD_ROWS,
    progress: Progress = silent,
) -> Manifest:
    """Write ``splits`` as a dataset folder and return its manifest.

    The groups are streamed: no more than a batch of them is held at a time. Everything goes into a
    temporary folder beside ``out``, which takes its place at the end; until then, and if anything
    fails, what stood at ``out`` is untouched. The manifest's fingerprint is
    ``fingerprint(settings, inputs, seed=seed)``.

    ``inputs`` names what the groups were made from, with hashes; ``sources_licences`` the licence
    of every source, for the card; ``skipped`` what was left out before, by source and reason (it
    is read at the end, so a reader may still add to it while the groups are drawn); ``counts`` what
    else the manifest counts; ``reports`` the lines of those of ``REPORTS`` that there are;
    ``started`` when the work began, by ``time.monotonic()``, if that was before this call.

    Raises ``UserError`` if the disk is full or ``out`` is a folder with other things in it, and
    ``ValueError`` for a split's name that is no plain word or a group id that is there twice.
    """
    started = time.monotonic() if started is None else started
    for name in splits:
        if not _SPLIT_NAME.fullmatch(name):
            raise ValueError(f"a split is named by small letters, digits and _: {name!r}")
    census = Census()
    with _taking_the_place_of(out) as partial:
        _write_tables(partial, splits, census, shard_rows, progress)
        left_out = {f"skipped.{reason}": n for reason, n in sorted((skipped or {}).items())}
        manifest = Manifest(
            kind="dataset",
            fingerprint=fingerprint(settings, inputs, seed=seed),
            seed=seed,
            settings=plain_settings(settings),
            inputs=dict(inputs or {}),
            versions=versions(),
            # A split without groups is still a split: its counts are there and zero.
            counts={f"{table}.{name}": 0 for name in splits for table in TABLES}
            | {"flips": 0, "views_that_order_nothing": 0}
            | census.counts()
            | dict(counts or {})
            | left_out,
            notes=tuple(notes),
            seconds=round(time.monotonic() - started, 3),
        )
        _write_reports(partial, reports or {})
        card = partial / CARD_NAME
        with writing(card):
            card.write_text(dataset_card(manifest, splits, sources_licences or {}), "utf-8")
        write_manifest(partial, manifest)
    return manifest


def _write_reports(folder: Path, reports: Mapping[str, Sequence[Struct]]) -> None:
    for name, lines in reports.items():
        if name not in REPORTS:
            raise ValueError(f"no report of a dataset is called {name}")
        if lines:
            with writing(folder / name):
                (folder / name).write_bytes(msgspec.json.Encoder().encode_lines(lines))


def _write_tables(
    folder: Path,
    splits: Mapping[str, Iterable[Group]],
    census: Census,
    shard_rows: int,
    progress: Progress,
) -> None:
    seen: set[str] = set()
    sizes = [len(groups) for groups in splits.values() if isinstance(groups, Sized)]
    # Zero while it is unknown: a generator does not tell how much is to come.
    total = sum(sizes) if len(sizes) == len(splits) else 0
    for table in TABLES:
        with writing(folder / table):
            (folder / table).mkdir()
    for name, groups in splits.items():
        with (
            tables.ShardWriter(folder / "groups", name, tables.GROUPS, shard_rows) as whole,
            tables.ShardWriter(folder / "samples", name, tables.SAMPLES, shard_rows) as flat,
        ):
            stream = iter(groups)
            while batch := list(islice(stream, _BATCH)):
                for group in batch:
                    if group.id in seen:
                        raise ValueError(f"the group id {group.id} is there twice")
                    seen.add(group.id)
                    census.add(group, name)
                whole.write(msgspec.to_builtins(batch))
                flat.write([tables.sample_row(s) for group in batch for s in samples_of(group)])
                progress(Event("write dataset", len(seen), total, "group", name))
    if not total:
        progress(Event("write dataset", len(seen), len(seen), "group"))


@contextmanager
def _taking_the_place_of(out: Path) -> Iterator[Path]:
    """A new folder beside ``out`` that takes its place if all goes well and else disappears."""
    # Absolute, because the name of "." is empty.
    out = out.absolute()
    partial = out.with_name(f".{out.name}.partial")
    before = out.with_name(f".{out.name}.before")
    if before.is_dir() and not out.exists():
        # The last run was killed between the two renames below: put back what stood here.
        before.rename(out)
    if out.exists() and not _is_ours(out):
        raise UserError(
            f"{out} exists and is not a dataset of metaalign: choose another --out, or move it away"
        )
    for leftover in (partial, before):
        shutil.rmtree(leftover, ignore_errors=True)
    with writing(partial):
        partial.mkdir(parents=True)
    try:
        yield partial
        with writing(out):
            if out.exists():
                out.rename(before)
            partial.rename(out)
    except BaseException:
        if before.is_dir() and not out.exists():
            before.rename(out)
        shutil.rmtree(partial, ignore_errors=True)
        raise
    shutil.rmtree(before, ignore_errors=True)


def remove_leftovers(out: Path) -> None:
    """Take away what a run that was killed while it wrote ``out`` has left beside it."""
    for name in ("partial", "before"):
        shutil.rmtree(out.absolute().with_name(f".{out.absolute().name}.{name}"), True)


def _is_ours(out: Path) -> bool:
    """True for an empty folder and for one that holds nothing but parts of a dataset."""
    return out.is_dir() and {p.name for p in out.iterdir()} <= _OURS


def read_dataset_manifest(dataset: Path) -> Manifest:
    """The manifest of a dataset folder; ``UserError`` if there is none."""
    if not dataset.exists():
        raise UserError(f"{dataset} does not exist: give a folder that metaalign data build wrote")
    manifest = read_manifest(dataset)
    if manifest.kind != "dataset":
        raise UserError(f"{dataset} holds a {manifest.kind}, not a dataset: give a dataset folder")
    return manifest


_RecordT = TypeVar("_RecordT")


def read_report(dataset: Path, name: str, record: type[_RecordT]) -> tuple[_RecordT, ...]:
    """The lines of a report that the build wrote beside the tables; none if it wrote none.

    Raises ``UserError`` for a file that is damaged.
    """
    path = dataset / name
    try:
        return tuple(msgspec.json.Decoder(record).decode_lines(path.read_bytes()))
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except msgspec.MsgspecError as error:
        raise UserError(f"{path} is damaged: {error}; build the dataset again") from error


def split_names(dataset: Path) -> list[str]:
    """Names of the dataset's splits, in the order in which they were written."""
    return _splits(read_dataset_manifest(dataset))


def _splits(manifest: Manifest) -> list[str]:
    return [k.removeprefix("groups.") for k in manifest.counts if k.startswith("groups.")]


def check_dataset(dataset: Path) -> Manifest:
    """The manifest, if every split has as many rows as it says; ``UserError`` otherwise.

    Reads the end of every file only, so it is quick at any size.
    """
    manifest = read_dataset_manifest(dataset)
    for split in _splits(manifest):
        for table in TABLES:
            expected = manifest.counts[f"{table}.{split}"]
            found = sum(map(tables.count_rows, tables.shard_paths(dataset / table, split)))
            if found != expected:
                raise UserError(
                    f"{dataset / table} holds {found} of the {expected} {table} of the split "
                    f"{split}: a file is missing or was changed; build the dataset again"
                )
    return manifest


def iter_groups(dataset: Path, split: str | None = None) -> Iterator[Group]:
    """The groups of ``split``, or of all splits, one at a time."""
    names = _splits(check_dataset(dataset))
    if split is not None and split not in names:
        raise UserError(f"{dataset} has no split {split!r}: it has {', '.join(names) or 'none'}")
    for name in names if split is None else [split]:
        for path in tables.shard_paths(dataset / "groups", name):
            for rows in tables.read_rows(path):
                try:
                    yield from msgspec.convert(rows, list[Group])
                except msgspec.ValidationError as error:
                    raise UserError(
                        f"{path}: {error}; its columns are not those that this metaalign writes: "
                        "build the dataset again"
                    ) from error


def read_groups(dataset: Path, split: str | None = None) -> list[Group]:
    """All groups of ``split``, or of the whole dataset.

    Raises ``UserError`` for a folder that is missing, half-written, damaged or of a newer
    metaalign, and for an unknown split.
    """
    return list(iter_groups(dataset, split))


def read_splits(dataset: Path) -> dict[str, list[Group]]:
    """All groups by split."""
    return {name: read_groups(dataset, name) for name in split_names(dataset)}
