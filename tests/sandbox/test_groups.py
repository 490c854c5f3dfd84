"""The sandbox as a dataset: right teachers, real flips, nothing leaked, nothing to game."""

from collections import Counter

import pytest

from metaalign.data.samples import distinct_preferences, samples_of
from metaalign.policy import load_matrix, resolve
from metaalign.sandbox import build_groups, irrelevant_view, verify
from metaalign.sandbox.drawing import OPEN
from metaalign.sandbox.world import load_world
from metaalign.schema import Group, View

Splits = dict[str, list[Group]]


@pytest.fixture(scope="module")
def splits() -> Splits:
    return build_groups(3000, seed=3)


@pytest.fixture(scope="module")
def large() -> Splits:
    return build_groups(20_000, seed=0)


def views(groups: list[Group]) -> list[tuple[Group, View]]:
    return [(group, view) for group in groups for view in group.views]


def test_the_teacher_is_right_and_alone_at_the_top(splits: Splits) -> None:
    for groups in splits.values():
        for group, view in views(groups):
            assert view.ranks.count(0) == 1
            assert verify(group, view, group.candidates[view.ranks.index(0)].text).obeyed


def test_every_group_holds_a_flip(splits: Splits) -> None:
    assert all(group.flips() for groups in splits.values() for group in groups)


def test_size_counts_samples_and_a_seed_decides_everything() -> None:
    first, again, other = build_groups(400, 1), build_groups(400, 1), build_groups(400, 2)
    assert sum(len(list(samples_of(g))) for groups in first.values() for g in groups) == 400
    assert first == again
    assert first != other


def test_no_combination_of_query_and_preferences_is_both_trained_and_tested(splits: Splits) -> None:
    def keys(names: list[str]) -> set[tuple[object, ...]]:
        return {
            (
                group.query_id,
                *sorted(
                    (p.dimension, "" if p.dimension in OPEN else p.value) for p in v.preferences
                ),
            )
            for name in names
            for group, v in views(splits[name])
        }

    assert not keys(["sft", "dpo"]) & keys(["test", "test_values", "test_wordings"])


def test_every_query_of_the_tests_is_known_from_training(large: Splits) -> None:
    trained = {(g.kind, g.query_id) for name in ("sft", "dpo") for g in large[name]}
    assert {(g.kind, g.query_id) for name in large for g in large[name]} == trained


def test_every_view_of_the_unseen_values_holds_one(splits: Splits, large: Splits) -> None:
    for built in (splits, large):
        trained = {
            (p.dimension, p.value)
            for n in ("sft", "dpo")
            for _, v in views(built[n])
            for p in v.preferences
        }
        for _, view in views(built["test_values"]):
            new = [p for p in view.preferences if (p.dimension, p.value) not in trained]
            assert any(p.dimension in OPEN for p in new)


def test_every_view_of_the_unseen_wordings_has_only_such(splits: Splits, large: Splits) -> None:
    seen = {
        wording
        for values in load_world().seen.wordings.values()
        for wordings in values.values()
        for wording in wordings
    }
    for _, view in [*views(splits["test_wordings"]), *views(large["test_wordings"])]:
        assert view.preferences
        assert not {p.wording for p in view.preferences} & seen


def test_the_tier_and_place_of_a_preference_tell_nothing(splits: Splits) -> None:
    tiers: Counter[tuple[str, str]] = Counter()
    first: Counter[bool] = Counter()
    for _, view in views(splits["sft"]):
        for p in view.preferences:
            if p.dimension in ("length", "format", "tone", "opening", "sign_off"):
                tiers[p.dimension, p.tier] += 1
                assert p.span
                first[p.span[0] == 0] += 1
    for dimension in ("length", "format", "tone", "opening", "sign_off"):
        share = tiers[dimension, "system_info"] / sum(
            tiers[dimension, t] for t in ("system_info", "user_info")
        )
        assert 0.42 < share < 0.58
    assert min(first.values()) > 0.2 * sum(first.values())


def test_every_wording_stands_where_its_span_says(splits: Splits) -> None:
    for _, view in views(splits["test"]):
        for p in view.preferences:
            assert p.span
            assert view.meta_prompt.text(p.tier)[slice(*p.span)] == p.wording


def test_conflicts_are_asked_both_ways_round(splits: Splits) -> None:
    matrix, winners = load_matrix(), Counter[str]()
    for group, view in views(splits["sft"]):
        if group.kind == "harmful" and resolve(view.preferences, "harmful", matrix).conflict:
            said = {p.tier: p.value for p in view.preferences if p.dimension == "priority"}
            winners[said["system_info"]] += 1
    assert set(winners) == {"safety", "helpfulness"}
    assert min(winners.values()) > 0.35 * sum(winners.values())


def test_all_four_families_and_all_kinds_are_there(splits: Splits) -> None:
    assert {g.family for g in splits["sft"]} == {"priority", "helpful", "consensus", "opinion"}
    kinds = {"benign", "sounds_harmful", "harmful", "severe", "contested"}
    assert {g.kind for g in splits["sft"]} == kinds


def test_every_hundred_groups_hold_the_kinds_in_their_shares(splits: Splits) -> None:
    for start in (0, 100):
        found = Counter((g.family, g.kind) for g in splits["sft"][start : start + 100])
        assert found == {
            ("helpful", "benign"): 37,
            ("helpful", "sounds_harmful"): 10,
            ("priority", "harmful"): 24,
            ("priority", "severe"): 5,
            ("consensus", "contested"): 12,
            ("opinion", "contested"): 12,
        }


def test_an_irrelevant_view_adds_to_user_info_and_asks_for_nothing(splits: Splits) -> None:
    _, view = views(splits["test"])[0]
    steered = irrelevant_view(view, 0)
    assert steered.preferences == view.preferences
    assert steered.meta_prompt.system_info == view.meta_prompt.system_info
    assert steered.meta_prompt.user_info.startswith(view.meta_prompt.user_info)
    assert steered.meta_prompt != view.meta_prompt
    assert irrelevant_view(view, 0) == steered


def test_at_full_size_it_has_the_papers_scale() -> None:
    groups = [g for split in build_groups().values() for g in split]
    assert sum(len(g.views) for g in groups) == 38_900
    assert max(distinct_preferences(groups).values()) >= 12_000
