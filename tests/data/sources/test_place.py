"""Places: what a text names, which files that is, and what names their content."""

import json
from hashlib import sha256
from pathlib import Path

import datasets  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from metaalign.data.manifest import hash_file
from metaalign.data.sources import Place, count_records, read_records
from metaalign.schema import UserError


class Row(Struct, frozen=True):
    text: str
    size: int


ROWS = [Row(f"Text {i}", i) for i in range(30)]


def _write(path: Path, rows: list[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"text": r.text, "size": r.size}) + "\n" for r in rows))
    return path


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("data/x.jsonl", Place(Path("files/data/x.jsonl"))),
        ("/data/x.jsonl", Place(Path("/data/x.jsonl"))),
        ("hf:some-one/a.set", Place(name="some-one/a.set")),
        ("hf:a/b@v1.0", Place(name="a/b", revision="v1.0")),
        ("hf:a/b@refs%2Fpr%2F1:c", Place(name="a/b", revision="refs/pr/1", config="c")),
        ("hf:a/b:preference#test", Place(name="a/b", config="preference", split="test")),
        ("hf:a/b#30k_train", Place(name="a/b", split="30k_train")),
        ("hf:./copy#test", Place(name=str(Path("files/copy").absolute()), split="test")),
    ],
)
def test_a_text_names_a_place(text: str, place: Place) -> None:
    assert Place.parse(text, Path("files")) == place


@pytest.mark.parametrize(
    "text", ["", " ", "hf:", "hf:name", "hf:a/b/c", "hf:a/b#", "hf:a/b:", "hf:a/b#x#y", "hf:a b/c"]
)
def test_what_names_no_place_is_told(text: str) -> None:
    with pytest.raises(UserError, match="OWNER/NAME"):
        Place.parse(text)


def test_a_folder_has_no_revision() -> None:
    with pytest.raises(UserError, match="names a revision of a folder"):
        Place.parse("hf:./copy@v1")


_WORD = st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,8}", fullmatch=True)


@given(_WORD, _WORD, st.just("") | st.text("ab/.-", max_size=5), st.just("") | _WORD, _WORD)
def test_a_place_on_the_hub_is_written_as_it_is_read(
    owner: str, name: str, revision: str, config: str, split: str
) -> None:
    place = Place(name=f"{owner}/{name}", revision=revision, config=config, split=split)
    assert Place.parse(str(place)) == place


def test_a_folder_is_its_data_files_in_order_and_a_glob_those_that_match(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a/z.jsonl", "a/c.jsonl"):
        _write(tmp_path / name, [ROWS[len(name)]])
    for name in ("README.md", ".hidden.jsonl", "dataset_infos.json", "a/picture.png"):
        (tmp_path / name).write_text("{")
    found = [p.relative_to(tmp_path).as_posix() for p in Place(tmp_path).files()]
    assert found == ["a/c.jsonl", "a/z.jsonl", "b.jsonl"]
    assert Place(tmp_path / "a" / "*.jsonl").files() == [
        tmp_path / "a/c.jsonl",
        tmp_path / "a/z.jsonl",
    ]
    assert [r.size for r in read_records(Place(tmp_path), Row)] == [9, 9, 7]
    assert count_records(Place(tmp_path)) == 3


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tmp_path: Path) -> None:
    path = _write(tmp_path / "x[1].jsonl", ROWS)
    assert Place(path).files() == [path]


def test_where_there_is_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no data file"):
        Place(tmp_path).files()
    with pytest.raises(UserError, match="no file matches"):
        Place(tmp_path / "*.jsonl").files()
    with pytest.raises(UserError, match="cannot read"):
        list(read_records(tmp_path / "x.jsonl", Row))
    with pytest.raises(UserError, match=r"has no file survey\.jsonl"):
        Place(tmp_path / "conversations.jsonl").part("survey")


