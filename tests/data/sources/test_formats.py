"""Every published format gives the same records, streamed, with the place of each."""

import csv
import gzip
import io
import json
import lzma
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from metaalign.data.sources import Place, Quarantine, Skipped, count_records, read_records
from metaalign.data.sources.formats import rows_of
from metaalign.data.tables import pa, pq
from metaalign.schema import UserError


class Turned(Struct, frozen=True):
    role: str
    words: int


class Row(Struct, frozen=True):
    text: str
    size: int
    turns: tuple[Turned, ...] = ()
    note: str | None = None


RECORDS: list[dict[str, Any]] = [
    {
        "text": f'Comma, "quote" {i}\nand [a] {{line}} ünd é\\',
        "size": i,
        "turns": [{"role": "user", "words": i}, {"role": "a]", "words": 0}],
        "note": None if i % 2 else "odd",
        "unused": {"deep": [i]},
    }
    for i in range(40)
]
EXPECTED = [
    Row(r["text"], r["size"], tuple(Turned(**t) for t in r["turns"]), r["note"]) for r in RECORDS
]


def _lines() -> bytes:
    return "".join(json.dumps(r) + "\n" for r in RECORDS).encode()


def _zstd(data: bytes) -> bytes:
    target = pa.BufferOutputStream()
    with pa.CompressedOutputStream(target, "zstd") as stream:
        stream.write(data)
    return bytes(target.getvalue().to_pybytes())


def _table(delimiter: str) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(RECORDS[0]), delimiter=delimiter)
    writer.writeheader()
    for record in RECORDS:
        cells = {k: json.dumps(v) if isinstance(v, list | dict) else v for k, v in record.items()}
        writer.writerow(cells)
    return text.getvalue().encode()


def _parquet() -> bytes:
    target = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(RECORDS), target, row_group_size=7)
    return target.getvalue()


