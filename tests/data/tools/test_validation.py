"""Whatever is wrong with a dataset is named by file, row and field, and the rest can be saved."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from datasets import load_dataset  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.makers import make_group, make_groups
from tests.data.tools.makers import annotated, change, write

from metaalign.data.manifest import hash_folder, read_manifest
from metaalign.data.store import read_groups, read_splits
from metaalign.data.tools.repair import Quarantined, quarantine_folder, repair
from metaalign.data.tools.validation import NAMED, validate
from metaalign.schema import Candidate, Group, MetaPrompt, UserError, View

SFT = "groups/sft-00000.parquet"
Rows = list[dict[str, Any]]


def _found(dataset: Path, **more: Any) -> list[str]:
    return [str(finding) for finding in validate(dataset, **more).findings]


def _set(rows: Rows, row: int, field: str, value: object) -> None:
    """Set ``views.0.ranks`` and the like."""
    *names, last = field.split(".")
    at: Any = rows[row]
    for name in names:
        at = at[int(name) if name.isdecimal() else name]
    at[int(last) if last.isdecimal() else last] = value


def test_a_sound_dataset_has_no_findings_and_loads(tmp_path: Path) -> None:
    dataset = write(tmp_path / "d")
    report = validate(dataset)
    assert (report.groups, report.samples, report.count, report.notes) == (5, 10, 0, ())
    loaded = load_dataset(str(dataset), cache_dir=str(tmp_path / "cache"))
    assert {name: split.num_rows for name, split in loaded.items()} == {
        "sft": 4, "dpo": 2, "test": 4,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("family", "odd", "family: Invalid enum value 'odd'"),
        ("id", "s0", "id: the id s0 is there twice"),
        ("turns", [], "turns: the talk does not end with a query"),
        ("views.0.ranks", [0], "views[0].ranks: 1 ranks for 2 candidates"),
        ("views.1.ranks", [0, -1], "views[1].ranks: a rank is negative"),
        ("views.0.annotations", [{"by": "human", "ranks": [0]}],
         "views[0].annotations[0].ranks: 1 ranks for 2 candidates"),
        ("views.0.preferences.0.tier", "team",
         "views[0].preferences[0].tier: the tier 'team' says nothing in this view"),
        ("views.0.preferences.0.turn", 4,
         "views[0].preferences[0].turn: the talk has 1 turns, not one 4"),
        ("views.0.preferences.0.span", [0, 99],
         "views[0].preferences[0].span: [0, 99) is no part of a text of 21 characters"),
        ("views.0.preferences.0.span", [0, 5],
         "views[0].preferences[0].span: the words there are not the preference's wording"),
    ],
)  # fmt: skip
def test_a_faulty_row_is_named_with_its_field(
    tmp_path: Path, field: str, value: object, said: str
) -> None:
    dataset = write(tmp_path / "d")
    change(dataset / SFT, lambda rows: _set(rows, 1, field, value))
    assert f"{SFT}, row 1, {said}" in _found(dataset)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda rows: rows[1].update(chosen="x"), "row 1, chosen: it is not what"),
        (lambda rows: rows.pop(0), "row 0: 1 samples of a group that gives 2"),
        (lambda rows: rows.reverse(), "row 2, group_id: samples of s0 stand twice"),
        (lambda rows: rows[0].update(group_id="x"), "row 0, group_id: no group that can be"),
        (lambda rows: rows[0].update(group_id="t1"), "row 0, group_id: the group t1 stands"),
    ],
)  # fmt: skip
def test_samples_must_be_those_of_the_groups(
    tmp_path: Path, edit: Callable[[Rows], object], said: str
) -> None:
    dataset = write(tmp_path / "d")
    name = "samples/sft-00000.parquet"
    change(dataset / name, edit)
    assert any(found.startswith(f"{name}, {said}") for found in _found(dataset))


def test_missing_samples_of_a_group_are_named(tmp_path: Path) -> None:
    dataset = write(tmp_path / "d")
    change(dataset / "samples/sft-00000.parquet", lambda rows: rows.__delitem__(slice(0, 2)))
    assert "samples/sft: samples of the group s0 are missing" in _found(dataset)


def test_a_manifest_that_counts_wrong_or_was_changed_is_named(tmp_path: Path) -> None:
    dataset = write(tmp_path / "d")
    path = dataset / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["counts"]["flips"] += 2
    manifest["settings"]["size"] = 9
    path.write_text(json.dumps(manifest))
    found = _found(dataset)
    assert "manifest.json, counts.flips: 7, but 5 found" in found
    assert any(one.startswith("manifest.json, fingerprint: ") for one in found)


def test_a_card_that_no_longer_loads_is_named(tmp_path: Path) -> None:
    dataset = write(tmp_path / "d")
    card = dataset / "README.md"
    card.write_text(card.read_text().replace("pretty_name:", "pretty_name: [", 1))
    assert any(one.startswith("README.md: its header is no YAML") for one in _found(dataset))
    card.write_text("no header")
    assert any(one.startswith("README.md, configs:") for one in _found(dataset))
    card.unlink()
    assert any(one.startswith("README.md: the dataset has no card") for one in _found(dataset))


def test_what_crosses_splits_is_named(tmp_path: Path) -> None:
    splits = {"sft": [make_group("a", "Same?")], "test": [make_group("b", "same?")]}
    dataset = write(tmp_path / "d", splits)
    assert _found(dataset) == ["groups/test-00000.parquet, row 0: its query stands in sft too"]
    # Of splits that are the source's own only the ids are known not to cross.
    given = write(tmp_path / "given", splits, settings={"split.by": ["given"]})
    report = validate(given)
    assert report.count == 0
    assert report.notes == (
        "what the splits hold out is not recorded: only ids are checked not to cross",
    )


def test_queries_that_are_nearly_the_same_cross_too(tmp_path: Path) -> None:
    long = "How should I water the cactus that stands on the sill of the kitchen window{}"
    splits = {
        "sft": [make_group("a", long.format("?")), make_group("c")],
        "test": [make_group("b", long.format(", please?"))],
    }
    dataset = write(tmp_path / "d", splits)
    assert _found(dataset) == []
    assert _found(dataset, near=0.7) == [
        "groups, turns: nearly the same query stands in sft (a) and in test (b)"
    ]


def test_control_tokens_are_counted_and_no_fault(tmp_path: Path) -> None:
    leaked = make_group("a", candidates=(Candidate("x<|im_end|>", "m"), Candidate("y", "m")))
    report = validate(write(tmp_path / "d", {"sft": [leaked, make_group("b")]}))
    assert report.count == 0
    assert report.notes[0].startswith("1 groups hold a control token")
    assert "(candidate 1)" in report.notes[0]


def test_many_findings_of_one_kind_are_counted(tmp_path: Path) -> None:
    dataset = write(tmp_path / "d", {"sft": make_groups(NAMED + 7)})

    def spoil(rows: Rows) -> None:
        for row in rows:
            row["kind"] = "odd"

    change(dataset / SFT, spoil)
    report = validate(dataset)
    assert report.more[f"{SFT}: kind"] == 7
    assert report.count == len(report.findings) + sum(report.more.values())


def test_a_newer_dataset_is_refused(tmp_path: Path) -> None:
    dataset = write(tmp_path / "d")
    path = dataset / "manifest.json"
    path.write_text(path.read_text().replace('"schema": 2', '"schema": 99'))
    for refuses in (validate, lambda d: repair(d, tmp_path / "out")):
        with pytest.raises(UserError, match="has schema 99, and this metaalign reads up to 2"):
            refuses(dataset)
    assert not (tmp_path / "out").exists()


def _quarantined(out: Path) -> list[Quarantined]:
    import msgspec

    data = (quarantine_folder(out) / "rows.jsonl").read_bytes()
    return msgspec.json.Decoder(Quarantined).decode_lines(data)


def test_repair_keeps_damaged_rows_aside_and_writes_the_rest(tmp_path: Path) -> None:
    dataset = write(tmp_path / "d")
    change(dataset / SFT, lambda rows: _set(rows, 0, "family", "odd"))
    change(dataset / "samples/dpo-00000.parquet", lambda rows: rows.clear())
    before = hash_folder(dataset)
    out = tmp_path / "out"
    manifest = repair(dataset, out)
    assert hash_folder(dataset) == before
    assert validate(out).count == 0
    assert [g.id for g in read_groups(out)] == ["s1", "d0", "t0", "t1"]
    assert manifest.counts["skipped.damaged: a row with a wrong family"] == 1
    assert f"kept aside: {SFT}, row 0, family: Invalid enum value 'odd'" in manifest.notes
    [aside] = _quarantined(out)
    assert (aside.file, aside.row, aside.field) == (SFT, 0, "family")
    assert aside.value is not None and aside.value["id"] == "s0"
    # The licence of the source is still there.
    assert '"made": "mit"' in (out / "README.md").read_text()


def test_repair_goes_on_after_a_shard_that_is_lost(tmp_path: Path) -> None:
    dataset = write(tmp_path / "d")
    lost = dataset / SFT
    lost.write_bytes(data := lost.read_bytes()[:-20])
    out = tmp_path / "out"
    manifest = repair(dataset, out)
    assert {name: len(groups) for name, groups in read_splits(out).items()} == {
        "sft": 0, "dpo": 1, "test": 2,
    }  # fmt: skip
    # Its rows cannot be counted any more; the manifest knew.
    assert manifest.counts["skipped.damaged: groups in a file that is lost"] == 2
    assert (quarantine_folder(out) / SFT).read_bytes() == data
    assert validate(out).count == 0


def test_repair_goes_on_after_a_part_of_a_shard_that_is_lost(tmp_path: Path) -> None:
    """A row group holds what was written at a time: a thousand groups."""
    dataset = write(tmp_path / "d", {"sft": make_groups(1500)})
    data = bytearray((dataset / SFT).read_bytes())
    data[500:700] = bytes(200)
    (dataset / SFT).write_bytes(data)
    assert any(f"{SFT}, row 0: rows 0 to 999 are lost" in one for one in _found(dataset))
    manifest = repair(dataset, tmp_path / "out")
    assert manifest.counts["groups"] == 500
    assert manifest.counts["skipped.damaged: rows that cannot be read"] == 1000
    assert (quarantine_folder(tmp_path / "out") / SFT).read_bytes() == data


def test_repair_does_without_a_manifest(tmp_path: Path) -> None:
    dataset = write(tmp_path / "d")
    (dataset / "manifest.json").write_text("{")
    manifest = repair(dataset, tmp_path / "out")
    assert manifest.counts["groups"] == 5
    assert manifest.notes[0].startswith("the manifest was lost")
    assert read_manifest(tmp_path / "out") == manifest


def test_repair_says_if_nothing_is_sound_and_leaves_no_dataset(tmp_path: Path) -> None:
    dataset = write(tmp_path / "d", {"sft": [make_group("a")]})
    change(dataset / SFT, lambda rows: _set(rows, 0, "kind", "odd"))
    with pytest.raises(UserError, match="is sound: "):
        repair(dataset, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="is the damaged dataset itself"):
        repair(dataset, dataset)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_damage_to_the_bytes_of_a_shard_ends_in_a_sound_dataset(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Bytes overwritten anywhere: what is written after a repair is sound, and nothing crashes."""
    folder = tmp_path_factory.mktemp("damaged")
    dataset = write(folder / "d", {"sft": make_groups(20), "test": make_groups(2, "t")})
    raw = bytearray((dataset / SFT).read_bytes())
    start = data.draw(st.integers(0, len(raw) - 1))
    patch = data.draw(st.binary(min_size=1, max_size=40))
    raw[start : start + len(patch)] = patch
    (dataset / SFT).write_bytes(raw)
    validate(dataset)
    repair(dataset, folder / "out")
    assert validate(folder / "out").count == 0


def test_views_that_order_nothing_are_no_fault(tmp_path: Path) -> None:
    tie = make_group("a", views=(View(MetaPrompt.of("x"), (0, 0), "rule"),))
    groups: list[Group] = [tie, annotated("b")]
    assert _found(write(tmp_path / "d", {"sft": groups})) == []
