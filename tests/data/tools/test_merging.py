"""Datasets become one, or get other splits, and nothing leaks or is lost on the way."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.data.makers import make_group, make_groups
from tests.data.tools.makers import write

from metaalign.data.build import HeldOutValue
from metaalign.data.licences import licences_of
from metaalign.data.recipe import Split
from metaalign.data.store import read_groups, read_splits
from metaalign.data.tools.carrying import read_held_out
from metaalign.data.tools.merging import merge
from metaalign.data.tools.splitting import split_dataset
from metaalign.data.tools.summary import read_dropped
from metaalign.data.tools.validation import validate
from metaalign.schema import Group, UserError


def _two(folder: Path) -> list[Path]:
    """Two datasets that have one group in common."""
    shared = make_group("both")
    return [
        write(folder / "one", {"sft": [*make_groups(3, "a"), shared], "test": make_groups(1, "ta")},
              inputs={"made": "11"}, skipped={"made: too long": 2}),
        write(folder / "two", {"sft": [shared], "dpo": make_groups(2, "b")},
              inputs={"made": "22"}, skipped={"made: too long": 3},
              sources_licences={"made": "mit", "other": "cc-by-nc-4.0"}, notes=("a note",)),
    ]  # fmt: skip


def test_all_groups_are_there_once_with_where_they_are_from(tmp_path: Path) -> None:
    out = tmp_path / "out"
    manifest = merge(_two(tmp_path), out)
    assert {name: [g.id for g in own] for name, own in read_splits(out).items()} == {
        "sft": ["a0", "a1", "a2", "both"], "dpo": ["b0", "b1"], "test": ["ta0"],
    }  # fmt: skip
    assert manifest.inputs["made"] == "11"
    assert manifest.inputs["made (22)"] == "22"
    assert {"the dataset one", "the dataset two"} <= set(manifest.inputs)
    assert manifest.counts["skipped.made: too long"] == 5
    assert manifest.counts["skipped.merge: an equal group is in another dataset"] == 1
    assert licences_of(out) == {"made": "mit", "other": "cc-by-nc-4.0"}
    assert "a note" in manifest.notes
    assert validate(out).count == 0


def test_one_id_for_two_groups_is_an_error_that_names_both(tmp_path: Path) -> None:
    one = write(tmp_path / "one", {"sft": [make_group("x", "Why?")]})
    two = write(tmp_path / "two", {"sft": [make_group("x", "Who?")]})
    with pytest.raises(UserError, match=r"the group x is in .*one and in .*two, and they differ"):
        merge([one, two], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_one_tests_another_must_not_train_on(tmp_path: Path) -> None:
    one = write(tmp_path / "one", {"sft": make_groups(1), "test": [make_group("x", "Why me?")]})
    two = write(tmp_path / "two", {"sft": [make_group("y", "why  me?")]})
    for order in ([one, two], [two, one]):
        with pytest.raises(UserError, match=r"training would see what the test asks.*--by query"):
            merge(order, tmp_path / "out")
    # Drawn anew, the two are together.
    shares = {"sft": 0.4, "dpo": 0.4, "test": 0.2}
    six = write(tmp_path / "six", {"sft": make_groups(60, "n")})
    manifest = merge([one, two, six], tmp_path / "out", split=Split(fractions=shares))
    assert manifest.counts["groups"] == 63
    homes = {g.id: name for name, own in read_splits(tmp_path / "out").items() for g in own}
    assert homes["x"] == homes["y"]
    assert validate(tmp_path / "out").count == 0


def test_one_group_in_two_splits_asks_for_a_new_draw(tmp_path: Path) -> None:
    one = write(tmp_path / "one", {"sft": [make_group("x")]})
    two = write(tmp_path / "two", {"dpo": [make_group("x")]})
    with pytest.raises(UserError, match=r"stands in sft of .*one and in dpo of .*two: draw"):
        merge([one, two], tmp_path / "out")


def test_values_that_one_holds_out_another_must_not_train_on(tmp_path: Path) -> None:
    one = write(
        tmp_path / "one",
        {"test": [make_group("x")]},
        settings={"split.by": ["query", "preference"]},
        reports={"held_out.jsonl": [HeldOutValue("preference", "length = short")]},
    )
    two = write(tmp_path / "two", {"sft": [make_group("y")]})
    with pytest.raises(UserError, match="holds the preference 'length = short' out for its test"):
        merge([one, two], tmp_path / "out")


def test_queries_of_two_training_splits_are_told_and_no_longer_vouched_for(tmp_path: Path) -> None:
    one = write(tmp_path / "one", {"sft": [make_group("x", "Why?")]})
    two = write(tmp_path / "two", {"dpo": [make_group("y", "Why?")]})
    manifest = merge([one, two], tmp_path / "out")
    assert manifest.notes == (
        "1 times a query stands in two splits, both trained on or both held out",
    )
    assert "split.by" not in manifest.settings
    assert validate(tmp_path / "out").count == 0


def test_merging_one_dataset_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least two"):
        merge([write(tmp_path / "one")], tmp_path / "out")


def test_a_new_split_keeps_all_groups_and_meets_the_fractions(tmp_path: Path) -> None:
    dataset = write(tmp_path / "d", {"sft": make_groups(300)}, skipped={"made: bad": 4})
    split = Split(by=("query",), fractions={"sft": 0.5, "dpo": 0.3, "test": 0.2})
    manifest = split_dataset(dataset, tmp_path / "out", split, seed=5)
    sizes = {name: len(own) for name, own in read_splits(tmp_path / "out").items()}
    assert sum(sizes.values()) == 300
    # A random draw: four standard deviations of a binomial.
    for name, share in split.shares.items():
        assert abs(sizes[name] - 300 * share) < 4 * (300 * share * (1 - share)) ** 0.5
    assert manifest.settings["split.by"] == ["query"]
    assert manifest.settings["split.fractions.dpo"] == 0.3
    assert manifest.counts["skipped.made: bad"] == 4
    assert validate(tmp_path / "out").count == 0


def test_a_new_split_can_take_the_place_of_the_old(tmp_path: Path) -> None:
    dataset = write(tmp_path / "d", {"sft": make_groups(60)})
    before = {g.id for g in read_groups(dataset)}
    split_dataset(dataset, dataset, Split(layout="one-stage"))
    assert {g.id for g in read_groups(dataset)} == before
    assert list(read_splits(dataset)) == ["train", "test"]


def test_what_no_split_can_take_is_counted_with_examples(tmp_path: Path) -> None:
    """Of a query whose groups train, those that show a held-out word must go."""
    dataset = write(tmp_path / "d", {"sft": [_wordy(n) for n in range(80)]})
    split = Split(by=("query", "preference"))
    manifest = split_dataset(dataset, tmp_path / "out", split)
    lost = sum(n for name, n in manifest.counts.items() if name.startswith("skipped.split"))
    assert manifest.counts["groups"] + lost == 80
    assert lost > 0
    [dropped] = read_dropped(tmp_path / "out")
    assert dropped.groups == lost
    assert dropped.examples
    held = read_held_out(tmp_path / "out")
    assert held and all(one.by == "preference" for one in held)
    assert validate(tmp_path / "out").count == 0


def _wordy(number: int) -> Group:
    """A group of a query that four have, which asks for two of twenty words."""
    group = make_group(f"g{number}", f"What is {number // 4}?")
    first = group.views[0].preferences[0]
    words = (f"w{number % 20}", f"w{(number * 7 + 1) % 20}")
    asks = tuple(replace(first, dimension="include", value=word) for word in words)
    return replace(group, views=(replace(group.views[0], preferences=asks), group.views[1]))


def test_too_few_groups_for_a_split_are_one_line(tmp_path: Path) -> None:
    dataset = write(tmp_path / "d", {"sft": make_groups(1)})
    with pytest.raises(UserError, match="comes out empty: 1 groups are too few"):
        split_dataset(dataset, tmp_path / "out", Split())
    with pytest.raises(UserError, match="by = given"):
        split_dataset(dataset, tmp_path / "out", Split(by=("given",)))
