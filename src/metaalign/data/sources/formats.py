"""Rows of files as people publish them: JSON lines, a JSON array, CSV, TSV, Parquet.

The format is told by what is in the file, a table of text by its suffix; gzip, zstd and xz are
unpacked on the way. Everything is streamed: at no time is more than a batch in memory.
"""

import csv
import gzip
import io
import lzma
import re
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from metaalign.schema import UserError

_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ\x00": "xz"}
_PARQUET = b"PAR1"
_NEWLINE = b"\n"
_BOM = b"\xef\xbb\xbf"
_CHUNK = 1 << 20
_BATCH_ROWS = 1_024
_DELIMITERS = {".csv": ",", ".tsv": "\t"}


class Row(NamedTuple):
    """One record before it is checked."""

    where: str
    """``line 3``, ``row 17``."""
    value: bytes | dict[str, Any]
    """JSON text, or fields by name."""


def rows_of(path: Path, fields: Sequence[str] = ()) -> Iterator[Row]:
    """The rows of ``path``, in order. Of Parquet only the columns ``fields``, if any are given.

    Raises ``UserError`` that names the file, and the line as far as it is known, where the file
    itself is damaged; what is wrong with one record is left to whoever decodes it.
    """
    with _people(path):
        with path.open("rb") as file:
            start = file.read(8)
        if start.startswith(_PARQUET):
            yield from _parquet_rows(path, fields)
            return
        with _unpacked(path, start) as stream:
            delimiter = _DELIMITERS.get(_text_suffix(path))
            if delimiter:
                yield from _table_rows(stream, delimiter)
            elif _first_byte(stream) == b"[":
                yield from _array_rows(stream)
            else:
                yield from _line_rows(stream)


def count_rows(path: Path) -> int:
    """How many rows ``rows_of`` will find; raises ``UserError`` as it does."""
    with _people(path), path.open("rb") as file:
        if file.read(4) == _PARQUET:
            return int(_parquet().read_metadata(path).num_rows)
    return sum(1 for _ in rows_of(path))


class _Damage(Exception):
    """The file is damaged at some line."""


@contextmanager
def _people(path: Path) -> Iterator[None]:
    """What libraries complain of, in one line that names the file."""
    try:
        yield
    except _Damage as error:
        raise UserError(f"{path}, {error}; download it again") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 ({error}): convert it") from error
    except OSError as error:
        # pyarrow's own errors may be OSErrors without a number.
        reason = error.strerror or str(error).splitlines()[0]
        raise UserError(f"cannot read {path}: {reason}; check the path") from error
    except ValueError as error:
        if not type(error).__module__.startswith("pyarrow"):
            raise
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: the Parquet file is damaged ({reason}); download it") from error


def _text_suffix(path: Path) -> str:
    """The suffix below that of the compression."""
    suffixes = [s.lower() for s in path.suffixes]
    if suffixes and suffixes[-1] in (".gz", ".zst", ".xz"):
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


@contextmanager
def _unpacked(path: Path, start: bytes) -> Iterator[io.BufferedReader]:
    packing = next((name for magic, name in _MAGIC.items() if start.startswith(magic)), "")
    # By the first bytes, not by the name: a download may have lost its suffix.
    with _OPEN[packing](path) as stream:
        lines = _Counted(stream)
        buffered = cast(io.BufferedReader, io.BufferedReader(lines, _CHUNK))
        try:
            yield buffered
        except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
            raise _Damage(
                f"after line {lines.lines}: the compressed file is damaged or cut short ({error})"
            ) from error


class _Counted(io.RawIOBase):
    """Counts the lines that were unpacked, to say where a damaged file ends."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.lines = 0

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        data = self._stream.read(min(len(target), _CHUNK))
        target[: len(data)] = data
        self.lines += data.count(_NEWLINE)
        return len(data)


def _zstd(path: Path) -> BinaryIO:
    from metaalign.data.tables import pa

    return cast(BinaryIO, pa.CompressedInputStream(pa.OSFile(str(path), "rb"), "zstd"))


def _xz(path: Path) -> BinaryIO:
    return cast(BinaryIO, lzma.LZMAFile(path))


_OPEN: Mapping[str, Callable[[Path], BinaryIO]] = {
    "": lambda path: path.open("rb"),
    "gzip": lambda path: cast(BinaryIO, gzip.GzipFile(path)),
    "xz": _xz,
    "zstd": _zstd,
}


def _parquet() -> Any:
    from metaalign.data.tables import pq

    return pq


def _first_byte(stream: io.BufferedReader) -> bytes:
    """The first byte that is no white space, without taking it."""
    return stream.peek(_CHUNK).removeprefix(_BOM).lstrip()[:1]


def _line_rows(stream: io.BufferedReader) -> Iterator[Row]:
    for number, line in enumerate(stream, start=1):
        if number == 1:
            line = line.removeprefix(_BOM)
        if line.strip():
            yield Row(f"line {number}", line)


def _table_rows(stream: io.BufferedReader, delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(sys.maxsize)  # its default of 128 KiB is shorter than some responses
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    reader = csv.DictReader(text, delimiter=delimiter, restkey="", strict=True)
    try:
        for cells in reader:
            cells.pop("", None)  # more cells than the header has names
            yield Row(f"line {reader.line_num}", cells)
    except csv.Error as error:
        raise _Damage(f"after line {reader.line_num}: the table is damaged ({error})") from error


def _parquet_rows(path: Path, fields: Sequence[str]) -> Iterator[Row]:
    number = 0
    with _parquet().ParquetFile(path) as file:
        columns = [name for name in file.schema_arrow.names if not fields or name in fields]
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=columns):
            for value in batch.to_pylist():
                number += 1
                yield Row(f"row {number}", value)


_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_TO_BRACKET = re.compile(rb'(?:[^"\[\]{}]++|%s)*+' % _STRING, re.DOTALL)
_TO_COMMA = re.compile(rb'(?:[^"\[\]{},]++|%s)*+' % _STRING, re.DOTALL)


def _array_rows(stream: io.BufferedReader) -> Iterator[Row]:
    """The elements of a JSON array, one at a time, each with the line on which it begins."""
    buffer = bytearray()
    begin = at = depth = 0
    line, some = 1, False
    while chunk := stream.read1(_CHUNK):
        buffer += chunk
        while True:
            at = (_TO_BRACKET if depth > 1 else _TO_COMMA).match(buffer, at).end()  # type: ignore[union-attr]
            mark = bytes(buffer[at : at + 1])
            if mark in (b"", b'"'):
                break  # the buffer ends, perhaps within a string
            at += 1
            if mark in b"[{":
                depth += 1
                if depth == 1:
                    begin, line = at, line + buffer.count(_NEWLINE, 0, at)
                continue
            depth -= mark in b"]}"
            if depth > 1 or (depth == 1 and mark != b","):
                continue
            element = bytes(buffer[begin : at - 1])
            if element.strip() or mark == b"," or some:
                gap = element[: len(element) - len(element.lstrip())]
                yield Row(f"line {line + gap.count(_NEWLINE)}", element)
            some = mark == b","
            line += element.count(_NEWLINE)
            begin = at
            if depth == 0:
                _nothing_more(bytes(buffer[at:]) + stream.read(_CHUNK), line)
                return
        del buffer[:begin]
        at -= begin
        begin = 0
    raise _Damage(f"after line {line}: the array of records does not end, it is cut short")


def _nothing_more(rest: bytes, line: int) -> None:
    if rest.strip():
        raise _Damage(f"after line {line}: there is more after the end of the array of records")
