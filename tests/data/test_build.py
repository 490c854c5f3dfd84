"""From a recipe to a dataset folder in one call."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.data import small_stages
from tests.data.makers import make_groups, real_file
from tests.data.sources.published import (
    habermas_record,
    hh_record,
    persona_record,
    write_lines,
)

from metaalign.data.build import build_dataset
from metaalign.data.building.inputs import _place
from metaalign.data.building.running import Sizes
from metaalign.data.building.staging import staging_folder
from metaalign.data.draw import digest
from metaalign.data.manifest import Manifest, hash_file, hash_folder, read_manifest
from metaalign.data.recipe import SourceTable, make_recipe
from metaalign.data.sources import SOURCES, Skipped
from metaalign.data.splits import check_splits
from metaalign.data.store import read_groups, read_splits
from metaalign.schema import Event, Group, UserError

STAGES = [
    {"name": "too-short", "characters": 34},
    {"name": "same-end", "digits": 1},
    {"name": "loud"},
    {"name": "too-short", "characters": 34},
]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder of three published files."""
    folder = tmp_path / "files"
    folder.mkdir()
    write_lines(folder / "h.jsonl", map(habermas_record, range(60)))
    write_lines(
        folder / "a.jsonl.gz", [*map(hh_record, range(40)), hh_record(99, responses=["", "x"])]
    )
    write_lines(folder / "p.jsonl", map(persona_record, range(50)))
    return folder


PLACES = {"habermas": "h.jsonl", "hh-rlhf": "a.jsonl.gz", "persona-statements": "p.jsonl"}


def build(
    files: Path, out: Path, names: list[str] | None = None, more: Any = None, **recipe: Any
) -> Manifest:
    """Build from ``files``; ``recipe`` holds keys of the recipe, ``more`` what else the call has.

    ``limit`` and ``max_chars`` are for every source.
    """
    shared = {key: recipe.pop(key, None) for key in ("limit", "max_chars")}
    sources = [{"name": n, "place": PLACES[n], **shared} for n in names or PLACES]
    made = make_recipe({"sources": sources, **recipe}, stages=small_stages.STAGES)
    return build_dataset(made, out, files=files, **(more or {}))


def test_several_sources_make_one_dataset(tmp_path: Path, files: Path) -> None:
    manifest = build(files, tmp_path / "out", seed=3)
    splits = read_splits(tmp_path / "out")
    assert list(splits) == ["sft", "dpo", "test"]
    check_splits(splits)
    groups = [g for gs in splits.values() for g in gs]
    assert len(groups) == 150 and len({g.id for g in groups}) == 150
    assert all(g.id.startswith(f"{g.source}:") for g in groups)
    counts = manifest.counts
    assert counts["source.habermas"] == 120  # two views each
    assert counts["groups_read"] == 150
    assert counts["skipped.hh-rlhf: a response is empty"] == 1
    assert manifest.inputs == {name: hash_file(files / place) for name, place in PLACES.items()}
    assert manifest.seed == 3
    assert manifest.settings["sources.1.place"] == "a.jsonl.gz"
    card = (tmp_path / "out" / "README.md").read_text()
    assert '- "cc-by-4.0"\n- "mit"' in card
    # The first rows show more than one source.
    assert len({g.source for g in splits["sft"][:20]}) == 3
    # Nothing of the way there is left.
    assert {p.name for p in tmp_path.iterdir()} == {"files", "out"}


def test_the_same_call_makes_the_same_bytes_and_another_seed_others(
    tmp_path: Path, files: Path
) -> None:
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        build(files, tmp_path / name, seed=seed)
    assert hash_folder(tmp_path / "one") == hash_folder(tmp_path / "two")
    assert read_splits(tmp_path / "one") != read_splits(tmp_path / "three")


