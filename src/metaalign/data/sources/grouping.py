"""Records that belong together but stand apart in a file, such as the answers to one prompt."""

import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import msgspec

from metaalign.schema import UserError

T = TypeVar("T")


def grouped(records: Iterable[T], key: Callable[[T], str], record: type[T]) -> Iterator[list[T]]:
    """The ``records`` that share a key, as lists, in the order in which each key came first.

    They wait on disk, in a temporary database that is gone afterwards, so memory holds one list
    at a time. ``record`` is their type, which ``msgspec`` can encode.
    """
    encoder, decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(record)
    try:
        with tempfile.TemporaryDirectory(prefix="metaalign-") as folder:
            path = Path(folder) / "records.sqlite"
            with closing(sqlite3.connect(path, isolation_level=None)) as database:
                _open(database)
                for number, one in enumerate(records):
                    name = key(one)
                    database.execute("INSERT OR IGNORE INTO keys VALUES (?, ?)", (name, number))
                    database.execute(
                        "INSERT INTO records SELECT first, ? FROM keys WHERE key = ?",
                        (encoder.encode(one), name),
                    )
                database.execute("CREATE INDEX by_first ON records (first)")
                database.execute("COMMIT")
                yield from _lists(database, decoder)
    except sqlite3.Error as error:
        raise UserError(
            f"cannot keep records in {tempfile.gettempdir()} while they are put together "
            f"({error}): free some space, or set TMPDIR to another folder"
        ) from error


def _open(database: sqlite3.Connection) -> None:
    # Nothing outlives the run, so nothing needs to survive a crash.
    database.execute("PRAGMA journal_mode = OFF")
    database.execute("PRAGMA synchronous = OFF")
    database.execute("CREATE TABLE keys (key TEXT PRIMARY KEY, first INTEGER)")
    database.execute("CREATE TABLE records (first INTEGER, record BLOB)")
    database.execute("BEGIN")


def _lists(
    database: sqlite3.Connection, decoder: "msgspec.msgpack.Decoder[T]"
) -> Iterator[list[T]]:
    found: list[T] = []
    before = None
    for first, data in database.execute("SELECT first, record FROM records ORDER BY first, rowid"):
        if first != before and found:
            yield found
            found = []
        before = first
        found.append(decoder.decode(data))
    if found:
        yield found
