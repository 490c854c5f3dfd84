"""A damaged dataset made whole: what is sound is written anew, what is not is kept aside.

OUT                         the dataset of all groups that are sound; its samples are made again
OUT.quarantine/rows.jsonl   every row that is not: file, row, field, problem, and the row itself
OUT.quarantine/groups/...   a copy of every file of which something could not be read at all
"""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from msgspec import Struct

from metaalign.data.building.keys import key_hash
from metaalign.data.manifest import Manifest, fingerprint, writing
from metaalign.data.store import write_dataset
from metaalign.data.tools.carrying import Carried, carried
from metaalign.data.tools.checking import Finding, faults_of
from metaalign.data.tools.rows import Row, decoded, file_name, rows_of, splits_there
from metaalign.data.tools.validation import read_dataset
from metaalign.schema import Group, Progress, UserError, silent

ROWS_NAME = "rows.jsonl"
_NAMED = 20
"""Damages that the notes of the new manifest name; ``rows.jsonl`` has all."""


class Quarantined(Struct, frozen=True):
    """One line of ``rows.jsonl``."""

    file: str
    row: int | None
    """From 0; None for a whole file."""
    field: str
    problem: str
    value: Mapping[str, Any] | None = None
    """The row; None where it could not be read."""


def quarantine_folder(out: Path) -> Path:
    """Where what is left out is kept, beside the mended dataset."""
    return out.absolute().with_name(f"{out.absolute().name}.quarantine")


def repair(dataset: Path, out: Path, *, progress: Progress = silent) -> Manifest:
    """Write the sound groups of ``dataset`` to ``out`` and return the manifest.

    It counts what was lost as ``skipped.damaged: …`` and names it in its notes. A row is kept aside
    if it cannot be decoded, contradicts itself, or has the id of one before; ``dataset`` itself is
    not touched. Raises ``UserError`` if no group is sound, or the dataset is of a newer metaalign.
    """
    if out.absolute() == dataset.absolute():
        raise UserError(f"{out} is the damaged dataset itself: give another folder to repair into")
    manifest, notes = _manifest(dataset)
    whole = carried(dataset, manifest)
    splits = [k.removeprefix("groups.") for k in manifest.counts if k.startswith("groups.")]
    splits += [split for split in splits_there(dataset) if split not in splits]
    aside = _new_quarantine(out)
    whole.notes.extend(notes)
    with (aside / ROWS_NAME).open("wb") as file:
        sorting = _Sorting(dataset, aside, file, whole, manifest.counts.get("groups", 0))
        return write_dataset(
            out,
            {name: sorting.sound(name, name == splits[-1]) for name in splits},
            settings={**manifest.settings, "repaired": True},
            seed=manifest.seed,
            inputs={**whole.inputs, "the damaged dataset": manifest.fingerprint},
            sources_licences=whole.licences,
            # Both are read when all groups are written, and grow until then.
            skipped=whole.skipped,
            notes=whole.notes,
            counts=whole.counts,
            reports=whole.reports,
            progress=progress,
        )


def _manifest(dataset: Path) -> tuple[Manifest, list[str]]:
    """The dataset's manifest, or one that knows nothing if it is lost."""
    try:
        return read_dataset(dataset), []
    except UserError as error:
        lost = isinstance(error.__cause__, FileNotFoundError | msgspec.MsgspecError)
        if not lost or not splits_there(dataset):
            raise
    nothing = fingerprint({})
    note = "the manifest was lost: settings, inputs and what had been left out are not known"
    return Manifest(kind="dataset", fingerprint=nothing, seed=0), [note]


def _new_quarantine(out: Path) -> Path:
    aside = quarantine_folder(out)
    if aside.exists() and any(aside.iterdir()) and not (aside / ROWS_NAME).exists():
        raise UserError(f"{aside} holds something else: move it away, it is for what is left out")
    with writing(aside):
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
    return aside


class _Sorting:
    """Hands on the sound groups of a dataset, and keeps the rest aside."""

    def __init__(
        self, dataset: Path, aside: Path, file: BinaryIO, whole: Carried, due: int
    ) -> None:
        self._dataset, self._aside, self._file, self._whole = dataset, aside, file, whole
        self._due = due
        self._encoder = msgspec.json.Encoder()
        self._ids: set[int] = set()
        self._named = 0
        self._lost = 0

    def sound(self, split: str, last: bool) -> Iterator[Group]:
        for one in rows_of(self._dataset, "groups", split):
            group = decoded(one) if isinstance(one, Row) else one
            if isinstance(group, Group) and isinstance(one, Row):
                faults = list(faults_of(group))
                if key_hash(group.id) in self._ids:
                    faults.append(("id", f"the id {group.id} is there twice"))
                if not faults:
                    self._ids.add(key_hash(group.id))
                    yield group
                    continue
                field, problem = faults[0]
                group = Finding(file_name(one.path), one.number, field, problem)
            if isinstance(group, Finding):
                self._keep(group, one.value if isinstance(one, Row) else None)
        if last:
            self._end()

    def _keep(self, finding: Finding, value: Mapping[str, Any] | None) -> None:
        line = Quarantined(finding.file, finding.row, finding.field, finding.problem, value)
        with writing(self._aside):
            self._file.write(self._encoder.encode(line) + b"\n")
            if value is None:
                copy = self._aside / finding.file
                copy.parent.mkdir(exist_ok=True)
                shutil.copyfile(self._dataset / finding.file, copy)
        self._whole.skipped[f"damaged: {_reason(finding, value is not None)}"] += finding.rows
        self._lost += finding.rows
        self._named += 1
        if self._named <= _NAMED:
            self._whole.notes.append(f"kept aside: {finding}")

    def _end(self) -> None:
        if not self._ids:
            where = self._aside / ROWS_NAME
            raise UserError(f"no group of {self._dataset} is sound: {where} says what is wrong")
        if self._named > _NAMED:
            self._whole.notes.append(f"{self._named - _NAMED:,} more are kept aside")
        # A file that is lost does not say how many rows it had; the manifest knew.
        gone = self._due - len(self._ids) - self._lost
        if gone > 0:
            self._whole.skipped["damaged: groups in a file that is lost"] += gone


def _reason(finding: Finding, readable: bool) -> str:
    """What many damages have in common."""
    if readable:
        field = finding.field.rpartition(".")[2] or "row"
        return f"a row with a wrong {field.partition('[')[0]}"
    return "rows that cannot be read" if finding.row is not None else "files that cannot be read"
