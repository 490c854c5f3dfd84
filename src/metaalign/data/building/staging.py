"""What a build has done so far: groups on disk, in parts, between the sources and the dataset.

FOLDER/{name}-{fingerprint}/part-00000.parquet

A folder of parts is named by the fingerprint of all that decides what is in it. A part appears in
one step and never changes, so after a kill a build goes on with the parts that it finds. A dropped
group stays in the part in which it was dropped, with its reason.
"""

import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from metaalign.data.manifest import writing
from metaalign.data.tables import DAMAGE, pa, pq, unreadable
from metaalign.schema import Group

PART_GROUPS = 4_096
"""Groups of one part: what a worker takes at a time, and what a kill can cost."""

PART = pa.schema(
    {
        "id": pa.string(),
        "order": pa.uint64(),  # where the group stands in the dataset
        "group": pa.binary(),  # as JSON
        "stage": pa.int16(),  # number of the stage that dropped it; null if it is kept
        "dropped": pa.string(),  # that stage's name and reason; empty if it is kept
    }
)

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Group)
encode_group = _encoder.encode
decode_group = _decoder.decode


def part_path(folder: Path, number: int) -> Path:
    return folder / f"part-{number:05d}.parquet"


def staging_folder(out: Path) -> Path:
    """Where the build of ``out`` keeps what it has done, beside it."""
    out = out.absolute()
    return out.with_name(f".{out.name}.staging")


def remove(folder: Path) -> None:
    """Take a staging folder away."""
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """A file beside ``path`` to write into, which becomes ``path`` in one step.

    Two that make the same part at the same time, as after a lost worker, do not meet: each writes
    its own, and the later one takes the place of its equal.
    """
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)


def write_table(path: Path, table: Any) -> None:
    """Write an Arrow table as a Parquet file that appears in one step."""
    with appearing(path) as partial:
        pq.write_table(table, partial, compression="zstd", write_statistics=False)


def write_record(path: Path, record: object) -> None:
    """Write ``record`` as a JSON file that appears in one step."""
    with appearing(path) as partial:
        partial.write_bytes(msgspec.json.encode(record))


def read_table(path: Path, columns: Sequence[str] | None = None) -> Any:
    """An Arrow table; ``UserError`` if the file is damaged."""
    try:
        return pq.read_table(path, columns=columns, memory_map=False)
    except DAMAGE as error:
        raise unreadable(path, error) from error


def new_part(ids: list[str], orders: list[int], groups: list[bytes]) -> Any:
    """The Arrow table of groups of which none is dropped."""
    nothing = pa.nulls(len(ids), pa.int16())
    kept = pa.array([""] * len(ids), pa.string())
    arrays = [
        pa.array(ids, pa.string()),
        pa.array(orders, pa.uint64()),
        pa.array(groups, pa.binary()),
        nothing,
        kept,
    ]
    return pa.Table.from_arrays(arrays, schema=PART)


def write_parts(
    folder: Path, groups: Iterable[tuple[int, Group]], part_groups: int
) -> Iterator[int]:
    """Write ``groups``, each with its place in the order, into parts; yields how many are written.

    Parts that are there already are left as they are: the same groups would be in them.
    """
    done = 0
    number = 0
    ids: list[str] = []
    orders: list[int] = []
    encoded: list[bytes] = []
    for order, group in groups:
        ids.append(group.id)
        orders.append(order)
        encoded.append(encode_group(group))
        done += 1
        if len(ids) == part_groups:
            _write_part(part_path(folder, number), ids, orders, encoded)
            number += 1
            ids, orders, encoded = [], [], []
            yield done
    if ids:
        _write_part(part_path(folder, number), ids, orders, encoded)
    yield done


def _write_part(path: Path, ids: list[str], orders: list[int], groups: list[bytes]) -> None:
    if not path.exists():
        write_table(path, new_part(ids, orders, groups))


def part_paths(folder: Path) -> list[Path]:
    """The parts of a folder, in order."""
    return sorted(folder.glob("part-*.parquet"))
