"""A dataset folder is whole or not there, says what it holds, and gives its groups back."""

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from datasets import load_dataset  # type: ignore[import-untyped]
from hypothesis import given, settings
from tests.data.makers import make_group, make_groups, many_groups

from metaalign.data import tables
from metaalign.data.manifest import FILE_NAME, fingerprint, hash_folder, read_manifest
from metaalign.data.samples import samples_of
from metaalign.data.store import (
    check_dataset,
    iter_groups,
    read_groups,
    read_splits,
    split_names,
    write_dataset,
)
from metaalign.schema import Event, Group, MetaPrompt, Sample, UserError, View


def _write(out: Path, count: int = 5) -> dict[str, list[Group]]:
    splits = {"sft": make_groups(count, "s"), "test": make_groups(2, "t")}
    write_dataset(out, splits, settings={"count": count}, seed=0)
    return splits


@settings(max_examples=50, deadline=None)
@given(many_groups("a"), many_groups("b"))
def test_any_groups_come_back_equal(first: list[Group], second: list[Group]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        splits = {"sft": first, "test_values": second}
        write_dataset(Path(folder) / "out", splits, settings={}, seed=0, shard_rows=2)
        assert read_splits(Path(folder) / "out") == splits
        assert read_groups(Path(folder) / "out") == first + second


def test_the_columns_are_the_fields_of_a_group() -> None:
    # A field that the columns do not have would be lost without a word.
    assert tuple(tables.GROUPS.names) == Group.__struct_fields__
    view = tables.GROUPS.field("views").type.value_type
    assert tuple(field.name for field in view) == View.__struct_fields__


def test_samples_are_flat_rows_with_every_tier(tmp_path: Path) -> None:
    meta_prompt = MetaPrompt.of("Be polite.", "I am a nurse.", team="Use plain words.")
    view = View(meta_prompt, (1, 0), "rule")
    write_dataset(tmp_path / "out", {"sft": [make_group("g", views=(view,))]}, settings={}, seed=0)
    assert pq.read_table(tmp_path / "out" / "samples" / "sft-00000.parquet").to_pylist() == [
        {
            "group_id": "g",
            "view": 0,
            "source": "made",
            "family": "helpful",
            "kind": "benign",
            "system_info": "Be polite.",
            "user_info": "I am a nurse.",
            "more_tiers": [{"tier": "team", "text": "Use plain words."}],
            "turns": [{"role": "user", "text": "What is g?"}],
            "query": "What is g?",
            "chosen": "Rather long.",
            "rejected": "Short.",
        }
    ]


def test_every_field_of_a_sample_has_a_column() -> None:
    fields = set(Sample.__struct_fields__) - {"meta_prompt"}
    assert fields | {"system_info", "user_info", "more_tiers", "query"} == set(tables.SAMPLES.names)


def test_datasets_loads_the_folder_and_the_files(tmp_path: Path) -> None:
    splits = _write(tmp_path / "out", count=7)
    cache = str(tmp_path / "cache")
    loaded = load_dataset(str(tmp_path / "out"), cache_dir=cache)
    # 7 and 2 groups of two views each.
    assert {name: split.num_rows for name, split in loaded.items()} == {"sft": 14, "test": 4}
    chosen = [sample.chosen for group in splits["sft"] for sample in samples_of(group)]
    assert list(loaded["sft"]["chosen"]) == chosen

    nested = load_dataset(str(tmp_path / "out"), "groups", cache_dir=cache)
    assert list(nested["test"]["id"]) == ["t0", "t1"]
    assert nested["test"][0]["views"][1]["preferences"][0]["value"] == "long"

    files = {"train": str(tmp_path / "out" / "samples" / "sft-*.parquet")}
    plain = load_dataset("parquet", data_files=files, cache_dir=cache)
    assert list(plain["train"]["chosen"]) == chosen


def test_datasets_loads_a_split_whose_name_begins_like_another(tmp_path: Path) -> None:
    splits = {"test": make_groups(1, "a"), "test_values": make_groups(3, "b")}
    write_dataset(tmp_path / "out", splits, settings={}, seed=0)
    loaded = load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {name: s.num_rows for name, s in loaded.items()} == {"test": 2, "test_values": 6}


def test_splits_without_rows_do_not_keep_datasets_from_loading_the_others(tmp_path: Path) -> None:
    unordered = make_group("u", views=(View(MetaPrompt(), (0, 0), "rule"),))
    splits = {"sft": make_groups(2), "dpo": [], "test": [unordered]}
    write_dataset(tmp_path / "out", splits, settings={}, seed=0)
    assert read_splits(tmp_path / "out") == splits
    cache = str(tmp_path / "cache")
    loaded = load_dataset(str(tmp_path / "out"), cache_dir=cache)
    assert {name: s.num_rows for name, s in loaded.items()} == {"sft": 4}
    nested = load_dataset(str(tmp_path / "out"), "groups", cache_dir=cache)
    assert {name: s.num_rows for name, s in nested.items()} == {"sft": 2, "test": 1}


def test_shards_are_cut_by_rows_and_read_in_order(tmp_path: Path) -> None:
    groups = make_groups(2500)
    write_dataset(tmp_path / "out", {"sft": groups}, settings={}, seed=0, shard_rows=1000)
    names = sorted(p.name for p in (tmp_path / "out" / "groups").iterdir())
    assert names == ["sft-00000.parquet", "sft-00001.parquet", "sft-00002.parquet"]
    assert read_groups(tmp_path / "out", "sft") == groups


def test_groups_are_streamed_and_never_held_together(tmp_path: Path) -> None:
    def groups(count: int) -> Iterator[Group]:
        for i in range(count):
            yield make_group(f"g{i}", query=f"{i}" * 400)

    def peak(count: int) -> int:
        tracemalloc.start()
        write_dataset(tmp_path / "out", {"sft": groups(count)}, settings={}, seed=0)
        _, found = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return found

    peak(10)  # what is imported and cached on first use
    # Six batches need little more than two: the ids that were seen, not the groups.
    assert peak(6000) < 1.5 * peak(2000)


def test_the_manifest_counts_everything(tmp_path: Path) -> None:
    unordered = make_group("u", views=(View(MetaPrompt(), (0, 0), "rule"),))
    skipped = {"made: too long": 3}
    inputs = {"made": "00"}
    manifest = write_dataset(
        tmp_path / "out",
        {"sft": [*make_groups(3), unordered], "test": []},
        settings={"size": 4},
        seed=9,
        inputs=inputs,
        skipped=skipped,
    )
    assert read_manifest(tmp_path / "out") == manifest
    assert manifest.fingerprint == fingerprint({"size": 4}, inputs, seed=9)
    counts = manifest.counts
    assert counts["groups.sft"] == counts["groups"] == 4
    assert counts["samples.sft"] == counts["samples"] == 6
    assert counts["groups.test"] == counts["samples.test"] == 0
    assert counts["views_that_order_nothing"] == 1
    assert counts["flips"] == 3
    assert counts["skipped.made: too long"] == 3
    assert counts["distinct_preferences"] == counts["distinct_wordings"] == 2


def test_the_card_has_a_header_that_the_hub_reads_and_the_numbers(tmp_path: Path) -> None:
    import yaml  # type: ignore[import-untyped]

    write_dataset(
        tmp_path / "out",
        {"sft": make_groups(1200)},
        settings={},
        seed=0,
        sources_licences={"made": "Apache-2.0"},
        skipped={"made: a | b": 2},
    )
    card = (tmp_path / "out" / "README.md").read_text()
    _, header, text = card.split("---\n", 2)
    read = yaml.safe_load(header)
    assert read["license"] == ["apache-2.0"]
    assert [c["config_name"] for c in read["configs"] if c.get("default")] == ["samples"]
    assert read["configs"][0]["data_files"] == [{"split": "sft", "path": "samples/sft-*.parquet"}]
    assert "| sft | 1,200 | 2,400 |" in text
    assert "| made | 2,400 | Apache-2.0 |" in text
    assert "| made: a \\| b | 2 |" in text


def test_equal_groups_make_equal_folders(tmp_path: Path) -> None:
    _write(tmp_path / "one")
    _write(tmp_path / "two")
    assert hash_folder(tmp_path / "one") == hash_folder(tmp_path / "two")


def test_progress_reaches_its_total(tmp_path: Path) -> None:
    events: list[Event] = []
    splits = {"sft": make_groups(2100), "test": make_groups(1, "t")}
    write_dataset(tmp_path / "out", splits, settings={}, seed=0, progress=events.append)
    assert [e.done for e in events] == [1000, 2000, 2100, 2101]
    assert {e.total for e in events} == {2101}
    events.clear()
    # A generator does not tell how much is to come: unknown is zero, until the end.
    stream = {"sft": iter(splits["sft"])}
    write_dataset(tmp_path / "out", stream, settings={}, seed=0, progress=events.append)
    assert [(e.done, e.total) for e in events] == [(1000, 0), (2000, 0), (2100, 0), (2100, 2100)]


@pytest.mark.parametrize(
    "failure", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt(), ValueError("bug")]
)
def test_what_fails_midway_leaves_what_was_there(tmp_path: Path, failure: BaseException) -> None:
    before = _write(tmp_path / "out")

    def groups() -> Iterator[Group]:
        yield from make_groups(1500)
        raise failure

    for out in (tmp_path / "out", tmp_path / "new"):
        with pytest.raises(type(failure)):
            write_dataset(out, {"sft": groups()}, settings={}, seed=0)
    assert read_splits(tmp_path / "out") == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]  # nothing half-written stays


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_disk_that_runs_full_is_one_line_and_leaves_what_was_there(tmp_path: Path) -> None:
    before = _write(tmp_path / "out")
    code = """
        import random, resource, sys
        from pathlib import Path
        from metaalign.data.store import write_dataset
        from metaalign.schema import Candidate, UserError
        from tests.data.makers import make_group

        # A file may grow to 50 kB: the write that goes beyond fails as on a full disk.
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        noise = random.Random(0)
        def text():
            return "".join(chr(noise.randrange(32, 8000)) for _ in range(200))
        groups = [make_group(str(i), candidates=(Candidate(text(), ""),) * 2) for i in range(3000)]
        try:
            write_dataset(Path(sys.argv[1]), {"sft": groups}, settings={}, seed=0)
        except UserError as error:
            print(error)
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=Path(__file__).parents[2],
    )
    assert result.stdout.startswith("the disk is full: cannot write "), result.stderr
    assert result.stdout.count("\n") == 1
    assert read_splits(tmp_path / "out") == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_new_dataset_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    _write(tmp_path / "out", count=5)
    write_dataset(tmp_path / "out", {"test": make_groups(1)}, settings={}, seed=0)
    assert read_splits(tmp_path / "out") == {"test": make_groups(1)}
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_after_a_kill_the_next_run_finds_what_was_there(tmp_path: Path) -> None:
    before = _write(tmp_path / "out")
    # Killed after the old folder was moved aside and before the new one took its place.
    (tmp_path / "out").rename(tmp_path / ".out.before")
    (tmp_path / ".out.partial").mkdir()

    def fails() -> Iterator[Group]:
        raise KeyboardInterrupt
        yield

    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path / "out", {"sft": fails()}, settings={}, seed=0)
    assert read_splits(tmp_path / "out") == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_folder_with_other_things_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="not a dataset of metaalign: choose another --out"):
        _write(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="not a dataset of metaalign"):
        _write(tmp_path / "file")
    assert {p.name for p in tmp_path.iterdir()} == {"thesis.tex", "file"}


def test_an_empty_folder_may_be_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    _write(tmp_path / "out")
    assert split_names(tmp_path / "out") == ["sft", "test"]


def test_ids_and_names_that_would_lie_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="g0 is there twice"):
        splits = {"sft": make_groups(1), "test": make_groups(1)}
        write_dataset(tmp_path / "out", splits, settings={}, seed=0)
    with pytest.raises(ValueError, match=r"'\.\./x'"):
        write_dataset(tmp_path / "out", {"../x": []}, settings={}, seed=0)
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_and_a_folder_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        read_groups(tmp_path / "out")
    with pytest.raises(UserError, match=r"has no manifest\.json"):
        read_groups(tmp_path)
    (tmp_path / FILE_NAME).write_text(
        json.dumps({"schema": 1, "kind": "model", "fingerprint": "a", "seed": 0})
    )
    with pytest.raises(UserError, match="holds a model, not a dataset"):
        split_names(tmp_path)


def test_an_unknown_split_names_those_that_exist(tmp_path: Path) -> None:
    _write(tmp_path / "out")
    with pytest.raises(UserError, match="no split 'train': it has sft, test"):
        read_groups(tmp_path / "out", "train")


def test_a_missing_file_is_noticed(tmp_path: Path) -> None:
    _write(tmp_path / "out")
    (tmp_path / "out" / "groups" / "sft-00000.parquet").unlink()
    with pytest.raises(UserError, match="holds 0 of the 5 groups of the split sft"):
        read_groups(tmp_path / "out", "sft")


@pytest.mark.parametrize("keep", [0, 10, -20])
def test_a_half_written_file_is_named(tmp_path: Path, keep: int) -> None:
    _write(tmp_path / "out")
    path = tmp_path / "out" / "groups" / "sft-00000.parquet"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"cannot read .*sft-00000\.parquet .*build .* again"):
        read_groups(tmp_path / "out")


def test_damage_in_the_middle_of_a_file_is_named(tmp_path: Path) -> None:
    _write(tmp_path / "out", count=1500)
    path = tmp_path / "out" / "groups" / "sft-00000.parquet"
    data = bytearray(path.read_bytes())
    data[40:400] = b"\xff" * 360
    path.write_bytes(data)
    assert check_dataset(tmp_path / "out")  # the end of the file is as it was
    with pytest.raises(UserError, match=r"cannot read .*sft-00000\.parquet"):
        read_groups(tmp_path / "out", "sft")


def test_a_file_with_other_columns_is_named(tmp_path: Path) -> None:
    _write(tmp_path / "out", count=1)
    path = tmp_path / "out" / "groups" / "sft-00000.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["family"]), path)
    with pytest.raises(UserError, match=r"sft-00000\.parquet: .*family"):
        list(iter_groups(tmp_path / "out", "sft"))


def test_a_newer_dataset_is_refused(tmp_path: Path) -> None:
    _write(tmp_path / "out")
    path = tmp_path / "out" / FILE_NAME
    manifest = json.loads(path.read_text()) | {"schema": 99}
    path.write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=r"schema 99.*upgrade"):
        read_splits(tmp_path / "out")


def test_without_pyarrow_the_extra_is_named(tmp_path: Path) -> None:
    code = """
        import sys
        sys.modules["pyarrow"] = None
        from metaalign.schema import MissingExtra
        import metaalign.data.manifest
        try:
            import metaalign.data.store
        except MissingExtra as error:
            print(error)
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert "pip install 'metaalign[data]'" in result.stdout, result.stderr


def test_a_dataset_may_be_moved(tmp_path: Path) -> None:
    splits = _write(tmp_path / "out")
    shutil.copytree(tmp_path / "out", tmp_path / "elsewhere")
    assert read_splits(tmp_path / "elsewhere") == splits


def test_overwritten_bytes_are_told_and_never_read_as_other_values(tmp_path: Path) -> None:
    """Wherever they lie: every page has a checksum, which the reader holds it to."""
    expected = _write(tmp_path / "out", 40)["sft"]
    path = tmp_path / "out" / "groups" / "sft-00000.parquet"
    whole = path.read_bytes()
    told = 0
    for at in range(4, len(whole) - 8, len(whole) // 150):
        path.write_bytes(whole[:at] + bytes(b ^ 0xFF for b in whole[at : at + 3]) + whole[at + 3 :])
        try:
            assert read_groups(tmp_path / "out", "sft") == expected  # a place that holds nothing
        except UserError:
            told += 1
    assert told > 50