@pytest.mark.parametrize(
    "sizes", [Sizes(part=1, batch=1, bucket=1), Sizes(part=7, batch=3, bucket=5)]
)
def test_how_much_is_done_at_a_time_changes_nothing(
    tmp_path: Path, files: Path, sizes: Sizes
) -> None:
    build(files, tmp_path / "usual", stages=STAGES)
    build(files, tmp_path / "small", stages=STAGES, more={"sizes": sizes})
    assert hash_folder(tmp_path / "usual") == hash_folder(tmp_path / "small")


def test_what_is_whole_is_not_built_again(tmp_path: Path, files: Path) -> None:
    out = tmp_path / "out"
    events: list[Event] = []
    first = build(files, out)
    assert build(files, out, more={"progress": events.append}) == first
    assert events == []
    # A file is gone, an option is another, an input is another: each is built again.
    (out / "groups" / "test-00000.parquet").unlink()
    assert build(files, out).fingerprint == first.fingerprint
    assert read_groups(out, "test")
    changed = build(files, out, limit=50)
    write_lines(files / "h.jsonl", map(habermas_record, range(59)))
    assert build(files, out, limit=50).fingerprint != changed.fingerprint
    assert read_manifest(out).inputs["habermas"] == hash_file(files / "h.jsonl")


def test_a_limit_draws_from_the_whole_file_and_counts_the_rest(tmp_path: Path, files: Path) -> None:
    out = tmp_path / "out"
    manifest = build(files, out, ["habermas"], limit=30)
    questions = [habermas_record(number)["question"] for number in range(60)]
    numbers = sorted(questions.index(g.turns[-1].text) for g in read_groups(out))
    assert len(numbers) == 30
    assert numbers[0] < 10 and numbers[-1] > 49
    assert manifest.counts["skipped.habermas: over the limit of 30 groups"] == 30
    assert manifest.counts["groups_read"] == 30
    build(files, tmp_path / "all", ["habermas"], limit=60)
    assert "skipped.habermas" not in " ".join(read_manifest(tmp_path / "all").counts)


def test_long_groups_are_left_out_and_counted(tmp_path: Path) -> None:
    # The question has 33 characters, the longer of the two statements 37; one question has 34.
    records = [*map(habermas_record, range(9)), habermas_record(9, question="Q" * 34)]
    write_lines(tmp_path / "h.jsonl", records)

    def counts(max_chars: int) -> dict[str, int]:
        split = {"layout": "one-stage", "fractions": {"train": 1.0}}
        return build(
            tmp_path, tmp_path / "out", ["habermas"], max_chars=max_chars, split=split
        ).counts

    assert counts(71)["groups.train"] == 10
    assert counts(70)["groups.train"] == 9
    assert counts(70)["skipped.habermas: longer than 70 characters"] == 1
    with pytest.raises(UserError, match="left out: 10 longer than 69 characters"):
        counts(69)


def test_the_order_as_given_is_that_of_the_sources(tmp_path: Path, files: Path) -> None:
    split = {"layout": "one-stage", "fractions": {"train": 1.0}}
    build(files, tmp_path / "out", ["habermas", "persona-statements"], order="given", split=split)
    groups = read_groups(tmp_path / "out", "train")
    questions = [habermas_record(number)["question"] for number in range(60)]
    assert [g.turns[-1].text for g in groups[:60]] == questions
    assert {g.source for g in groups[60:]} == {"persona-statements"}


