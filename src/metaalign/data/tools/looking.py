"""Questions to a dataset in SQL: DuckDB over its Parquet files, in bounded memory.

What there is to ask is described in ``VIEWS``. The dataset alone is read, and nothing is written.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from metaalign.data import tables
from metaalign.data.store import check_dataset
from metaalign.schema import MissingExtra, UserError

VIEWS: Mapping[str, str] = {
    "groups": "one row a group, nested: id, split, source, family, kind, turns, candidates, views",
    "samples": "one row a sample: group_id, view, split, system_info, user_info, query, chosen",
    "views": "one row a Meta-Prompt: group_id, view, system_info, user_info, ranks, ordered_by",
    "preferences": "one row a preference: group_id, view, tier, dimension, value, wording",
    "candidates": "one row a response: group_id, candidate, text, written_by",
    "pairs": "one row for every two candidates that a view orders: group_id, view, better, worse",
}
"""The tables of every dataset; ``DESCRIBE views`` tells all columns of one."""

_MEMORY = "512MB"
"""What DuckDB may hold; the rest goes to disk."""

_OWN = "group_id, split, source, family, kind"
_SQL = f"""
CREATE VIEW views AS
    SELECT {_OWN}, view, candidates,
        coalesce(list_filter(v.meta_prompt.tiers, lambda t: t.tier = 'system_info')[1].text, '')
            AS system_info,
        coalesce(list_filter(v.meta_prompt.tiers, lambda t: t.tier = 'user_info')[1].text, '')
            AS user_info,
        v.meta_prompt.tiers AS tiers, v.ranks AS ranks, v.ordered_by AS ordered_by,
        v.preferences AS preferences, v.annotations AS annotations
    FROM (
        SELECT id AS group_id, split, source, family, kind, len(candidates) AS candidates,
            unnest(range(len(views))) AS view, unnest(views) AS v
        FROM groups
    );
CREATE VIEW preferences AS
    SELECT {_OWN}, view, p.tier AS tier, p.dimension AS dimension, p.value AS value,
        p.wording AS wording, p.explicit AS explicit, p.span AS span, p.turn AS turn
    FROM (SELECT {_OWN}, view, unnest(preferences) AS p FROM views);
CREATE VIEW candidates AS
    SELECT {_OWN}, candidate, c.text AS text, c.source AS written_by
    FROM (
        SELECT id AS group_id, split, source, family, kind,
            unnest(range(len(candidates))) AS candidate, unnest(candidates) AS c
        FROM groups
    );
CREATE VIEW pairs AS
    SELECT {_OWN}, view, better, worse,
        len(texts[better + 1].text) AS better_length, len(texts[worse + 1].text) AS worse_length
    FROM (
        SELECT {_OWN}, view, texts, better, ranks, unnest(range(len(ranks))) AS worse
        FROM (
            SELECT id AS group_id, split, source, family, kind, candidates AS texts, view,
                v.ranks AS ranks, unnest(range(len(v.ranks))) AS better
            FROM (
                SELECT *, unnest(range(len(views))) AS view, unnest(views) AS v FROM groups
            )
        )
    )
    WHERE ranks[better + 1] < ranks[worse + 1];
"""


class Answer(Struct, frozen=True):
    """What came back."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


class Looking:
    """An open dataset. Made by ``looking_at``."""

    def __init__(self, database: Any, errors: type[Exception], dataset: Path) -> None:
        self._database, self._errors, self._dataset = database, errors, dataset

    def ask(self, sql: str, values: Mapping[str, object] | None = None) -> Answer:
        """All rows of ``sql``; ``UserError`` for what DuckDB cannot answer."""
        columns, batches = self._ask(sql, values)
        return Answer(columns, [row for batch in batches for row in batch])

    def rows(self, sql: str, values: Mapping[str, object] | None = None) -> Iterator[Any]:
        """The rows of ``sql``, a batch of them in memory."""
        _, batches = self._ask(sql, values)
        for batch in batches:
            yield from batch

    def _ask(
        self, sql: str, values: Mapping[str, object] | None
    ) -> tuple[tuple[str, ...], Iterator[list[Any]]]:
        try:
            found = self._database.execute(sql, dict(values) if values else None)
            columns = tuple(column[0] for column in found.description or ())
        except self._errors as error:
            raise self._unanswered(error) from error
        return columns, self._batches(found)

    def _batches(self, found: Any) -> Iterator[list[Any]]:
        try:
            while batch := found.fetchmany(1_000):
                yield batch
        except self._errors as error:
            raise self._unanswered(error) from error

    def _unanswered(self, error: Exception) -> UserError:
        line = " ".join(str(error).split("LINE ")[0].split())
        return UserError(f"DuckDB cannot answer this from {self._dataset}: {line}")


@contextmanager
def looking_at(dataset: Path) -> Iterator[Looking]:
    """Open the dataset folder ``dataset`` for questions.

    Raises ``UserError`` for what is no whole dataset, or one of a newer metaalign.
    """
    check_dataset(dataset)
    duckdb = _duckdb()
    with tempfile.TemporaryDirectory(prefix="metaalign-") as spill:
        settings = {"memory_limit": _MEMORY, "temp_directory": spill, "threads": 2}
        with duckdb.connect(config=settings) as database:
            database.execute("SET enable_progress_bar = false")
            # For tables that have no file: the columns are there all the same.
            for name, columns in (("groups", tables.GROUPS), ("samples", tables.SAMPLES)):
                _add(database, dataset, name, columns)
            database.execute(_SQL)
            # Read what stands here, and nothing else, whatever is asked.
            database.execute(
                "SET allowed_directories = [$folder]", {"folder": str(dataset.absolute())}
            )
            database.execute("SET enable_external_access = false")
            database.execute("SET lock_configuration = true")
            yield Looking(database, duckdb.Error, dataset)


def ask(dataset: Path, sql: str) -> Answer:
    """What one question in SQL finds. Raises ``UserError`` for anything but one ``SELECT``."""
    duckdb = _duckdb()
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        line = " ".join(str(error).split("LINE ")[0].split())
        raise UserError(f"this is no SQL that DuckDB reads: {line}") from error
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise UserError("ask one question: a SELECT over " + ", ".join(VIEWS))
    with looking_at(dataset) as looking:
        return looking.ask(sql)


def _add(database: Any, dataset: Path, name: str, columns: Any) -> None:
    """The view ``name`` over the shards of a table, with the split in which each row stands."""
    empty = columns.empty_table()
    database.register("_columns", empty)
    database.execute(f"CREATE TABLE no_{name} AS SELECT * FROM _columns")
    database.unregister("_columns")
    files = sorted(str(path.absolute()) for path in (dataset / name).glob("*.parquet"))
    source = f"SELECT *, '' AS file FROM no_{name}"
    if files:
        listed = ", ".join(_quoted(path) for path in files)
        source += (
            f" UNION ALL BY NAME SELECT * RENAME (filename AS file) "
            f"FROM read_parquet([{listed}], filename = true)"
        )
    split = r"regexp_extract(file, '([a-z0-9_]+)-\d+\.parquet$', 1)"
    own = "EXCLUDE (file, split), split AS own_split" if "split" in columns.names else (
        "EXCLUDE (file)"
    )  # fmt: skip
    database.execute(f"CREATE VIEW {name} AS SELECT * {own}, {split} AS split FROM ({source})")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def as_objects(answer: Answer) -> Sequence[dict[str, Any]]:
    """The rows as objects by column."""
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError as error:
        raise MissingExtra("curate", "duckdb") from error
    return duckdb
