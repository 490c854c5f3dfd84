"""The rows of a dataset that may be damaged: what can be read is read, the rest is named."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from metaalign.data.tables import pa, pq, shard_paths
from metaalign.data.tools.checking import Finding
from metaalign.schema import Group

_BATCH = 1_024
_UNREADABLE = (pa.ArrowException, OSError, ValueError, MemoryError)
"""What pyarrow raises for damaged bytes: also for names that are no text, and sizes beyond all."""
_PATH = re.compile(r" - at `\$?\.?(?P<field>[^`]*)`$")
_SHARD = re.compile(r"(?P<split>[a-z0-9_]+)-\d+\.parquet")


class Row(Struct, frozen=True):
    """One row as it stands in its file."""

    path: Path
    number: int
    """From 0."""
    value: Mapping[str, Any]


def file_name(path: Path) -> str:
    """A shard's name within the dataset: ``groups/sft-00000.parquet``."""
    return f"{path.parent.name}/{path.name}"


def splits_there(dataset: Path, table: str = "groups") -> list[str]:
    """The splits that a table has files of, for a dataset without a manifest to say so."""
    names = (_SHARD.fullmatch(path.name) for path in sorted((dataset / table).glob("*.parquet")))
    return list(dict.fromkeys(found["split"] for found in names if found))


def rows_of(dataset: Path, table: str, split: str) -> Iterator[Row | Finding]:
    """Every row of a table's split in order; in place of what cannot be read, a finding.

    A file whose end is lost is one finding; where some of its row groups are damaged, each of them
    is one, and the others are read.
    """
    for path in shard_paths(dataset / table, split):
        yield from rows_of_file(path)


def rows_of_file(path: Path) -> Iterator[Row | Finding]:
    """The rows of one Parquet file, as ``rows_of``."""
    name = file_name(path)
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
    except _UNREADABLE as error:
        yield Finding(name, None, "", f"the file cannot be read: {_reason(error)}", 0)
        return
    with file:
        start = 0
        for number in range(file.num_row_groups):
            size = file.metadata.row_group(number).num_rows
            try:
                batches = list(file.iter_batches(batch_size=_BATCH, row_groups=[number]))
            except _UNREADABLE as error:
                last = start + size - 1
                problem = f"rows {start} to {last} are lost: {_reason(error)}"
                yield Finding(name, start, "", problem, size)
            else:
                place = start
                for batch in batches:
                    yield from _values(path, batch, place)
                    place += batch.num_rows
            start += size


def _values(path: Path, batch: Any, start: int) -> Iterator[Row | Finding]:
    try:
        values = batch.to_pylist()
    except ValueError:  # bytes that are no text, somewhere: find out in which row
        for place in range(batch.num_rows):
            try:
                yield Row(path, start + place, batch.slice(place, 1).to_pylist()[0])
            except ValueError as error:
                yield Finding(file_name(path), start + place, "", _reason(error))
        return
    for place, value in enumerate(values):
        yield Row(path, start + place, value)


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def decoded(row: Row) -> Group | Finding:
    """The group that a row is, or what is wrong with the row."""
    try:
        return msgspec.convert(row.value, Group)
    except msgspec.ValidationError as error:
        text = str(error)
        found = _PATH.search(text)
        problem = text[: found.start()] if found else text
        field = found["field"] if found else ""
        return Finding(file_name(row.path), row.number, field, problem)
