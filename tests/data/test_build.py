"""From published files to a dataset folder in one call."""

from pathlib import Path

import pytest
from tests.data.makers import real_file
from tests.data.sources.published import (
    habermas_record,
    hh_record,
    persona_record,
    write_lines,
)

from metaalign.data.build import build_dataset, parse_source
from metaalign.data.manifest import hash_file, read_manifest
from metaalign.data.splits import check_splits
from metaalign.data.store import read_groups, read_splits
from metaalign.schema import Event, UserError


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Path]:
    return {
        "habermas": write_lines(tmp_path / "h.jsonl", map(habermas_record, range(60))),
        "hh-rlhf": write_lines(
            tmp_path / "a.jsonl.gz",
            [*map(hh_record, range(40)), hh_record(99, responses=["", "x"])],
        ),
        "persona-statements": write_lines(tmp_path / "p.jsonl", map(persona_record, range(50))),
    }


def test_a_source_on_the_command_line(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "h=1.jsonl", [habermas_record(1)])
    assert parse_source(f"habermas={path}") == ("habermas", path)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("haber=x.jsonl", "unknown source 'haber'.* habermas, hh-rlhf, persona-statements"),
        ("", "unknown source ''"),
        ("habermas", "the source habermas needs a file: write habermas=PATH"),
        ("habermas=", "needs a file"),
        ("habermas=no/where.jsonl", "no/where.jsonl is not a file"),
    ],
)
def test_a_source_that_is_wrong_is_one_line(text: str, what: str) -> None:
    with pytest.raises(UserError, match=what):
        parse_source(text)


def test_several_sources_make_one_dataset(tmp_path: Path, sources: dict[str, Path]) -> None:
    manifest = build_dataset(sources, tmp_path / "out", seed=3)
    splits = read_splits(tmp_path / "out")
    assert list(splits) == ["sft", "dpo", "test"]
    check_splits(splits)
    groups = [g for gs in splits.values() for g in gs]
    assert len(groups) == 150 and len({g.id for g in groups}) == 150
    assert all(g.id.startswith(f"{g.source}:") for g in groups)
    counts = manifest.counts
    assert counts["source.habermas"] == 120  # two views each
    assert counts["source.hh-rlhf"] == 40
    assert counts["source.persona-statements"] == 100
    assert counts["skipped.hh-rlhf: a response is empty"] == 1
    assert manifest.inputs == {name: hash_file(path) for name, path in sources.items()}
    assert manifest.seed == 3
    card = (tmp_path / "out" / "README.md").read_text()
    assert '- "cc-by-4.0"\n- "mit"' in card
    # The first rows show more than one source.
    assert len({g.source for g in splits["sft"][:20]}) == 3


def test_the_same_call_makes_the_same_groups_and_another_seed_others(
    tmp_path: Path, sources: dict[str, Path]
) -> None:
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        build_dataset(sources, tmp_path / name, seed=seed)
    assert read_splits(tmp_path / "one") == read_splits(tmp_path / "two")
    assert read_splits(tmp_path / "one") != read_splits(tmp_path / "three")


def test_what_is_whole_is_not_built_again(tmp_path: Path, sources: dict[str, Path]) -> None:
    out = tmp_path / "out"
    events: list[Event] = []
    first = build_dataset(sources, out, seed=0)
    assert build_dataset(sources, out, seed=0, progress=events.append) == first
    assert events == []
    # A file is gone, an option is another, an input is another: each is built again.
    (out / "groups" / "test-00000.parquet").unlink()
    assert build_dataset(sources, out, seed=0).fingerprint == first.fingerprint
    assert read_groups(out, "test")
    changed = build_dataset(sources, out, seed=0, limit=50)
    write_lines(sources["habermas"], map(habermas_record, range(59)))
    assert build_dataset(sources, out, seed=0, limit=50).fingerprint != changed.fingerprint
    assert read_manifest(out).inputs["habermas"] == hash_file(sources["habermas"])


def test_a_limit_draws_from_the_whole_file_and_counts_the_rest(
    tmp_path: Path, sources: dict[str, Path]
) -> None:
    only = {"habermas": sources["habermas"]}
    manifest = build_dataset(only, tmp_path / "out", seed=0, limit=30)
    numbers = sorted(int(g.query_id[1:]) for g in read_groups(tmp_path / "out"))
    assert len(numbers) == 30
    assert numbers[0] < 10 and numbers[-1] > 49
    assert manifest.counts["skipped.habermas: over the limit of 30 groups"] == 30
    build_dataset(only, tmp_path / "all", seed=0, limit=60)
    assert "skipped.habermas" not in " ".join(read_manifest(tmp_path / "all").counts)


