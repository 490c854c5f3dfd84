"""Several datasets in one: every group once, with the provenance and licences of all.

A few dozen bytes are held for every group and key, never the groups.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from metaalign.data.building.keys import key_hash, keys_of
from metaalign.data.building.staging import encode_group
from metaalign.data.draw import digest
from metaalign.data.manifest import Manifest, Scalar, Setting
from metaalign.data.recipe import TRAINING, Split
from metaalign.data.store import check_dataset, iter_groups, split_names, write_dataset
from metaalign.data.tools.carrying import Carried, carried, joined, read_held_out
from metaalign.data.tools.splitting import draw, matrix_of, split_settings
from metaalign.policy import PriorityMatrix, load_matrix
from metaalign.schema import Event, Group, Progress, UserError, silent

_FIRST = ("train", "sft", "dpo", "test")
"""The order of the splits; others follow by name."""
_EVERY = 2_000


class _Home(Struct, frozen=True):
    """Where something stands first."""

    dataset: int
    split: str


def merge(
    datasets: Sequence[Path],
    out: Path,
    *,
    split: Split | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Manifest:
    """Write all groups of ``datasets`` to ``out`` and return its manifest.

    Args:
        split: draws all splits anew; without it each group stays in the split in which it stands.
        seed: for drawing them.

    A group that is equally in several is there once. Raises ``UserError`` for two groups of one id
    that differ, and, where splits stay, for what one dataset holds out and another trains on.
    """
    if len(datasets) < 2:
        raise UserError("give at least two datasets to merge")
    manifests = [check_dataset(one) for one in datasets]
    whole = joined(map(carried, datasets, manifests))
    found = _Merging(datasets, manifests, stay=split is None)
    found.read(progress)
    if found.twice:
        whole.skipped["merge: an equal group is in another dataset"] = found.twice
    merged: list[Scalar] = [manifest.fingerprint for manifest in manifests]
    sources: list[Scalar] = [*sorted(whole.licences)]
    settings: dict[str, Setting] = {"merged": merged, "sources": sources}
    notes = [*whole.notes, *found.notes()]
    if split is None:
        splits = {name: found.groups(name) for name in found.names()}
        settings |= found.settings()
        dropped, held_out = whole.dropped, whole.held_out
    else:
        matrix = found.matrix
        drawn = draw(found.groups, split, seed, matrix, progress=progress)
        splits, held_out = drawn.splits, drawn.held_out
        settings = split_settings(settings, split)
        dropped = (*whole.dropped, *drawn.dropped)
        whole.skipped.update(drawn.skipped)
        notes = list(drawn.notes)
    return write_dataset(
        out,
        splits,
        settings=settings,
        seed=seed,
        inputs=_inputs(whole, datasets, manifests),
        sources_licences=whole.licences,
        skipped=whole.skipped,
        counts=whole.counts,
        notes=notes,
        reports={"dropped.jsonl": dropped, "held_out.jsonl": held_out},
        progress=progress,
    )


def _inputs(
    whole: Carried, datasets: Sequence[Path], manifests: Sequence[Manifest]
) -> dict[str, str]:
    names = [f"the dataset {path.absolute().name}" for path in datasets]
    taken = Counter(names)
    own = {
        name if taken[name] == 1 else f"{name} ({number + 1})": manifest.fingerprint
        for number, (name, manifest) in enumerate(zip(names, manifests, strict=True))
    }
    return whole.inputs | own


class _Merging:
    """What the datasets have in common: ids, and keys that must not cross."""

    def __init__(
        self, datasets: Sequence[Path], manifests: Sequence[Manifest], *, stay: bool
    ) -> None:
        self._datasets, self._stay = datasets, stay
        self._homes: dict[int, tuple[int, _Home]] = {}
        """By the hash of a group's id: the hash of its content, and where it stands first."""
        self._again: set[tuple[int, int]] = set()
        """Dataset and hash of the id of those that stand in an earlier dataset already."""
        self._manifests = manifests
        self._by = tuple(dict.fromkeys(("query", *(one for m in manifests for one in _by(m)))))
        self._keys: dict[str, dict[int, _Home]] = {one: {} for one in self._by}
        self._crossing: Counter[str] = Counter()
        self._held = self._held_out()
        self._by_values = {by for by, _ in self._held}
        """Of what is held out by values, all others may stand anywhere."""
        self.matrix = _matrix(manifests)

    @property
    def twice(self) -> int:
        """Groups that are left out because an equal one is there."""
        return len(self._again)

    def names(self) -> list[str]:
        """All splits."""
        found = {name for one in self._datasets for name in split_names(one)}
        known = [name for name in _FIRST if name in found]
        return known + sorted(found.difference(known))

    def groups(self, split: str | None = None) -> Iterator[Group]:
        """The groups of one split, or all, those of the first dataset first; each id once."""
        for number, dataset in enumerate(self._datasets):
            if split is None or split in split_names(dataset):
                for group in iter_groups(dataset, split):
                    if (number, key_hash(group.id)) not in self._again:
                        yield group

    def read(self, progress: Progress) -> None:
        """Compare the ids, and where splits stay what must not cross."""
        count = 0
        for number, dataset in enumerate(self._datasets):
            for name in split_names(dataset):
                for group in iter_groups(dataset, name):
                    home = _Home(number, name)
                    if self._new(group, home) and self._stay:
                        self._check(group, home)
                    count += 1
                    if count % _EVERY == 0:
                        progress(Event("compare datasets", count, 0, "group"))
        progress(Event("compare datasets", count, count, "group"))

    def _new(self, group: Group, home: _Home) -> bool:
        """Whether no earlier dataset has the group. One that differs is an error."""
        key, content = key_hash(group.id), int(digest(encode_group(group)), 16)
        known, first = self._homes.setdefault(key, (content, home))
        if first == home:
            return True
        one, other = self._datasets[first.dataset], self._datasets[home.dataset]
        if known != content:
            raise UserError(
                f"the group {group.id} is in {one} and in {other}, and they differ: "
                "build one of them again without it"
            )
        if self._stay and first.split != home.split:
            raise UserError(
                f"the group {group.id} stands in {first.split} of {one} and in {home.split} of "
                f"{other}: draw the splits anew with --by query"
            )
        self._again.add((home.dataset, key))
        return False

    def _check(self, group: Group, home: _Home) -> None:
        for by, keys in keys_of(group, self._by, self.matrix).items():
            for text in keys:
                key = key_hash(text)
                first = self._keys[by].setdefault(key, home)
                if by not in self._by_values and _apart(first, home):
                    self._crosses(by, text, first, home)
                holder = self._held.get((by, key), home.dataset)
                if holder != home.dataset and home.split in TRAINING:
                    raise UserError(
                        f"{self._datasets[holder]} holds the {by} {text!r} out for its test, and "
                        f"{self._datasets[home.dataset]} trains on it in {home.split}: draw the "
                        f"splits anew with --by {by}"
                    )

    def _crosses(self, by: str, text: str, first: _Home, home: _Home) -> None:
        """A key of two splits: one to train on and one to test with must have none in common."""
        if (first.split in TRAINING) != (home.split in TRAINING):
            raise UserError(
                f"a {by} of {first.split} in {self._datasets[first.dataset]} stands in "
                f"{home.split} of {self._datasets[home.dataset]} ({text[:60]!r}): training would "
                f"see what the test asks; draw the splits anew with --by {by}"
            )
        self._crossing[by] += 1

    def _held_out(self) -> dict[tuple[str, int], int]:
        return {
            (one.by, key_hash(one.value)): number
            for number, dataset in enumerate(self._datasets)
            for one in read_held_out(dataset)
        }

    def settings(self) -> dict[str, Setting]:
        """What the merged splits hold out: what each of the datasets does, if it does not cross."""
        by: list[Scalar] = [
            one
            for one in self._by
            if not self._crossing[one] and all(one in _by(m) for m in self._manifests)
        ]
        return {"split.by": by} if by else {}

    def notes(self) -> Iterator[str]:
        for by, n in self._crossing.items():
            yield f"{n:,} times a {by} stands in two splits, both trained on or both held out"


def _apart(one: _Home, other: _Home) -> bool:
    return one.split != other.split and one.dataset != other.dataset


def _by(manifest: Manifest) -> tuple[str, ...]:
    """What the splits of a dataset hold out; nothing if they are those of its source."""
    by = manifest.settings.get("split.by")
    return tuple(str(one) for one in by if one != "given") if isinstance(by, list) else ()


def _matrix(manifests: Sequence[Manifest]) -> PriorityMatrix:
    names: Mapping[str, None] = {str(m.settings.get("matrix", "default")): None for m in manifests}
    return matrix_of(manifests[0].settings) if len(names) == 1 else load_matrix()
