"""Groups stay whole, and nothing that is held out crosses a split."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.makers import make_group, make_groups

from metaalign.data.building.keys import edges_of, key_hash, keys_of
from metaalign.data.splits import (
    DROPPED,
    FRACTIONS,
    Assignment,
    HeldOut,
    assign,
    check_assignment,
    check_splits,
    split_groups,
)
from metaalign.policy import load_matrix
from metaalign.schema import (
    USER_INFO,
    Group,
    MetaPrompt,
    Preference,
    Turn,
    UserError,
    View,
)


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


def _asking(name: str, *values: str, query: str = "", kind: str = "benign") -> Group:
    """A group with one view that asks for all of ``values``, which are lengths."""
    wanted = tuple(Preference(USER_INFO, "length", value, f"Be {value}!") for value in values)
    view = View(MetaPrompt.of(user_info="Hello."), (0, 1), "rule", wanted)
    return make_group(name, query, views=(view,), kind=kind)


def _homes_of_values(splits: dict[str, list[Group]]) -> dict[str, set[str]]:
    homes: dict[str, set[str]] = {}
    for split, groups in splits.items():
        for group in groups:
            for preference in group.views[0].preferences:
                homes.setdefault(preference.value, set()).add(split)
    return homes


def test_rare_preferences_are_held_out_with_all_that_they_touch() -> None:
    groups = [_asking(f"g{i}", f"v{i // 2}") for i in range(400)]  # every value in two groups
    splits = split_groups(groups, {"train": 0.8, "test": 0.2}, by="preference")
    check_splits(splits, "preference")
    assert sum(map(len, splits.values())) == 400  # nobody had to leave
    assert all(len(homes) == 1 for homes in _homes_of_values(splits).values())
    # Binomial over 200 values: 80 groups on average, standard deviation 2 * sqrt(32); five of them.
    assert abs(len(splits["test"]) - 80) < 57


def test_where_one_preference_is_everywhere_values_are_held_out() -> None:
    """All groups ask for ``common``: they hang together, and yet a tenth of the values is new."""
    groups = [_asking(f"g{i}", "common", f"v{i % 50}") for i in range(1000)]
    splits = split_groups(groups, {"train": 0.9, "test": 0.1}, seed=4, by="preference")
    homes = _homes_of_values(splits)
    assert homes.pop("common") == {"train", "test"}
    held_out = [value for value, where in homes.items() if where == {"test"}]
    assert all(len(where) == 1 for where in homes.values())
    assert len(held_out) == 5  # of 50 values with 20 groups each, for 100 groups
    assert sum(map(len, splits.values())) == 1000  # each group is its own set: nobody must leave
    check_splits(splits, "preference", held_out={"preference": [f"length = {v}" for v in held_out]})
    with pytest.raises(ValueError, match="the preference of g"):
        check_splits(splits, "preference", held_out={"preference": ["length = common"]})


def test_training_groups_that_would_show_a_held_out_value_are_left_out() -> None:
    """Every query is asked with every value: whole queries and unseen values cannot both be had."""
    groups = [
        _asking(f"g{q}.{v}", "common", f"v{v}", query=f"Question {q}?")
        for q in range(40)
        for v in range(20)
    ]
    splits = split_groups(groups, {"train": 0.9, "test": 0.1}, by=("query", "preference"))
    check_splits(splits, "query")
    homes = _homes_of_values(splits)
    held_out = {value for value, where in homes.items() if where == {"test"}}
    # A tenth of 800 groups: 2 of 20 values with 40 groups each, and 4 of 40 queries with 20 each.
    assert len(held_out) == 2 and len(splits["test"]) == 80
    # 36 queries stay in the training, each without the 2 values.
    assert len(splits["train"]) == 36 * 18


def test_unique_queries_make_nobody_leave() -> None:
    groups = [_asking(f"g{i}", "common", f"v{i % 50}") for i in range(500)]
    splits = split_groups(groups, {"train": 0.9, "test": 0.1}, by=("query", "preference"))
    assert sum(map(len, splits.values())) == 500


_VALUES = st.lists(st.integers(0, 8), min_size=1, max_size=3)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), _VALUES), max_size=40), st.integers(0, 99))
def test_nothing_that_is_held_out_crosses(rows: list[tuple[int, list[int]]], seed: int) -> None:
    groups = [
        _asking(f"g{i}", *(f"v{v}" for v in values), query=f"Question {query}?")
        for i, (query, values) in enumerate(rows)
    ]
    keys = [keys_of(group, ("query", "preference"), load_matrix()) for group in groups]
    edges = {by: edges_of(own[by] for own in keys) for by in ("query", "preference")}
    found = assign(len(groups), edges, {"sft": 0.4, "dpo": 0.4, "test": 0.2}, seed)
    check_assignment(found, edges)
    # The same by hand, from the groups alone.
    held = {value for one in found.held_out for value in one.values}
    for one, own, split in zip(groups, keys, found.splits, strict=True):
        for other, others, where in zip(groups, keys, found.splits, strict=True):
            if split and where and one.turns == other.turns:
                assert split == where
            shared = set(own["preference"]) & set(others["preference"])
            if "preference" in found.whole and shared:
                assert split == where
        if held & {key_hash(key) for key in own["preference"]}:
            assert split in ("test", DROPPED)
    assert found == assign(len(groups), edges, {"sft": 0.4, "dpo": 0.4, "test": 0.2}, seed)


def test_a_crossing_is_found_from_the_keys_alone() -> None:
    queries = edges_of([["a"], ["a"], ["b"]])
    check_assignment(Assignment(["train", "train", "test"], ("query",)), {"query": queries})
    crossing = Assignment(["train", "test", "test"], ("query",))
    with pytest.raises(ValueError, match="stands in test and train"):
        check_assignment(crossing, {"query": queries})
    near = [(key_hash("a"), key_hash("b"))]
    apart = Assignment(["train", "train", "test"], ("query",))
    with pytest.raises(ValueError, match="nearly the same"):
        check_assignment(apart, {"query": queries}, near)
    shown = Assignment(
        ["train", "test", "test"], (), (HeldOut("query", frozenset([key_hash("a")]), 2),)
    )
    with pytest.raises(ValueError, match="is held out and stands in the training"):
        check_assignment(shown, {"query": queries})


def test_queries_that_are_nearly_the_same_stay_on_one_side() -> None:
    pytest.importorskip("rensa")
    rng = Random(0)
    groups = []
    for number in range(60):
        words = [
            f"{rng.choice('bcdfgklmnprst')}{rng.choice('aeiou')}{rng.randrange(99)}" * 2
            for _ in range(30)
        ]
        groups.append(make_group(f"a{number}", query=" ".join(words)))
        groups.append(make_group(f"b{number}", query=" ".join([*words, "please"])))
    fractions = {"train": 0.5, "test": 0.5}
    homes = _homes(split_groups(groups, fractions, near=0.8))
    assert all(homes[f"a{n}"] == homes[f"b{n}"] for n in range(60))
    assert set(homes.values()) == {"train", "test"}
    exact = _homes(split_groups(groups, fractions))
    assert any(exact[f"a{n}"] != exact[f"b{n}"] for n in range(60))


def test_cells_are_those_that_the_matrix_decides_by() -> None:
    safety = Preference("system_info", "priority", "safety")
    views = (
        View(MetaPrompt.of("Be safe."), (0, 1), "rule", (safety,)),
        View(MetaPrompt.of(user_info="Hello."), (1, 0), "rule"),
    )
    group = make_group("g", views=views, kind="harmful")
    assert keys_of(group, ["cell"], load_matrix())["cell"] == [
        "harmful[safety, -]",
        "harmful[-, -]",
    ]


def test_a_persona_is_who_somebody_is_and_not_what_they_ask_for() -> None:
    wishes = (
        Preference(USER_INFO, "length", "short", "Keep it short!"),
        Preference(USER_INFO, "background", "against", "I work at a ZOO.", explicit=False),
        Preference(USER_INFO, "persona", "interest in art"),
    )
    group = make_group("g", views=(View(MetaPrompt.of(user_info="x"), (0, 1), "rule", wishes),))
    keys = keys_of(group, ["persona", "preference", "wording"], load_matrix())
    assert keys["persona"] == ["i work at a zoo", "persona = interest in art"]
    assert keys["preference"][0] == "length = short" and len(keys["preference"]) == 3
    assert keys["wording"] == ["keep it short", "i work at a zoo"]
