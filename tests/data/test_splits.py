"""Groups stay whole, and nothing that is held out crosses a split."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.data.makers import make_group, make_groups

from metaalign.data.splits import FRACTIONS, check_splits, split_groups
from metaalign.schema import Group, Turn, UserError


def _homes(splits: dict[str, list[Group]]) -> dict[str, str]:
    return {group.id: name for name, groups in splits.items() for group in groups}


def test_every_group_is_in_exactly_one_split() -> None:
    groups = make_groups(300)
    splits = split_groups(groups, seed=1)
    assert list(splits) == ["sft", "dpo", "test"]
    assert sorted(g.id for gs in splits.values() for g in gs) == sorted(g.id for g in groups)


def test_the_sizes_meet_the_fractions() -> None:
    splits = split_groups(make_groups(4000), {"train": 0.75, "test": 0.25}, seed=0)
    # Binomial: standard deviation sqrt(4000 * 0.75 * 0.25) = 27.4; five of them.
    assert abs(len(splits["train"]) - 3000) < 137


def test_a_split_does_not_depend_on_what_else_is_there() -> None:
    groups = make_groups(200)
    everything = _homes(split_groups(groups, seed=5))
    part = _homes(split_groups(groups[::-3], seed=5))
    assert part.items() <= everything.items()
    assert _homes(split_groups(groups, seed=6)) != everything


def test_groups_of_one_query_stay_together_by_name_and_by_words() -> None:
    groups = []
    for i in range(60):
        groups += [
            make_group(f"a{i}", query=f"What is {i}?", query_id=f"q{i}"),
            make_group(f"b{i}", query=f"Tell me what {i} is.", query_id=f"q{i}"),  # same name
            make_group(f"c{i}", query=f"tell me  WHAT {i} is.", source="other"),  # same words as b
        ]
    homes = _homes(split_groups(groups, {"train": 0.5, "test": 0.5}, seed=2))
    assert all(homes[f"a{i}"] == homes[f"b{i}"] == homes[f"c{i}"] for i in range(60))
    assert set(homes.values()) == {"train", "test"}


def test_the_talk_before_the_query_is_part_of_it() -> None:
    groups = [
        make_group(
            f"g{i}",
            turns=(Turn("user", f"Topic {i}"), Turn("assistant", "Yes?"), Turn("user", "Go on.")),
        )
        for i in range(60)
    ]
    assert set(_homes(split_groups(groups, {"train": 0.5, "test": 0.5})).values()) == {
        "train",
        "test",
    }


def test_by_group_lets_a_query_cross_and_keeps_groups_whole() -> None:
    groups = [make_group(f"g{i}", query="The same question?") for i in range(60)]
    splits = split_groups(groups, {"train": 0.5, "test": 0.5}, by="group")
    assert splits["train"] and splits["test"]
    check_splits(splits, by="group")
    with pytest.raises(ValueError, match="query"):
        check_splits(splits, by="query")


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=30), st.integers(0, 1000))
def test_no_tangle_of_names_and_words_crosses(links: list[tuple[int, int]], seed: int) -> None:
    groups = [
        make_group(f"g{i}", query=f"Words {words}", query_id=f"name {name}")
        for i, (words, name) in enumerate(links)
    ]
    splits = split_groups(groups, {"train": 0.5, "test": 0.5}, seed)
    check_splits(splits)
    for side in ("turns", "query_id"):
        train, test = ({getattr(g, side) for g in splits[name]} for name in ("train", "test"))
        assert not train & test


def test_a_crossing_is_found() -> None:
    group = make_group("g1", query="Why?")
    with pytest.raises(ValueError, match="the group of g1 stands in the splits sft and test"):
        check_splits({"sft": [group], "test": [group]})
    with pytest.raises(ValueError, match="the query of g2"):
        check_splits({"sft": [group], "test": [make_group("g2", query="why?")]})
    check_splits({"sft": [group], "test": [make_group("g2", query="How?")]})


@pytest.mark.parametrize("fractions", [{}, {"sft": 0.5}, {"sft": 1.5, "test": -0.5}])
def test_fractions_that_make_no_sense_are_refused(fractions: dict[str, float]) -> None:
    with pytest.raises(UserError, match="sum to 1"):
        split_groups(make_groups(3), fractions)


def test_an_unknown_way_to_hold_out_is_refused() -> None:
    with pytest.raises(UserError, match="cannot hold out by 'mood': choose among query,"):
        split_groups(make_groups(3), FRACTIONS, by="mood")


def test_a_fraction_of_zero_stays_empty() -> None:
    splits = split_groups(make_groups(50), {"sft": 0.0, "dpo": 1.0, "test": 0.0})
    assert [len(g) for g in splits.values()] == [0, 50, 0]
