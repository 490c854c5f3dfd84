"""What models have replied, kept in one SQLite file, so that nobody asks the same thing twice.

A reply is kept under a hash of everything that was asked. Several processes may share the file.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from metaalign.schema import UserError

BUSY_SECONDS = 30.0
"""How long to wait while another process writes."""

_TABLE = "CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, reply TEXT NOT NULL)"


class Replies:
    """The replies in the file at ``path``, which is made if it is not there.

    Every call opens the file anew, so that one object can serve any thread and any fork. Raises
    ``UserError`` where the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._open() as database:
            # Readers and one writer do not wait for each other.
            database.execute("PRAGMA journal_mode = WAL")
            database.execute(_TABLE)

    def get(self, key: str) -> str | None:
        """The reply kept under ``key``, None if there is none."""
        with self._open() as database:
            row = database.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def put(self, key: str, reply: str) -> None:
        """Keep ``reply``; whoever comes first is kept, since both are right."""
        with self._open() as database:
            database.execute("INSERT OR IGNORE INTO replies VALUES (?, ?)", (key, reply))

    def __len__(self) -> int:
        with self._open() as database:
            return int(database.execute("SELECT count(*) FROM replies").fetchone()[0])

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=BUSY_SECONDS)) as database, database:
                yield database
        except sqlite3.Error as error:
            raise UserError(
                f"cannot keep replies in {self.path} ({error}): "
                "give a file that can be written, or one that does not exist yet"
            ) from error