def test_long_groups_are_left_out_and_counted(tmp_path: Path) -> None:
    # The question has 33 characters, the longer of the two statements 37; one question has 34.
    records = [*map(habermas_record, range(9)), habermas_record(9, question="Q" * 34)]
    source = {"habermas": write_lines(tmp_path / "x.jsonl", records)}

    def build(max_chars: int) -> dict[str, int]:
        out, everything = tmp_path / "out", {"sft": 1.0}
        return build_dataset(source, out, seed=0, max_chars=max_chars, fractions=everything).counts

    assert build(71)["groups.sft"] == 10
    counts = build(70)
    assert counts["groups.sft"] == 9
    assert counts["skipped.habermas: longer than 70 characters"] == 1
    with pytest.raises(UserError, match="left out: 10 longer than 69 characters"):
        build(69)


def test_too_few_groups_are_one_line_and_nothing_is_written(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.jsonl", [habermas_record(1)])
    with pytest.raises(UserError, match="came out empty: 1 groups are too few"):
        build_dataset({"habermas": path}, tmp_path / "out", seed=0)
    assert not (tmp_path / "out").exists()


def test_a_source_without_a_group_is_one_line_that_says_why(tmp_path: Path) -> None:
    empty = write_lines(tmp_path / "e.jsonl", [])
    with pytest.raises(UserError, match=r"e.jsonl is empty: it holds no record of habermas"):
        build_dataset({"habermas": empty}, tmp_path / "out", seed=0)
    blank = write_lines(tmp_path / "b.jsonl", [hh_record(1, responses=["", "x"])])
    with pytest.raises(UserError, match=r"no group of hh-rlhf is left of .*; left out: 1 "):
        build_dataset({"hh-rlhf": blank}, tmp_path / "out", seed=0)
    assert not (tmp_path / "out").exists()


def test_a_damaged_line_is_one_line_and_nothing_is_written(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "x.jsonl", [habermas_record(1), habermas_record(2, question=3)])
    with pytest.raises(UserError, match=r"x\.jsonl, line 2: .*\$\.question"):
        build_dataset({"habermas": path}, tmp_path / "out", seed=0)
    assert not (tmp_path / "out").exists()


def test_options_that_make_no_sense_are_refused(tmp_path: Path, sources: dict[str, Path]) -> None:
    with pytest.raises(UserError, match="no source"):
        build_dataset({}, tmp_path / "out", seed=0)
    with pytest.raises(UserError, match="unknown source 'x'"):
        build_dataset({"x": tmp_path}, tmp_path / "out", seed=0)
    with pytest.raises(UserError, match="limit is 0"):
        build_dataset(sources, tmp_path / "out", seed=0, limit=0)
    with pytest.raises(UserError, match="max_chars is -1"):
        build_dataset(sources, tmp_path / "out", seed=0, max_chars=-1)


def test_progress_tells_every_record_of_a_file(tmp_path: Path) -> None:
    records = [habermas_record(i % 700) for i in range(1200)]  # 500 ids are there twice
    events: list[Event] = []
    path = write_lines(tmp_path / "x.jsonl", records)
    build_dataset({"habermas": path}, tmp_path / "out", seed=0, progress=events.append)
    read = [(e.done, e.total) for e in events if e.task == "read habermas"]
    assert read == [(500, 1200), (1200, 1200)]


def test_the_real_files_make_one_dataset(tmp_path: Path) -> None:
    sources = {
        "habermas": real_file("habermas_questions.jsonl.gz"),
        "hh-rlhf": real_file("hh_rlhf_pairs.jsonl.gz"),
        "persona-statements": real_file("persona_statements.jsonl.gz"),
    }
    manifest = build_dataset(sources, tmp_path / "out", seed=0, limit=1500)
    assert manifest.counts["groups"] == 4500
    splits = read_splits(tmp_path / "out")
    check_splits(splits)
    # Binomial over the queries: 450 on average, standard deviation 20; five of them.
    assert abs(len(splits["test"]) - 450) < 101
