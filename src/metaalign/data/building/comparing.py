"""Comparisons out of core: signatures sorted on disk, one decision, marks for every part."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from metaalign.data.building import staging
from metaalign.data.building.passes import MARKS
from metaalign.data.stages import Comparison
from metaalign.data.tables import pa
from metaalign.schema import MissingExtra

_MEMORY = "256MB"
"""What sorting may hold; the rest goes to disk."""
_BATCH = 8_192
_DONE = "decided.json"


def marks_path(folder: Path, number: int) -> Path:
    return folder / f"marks-{number:05d}.parquet"


def decide(comparison: Comparison, signatures: Sequence[Path], folder: Path) -> None:
    """Write for every part of ``signatures`` which of its groups are dropped and why.

    The comparison sees each group once, in the order of the ids, whatever the parts. What was
    decided before is not decided again.
    """
    if (folder / _DONE).exists():
        return
    reasons = comparison.decide(_sorted(signatures, folder))
    for number, path in enumerate(signatures):
        ids = staging.read_table(path, ["id"]).column("id").to_pylist()
        own = [one for one in ids if one in reasons]
        arrays = [pa.array(own, pa.string()), pa.array([reasons[one] for one in own], pa.string())]
        table = pa.Table.from_arrays(arrays, schema=MARKS)
        staging.write_table(marks_path(folder, number), table)
    staging.write_record(folder / _DONE, {"dropped": len(reasons)})


def _sorted(signatures: Sequence[Path], folder: Path) -> Iterator[tuple[str, bytes]]:
    """Id and signature of every group, in the order of the ids."""
    duckdb = _duckdb()
    if not signatures:
        return
    folder.mkdir(parents=True, exist_ok=True)
    spill = folder / "sorting"
    settings = {"memory_limit": _MEMORY, "temp_directory": str(spill), "threads": 2}
    with duckdb.connect(config=settings) as database:
        # A progress bar of its own would write over the build's.
        database.execute("SET enable_progress_bar = false")
        rows = database.sql(
            "SELECT id, signature FROM read_parquet($files) ORDER BY id",
            params={"files": [str(path) for path in signatures]},
        ).to_arrow_reader(_BATCH)
        for batch in rows:
            yield from zip(
                batch.column("id").to_pylist(), batch.column("signature").to_pylist(), strict=True
            )
    staging.remove(spill)


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError as error:
        raise MissingExtra("curate", "duckdb") from error
    return duckdb