def test_the_identity_is_that_of_the_bytes_and_the_names(tmp_path: Path) -> None:
    first, second = _write(tmp_path / "a.jsonl", ROWS), _write(tmp_path / "b.jsonl", ROWS[:3])
    assert Place(first).identity() == hash_file(first)
    both = f"a.jsonl\n{hash_file(first)}\nb.jsonl\n{hash_file(second)}\n"
    assert Place(tmp_path).identity() == sha256(both.encode()).hexdigest()
    assert Place(tmp_path / "*.jsonl").identity() == Place(tmp_path).identity()
    assert Place(name=str(tmp_path)).identity() == Place(tmp_path).identity()
    second.rename(tmp_path / "c.jsonl")
    assert Place(tmp_path).identity() != sha256(both.encode()).hexdigest()


def test_a_full_commit_is_its_own_identity() -> None:
    assert Place(name="a/b", revision="0123456789" * 4).identity() == "0123456789" * 4


def test_parts_of_a_dataset_lie_beside_each_other(tmp_path: Path) -> None:
    survey = _write(tmp_path / "survey.jsonl.gz", ROWS)
    talks = _write(tmp_path / "conversations.jsonl", ROWS)
    assert Place(talks).part("survey").path == Place(tmp_path).part("survey").path == survey
    assert Place(name="a/b", config="x").part("survey") == Place(name="a/b", config="survey")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder as ``huggingface_hub`` downloads one: Parquet by split, named in the card."""
    table = datasets.Dataset.from_list([{"text": r.text, "size": r.size} for r in ROWS])
    folder = tmp_path / "copy"
    (folder / "main").mkdir(parents=True)
    table.select(range(20)).to_parquet(str(folder / "main" / "train-00000.parquet"))
    table.select(range(20, 30)).to_parquet(str(folder / "main" / "test-00000.parquet"))
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: main\n  data_files:\n  - split: train\n"
        "    path: main/train-*\n  - split: test\n    path: main/test-*\n---\n"
    )
    return folder


def test_a_dataset_is_streamed_through_the_datasets_library(copy: Path) -> None:
    place = Place.parse(f"hf:{copy}")
    assert place.is_copy
    assert list(read_records(place, Row)) == ROWS[:20]  # the split train, if none is named
    assert list(read_records(Place.parse(f"hf:{copy}:main#test"), Row)) == ROWS[20:]


def test_a_folder_never_passes_for_a_dataset_of_the_hub(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copy.parent.parent)
    name = copy.relative_to(copy.parent.parent).as_posix()
    with pytest.raises(UserError, match=f"hf:{name} is also a folder here: write hf:./{name}"):
        list(read_records(Place.parse(f"hf:{name}"), Row))
    assert len(list(read_records(Place.parse(f"hf:./{name}"), Row))) == 20


def test_a_split_that_is_not_there_is_told(copy: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read hf:.*#valid.*valid") as error:
        list(read_records(Place.parse(f"hf:{copy}#valid"), Row))
    assert "\n" not in str(error.value)


def test_a_damaged_row_of_the_hub_is_named(copy: Path) -> None:
    class Other(Struct):
        text: int

    with pytest.raises(UserError, match=r"hf:.*copy, row 1: Expected `int`.*fields text"):
        list(read_records(Place.parse(f"hf:{copy}"), Other))


def test_without_a_network_the_hub_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    # Nobody answers there: the same as no network, and at once.
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"cannot read hf:no-one/nothing .*network") as error:
        Place(name="no-one/nothing", revision="offline").identity()
    assert "\n" not in str(error.value)


@pytest.mark.network
def test_a_dataset_of_the_hub_is_read_and_pinned() -> None:
    class Pair(Struct):
        prompt: str
        chosen: str
        rejected: str

    place = Place.parse("hf:trl-internal-testing/zen:standard_preference")
    assert len(place.identity()) == 40
    records = list(read_records(place, Pair))
    assert len(records) == count_records(place) == 17
