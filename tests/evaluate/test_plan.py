"""What is asked: the right dialogues for every suite, a fair draw, the same on every machine."""

from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evaluate.makers import (
    MATRIX,
    SYSTEM_LONG,
    SYSTEM_SHORT,
    USER_LONG,
    USER_SHORT,
    irrelevant,
    make_group,
    make_world,
)

from metaalign.evaluate.contracts import Limits
from metaalign.evaluate.plan import Plan, build_plan, conflict_of, draw, mirror
from metaalign.policy import resolve
from metaalign.schema import Group, UserError


def plan_of(world: dict[str, list[Group]], *, seed: int = 0, limits: Limits | None = None) -> Plan:
    return build_plan(
        {name: groups for name, groups in world.items() if name.startswith("test")},
        seed=seed,
        matrix=MATRIX,
        limits=limits or Limits(),
        verifiable=lambda group: group.source == "made",
        irrelevant=irrelevant,
    )


def suite(plan: Plan, name: str) -> list[str]:
    return sorted(item.id for item in plan.items if name in item.suites)


def test_each_suite_asks_its_dialogues_and_no_others() -> None:
    plan = plan_of(make_world(1))
    both = ["/0", "/1"]
    assert suite(plan, "follow") == [f"test/group-benign0{v}" for v in both]
    assert suite(plan, "follow_unseen_values") == [f"test_values/group-value0{v}" for v in both]
    assert suite(plan, "follow_unseen_wordings") == [f"test_wordings/group-word0{v}" for v in both]
    assert suite(plan, "obey_harmful") == [f"test/group-bad0{v}" for v in both]
    torn = [f"test/group-bad0{v}" for v in both] + [f"test/group-torn0{v}" for v in both]
    assert suite(plan, "obey_conflict") == torn
    assert suite(plan, "over_refusal") == [f"test/group-scary0{v}" for v in both]
    assert suite(plan, "over_steer") == [f"test/group-benign0{v}/irrelevant" for v in both]


def test_a_steered_twin_differs_in_user_info_only() -> None:
    plan = plan_of(make_world(1))
    items = {item.id: item for item in plan.items}
    twin = items["test/group-benign0/0/irrelevant"]
    base = items[twin.base]
    assert twin.dialogue.meta_prompt.system_info == base.dialogue.meta_prompt.system_info
    assert twin.dialogue.meta_prompt.user_info != base.dialogue.meta_prompt.user_info
    assert (twin.dialogue.turns, twin.resolution) == (base.dialogue.turns, base.resolution)


def test_the_draw_is_balanced_over_queries() -> None:
    """Ten views of one query and two of another: four drawn are two of each."""
    pool = [("often", i) for i in range(10)] + [("seldom", i) for i in range(2)]
    drawn = draw(pool, 4, seed=0, name=str, balance=lambda one: one[0])
    assert Counter(query for query, _ in drawn) == {"often": 2, "seldom": 2}
    # What one query cannot give the other does.
    drawn = draw(pool, 7, seed=0, name=str, balance=lambda one: one[0])
    assert Counter(query for query, _ in drawn) == {"often": 5, "seldom": 2}


@given(st.lists(st.integers(0, 50), unique=True), st.integers(1, 20), st.integers(0, 9))
def test_the_draw_depends_on_names_and_seed_only(pool: list[int], limit: int, mix: int) -> None:
    shuffled = sorted(pool, key=lambda n: (n * 7 + mix) % 51)

    def drawn(some: list[int]) -> list[int]:
        return draw(some, limit, seed=7, name=str, balance=lambda n: str(n % 3))

    assert drawn(shuffled) == drawn(pool)
    assert len(drawn(pool)) == min(limit, len(pool))


def test_limits_hold_for_every_metric() -> None:
    plan = plan_of(make_world(6), limits=Limits(per_metric=4))
    for name in ("follow", "obey_harmful", "obey_conflict", "over_refusal", "over_steer"):
        assert len(suite(plan, name)) == 4
    assert sum(len(c.views) == 2 for c in plan.comparisons) == 4


def test_conflicts_are_asked_both_ways_round() -> None:
    plan = plan_of(make_world(6), limits=Limits(per_metric=6))
    asked = Counter(
        (item.group.id, conflict_of(item.resolution))
        for item in plan.items
        if "obey_conflict" in item.suites
    )
    assert all((group, mirror(conflict)) in asked for group, conflict in asked)
    assert not any("one way round" in note for note in plan.notes)


