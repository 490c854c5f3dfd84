"""One pass over the staged groups: part in, part out, by plain functions.

A pass runs the stages between two comparisons and writes beside every part what comes next needs to
know of its groups: signatures for a comparison, or the keys by which a split holds out. The same
function runs in this process and on the workers of a cluster, and a part that is made twice is
made equal.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from metaalign.data.building import staging
from metaalign.data.building.keys import KeySettings, key_columns, key_table
from metaalign.data.draw import digest
from metaalign.data.stages import Comparison, Filter, Stage, Transform, stage_name
from metaalign.data.tables import pa
from metaalign.schema import Group

BATCH_GROUPS = 1_024
"""Groups that a stage is handed at a time."""

SIGNATURES = pa.schema({"id": pa.string(), "signature": pa.binary()})
MARKS = pa.schema({"id": pa.string(), "reason": pa.string()})


class Pass(Struct, frozen=True):
    """What is done to every part. Travels to the workers."""

    stages: tuple[tuple[int, Stage], ...]
    """Filters and transforms with their numbers in the recipe."""
    marked_by: tuple[int, Stage] | None = None
    """The comparison before, whose marks are applied."""
    signs: Comparison | None = None
    """The comparison that comes next."""
    keys: KeySettings | None = None
    """The split comes next."""
    seed: int = 0
    batch_groups: int = BATCH_GROUPS


class Job(Struct, frozen=True):
    """One part's way through a pass, by paths."""

    before: str
    after: str
    beside: str
    """Gets signatures or keys."""
    marks: str = ""
    threshold: int | None = None
    """Groups whose draw for the limit is greater do not belong to the source's share."""

    @property
    def done(self) -> bool:
        return Path(self.after).exists()


def limit_draw(seed: int, group_id: str) -> int:
    """What decides whether a group is within the limit of its source: the smallest are."""
    return int(digest("limit", seed, group_id), 16)


def run_part(work: Pass, job: Job) -> None:
    """Take one part through the pass. The part appears last: who has it has all of it."""
    table = _alive(work, job)
    reasons = _reasons(job)
    parts, beside = [], []
    for batch in table.to_batches(max_chunksize=work.batch_groups):
        rows = _Rows(batch)
        if work.marked_by:
            rows.mark(work.marked_by, reasons)
        for number, stage in work.stages:
            rows.pass_through(number, stage)
        parts.append(rows.table())
        beside.append(_beside(work, rows))
    columns = key_columns(work.keys) if work.keys else SIGNATURES
    staging.write_table(Path(job.beside), _joined(beside, columns))
    staging.write_table(Path(job.after), _joined(parts, staging.PART))


def _joined(tables: list[Any], schema: Any) -> Any:
    return pa.concat_tables(tables) if tables else schema.empty_table()


def _alive(work: Pass, job: Job) -> Any:
    """The rows of the part before that are not dropped."""
    table = staging.read_table(Path(job.before))
    keep = [stage is None for stage in table.column("stage").to_pylist()]
    if job.threshold is not None:
        ids = table.column("id").to_pylist()
        within = [limit_draw(work.seed, one) <= job.threshold for one in ids]
        keep = [kept and inside for kept, inside in zip(keep, within, strict=True)]
    return table if all(keep) else table.filter(pa.array(keep, pa.bool_()))


def _reasons(job: Job) -> dict[str, str]:
    if not job.marks:
        return {}
    marks = staging.read_table(Path(job.marks))
    columns = (marks.column("id").to_pylist(), marks.column("reason").to_pylist())
    return dict(zip(*columns, strict=True))


class _Rows:
    """The rows of one batch while stages work on them."""

    def __init__(self, batch: Any) -> None:
        self._ids: list[str] = batch.column("id").to_pylist()
        self.orders: list[int] = batch.column("order").to_pylist()
        self._encoded: list[bytes] = batch.column("group").to_pylist()
        self._groups: list[Group] | None = None
        self._stage: list[int | None] = [None] * len(self._ids)
        self._dropped = [""] * len(self._ids)

    def alive(self) -> tuple[list[int], list[Group]]:
        """Numbers and groups of the rows that are not dropped."""
        if self._groups is None:
            # Not before a stage asks for them: marks alone need no group.
            self._groups = [staging.decode_group(data) for data in self._encoded]
        rows = [row for row, stage in enumerate(self._stage) if stage is None]
        return rows, [self._groups[row] for row in rows]

    def mark(self, by: tuple[int, Stage], reasons: dict[str, str]) -> None:
        for row, one in enumerate(self._ids):
            if one in reasons:
                self._drop(row, *by, reasons[one])

    def pass_through(self, number: int, stage: Stage) -> None:
        rows, groups = self.alive()
        if not rows:
            return
        if isinstance(stage, Filter):
            found = stage.reasons(groups)
            for row, reason in zip(rows, found, strict=True):
                if reason:
                    self._drop(row, number, stage, reason)
        elif isinstance(stage, Transform):
            self._change(rows, groups, stage)
        else:
            raise TypeError(f"{stage!r} is neither a filter nor a transform")

    def _change(self, rows: list[int], before: Sequence[Group], stage: Transform) -> None:
        assert self._groups is not None
        for row, old, new in zip(rows, before, stage.apply(before), strict=True):
            if new.id != old.id:
                raise ValueError(f"{stage_name(stage)} changed the id of {old.id} to {new.id}")
            if new is not old:
                self._groups[row] = new
                self._encoded[row] = staging.encode_group(new)

    def _drop(self, row: int, number: int, stage: Stage, reason: str) -> None:
        self._stage[row] = number
        self._dropped[row] = f"{stage_name(stage)}: {reason}"

    def table(self) -> Any:
        arrays = [
            pa.array(self._ids, pa.string()),
            pa.array(self.orders, pa.uint64()),
            pa.array(self._encoded, pa.binary()),
            pa.array(self._stage, pa.int16()),
            pa.array(self._dropped, pa.string()),
        ]
        return pa.Table.from_arrays(arrays, schema=staging.PART)


def _beside(work: Pass, rows: _Rows) -> Any:
    alive, groups = rows.alive()
    if work.keys:
        return key_table(groups, [rows.orders[row] for row in alive], work.keys)
    # A stage need not know of empty batches.
    signatures = work.signs.sign(groups) if work.signs and groups else []
    ids = [group.id for group in groups]
    if len(ids) != len(signatures):
        raise ValueError(f"{len(signatures)} signatures for {len(ids)} groups")
    arrays = [pa.array(ids, pa.string()), pa.array(signatures, pa.binary())]
    return pa.Table.from_arrays(arrays, schema=SIGNATURES)