def test_every_stage_counts_in_and_out_and_shows_what_it_dropped(
    tmp_path: Path, files: Path
) -> None:
    # The question of park 0 to 9 has 33 characters, that of park 10 to 59 one more.
    counts = build(files, tmp_path / "out", ["habermas"], stages=STAGES).counts
    expected = {
        "groups_read": 60,
        "stage.0.too-short.in": 60,
        "stage.0.too-short.out": 50,
        "stage.1.same-end.in": 50,
        "stage.1.same-end.out": 10,  # one for every last digit
        "stage.2.loud.in": 10,
        "stage.2.loud.out": 10,
        "stage.3.too-short.in": 10,
        "stage.3.too-short.out": 10,
        "groups": 10,
        "skipped.too-short: the query is short": 10,
        "skipped.same-end: another query ends so": 40,
    }
    assert {name: counts[name] for name in expected} == expected
    groups = read_groups(tmp_path / "out")
    assert all(g.turns[-1].text.isupper() for g in groups)
    # Of park 10, 20, ... the first id stays: S10, S11, ...
    assert {g.id for g in groups} == {f"habermas:S1{digit}" for digit in range(10)}
    lines = (tmp_path / "out" / "dropped.jsonl").read_text().splitlines()
    short, same = map(json.loads, lines)
    assert (short["stage"], short["reason"], short["groups"]) == (
        0, "too-short: the query is short", 10,
    )  # fmt: skip
    assert (same["stage"], same["groups"], len(same["examples"])) == (1, 40, 3)
    ids = [f"habermas:S{number}" for number in range(10)]
    first = sorted(ids, key=lambda one: digest("order", 0, one))[:3]
    assert [example["id"] for example in short["examples"]] == first
    assert all(e["query"].startswith("Should park") for e in short["examples"])


def test_too_few_groups_are_one_line_and_nothing_is_written(tmp_path: Path) -> None:
    write_lines(tmp_path / "h.jsonl", [habermas_record(1)])
    with pytest.raises(UserError, match="came out empty: 1 groups are too few"):
        build(tmp_path, tmp_path / "out", ["habermas"])
    assert not (tmp_path / "out").exists()


def test_a_source_without_a_group_is_one_line_that_says_why(tmp_path: Path) -> None:
    write_lines(tmp_path / "h.jsonl", [])
    with pytest.raises(UserError, match=r"h.jsonl is empty: it holds no record of habermas"):
        build(tmp_path, tmp_path / "out", ["habermas"])
    write_lines(tmp_path / "a.jsonl.gz", [hh_record(1, responses=["", "x"])])
    with pytest.raises(UserError, match=r"no group of hh-rlhf is left of .*; left out: 1 "):
        build(tmp_path, tmp_path / "out", ["hh-rlhf"])
    assert not (tmp_path / "out").exists()


def test_stages_that_leave_nothing_are_one_line(tmp_path: Path, files: Path) -> None:
    stages = [{"name": "too-short", "characters": 999}]
    with pytest.raises(UserError, match="the stages left no group"):
        build(files, tmp_path / "out", stages=stages)


def test_a_damaged_line_is_counted_and_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    records = [*map(habermas_record, range(60)), habermas_record(60, question=3)]
    write_lines(tmp_path / "h.jsonl", records)
    manifest = build(tmp_path, tmp_path / "out", ["habermas"])
    assert manifest.counts["groups"] == 60
    assert sum(n for name, n in manifest.counts.items() if "habermas: damaged" in name) == 1
    assert any("h.jsonl, line 61" in note for note in manifest.notes)


def test_a_source_that_is_wrong_is_one_line(tmp_path: Path, files: Path) -> None:
    def fails(what: str, **table: Any) -> None:
        with pytest.raises(UserError, match=what):
            build_dataset(make_recipe({"sources": [table]}), tmp_path / "out", files=files)

    fails(r"unknown source 'x': known are .*habermas", name="x", place="h.jsonl")
    fails("needs a file: say its place", name="habermas")
    fails(
        r"none\.jsonl is not a file: give .* or with --files", name="habermas", place="none.jsonl"
    )
    fails("has no options: remove mood", name="habermas", place="h.jsonl", options={"mood": 1})


def test_two_sources_that_hold_the_same_are_one_line(tmp_path: Path, files: Path) -> None:
    write_lines(files / "again.jsonl", map(habermas_record, range(60)))
    sources = [{"name": "habermas", "place": place} for place in ("h.jsonl", "again.jsonl")]
    with pytest.raises(UserError, match=r"the group id habermas:S.* is there twice, from habermas"):
        build_dataset(make_recipe({"sources": sources}), tmp_path / "out", files=files)


