"""A folder with a manifest is complete, says where it came from, and is not made twice."""

import hashlib
import json
from pathlib import Path

import pytest

from metaalign.data.manifest import (
    FILE_NAME,
    Manifest,
    fingerprint,
    hash_file,
    hash_folder,
    is_done,
    read_manifest,
    versions,
    write_manifest,
    writing,
)
from metaalign.schema import SCHEMA_VERSION, UserError

MANIFEST = Manifest(
    kind="dataset",
    fingerprint="abc",
    seed=7,
    settings={"size": 3, "by": "query", "fractions": {"sft": 0.5}, "names": ["a"], "limit": None},
    inputs={"habermas": "0" * 64},
    counts={"groups": 3},
    notes=("a note",),
    seconds=1.5,
)


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    write_manifest(tmp_path, MANIFEST)
    assert read_manifest(tmp_path) == MANIFEST
    assert [p.name for p in tmp_path.iterdir()] == [FILE_NAME]  # no temporary file stays
    assert json.loads((tmp_path / FILE_NAME).read_text())["seed"] == 7  # plain JSON to others


def test_a_manifest_replaces_the_one_before(tmp_path: Path) -> None:
    write_manifest(tmp_path, MANIFEST)
    again = Manifest(kind="model", fingerprint="def", seed=0)
    write_manifest(tmp_path, again)
    assert read_manifest(tmp_path) == again


def test_a_folder_without_a_manifest_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{tmp_path} has no manifest.json"):
        read_manifest(tmp_path)
    with pytest.raises(UserError, match=r"has no manifest\.json"):
        read_manifest(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", "{", '{"schema": 1}', '{"schema": 1, "kind": "cake"}', "[]"])
def test_a_damaged_manifest_is_refused_and_counts_as_not_done(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE_NAME).write_text(text)
    with pytest.raises(UserError, match=r"manifest\.json is damaged"):
        read_manifest(tmp_path)
    assert not is_done(tmp_path, "abc")


def test_a_newer_schema_is_refused_even_if_nothing_else_of_it_is_known(tmp_path: Path) -> None:
    text = json.dumps({"schema": SCHEMA_VERSION + 1, "kind": "galaxy"})
    (tmp_path / FILE_NAME).write_text(text)
    with pytest.raises(UserError, match=f"schema {SCHEMA_VERSION + 1}.*upgrade"):
        read_manifest(tmp_path)
    # It is somebody's finished work: doing it again would overwrite it.
    with pytest.raises(UserError, match="upgrade"):
        is_done(tmp_path, "abc")


def test_done_means_the_same_fingerprint(tmp_path: Path) -> None:
    assert not is_done(tmp_path, "abc")
    write_manifest(tmp_path, MANIFEST)
    assert is_done(tmp_path, "abc")
    assert not is_done(tmp_path, "other")


def test_the_fingerprint_depends_on_every_value_and_not_on_the_order() -> None:
    base = fingerprint({"a": 1, "b": [1, 2]}, {"file": "00"}, seed=3)
    assert base == fingerprint({"b": [1, 2], "a": 1}, {"file": "00"}, seed=3)
    others = [
        fingerprint({"a": 2, "b": [1, 2]}, {"file": "00"}, seed=3),
        fingerprint({"a": 1, "b": [2, 1]}, {"file": "00"}, seed=3),
        fingerprint({"a": 1, "b": [1, 2]}, {"file": "01"}, seed=3),
        fingerprint({"a": 1, "b": [1, 2]}, {}, seed=3),
        fingerprint({"a": 1, "b": [1, 2]}, {"file": "00"}, seed=4),
    ]
    assert len({base, *others}) == 6


def test_a_fingerprint_is_the_sha256_of_sorted_json() -> None:
    text = '{"inputs":{},"schema":2,"seed":0,"settings":{"path":"a/b"}}'
    expected = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert fingerprint({"path": Path("a/b")}) == expected


def test_a_setting_that_json_cannot_hold_is_an_error() -> None:
    with pytest.raises(TypeError, match="setting"):
        fingerprint({"model": object()})


def test_hash_file_is_sha256sum(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    # Known answer: FIPS 180-2, appendix B.1.
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert hash_file(tmp_path / "a") == expected
    with pytest.raises(UserError, match="cannot read"):
        hash_file(tmp_path / "b")


def test_hash_folder_sees_names_and_bytes_but_not_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a").write_text("1")
    first = hash_folder(tmp_path)
    write_manifest(tmp_path, MANIFEST)
    assert hash_folder(tmp_path) == first
    (tmp_path / "sub" / "a").write_text("2")
    second = hash_folder(tmp_path)
    (tmp_path / "sub" / "a").rename(tmp_path / "sub" / "b")
    assert len({first, second, hash_folder(tmp_path)}) == 3
    with pytest.raises(UserError, match="not a folder"):
        hash_folder(tmp_path / "sub" / "b")


def test_versions_name_what_is_in_use() -> None:
    found = versions()
    assert {"metaalign", "python", "msgspec"} <= set(found)
    assert "not" not in found.values()


def test_a_really_full_disk_is_one_line() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full on this system")
    with (
        pytest.raises(UserError, match="the disk is full: cannot write /dev/full"),
        writing(full),
        full.open("wb") as file,
    ):
        file.write(b"x" * 100_000)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot write"):
        write_manifest(tmp_path / "file", MANIFEST)
