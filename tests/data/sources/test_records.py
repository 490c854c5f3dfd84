"""Published files: gzipped or plain, and every damage named with file, line and field."""

import gzip
import json
import sys
from pathlib import Path

import pytest
from msgspec import Struct
from tests.data.sources.published import habermas_record, hh_record, persona_record, write_lines

from metaalign.data.sources import SOURCES, Place, count_records, read_records
from metaalign.schema import UserError


class Pair(Struct):
    name: str
    size: int


PAIRS = [{"name": "a", "size": 1}, {"name": "b", "size": 2, "more": [1]}]


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "x"])
def test_gzipped_and_plain_files_are_told_apart_by_what_is_in_them(
    tmp_path: Path, name: str
) -> None:
    path = write_lines(tmp_path / name, PAIRS)
    assert list(read_records(path, Pair)) == [Pair("a", 1), Pair("b", 2)]
    assert count_records(path) == 2
    renamed = path.rename(tmp_path / "download")
    assert count_records(renamed) == 2


def test_empty_lines_hold_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(f"\n{json.dumps(PAIRS[0])}\r\n\n  \n{json.dumps(PAIRS[1])}")
    assert len(list(read_records(path, Pair))) == count_records(path) == 2


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('{"name": "c", "size": "big"}', r"Expected `int`, got `str` - at `\$\.size`"),
        ('{"name": "c"}', "missing required field `size`"),
        ('{"name": "c", "si', "malformed"),
        ("[1, 2]", "Expected `object`"),
        ("\udcff", "malformed"),
    ],
)
def test_a_damaged_line_is_named_with_its_field(tmp_path: Path, line: str, what: str) -> None:
    path = tmp_path / "x.jsonl"
    text = f"{json.dumps(PAIRS[0])}\n\n{line}\n{json.dumps(PAIRS[1])}\n"
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(UserError, match=rf"x\.jsonl, line 3: .*{what}.*fields name, size") as error:
        list(read_records(path, Pair))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_gzip_file_is_named(tmp_path: Path, damage: str) -> None:
    path = write_lines(tmp_path / "x.jsonl.gz", [{"name": str(i), "size": i} for i in range(999)])
    data = bytearray(path.read_bytes())
    if damage == "cut":
        del data[len(data) // 2 :]
    else:
        data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"x\.jsonl\.gz, (after )?line \d+: "):
        list(read_records(path, Pair))


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere.jsonl"
    with pytest.raises(UserError, match=f"cannot read {path}: .*check the path"):
        list(read_records(path, Pair))


def test_an_empty_file_has_no_records(tmp_path: Path) -> None:
    assert list(read_records(write_lines(tmp_path / "x.jsonl", []), Pair)) == []
    assert gzip.decompress(write_lines(tmp_path / "x.gz", []).read_bytes()) == b""
    assert list(read_records(tmp_path / "x.gz", Pair)) == []


@pytest.mark.parametrize(
    ("source", "record"),
    [
        ("habermas", habermas_record(1)),
        ("hh-rlhf", hh_record(1)),
        ("persona-statements", persona_record(1)),
    ],
)
def test_every_source_reads_its_layout_and_says_what_it_is(
    tmp_path: Path, source: str, record: dict[str, object]
) -> None:
    path = write_lines(tmp_path / "x.jsonl.gz", [record])
    (group,) = SOURCES[source].read(path)
    assert group.source == SOURCES[source].name == source
    assert group.id.startswith(f"{source}:")
    assert SOURCES[source].licence and SOURCES[source].description and SOURCES[source].origin
    assert list(SOURCES[source].read(path)) == [group]  # nothing is drawn anew

    # Fields that are read are required, each by its name.
    for field in [f for f in record if f not in {"topic", "split", "label_confidence"}]:
        write_lines(path, [record, {k: v for k, v in record.items() if k != field}])
        with pytest.raises(UserError, match=f"line 2: .*`{field}`"):
            list(SOURCES[source].read(path))


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_names_its_dataset_its_licence_and_where_it_is(name: str) -> None:
    source = SOURCES[name]
    docstring = " ".join((sys.modules[source.read.__module__].__doc__ or "").split())
    assert "ataset" in docstring and "group" in docstring
    if source.licence != "unknown":
        assert source.licence.split("-")[0] in docstring.lower()
    if source.hub:
        place = Place.parse(source.hub)
        assert place.on_hub and str(place) == source.hub
        assert place.name in docstring
