"""Safer or more helpful: the Matrix says which order a view shows."""

from collections import Counter

import pytest
from tests.data.families.material import (
    MATRIX,
    about_half,
    best,
    is_balanced,
    material,
    settled,
    views_of,
)

from metaalign.data.families import priority_group, scored
from metaalign.policy import load_matrix, resolve_dialogue
from metaalign.schema import SYSTEM_INFO, USER_INFO, Annotation, Group, Kind

SAFE, USEFUL = "I would rather not.", "Take the key and turn it twice."
ORDERS = {"safety": scored("human", [1, 0]), "helpfulness": scored("human", [0, 1])}


def build(kind: Kind, count: int = 400, **options: object) -> list[Group]:
    made = [priority_group(material(i, kind, SAFE, USEFUL), ORDERS) for i in range(count)]
    return [group for group in made if group]


@pytest.fixture(scope="module")
def harmful() -> list[Group]:
    return build("harmful")


@pytest.mark.parametrize("rule", ["system_first", "user_first", "safety_first"])
def test_every_view_shows_what_the_matrix_decides(rule: str) -> None:
    matrix = load_matrix(rule=rule)
    for number in range(200):
        group = priority_group(material(number, "harmful", SAFE, USEFUL), ORDERS, matrix=matrix)
        assert group is not None and (group.family, group.kind) == ("priority", "harmful")
        for view in group.views:
            shown = {"refuse": SAFE, "answer": USEFUL}[settled(group, view, matrix).behaviour]
            assert best(group, view) == shown


def test_what_the_rules_read_comes_to_the_same(harmful: list[Group]) -> None:
    for group, view in views_of(harmful):
        read = resolve_dialogue(group.dialogue(view), MATRIX, group.kind)
        assert read.behaviour == settled(group, view).behaviour, view.meta_prompt


def test_both_directions_are_there_equally_often(harmful: list[Group]) -> None:
    assert len(harmful) == 400
    for group in harmful:
        assert group.flips() and is_balanced(group)
        assert len(group.views) in (2, 4)


def test_place_wording_and_tier_are_drawn_apart(harmful: list[Group]) -> None:
    first = sum(group.candidates[0].text == SAFE for group in harmful)
    assert about_half(first, len(harmful))
    views = list(views_of(harmful))
    assert about_half(sum(best(g, v) == g.candidates[0].text for g, v in views), len(views))
    asked = Counter((p.tier, p.value) for _, v in views for p in v.preferences)
    for tier in (SYSTEM_INFO, USER_INFO):
        assert asked[tier, "safety"] > 50 and asked[tier, "helpfulness"] > 50
    said = {p.wording for _, v in views for p in v.preferences if p.dimension == "priority"}
    assert len(said) > 150


def test_the_tiers_contradict_each_other_in_both_ways(harmful: list[Group]) -> None:
    conflicts = Counter(
        settled(group, view).cell
        for group, view in views_of(harmful)
        if settled(group, view).conflict
    )
    assert set(conflicts) == {"harmful[safety, helpfulness]", "harmful[helpfulness, safety]"}
    assert min(conflicts.values()) > 40


def test_a_preference_stands_where_its_span_says(harmful: list[Group]) -> None:
    for _, view in views_of(harmful):
        for asked in view.preferences:
            assert asked.span is not None
            assert view.meta_prompt.text(asked.tier)[slice(*asked.span)] == asked.wording


def test_a_kind_whose_answer_is_fixed_has_one_direction() -> None:
    assert {best(g, v) for g, v in views_of(build("severe", 50))} == {SAFE}
    assert {best(g, v) for g, v in views_of(build("sounds_harmful", 50))} == {USEFUL}


def test_of_one_known_order_only_its_views_are_made() -> None:
    for number in range(50):
        safer = {"safety": ORDERS["safety"], "helpfulness": ()}
        group = priority_group(material(number, "harmful", SAFE, USEFUL), safer)
        assert group is not None and not group.flips()
        assert {best(group, view) for view in group.views} == {SAFE}
    assert priority_group(material(1, "severe"), {"helpfulness": ORDERS["helpfulness"]}) is None
    assert priority_group(material(1, "harmful"), {"safety": scored("human", [0, 0])}) is None


def test_what_the_provider_says_anyway_has_its_say() -> None:
    always = "You work for a bank. Safety comes first."
    for number in range(60):
        given = material(number, "harmful", SAFE, USEFUL, system_info=always)
        group = priority_group(given, ORDERS)
        assert group is not None
        for view in group.views:
            assert always in view.meta_prompt.system_info
            shown = {"refuse": SAFE, "answer": USEFUL}[settled(group, view).behaviour]
            assert best(group, view) == shown


def test_people_and_models_are_mixed_and_told() -> None:
    mixed = {"safety": (Annotation("human:1", (0, 1)), Annotation("teacher:x", (0, 1)))}
    group = priority_group(material(1, "harmful", SAFE, USEFUL), mixed)
    assert group is not None
    for view in group.views:
        assert view.ordered_by == "human+teacher" and len(view.annotations) == 2
        # The single orders were moved with the candidates.
        assert all(a.ranks == view.ranks for a in view.annotations)


def test_the_same_material_gives_the_same_group_and_another_seed_another() -> None:
    groups = [
        [priority_group(material(i, "harmful"), ORDERS, seed=seed) for i in range(20)]
        for seed in (0, 0, 1)
    ]
    assert groups[0] == groups[1] != groups[2]
