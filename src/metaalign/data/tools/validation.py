"""Is a dataset what it says it is? Every row is read, and whatever is wrong is named.

Memory: eight bytes or so for every group and every key of the split; the groups are streamed.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from metaalign.data import tables
from metaalign.data.build import HeldOutValue
from metaalign.data.building.keys import key_hash, keys_of, talk
from metaalign.data.filters.control_tokens import ControlTokens
from metaalign.data.manifest import Manifest, fingerprint, read_manifest
from metaalign.data.recipe import TRAINING
from metaalign.data.samples import Census, samples_of
from metaalign.data.store import CARD_NAME, HELD_OUT_NAME
from metaalign.data.tools.checking import Finding, faults_of
from metaalign.data.tools.rows import Row, decoded, file_name, rows_of
from metaalign.policy import PriorityMatrix, load_matrix
from metaalign.schema import SCHEMA_VERSION, Event, Group, Progress, UserError, silent

NAMED = 10
"""Findings of one kind that are named one by one; the rest is counted."""
_EVERY = 2_000
_TOKENS = ControlTokens()


class Report(Struct, frozen=True):
    """What ``validate`` has found."""

    groups: int
    """Rows that are groups, with faults or without."""
    samples: int
    """Rows of the other table."""
    findings: tuple[Finding, ...]
    """The first of each kind."""
    more: dict[str, int]
    """Findings beyond those, by file and kind."""
    notes: tuple[str, ...]
    """What is worth knowing and not wrong."""

    @property
    def count(self) -> int:
        return len(self.findings) + sum(self.more.values())


class _Findings:
    """Keeps the first findings of each kind and counts the others."""

    def __init__(self) -> None:
        self.kept: list[Finding] = []
        self._seen: Counter[tuple[str, str]] = Counter()
        self.more: Counter[str] = Counter()

    def add(self, file: str, row: int | None, field: str, problem: str) -> None:
        # Of a problem without a field its first words, as ids follow.
        kind = (file, field.partition("[")[0] or " ".join(problem.split()[:4]))
        self._seen[kind] += 1
        if self._seen[kind] <= NAMED:
            self.kept.append(Finding(file, row, field, problem))
        else:
            self.more[": ".join(filter(None, kind))] += 1

    def take(self, finding: Finding) -> None:
        self.add(finding.file, finding.row, finding.field, finding.problem)


def validate(dataset: Path, *, near: float | None = None, progress: Progress = silent) -> Report:
    """Check the dataset folder ``dataset``, row by row.

    Args:
        near: queries that are so alike must not stand in two splits, as ``split.near`` of a recipe;
            that of the dataset's own recipe if not given.

    Raises ``UserError`` only for what is no dataset at all, or one of a newer metaalign.
    """
    manifest = read_dataset(dataset)
    splits = [k.removeprefix("groups.") for k in manifest.counts if k.startswith("groups.")]
    found = _Findings()
    reading = _Reading(dataset, manifest, found, near, progress)
    for split in splits:
        reading.read(split)
    reading.end()
    samples = sum(_compare(dataset, split, reading.ids, found, progress) for split in splits)
    _check_counts(dataset, manifest, splits, reading.census, found)
    _check_manifest(manifest, found)
    _check_card(dataset, found)
    return Report(
        reading.groups, samples, tuple(found.kept), dict(found.more), tuple(reading.notes())
    )


def read_dataset(dataset: Path) -> Manifest:
    """The manifest of a dataset folder; ``UserError`` as ``read_manifest``, or if it is another."""
    if not dataset.is_dir():
        raise UserError(f"{dataset} is no folder: give one that metaalign data build wrote")
    manifest = read_manifest(dataset)
    if manifest.kind != "dataset":
        raise UserError(f"{dataset} holds a {manifest.kind}, not a dataset: give a dataset folder")
    return manifest


class _Reading:
    """One run through all groups: every row on its own, and what they must not share."""

    def __init__(
        self,
        dataset: Path,
        manifest: Manifest,
        found: _Findings,
        near: float | None,
        progress: Progress,
    ) -> None:
        self._dataset, self._found, self._progress = dataset, found, progress
        self._total = manifest.counts.get("groups", 0)
        self.groups = 0
        self.ids: dict[int, str] = {}
        """The split of every group that can be read, by the hash of its id."""
        self.census = Census()
        self._tokens: Counter[str] = Counter()
        self._crossing = Crossing(dataset, manifest, near, found)

    def read(self, split: str) -> None:
        for one in rows_of(self._dataset, "groups", split):
            group = decoded(one) if isinstance(one, Row) else one
            if isinstance(group, Finding):
                self._found.take(group)
            elif isinstance(one, Row):
                self._check(group, one, split)

    def _check(self, group: Group, row: Row, split: str) -> None:
        file = file_name(row.path)
        self.groups += 1
        name = key_hash(group.id)
        if name in self.ids:
            self._found.add(file, row.number, "id", f"the id {group.id} is there twice")
        self.ids.setdefault(name, split)
        faults = list(faults_of(group))
        for field, problem in faults:
            self._found.add(file, row.number, field, problem)
        if not any(".ranks" in field for field, _ in faults):
            self.census.add(group, split)
        self._crossing.add(group, split, file, row.number)
        self._tokens.update(reason for reason in _TOKENS.reasons([group]) if reason)
        if self.groups % _EVERY == 0:
            self._progress(Event("check groups", self.groups, self._total, "group", split))

    def end(self) -> None:
        self._crossing.end()
        self._progress(Event("check groups", self.groups, self.groups, "group"))

    def notes(self) -> Iterator[str]:
        if total := self._tokens.total():
            places: Counter[str] = Counter()
            for reason, n in self._tokens.items():
                places[reason.removeprefix("control token: ").split(" ")[0]] += n
            where = ", ".join(f"{place} {n:,}" for place, n in sorted(places.items()))
            yield (
                f"{total:,} groups hold a control token of some model's chat template ({where}); "
                "metaalign renders it as text, other programs may not: the stage control-tokens "
                "leaves such groups out"
            )
        yield from self._crossing.notes


class Crossing:
    """What must not stand in two splits, checked while groups go by."""

    def __init__(
        self, dataset: Path, manifest: Manifest, near: float | None, found: _Findings
    ) -> None:
        by = manifest.settings.get("split.by")
        own = manifest.settings.get("split.near")
        named = [str(one) for one in by] if isinstance(by, list) else []
        self.by = tuple(one for one in named if one != "given")
        self.notes: list[str] = []
        if not self.by:
            self.notes.append(
                "what the splits hold out is not recorded: only ids are checked not to cross"
            )
        self._near = near if near is not None else own if isinstance(own, float) else 0.0
        self._found = found
        self._held = _held_out(dataset, self.by, found)
        self._homes: dict[str, dict[int, str]] = {one: {} for one in self.by}
        self._talks: dict[int, tuple[str, str]] = {}
        """Split and group in which a talk stands first, by its hash."""
        self._dataset = dataset
        self._matrix = _matrix(manifest)

    def add(self, group: Group, split: str, file: str, row: int) -> None:
        for one, keys in keys_of(group, self.by, self._matrix).items():
            for key in map(key_hash, keys):
                if one in self._held:
                    if key in self._held[one] and split in TRAINING:
                        self._found.add(file, row, "", f"a {one} that is held out is in {split}")
                        break
                elif (home := self._homes[one].setdefault(key, split)) != split:
                    self._found.add(file, row, "", f"its {one} stands in {home} too")
                    break
        if self._near:
            self._talks.setdefault(key_hash(talk(group)), (split, group.id))

    def end(self) -> None:
        """Find queries of different splits that are nearly the same."""
        if not self._near:
            return
        from metaalign.data.filters.near import near_links

        for pair in near_links(self._texts(), self._near):
            (home, one), (other_home, other) = sorted(self._talks[key] for key in pair)
            if home != other_home:
                where = f"{home} ({one}) and in {other_home} ({other})"
                problem = f"nearly the same query stands in {where}"
                self._found.add("groups", None, "turns", problem)

    def _texts(self) -> Iterator[tuple[int, str]]:
        """Every talk once, read again: only their hashes are held."""
        waiting = set(self._talks)
        for split in dict.fromkeys(split for split, _ in self._talks.values()):
            for row in rows_of(self._dataset, "groups", split):
                group = decoded(row) if isinstance(row, Row) else row
                if isinstance(group, Group) and (key := key_hash(talk(group))) in waiting:
                    waiting.discard(key)
                    yield key, talk(group)


def _matrix(manifest: Manifest) -> PriorityMatrix:
    name = manifest.settings.get("matrix")
    try:
        return load_matrix(name if isinstance(name, str) else "default")
    except UserError:
        return load_matrix()  # a file of whoever built it


def _held_out(dataset: Path, by: Sequence[str], found: _Findings) -> dict[str, set[int]]:
    """The hashes of the values that only the test may ask for, by what they are."""
    path = dataset / HELD_OUT_NAME
    held: dict[str, set[int]] = {}
    if not path.exists():
        return held
    try:
        for one in msgspec.json.Decoder(HeldOutValue).decode_lines(path.read_bytes()):
            if one.by in by:
                held.setdefault(one.by, set()).add(key_hash(one.value))
    except (msgspec.MsgspecError, OSError) as error:
        found.add(HELD_OUT_NAME, None, "", f"it cannot be read: {error}")
    return held


def _compare(
    dataset: Path, split: str, ids: Mapping[int, str], found: _Findings, progress: Progress
) -> int:
    """Check that the samples of ``split`` are those of its groups; returns how many there are.

    Both tables have the groups in one order, so they are read side by side.
    """
    count = 0
    expected = _expected(dataset, split)
    due = next(expected, None)
    passed: set[int] = set()
    for name, rows in groupby(_sample_rows(dataset, split, found), _group_of):
        own = list(rows)
        count += len(own)
        key = key_hash(name)
        problem = _out_of_place(name, split, ids.get(key), key in passed)
        if problem:
            _add(found, own[0], "group_id", problem)
            continue
        while due is not None and due[0] != name:
            _missing(due, split, found)
            passed.add(key_hash(due[0]))
            due = next(expected, None)
        if due is not None and due[1] is not None:
            _same(due[1], own, found)
        passed.add(key)
        due = next(expected, None)
        progress(Event("check samples", count, 0, "sample", split))
    while due is not None:
        _missing(due, split, found)
        due = next(expected, None)
    return count


def _out_of_place(name: str, split: str, home: str | None, passed: bool) -> str:
    """What is wrong with samples of this group standing here; empty if nothing is."""
    if home is None:
        return f"no group that can be read has the id {name}"
    if home != split:
        return f"the group {name} stands in {home}"
    return f"samples of {name} stand twice, or out of order" if passed else ""


_Due = tuple[str, list[Mapping[str, Any]] | None]
"""Id of a group, and the rows of its samples; None if the group is too faulty to tell."""


def _missing(due: _Due, split: str, found: _Findings) -> None:
    if due[1]:
        found.add(f"samples/{split}", None, "", f"samples of the group {due[0]} are missing")


def _add(found: _Findings, row: Row, field: str, problem: str) -> None:
    found.add(file_name(row.path), row.number, field, problem)


def _group_of(row: Row) -> str:
    return str(row.value.get("group_id"))


def _expected(dataset: Path, split: str) -> Iterator[_Due]:
    """What every group that can be read gives, in order; those that give nothing are absent."""
    for row in rows_of(dataset, "groups", split):
        group = decoded(row) if isinstance(row, Row) else row
        if not isinstance(group, Group):
            continue
        if any(".ranks" in field for field, _ in faults_of(group)):
            yield group.id, None
        elif rows := [tables.sample_row(sample) for sample in samples_of(group)]:
            yield group.id, rows


def _sample_rows(dataset: Path, split: str, found: _Findings) -> Iterator[Row]:
    for row in rows_of(dataset, "samples", split):
        if isinstance(row, Row):
            yield row
        else:
            found.take(row)


def _same(expected: Sequence[Mapping[str, Any]], rows: Sequence[Row], found: _Findings) -> None:
    if len(expected) != len(rows):
        _add(found, rows[0], "", f"{len(rows)} samples of a group that gives {len(expected)}")
        return
    for due, row in zip(expected, rows, strict=True):
        for field in tables.SAMPLES.names:
            if row.value.get(field) != due[field]:
                _add(found, row, field, f"it is not what the group {due['group_id']} gives")


def _check_counts(
    dataset: Path, manifest: Manifest, splits: Sequence[str], census: Census, found: _Findings
) -> None:
    """What the manifest says that there is, against what was read."""
    counts = census.counts()
    for split in splits:
        counts.setdefault(f"groups.{split}", 0)
        counts.setdefault(f"samples.{split}", 0)
    kinds = ("groups", "samples", "family", "kind", "source", "views", "flips", "distinct_")
    for name in sorted({*counts, *manifest.counts}):
        if name.partition(".")[0] in kinds or name.startswith(kinds[-1]):
            said, is_so = manifest.counts.get(name, 0), counts.get(name, 0)
            if said != is_so:
                found.add("manifest.json", None, f"counts.{name}", f"{said:,}, but {is_so:,} found")
    for table in ("groups", "samples"):
        known = {
            str(path) for split in splits for path in tables.shard_paths(dataset / table, split)
        }
        for path in sorted((dataset / table).glob("*")):
            if str(path) not in known:
                found.add(
                    f"{table}/{path.name}", None, "", "no split of the manifest has this file"
                )


def _check_manifest(manifest: Manifest, found: _Findings) -> None:
    # The hash covers the schema's version, so that of an older one cannot be made again.
    if manifest.schema == SCHEMA_VERSION:
        due = fingerprint(manifest.settings, manifest.inputs, seed=manifest.seed)
        if due != manifest.fingerprint:
            problem = f"{manifest.fingerprint}, but settings, inputs and seed give {due}"
            found.add("manifest.json", None, "fingerprint", problem)


def _check_card(dataset: Path, found: _Findings) -> None:
    """The card's header must be YAML that the hub reads, if there is a library to tell."""
    card = dataset / CARD_NAME
    if not card.exists():
        found.add(CARD_NAME, None, "", "the dataset has no card: load_dataset finds no splits")
        return
    try:
        from huggingface_hub import metadata_load
    except ImportError:
        return
    try:
        header = metadata_load(card)
    except Exception as error:  # YAML's own, or the hub's for what is no mapping
        found.add(CARD_NAME, None, "", f"its header is no YAML: {' '.join(str(error).split())}")
        return
    if not header or "configs" not in header:
        found.add(CARD_NAME, None, "configs", "the header names no files: load_dataset finds none")