def test_progress_tells_every_record_and_every_part(tmp_path: Path) -> None:
    events: list[Event] = []
    write_lines(tmp_path / "h.jsonl", map(habermas_record, range(1200)))
    more = {"progress": events.append, "sizes": Sizes(part=400)}
    build(tmp_path, tmp_path / "out", ["habermas"], more=more)
    read = [(e.done, e.total) for e in events if e.task == "read habermas"]
    assert read == [(500, 1200), (1000, 1200), (1200, 1200)]
    assert [(e.done, e.total) for e in events if e.task == "stages"] == [(1, 3), (2, 3), (3, 3)]


def test_what_a_former_build_staged_is_used(tmp_path: Path, files: Path) -> None:
    out = tmp_path / "out"
    build(files, out, stages=STAGES, more={"keep_staging": True})
    before = hash_folder(out)
    staged = {p: p.stat().st_mtime_ns for p in staging_folder(out).rglob("*.parquet")}
    assert staged
    (out / "groups" / "test-00000.parquet").unlink()
    build(files, out, stages=STAGES, more={"keep_staging": True})
    assert hash_folder(out) == before
    assert {p: p.stat().st_mtime_ns for p in staging_folder(out).rglob("*.parquet")} == staged
    # Another stage uses what was read, and nothing of the passes.
    build(files, out, more={"keep_staging": True})
    assert "stage.0" not in " ".join(read_manifest(out).counts)


class Tellers:
    """Writes groups and counts how often it was asked to."""

    name = "made"
    licence = "mit"
    content_hash = "1"
    asked = 0

    def write(self, *, seed: int, skipped: Skipped) -> Iterator[Group]:
        self.asked += 1
        skipped["refused"] += 2
        yield from make_groups(60)

    def costs(self) -> Mapping[str, int]:
        return {"calls": 62} if self.asked else {}


def test_what_was_written_is_not_asked_for_again_and_its_costs_are_kept(tmp_path: Path) -> None:
    tree = {"teacher": {"model": "m", "journal": "j"}, "write": [{"name": "made"}]}
    recipe = make_recipe(tree)

    def stop(event: Event) -> None:
        if event.task == "stages":
            raise KeyboardInterrupt

    first = Tellers()
    with pytest.raises(KeyboardInterrupt):
        build_dataset(recipe, tmp_path / "out", writers=[first], progress=stop)
    second = Tellers()
    counts = build_dataset(recipe, tmp_path / "out", writers=[second]).counts
    assert (first.asked, second.asked) == (1, 0)
    assert counts["groups"] == 60 and counts["teacher.calls"] == 62
    assert counts["skipped.made: refused"] == 2
    assert read_manifest(tmp_path / "out").settings["teacher.model"] == "m"
    # How fast and for how much it is asked decides nothing: the dataset stands.
    faster = make_recipe({**tree, "teacher": {"model": "m", "journal": "j", "concurrency": 2}})
    build_dataset(faster, tmp_path / "out", writers=[second])
    assert second.asked == 0


def test_the_splits_of_a_source_are_kept_as_given(tmp_path: Path) -> None:
    class Given(Tellers):
        def write(self, *, seed: int, skipped: Skipped) -> Iterator[Group]:
            for number, group in enumerate(make_groups(30)):
                yield replace(group, split=("test_values", "test", "sft")[number % 3])

    tree = {"teacher": {"model": "m", "journal": "j"}, "write": [{"name": "made"}]}
    recipe = make_recipe({**tree, "split": {"by": ["given"]}})
    build_dataset(recipe, tmp_path / "out", writers=[Given()])
    splits = read_splits(tmp_path / "out")
    assert list(splits) == ["sft", "test", "test_values"]
    assert {g.id for g in splits["test"]} == {f"g{n}" for n in range(1, 30, 3)}
    with pytest.raises(UserError, match=r"the group g.* says no split of its own"):
        build_dataset(recipe, tmp_path / "none", writers=[Tellers()])