FORMATS: Mapping[str, Callable[[], bytes]] = {
    "x.jsonl": _lines,
    "x.jsonl.gz": lambda: gzip.compress(_lines()),
    "x.jsonl.xz": lambda: lzma.compress(_lines()),
    "x.jsonl.zst": lambda: _zstd(_lines()),
    "no_suffix": lambda: gzip.compress(_lines()),
    "bom.jsonl": lambda: b"\xef\xbb\xbf" + _lines(),
    "array.json": lambda: json.dumps(RECORDS).encode(),
    "pretty.json": lambda: b"\n " + json.dumps(RECORDS, indent=4).encode() + b"\n",
    "array.json.gz": lambda: gzip.compress(json.dumps(RECORDS, ensure_ascii=False).encode()),
    "x.csv": lambda: _table(","),
    "x.tsv": lambda: _table("\t"),
    "x.csv.gz": lambda: gzip.compress(_table(",")),
    "x.parquet": _parquet,
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_records(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(FORMATS[name]())
    # A table of text cannot tell a missing note from an empty one; the empty cell is none.
    assert list(read_records(path, Row)) == EXPECTED
    assert count_records(path) == len(RECORDS)


def test_a_text_of_a_table_that_looks_like_a_list_stays_a_text(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('text,size\n"[1, 2]",3\n')
    assert list(read_records(path, Row)) == [Row("[1, 2]", 3)]


def test_the_columns_of_parquet_that_nobody_names_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(_parquet())
    assert next(rows_of(path, ("size", "absent"))).value == {"size": 0}


@pytest.mark.parametrize(
    ("name", "text", "where"),
    [
        ("x.json", '[\n{"text": "a", "size": 1},\n\n {"text": "b"}\n]', "line 4"),
        ("x.json", '[{"text": "a", "size": 1}, {"text": "b", "size": oh}]', "line 1"),
        ("x.csv", "text,size\na,1\nb,big\n", "line 3"),
        ("x.csv", "text\na\n", "line 2"),
    ],
)
def test_a_damaged_record_is_named_in_every_format(
    tmp_path: Path, name: str, text: str, where: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UserError, match=rf"{name}, {where}: .*fields text, size") as error:
        list(read_records(path, Row))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("x.json", b'[{"text": "a", "size": 1}, {"text"', "does not end"),
        ("x.json", b'[{"text": "a", "size": 1}', "does not end"),
        ("x.json", b'[{"text": "a", "size": 1}] {"text": "b"}', "more after the end"),
        ("x.jsonl.xz", lzma.compress(_lines())[:-40], "cut short"),
        ("x.jsonl.zst", _zstd(_lines())[:-9], "x.jsonl.zst"),
        ("x.parquet", _parquet()[:-40], "x.parquet"),
        ("x.csv", b'text,size\n"a', "after line 1: the table is damaged"),
        ("x.csv", b"text,size\n\xff,1\n", "not UTF-8"),
    ],
)
def test_a_damaged_file_is_one_line_for_people(
    tmp_path: Path, name: str, data: bytes, what: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(UserError, match=what) as error:
        list(read_records(path, Row))
    assert name in str(error.value) and "\n" not in str(error.value)


JSON = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@given(
    st.lists(JSON, max_size=8),
    st.sampled_from([None, 0, 3]),
    st.booleans(),
    st.integers(1, 9),
)
@settings(deadline=None)
def test_an_array_is_cut_as_a_json_library_reads_it(
    tmp_path_factory: pytest.TempPathFactory,
    values: list[Any],
    indent: int | None,
    ascii_only: bool,
    chunk: int,
) -> None:
    path = tmp_path_factory.mktemp("array") / "x.json"
    text = json.dumps(values, indent=indent, ensure_ascii=ascii_only)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.MonkeyPatch.context() as patch:
        # Small chunks, so that strings and escapes lie across their borders.
        patch.setattr("metaalign.data.sources.formats._CHUNK", chunk)
        found = [json.loads(row.value) for row in rows_of(path) if isinstance(row.value, bytes)]
    assert found == values


def test_an_array_needs_no_more_memory_than_its_records(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    record = json.dumps({"text": "x" * 10_000, "size": 1})
    path.write_text("[" + ",\n".join([record] * 5_000) + "]")  # 50 MB
    tracemalloc.start()
    assert sum(1 for _ in read_records(path, Row)) == 5_000
    assert tracemalloc.get_traced_memory()[1] < 12e6
    tracemalloc.stop()


def _quarantined(place: Path, **options: Any) -> tuple[list[Row], Quarantine]:
    quarantine = Quarantine(Skipped(), **options)
    return list(read_records(Place(place).quarantined(quarantine), Row)), quarantine


def test_a_quarantine_counts_and_names_what_is_damaged_and_the_rest_goes_on(
    tmp_path: Path,
) -> None:
    lines = [json.dumps(r) for r in RECORDS]
    lines[3], lines[7], lines[20] = '{"text": 3, "size": 1}', '{"te', '{"text": 4, "size": 1}'
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join(lines))
    found, quarantine = _quarantined(path)
    assert found == [r for i, r in enumerate(EXPECTED) if i not in (3, 7, 20)]
    assert quarantine.skipped == {
        "damaged: Expected `str`, got `int` - at `$.text`": 2,
        "damaged: JSON is malformed: invalid character": 1,
    }
    assert [name.split(": ")[0] for name in quarantine.named] == [
        f"{path}, line {n}" for n in (4, 8, 21)
    ]


def test_too_many_damaged_records_are_another_format(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join([json.dumps(RECORDS[0])] * 17 + ["{}"] * 3))
    with pytest.raises(UserError, match=r"3 of 20 records are damaged, more than 10%.*line 18: "):
        _quarantined(path)
    assert len(_quarantined(path, share=0.15)[0]) == 17
    path.write_text("\n".join(["{}"] * 5_000))
    with pytest.raises(UserError, match="1000 of 1000 records"):
        _quarantined(path)  # long before the end


def test_one_damaged_record_of_a_few_is_no_other_format(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps(RECORDS[0]) + "\n{}\n")
    assert len(_quarantined(path)[0]) == 1
    path.write_text("{}\n")
    with pytest.raises(UserError, match="1 of 1 records"):
        _quarantined(path)


def test_a_damaged_shard_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.jsonl.gz").write_bytes(gzip.compress(_lines()))
    whole = (tmp_path / "1.jsonl.gz").read_bytes()
    (tmp_path / "1.jsonl.gz").write_bytes(whole[:60])
    found, quarantine = _quarantined(tmp_path)
    assert len(found) >= 80 and quarantine.damaged == 1
    assert "1.jsonl.gz" in quarantine.named[0]
    (only,) = quarantine.skipped
    assert only.startswith("damaged: a file cannot be read to its end")
    with pytest.raises(UserError, match=r"1\.jsonl\.gz"):
        _quarantined(tmp_path / "1.jsonl.gz")  # alone, it is the whole source
