"""What is known of all staged groups at once, and how they come out in order.

Only numbers are held in memory: 8 bytes for a group's place, 16 for every key that a split holds
out by. The groups themselves stay on disk: sorted into buckets, then bucket by bucket.
"""

import sys
from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from metaalign.data.building import staging
from metaalign.data.building.keys import Edges, values
from metaalign.data.manifest import writing
from metaalign.data.splits import DROPPED
from metaalign.data.tables import pa, pc
from metaalign.schema import Group, UserError

BUCKET_GROUPS = 20_000
"""Groups of one bucket: what is sorted in memory at a time."""
_BUCKETS = 64
"""Buckets at most, because each is an open file; with more groups they grow."""
_BATCH = 1_000


class Index:
    """The groups that are left after all stages, by number: in the order of the parts."""

    def __init__(self, parts: Sequence[Path], keys: Sequence[Path], by: Sequence[str]) -> None:
        """``keys`` are the tables that the last pass wrote beside ``parts``."""
        self.parts = parts
        self._keys = keys
        self.orders = array("Q")
        self.given: list[str] = []
        """The split that the source gives every group."""
        ids = array("Q")
        starts = array("q", [0])
        hashes: dict[str, array[int]] = {one: array("Q") for one in by}
        groups: dict[str, array[int]] = {one: array("q") for one in by}
        for path in keys:
            table = staging.read_table(path, ["order", "id", "split", *by]).combine_chunks()
            self.orders.extend(table.column("order").to_pylist())
            ids.extend(table.column("id").to_pylist())
            self.given.extend(map(sys.intern, table.column("split").to_pylist()))
            for one in by:
                for number, own in enumerate(table.column(one).to_pylist(), starts[-1]):
                    hashes[one].extend(own)
                    groups[one].extend([number] * len(own))
            starts.append(len(self.orders))
        self._starts = starts
        self._ids = Edges(ids, array("q", range(len(ids))))
        self.edges = {one: Edges(hashes.pop(one), groups.pop(one)) for one in by}

    def __len__(self) -> int:
        return len(self.orders)

    def check_ids(self) -> None:
        """``UserError`` if an id is there twice."""
        for _, start, end in self._ids.runs():
            if end - start > 1:
                one, other = (self.group(number) for number in self._ids.groups[start : start + 2])
                raise UserError(
                    f"the group id {one.id} is there twice, from {one.source} and {other.source}: "
                    "give no two sources that hold the same"
                )

    def group(self, number: int) -> Group:
        """One group, read from its part."""
        part = next(p for p, start in enumerate(self._starts[1:]) if number < start)
        rows = alive_rows(self.parts[part], ["group"])
        row = number - self._starts[part]
        return staging.decode_group(rows.column("group")[row].as_py())

    def texts(self, by: str, hashes: frozenset[int]) -> list[str]:
        """The texts of keys, sorted."""
        found: set[str] = set()
        for path in self._keys:
            table = staging.read_table(path, [by, f"{by}.text"])
            columns = (table.column(by).to_pylist(), table.column(f"{by}.text").to_pylist())
            for own, texts in zip(*columns, strict=True):
                found.update(t for key, t in zip(own, texts, strict=True) if key in hashes)
        return sorted(found)

    def talks(self) -> Iterator[tuple[int, str]]:
        """Name and talk of every different query, as ``filters.near`` takes them."""
        seen: set[int] = set()
        for path in self._keys:
            table = staging.read_table(path, ["query", "talk"])
            columns = (table.column("query").to_pylist(), table.column("talk").to_pylist())
            for names, talk in zip(*columns, strict=True):
                if names[-1] not in seen:
                    seen.add(names[-1])
                    yield names[-1], talk

    def in_order(
        self,
        splits: Sequence[str],
        names: Sequence[str],
        folder: Path,
        bucket_groups: int = BUCKET_GROUPS,
    ) -> "dict[str, Stream]":
        """The groups of every split, each split in order; to be read one after the other.

        ``splits`` says for every group where it goes, ``names`` which splits there are. The buckets
        lie in ``folder``, and each is gone once it was read.
        """
        sizes = dict.fromkeys(names, 0)
        for split in splits:
            if split != DROPPED:
                sizes[split] += 1
        buckets = _Buckets(folder, sum(sizes.values()), bucket_groups)
        buckets.fill(self._placed(splits, list(names)))
        groups = buckets.groups()
        return {name: Stream(groups, size) for name, size in sizes.items()}

    def _placed(self, splits: Sequence[str], names: list[str]) -> Iterator[Any]:
        """Tables of groups with their place in the dataset, a part at a time."""
        places = self._places(splits, names)
        for part, path in enumerate(self.parts):
            start, end = self._starts[part], self._starts[part + 1]
            if start == end:
                continue
            own = pa.array(places[start:end], pa.int64())
            table = pa.table({"place": own, "group": alive_rows(path, ["group"]).column("group")})
            kept = [place >= 0 for place in places[start:end]]
            yield table if all(kept) else table.filter(pa.array(kept, pa.bool_()))

    def _places(self, splits: Sequence[str], names: list[str]) -> "array[int]":
        """The place of every group among all that are kept; -1 for one that is not."""
        number = {name: n for n, name in enumerate(names)} | {DROPPED: len(names)}
        table = pa.table(
            {
                "split": pa.array((number[split] for split in splits), pa.int32()),
                "order": pa.array(self.orders, pa.uint64()),
            }
        )
        order = pc.sort_indices(table, [("split", "ascending"), ("order", "ascending")])
        places = array("q", [-1]) * len(self)
        for place, group in enumerate(values(order, "Q")):
            if splits[group] == DROPPED:
                break  # they come last
            places[group] = place
        return places


