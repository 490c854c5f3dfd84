"""Groups and samples as Parquet: the columns, and the reading and writing of shards.

Whoever needs pyarrow takes it from here, where its absence is one line for people.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from metaalign.data.manifest import writing
from metaalign.schema import SYSTEM_INFO, USER_INFO, MissingExtra, Sample, UserError

try:
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.compute as pc  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]
except ImportError as error:
    raise MissingExtra("data", "pyarrow") from error

__all__ = [
    "GROUPS",
    "SAMPLES",
    "Row",
    "ShardWriter",
    "count_rows",
    "pa",
    "pc",
    "pq",
    "read_rows",
    "sample_row",
    "shard_paths",
    "unreadable",
]

Row = Mapping[str, Any]
"""One row by column, as ``msgspec.to_builtins`` makes it: it is checked again when it is read."""

DAMAGE = (pa.ArrowException, OSError, ValueError)
"""What pyarrow raises at a damaged file; a text that is no UTF-8 is a ``ValueError``."""
_READ_ROWS = 2048

_TEXT = pa.string()
_TIERS = pa.list_(pa.struct({"tier": _TEXT, "text": _TEXT}))
_TURNS = pa.list_(pa.struct({"role": _TEXT, "text": _TEXT}))
_PREFERENCE = pa.struct(
    {
        "tier": _TEXT,
        "dimension": _TEXT,
        "value": _TEXT,
        "wording": _TEXT,
        "explicit": pa.bool_(),
        "span": pa.list_(pa.int64()),
        "turn": pa.int64(),
    }
)
_VIEW = pa.struct(
    {
        "meta_prompt": pa.struct({"tiers": _TIERS}),
        "ranks": pa.list_(pa.int64()),
        "ordered_by": _TEXT,
        "preferences": pa.list_(_PREFERENCE),
        "annotations": pa.list_(pa.struct({"by": _TEXT, "ranks": pa.list_(pa.int64())})),
    }
)

GROUPS = pa.schema(
    {
        "id": _TEXT,
        "source": _TEXT,
        "family": _TEXT,
        "kind": _TEXT,
        "turns": _TURNS,
        "candidates": pa.list_(pa.struct({"text": _TEXT, "source": _TEXT})),
        "views": pa.list_(_VIEW),
        "query_id": _TEXT,
        "split": _TEXT,
    }
)
"""Nested, field by field as ``schema.Group``."""

SAMPLES = pa.schema(
    {
        "group_id": _TEXT,
        "view": pa.int64(),
        "source": _TEXT,
        "family": _TEXT,
        "kind": _TEXT,
        "system_info": _TEXT,
        "user_info": _TEXT,
        "more_tiers": _TIERS,
        "turns": _TURNS,
        "query": _TEXT,
        "chosen": _TEXT,
        "rejected": _TEXT,
    }
)
"""Flat: the two usual tiers and the query in columns of their own."""


def sample_row(sample: Sample) -> Row:
    """``sample`` in the columns of ``SAMPLES``. A tier that says nothing is an empty text."""
    return {
        "group_id": sample.group_id,
        "view": sample.view,
        "source": sample.source,
        "family": sample.family,
        "kind": sample.kind,
        "system_info": sample.meta_prompt.system_info,
        "user_info": sample.meta_prompt.user_info,
        "more_tiers": [
            {"tier": more.tier, "text": more.text}
            for more in sample.meta_prompt.tiers
            if more.tier not in (SYSTEM_INFO, USER_INFO)
        ],
        "turns": [{"role": turn.role, "text": turn.text} for turn in sample.turns],
        "query": sample.dialogue.query,
        "chosen": sample.chosen,
        "rejected": sample.rejected,
    }


def shard_paths(folder: Path, split: str) -> list[Path]:
    """The shards of ``split``, in order."""
    return sorted(folder.glob(f"{split}-*.parquet"))


class ShardWriter:
    """Writes the rows of one split into ``{split}-00000.parquet`` and so on.

    A context manager: leaving it closes the last shard. A split without rows has no shard, because
    ``datasets`` cannot load an empty one; the manifest knows of it.
    """

    def __init__(self, folder: Path, split: str, columns: Any, shard_rows: int) -> None:
        self._folder, self._split, self._columns = folder, split, columns
        self._shard_rows = shard_rows
        self._shards = 0
        self._rows = 0
        self._file: Any = None
        self._path = folder

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self._close()
        elif self._file is not None:
            # The folder is about to be thrown away: a second complaint would hide the first.
            with suppress(OSError):
                self._file.close()

    def write(self, rows: Sequence[Row]) -> None:
        """Append ``rows``; a shard is closed once it holds ``shard_rows`` or more."""
        if not rows:
            return
        columns = [
            pa.array([row[field.name] for row in rows], type=field.type) for field in self._columns
        ]
        if self._file is None:
            self._path = self._folder / f"{self._split}-{self._shards:05d}.parquet"
            self._shards += 1
            with writing(self._path):
                self._file = pq.ParquetWriter(
                    self._path, self._columns, compression="zstd", write_page_checksum=True
                )
        with writing(self._path):
            self._file.write_table(pa.table(columns, schema=self._columns))
        self._rows += len(rows)
        if self._rows >= self._shard_rows:
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            file, self._file, self._rows = self._file, None, 0
            with writing(self._path):
                file.close()


def count_rows(path: Path) -> int:
    """Rows of a Parquet file, from its footer alone."""
    try:
        return int(pq.read_metadata(path).num_rows)
    except DAMAGE as error:
        raise unreadable(path, error) from error


def read_rows(path: Path) -> Iterator[list[Row]]:
    """The rows of a Parquet file, a few thousand at a time."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for batch in file.iter_batches(batch_size=_READ_ROWS):
                yield batch.to_pylist()
    except DAMAGE as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> UserError:
    """What to tell a person whose Parquet file cannot be read."""
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return UserError(
        f"cannot read {path} ({reason}): it is damaged or half-written; build the dataset again"
    )