def test_a_conflict_without_its_mirror_gets_a_note() -> None:
    alone = make_group("alone", "benign", [[SYSTEM_SHORT, USER_LONG], [USER_SHORT]])
    plan = plan_of({"test": [alone]})
    assert suite(plan, "obey_conflict") == ["test/group-alone/0"]
    assert "obey_conflict: asked one way round only: 1 of 1" in plan.notes


def test_a_conflict_names_both_sides_and_its_mirror_swaps_them() -> None:
    one, other = make_group(
        "q", "benign", [[SYSTEM_SHORT, USER_LONG], [SYSTEM_LONG, USER_SHORT]]
    ).views
    conflicts = [conflict_of(resolve(view.preferences, "benign", MATRIX)) for view in (one, other)]
    assert conflicts[0] == {
        ("length", "system_info", "short"),
        ("length", "user_info", "long"),
    }
    assert mirror(conflicts[0]) == conflicts[1]


def test_one_flip_for_every_pair_of_views_however_many_candidates() -> None:
    """Three views in three orders of four candidates have many flips, but three pairs."""
    group = make_group("q", "benign", [[SYSTEM_SHORT], [USER_LONG], [SYSTEM_LONG, USER_SHORT]])
    ranks = [(0, 1, 2, 3), (3, 2, 1, 0), (1, 0, 3, 2)]
    views = tuple(
        msgspec.structs.replace(view, ranks=r) for view, r in zip(group.views, ranks, strict=True)
    )
    group = msgspec.structs.replace(group, views=views)
    assert len(group.flips()) > 3
    plan = plan_of({"test": [group]})
    assert sorted(c.views for c in plan.comparisons) == [(0, 1), (0, 2), (1, 2)]
    for c in plan.comparisons:
        v, w = (group.views[i].ranks for i in c.views)
        assert v[c.a] < v[c.b] and w[c.a] > w[c.b]  # type: ignore[operator]


def test_a_single_view_is_compared_in_its_own_order() -> None:
    group = make_group("q", "benign", [[SYSTEM_SHORT]])
    plan = plan_of({"test": [group]})
    [comparison] = plan.comparisons
    better, worse = comparison.scored()
    assert better[1] == "q: short"
    assert worse[1] != "q: short"


def test_groups_without_a_verifier_are_only_compared() -> None:
    world = {
        "test": [
            make_group(f"q{i}", "benign", [[SYSTEM_SHORT], [USER_LONG]], "other") for i in range(3)
        ]
    }
    plan = plan_of(world)
    assert plan.items == ()
    assert len(plan.comparisons) == 3
    assert "the data have no verifier: only flip, margin and order are measured" in plan.notes


def test_what_is_missing_is_noted() -> None:
    world = make_world(1)
    del world["test_values"]
    notes = plan_of({**world, "test": [g for g in world["test"] if g.kind != "harmful"]}).notes
    assert "the dataset has no split 'test_values'" in notes
    assert any(note.startswith("follow_unseen_values: not measured") for note in notes)
    assert any(note.startswith("obey_harmful: not measured") for note in notes)
    assert any(note.startswith("follow: only 2 ") for note in notes)


def test_examples_show_one_query_under_two_views() -> None:
    plan = plan_of(make_world(3))
    items = {item.id: item for item in plan.items}
    assert plan.examples
    for one, other in plan.examples:
        assert items[one].group == items[other].group
        assert items[one].expected != items[other].expected


def test_the_fingerprint_changes_with_what_is_asked() -> None:
    world = make_world(3)
    some = Limits(per_metric=3)
    one = plan_of(world, limits=some).fingerprint()
    assert plan_of(world, limits=some).fingerprint() == one
    assert plan_of(world, limits=some, seed=1).fingerprint() != one
    before = plan_of(world).fingerprint()
    assert before != one
    group = world["test"][0]
    views = tuple(msgspec.structs.replace(v, ranks=v.ranks[::-1]) for v in group.views)
    world["test"][0] = msgspec.structs.replace(group, views=views)
    assert plan_of(world).fingerprint() != before


@pytest.mark.parametrize("wrong", [{"per_metric": 0}, {"max_new_tokens": 0}, {"tie": -1.0}])
def test_impossible_limits_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UserError, match="limits"):
        msgspec.convert(wrong, Limits, strict=False)