class Stream:
    """The groups of one split: how many, and the rest of what they are read from."""

    def __init__(self, groups: Iterator[Group], size: int) -> None:
        self._groups, self._size = groups, size

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Group]:
        for _ in range(self._size):
            yield next(self._groups)


class _Buckets:
    """Groups on disk by their place, so that each bucket fits into memory and follows the last."""

    def __init__(self, folder: Path, total: int, size: int) -> None:
        self._size = max(size, -(-total // _BUCKETS))
        self._paths = [
            folder / f"bucket-{number:02d}.arrow" for number in range(-(-total // self._size))
        ]
        self._folder = folder

    def fill(self, tables: Iterator[Any]) -> None:
        """Write every row into the bucket of its place."""
        schema = pa.schema({"place": pa.int64(), "group": pa.binary()})
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        staging.remove(self._folder)
        with writing(self._folder), ExitStack() as stack:
            self._folder.mkdir(parents=True)
            files = [
                stack.enter_context(pa.ipc.new_stream(str(path), schema, options=options))
                for path in self._paths
            ]
            for table in tables:
                table = table.sort_by("place").combine_chunks()
                for bucket, start, end in self._runs(table.column("place").to_pylist()):
                    files[bucket].write_table(table.slice(start, end - start))

    def _runs(self, places: Sequence[int]) -> Iterator[tuple[int, int, int]]:
        """(bucket, start, end) for sorted ``places``."""
        start = 0
        for at in range(1, len(places) + 1):
            if at == len(places) or places[at] // self._size != places[start] // self._size:
                yield places[start] // self._size, start, at
                start = at

    def groups(self) -> Iterator[Group]:
        """All groups in order."""
        for path in self._paths:
            with pa.ipc.open_stream(str(path)) as file:
                table = file.read_all().sort_by("place")
            path.unlink()
            for batch in table.to_batches(max_chunksize=_BATCH):
                yield from map(staging.decode_group, batch.column("group").to_pylist())


def alive_rows(path: Path, columns: list[str]) -> Any:
    """The rows of a part that are not dropped."""
    table = staging.read_table(path, [*columns, "stage"])
    return table.filter(table.column("stage").is_null())