def test_a_set_that_a_stage_compares_with_is_part_of_what_decides(
    tmp_path: Path, files: Path
) -> None:
    pytest.importorskip("rensa")
    recipe = make_recipe(
        {
            "sources": [{"name": "habermas", "place": "h.jsonl"}],
            "stages": [{"name": "contamination", "sets": ["held.txt.jsonl"], "fields": ["q"]}],
        }
    )

    def build_without(number: int) -> Manifest:
        write_lines(files / "held.txt.jsonl", [{"q": habermas_record(number)["question"]}])
        return build_dataset(recipe, tmp_path / "out", files=files)

    first = build_without(7)
    # The question itself and those that are nearly the same are gone.
    assert not any("park 7 " in g.turns[-1].text for g in read_groups(tmp_path / "out"))
    assert first.inputs["stage 0, held.txt.jsonl"] == hash_file(files / "held.txt.jsonl")
    assert build_without(8).fingerprint != first.fingerprint
    with pytest.raises(UserError, match=r"gone\.jsonl"):
        gone = [{"name": "contamination", "sets": ["gone.jsonl"], "fields": ["q"]}]
        source = [{"name": "habermas", "place": "h.jsonl"}]
        build_dataset(make_recipe({"sources": source, "stages": gone}), tmp_path / "x", files=files)


def test_values_are_held_out_and_listed(tmp_path: Path, files: Path) -> None:
    manifest = build(files, tmp_path / "out", ["habermas"], split={"by": ["query", "wording"]})
    lines = (tmp_path / "out" / "held_out.jsonl").read_text().splitlines()
    values = [json.loads(line)["value"] for line in lines]
    assert values and all(json.loads(line)["by"] == "wording" for line in lines)
    assert any("hang together by wording" in note for note in manifest.notes)
    splits = read_splits(tmp_path / "out")
    check_splits(splits, ("query", "wording"), held_out={"wording": values})
    left_out = sum(n for name, n in manifest.counts.items() if name.startswith("skipped.split: "))
    assert sum(map(len, splits.values())) + left_out == 60


def test_the_real_files_make_one_dataset(tmp_path: Path) -> None:
    places = {
        "habermas": real_file("habermas_questions.jsonl.gz"),
        "hh-rlhf": real_file("hh_rlhf_pairs.jsonl.gz"),
        "persona-statements": real_file("persona_statements.jsonl.gz"),
    }
    sources = [{"name": n, "place": str(p), "limit": 1500} for n, p in places.items()]
    manifest = build_dataset(make_recipe({"sources": sources}), tmp_path / "out")
    assert manifest.counts["groups"] == 4500
    splits: dict[str, list[Group]] = read_splits(tmp_path / "out")
    check_splits(splits)
    # Binomial over the queries: 450 on average, standard deviation 20; five of them.
    assert abs(len(splits["test"]) - 450) < 101


def test_what_a_source_tells_of_its_files_is_kept(tmp_path: Path) -> None:
    """The paper's files are held against the paper's numbers."""
    records = [
        {"system": "Be short.", "prompt": f"What is {n}?", "chosen": f"{n}.", "rejected": "No."}
        for n in range(60)
    ]
    write_lines(tmp_path / "helpful_dpo.jsonl", records)
    made = make_recipe({"sources": [{"name": "metaalign-paper", "place": "helpful_dpo.jsonl"}]})
    notes = build_dataset(made, tmp_path / "out", files=tmp_path).notes
    assert any("helpful_dpo.jsonl: 60 samples" in note for note in notes)
    assert any("60 samples: less than the paper's 38.9k" in note for note in notes)


def test_a_source_without_a_place_is_where_it_is_published() -> None:
    table = SourceTable(name="pku-saferlhf")
    assert str(_place(table, SOURCES["pku-saferlhf"], Path())).startswith("hf:PKU-Alignment/")
