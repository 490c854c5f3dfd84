"""What every source shares: its description, its reader's shape, and the reading of JSON lines."""

import gzip
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec
from msgspec import Struct

from metaalign.schema import Group, UserError

RecordT = TypeVar("RecordT")

Skipped = Counter[str]
"""How many records were left out, by reason. A reader adds to it while it is read from."""

_GZIP_MAGIC = b"\x1f\x8b"


class Reader(Protocol):
    """Turns a published file into groups, one at a time."""

    def __call__(
        self, path: Path, *, seed: int = 0, skipped: Skipped | None = None
    ) -> Iterator[Group]: ...


class Source(Struct, frozen=True):
    """A public dataset that metaalign can read."""

    name: str
    """The name on the command line, and ``Group.source`` of what is read."""
    licence: str
    """Identifier as dataset cards use it: ``mit``, ``cc-by-4.0``."""
    origin: str
    """Where the public dataset is found."""
    description: str
    """One sentence: what the records are and which groups they become."""
    read: Reader


def read_records(path: Path, record: type[RecordT]) -> Iterator[RecordT]:
    """The records of a file of JSON lines, gzipped or plain, each checked against ``record``.

    Fields that ``record`` does not name are ignored: published files carry more than is used.
    Empty lines hold nothing and are passed over. Raises ``UserError`` that names the file, the
    line and the field for anything that is not such a record.
    """
    decoder = msgspec.json.Decoder(record)
    for number, line in _lines(path):
        try:
            found = decoder.decode(line)
        except msgspec.MsgspecError as error:
            raise UserError(
                f"{path}, line {number}: {error}; expected one JSON record a line with the fields "
                f"{', '.join(_field_names(record))}: repair or remove the line"
            ) from error
        yield found


def count_records(path: Path) -> int:
    """How many records ``read_records`` will find, if none is damaged."""
    return sum(1 for _ in _lines(path))


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that hold something, numbered from 1."""
    number = 0
    try:
        # By its first bytes, not by its name: a download may have lost its suffix.
        with path.open("rb") as raw:
            packed = raw.read(2) == _GZIP_MAGIC
        with gzip.open(path, "rb") if packed else path.open("rb") as file:
            for line in file:
                number += 1
                if line.strip():
                    yield number, line
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(
            f"{path}, after line {number}: the compressed file is damaged or cut short ({error}); "
            "download it again"
        ) from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}; check the path") from error


def _field_names(record: type) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(record)]
