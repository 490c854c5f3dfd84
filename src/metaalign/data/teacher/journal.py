"""Every reply that was ever paid for, in one SQLite file, and every call whose reply is owed.

A call is written down before it is sent, and its reply before anybody sees it. So whatever is
killed when: no reply is paid for twice, and the budget holds. A call that was on its way when its
process died stays in ``calls`` and counts at its worst case, since nobody knows what it cost.

Any number of processes can share the file. Whose reply comes first is kept by all of them.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from metaalign.data.teacher.requests import Reply, Status
from metaalign.schema import UserError

BUSY_SECONDS = 60.0
"""How long to wait while another process writes."""
VERSION = 1
"""Of the tables; a newer file is refused."""

_TABLES = """
CREATE TABLE IF NOT EXISTS replies (
    key TEXT PRIMARY KEY, task TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL,
    text TEXT NOT NULL, finish TEXT NOT NULL, model TEXT NOT NULL, refusal TEXT NOT NULL,
    calls INTEGER NOT NULL, tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL,
    cost REAL NOT NULL, at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE IF NOT EXISTS calls (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL, task TEXT NOT NULL, tokens INTEGER NOT NULL,
    cost REAL NOT NULL, batch TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS calls_of_batch ON calls (batch);
CREATE TABLE IF NOT EXISTS batches (
    name TEXT PRIMARY KEY, server_id TEXT NOT NULL, at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE IF NOT EXISTS spent (
    one INTEGER PRIMARY KEY CHECK (one = 1), calls INTEGER NOT NULL,
    tokens_in INTEGER NOT NULL, tokens_out INTEGER NOT NULL, cost REAL NOT NULL
);
INSERT OR IGNORE INTO spent VALUES (1, 0, 0, 0, 0.0);
"""
# A reply that was kept stands, unless it went to quarantine; what was paid adds up.
_KEEP = """
INSERT INTO replies (key, task, status, reason, text, finish, model, refusal,
                     calls, tokens_in, tokens_out, cost)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET
    text = iif(status = 'answered', text, excluded.text),
    finish = iif(status = 'answered', finish, excluded.finish),
    model = iif(status = 'answered', model, excluded.model),
    refusal = iif(status = 'answered', refusal, excluded.refusal),
    reason = iif(status = 'answered', reason, excluded.reason),
    status = iif(status = 'answered', status, excluded.status),
    calls = calls + 1, tokens_in = tokens_in + excluded.tokens_in,
    tokens_out = tokens_out + excluded.tokens_out, cost = cost + excluded.cost
"""

T = TypeVar("T")


class Kept(Struct, frozen=True):
    """A reply as the journal has it."""

    status: Status
    reason: str
    """Why it is in quarantine; empty if it is not."""
    text: str
    finish: str


class Worst(Struct, frozen=True):
    """What one call takes at most."""

    key: str
    task: str
    tokens: int
    cost: float


class Limits(Struct, frozen=True):
    """What the journal may hold in all; None for as much as there is."""

    tokens: int | None = None
    cost: float | None = None


class Spent(Struct, frozen=True):
    """What was paid, and what may have been."""

    calls: int
    tokens_in: int
    tokens_out: int
    cost: float
    open_calls: int
    """Calls without a reply: on their way, or lost when their process died."""
    open_tokens: int
    """What they took at most."""
    open_cost: float

    @property
    def tokens(self) -> int:
        return self.tokens_in + self.tokens_out


class TaskCount(Struct, frozen=True):
    """How the requests of one task stand."""

    task: str
    status: Status
    replies: int
    tokens_in: int
    tokens_out: int
    cost: float


class Quarantined(Struct, frozen=True):
    """A request that was paid for and cannot be used."""

    key: str
    task: str
    status: Status
    reason: str
    text: str
    """What the model said."""


class Journal:
    """The journal in the file at ``path``, which is made if it is not there.

    Reading and writing have a connection each, which stay open: writes may happen in another
    thread. All writes go through ``write``. Raises ``UserError`` where the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._telling():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._reader = self._connect()
            self._writer = self._connect()
            version = self._writer.execute("PRAGMA user_version").fetchone()[0]
            if version > VERSION:
                raise UserError(f"{path} is of a newer metaalign: install that one to use it")
            # Readers and one writer do not wait for each other.
            self._writer.execute("PRAGMA journal_mode = WAL")
            self._writer.executescript(_TABLES)
            self._writer.execute(f"PRAGMA user_version = {VERSION}")

    def get(self, key: str) -> Kept | None:
        """The reply to the request ``key``, None if there is none yet."""
        with self._telling():
            row = self._reader.execute(_GET, (key,)).fetchone()
        return None if row is None else Kept(*row)

    def write(self, changes: "list[Callable[[Changes], T]]") -> list[T]:
        """Make all ``changes`` or none, and return what each returned once they are on disk."""
        with self._telling():
            database = self._writer
            # Says at once that it will write: the sums that it reads stay true until it has.
            database.execute("BEGIN IMMEDIATE")
            try:
                made = [change(Changes(database)) for change in changes]
            except BaseException:
                database.execute("ROLLBACK")
                raise
            database.execute("COMMIT")
        return made

    def spent(self) -> Spent:
        """What all runs with this journal have spent."""
        with self._telling():
            paid = self._reader.execute(
                "SELECT calls, tokens_in, tokens_out, cost FROM spent"
            ).fetchone()
            owed = self._reader.execute(_OWED).fetchone()
        return Spent(*paid, *owed)

    def counts(self) -> list[TaskCount]:
        """How many replies of every task and status there are, and what they cost."""
        rows = self._rows(
            "SELECT task, status, count(*), sum(tokens_in), sum(tokens_out), sum(cost) "
            "FROM replies GROUP BY task, status ORDER BY task, status"
        )
        return [TaskCount(*row) for row in rows]

    def quarantine(self) -> Iterator[Quarantined]:
        """All that was paid for and cannot be used, by task."""
        rows = self._rows(
            "SELECT key, task, status, reason, text FROM replies "
            "WHERE status != 'answered' ORDER BY task, key"
        )
        return (Quarantined(*row) for row in rows)

    def batches(self) -> list[tuple[str, str]]:
        """(name, the server's id or empty) of every batch whose replies are owed."""
        return [*self._rows("SELECT name, server_id FROM batches ORDER BY at, name")]

    def calls_of(self, batch: str) -> dict[str, tuple[int, str]]:
        """The calls of a batch: key -> (number of the call, task)."""
        rows = self._rows("SELECT key, id, task FROM calls WHERE batch = ?", batch)
        return {key: (number, task) for key, number, task in rows}

    def close(self) -> None:
        self._reader.close()
        self._writer.close()

    def _rows(self, query: str, *values: object) -> sqlite3.Cursor:
        with self._telling():
            return self._reader.execute(query, values)

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(
            self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        # What is committed is on disk, so that it outlives even the machine.
        database.execute("PRAGMA synchronous = FULL")
        return database

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise UserError(
                f"cannot keep replies in {self.path} ({error}): "
                "give a file that can be written, or one that does not exist yet"
            ) from error


_GET = "SELECT status, reason, text, finish FROM replies WHERE key = ?"
_OWED = "SELECT count(*), coalesce(sum(tokens), 0), coalesce(sum(cost), 0.0) FROM calls"


class Changes:
    """What can be written to a journal, within one transaction."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def reserve(self, worst: Worst, limits: Limits, batch: str = "") -> int | None:
        """Write down a call before it is sent; its number, or None if the budget has no room."""
        if not self._room(worst, limits):
            return None
        made = self._database.execute(
            "INSERT INTO calls (key, task, tokens, cost, batch) VALUES (?, ?, ?, ?, ?)",
            (worst.key, worst.task, worst.tokens, worst.cost, batch),
        )
        return made.lastrowid

    def release(self, call: int) -> bool:
        """Forget a call that was never answered and cost nothing; False if it was not there."""
        gone = self._database.execute("DELETE FROM calls WHERE id = ?", (call,))
        return gone.rowcount > 0

    def keep(self, call: int, key: str, task: str, reply: Reply, cost: float) -> Kept:
        """Put a reply in the place of its call; what is kept under ``key`` from now on."""
        if not self.release(call):
            # Another process has collected the same batch.
            return Kept(*self._database.execute(_GET, (key,)).fetchone())
        refused = reply.refusal or (
            "the server's content filter" if reply.finish == "content_filter" else ""
        )
        status: Status = "refused" if refused else "answered"
        said = (status, refused, reply.text, reply.finish, reply.model, reply.refusal)
        paid = (reply.tokens_in, reply.tokens_out, cost)
        self._database.execute(_KEEP, (key, task, *said, *paid))
        self._database.execute(
            "UPDATE spent SET calls = calls + 1, tokens_in = tokens_in + ?, "
            "tokens_out = tokens_out + ?, cost = cost + ?",
            paid,
        )
        row = self._database.execute(_GET, (key,)).fetchone()
        return Kept(*row)

    def judge(self, key: str, status: Status, reason: str = "") -> None:
        """Say what the check found; anything but ``answered`` is in quarantine."""
        self._database.execute(
            "UPDATE replies SET status = ?, reason = ? WHERE key = ?", (status, reason, key)
        )

    def open_batch(self, name: str) -> None:
        self._database.execute("INSERT INTO batches (name, server_id) VALUES (?, '')", (name,))

    def name_batch(self, name: str, server_id: str) -> None:
        self._database.execute("UPDATE batches SET server_id = ? WHERE name = ?", (server_id, name))

    def close_batch(self, name: str) -> None:
        """Forget a batch, and those of its calls that were never answered and cost nothing."""
        self._database.execute("DELETE FROM calls WHERE batch = ?", (name,))
        self._database.execute("DELETE FROM batches WHERE name = ?", (name,))

    def _room(self, worst: Worst, limits: Limits) -> bool:
        if limits == Limits():
            return True
        tokens, cost = self._database.execute(
            "SELECT tokens_in + tokens_out, cost FROM spent"
        ).fetchone()
        _, open_tokens, open_cost = self._database.execute(_OWED).fetchone()
        fits = limits.tokens is None or tokens + open_tokens + worst.tokens <= limits.tokens
        return fits and (limits.cost is None or cost + open_cost + worst.cost <= limits.cost)
