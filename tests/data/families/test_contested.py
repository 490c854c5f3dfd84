"""The families consensus and opinion: what most people think, or what this person thinks."""

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

from metaalign.data.families import consensus_group, opinion_group, scored, stances
from metaalign.policy import resolve_dialogue
from metaalign.schema import USER_INFO, Group, View

FOR, AGAINST = "Build it.", "Leave it."
COMMON = scored("human", [0.8, 0.2])


@pytest.fixture(scope="module")
def consensus() -> list[Group]:
    made = [
        consensus_group(material(i, "contested", FOR, AGAINST), COMMON, stances((0, 1), (1, 0)))
        for i in range(400)
    ]
    return [group for group in made if group]


@pytest.fixture(scope="module")
def opinion() -> list[Group]:
    made = [
        opinion_group(material(i, "contested", FOR, AGAINST), stances((0, 1), (1, 0)))
        for i in range(400)
    ]
    return [group for group in made if group]


def stance(view: View) -> str | None:
    asked = [p.value for p in view.preferences if p.dimension == "background"]
    return asked[0] if asked else None


def test_the_matrix_says_whose_view_comes_first(consensus: list[Group]) -> None:
    assert len(consensus) == 400
    for group, view in views_of(consensus):
        own = {"agree": FOR, "disagree": AGAINST, None: FOR}[stance(view)]
        shown = {"consensus_view": FOR, "personal_view": own}[settled(group, view).behaviour]
        assert best(group, view) == shown
        assert group.family == "consensus"
        read = resolve_dialogue(group.dialogue(view), MATRIX, group.kind)
        assert read.behaviour == settled(group, view).behaviour, view.meta_prompt


def test_consensus_and_person_flip_equally_often(consensus: list[Group]) -> None:
    for group in consensus:
        assert group.flips() and is_balanced(group)
    views = list(views_of(consensus))
    assert about_half(sum(best(g, v) == g.candidates[0].text for g, v in views), len(views))
    cells = Counter(settled(g, v).cell for g, v in views if settled(g, v).conflict)
    assert {"contested[consensus, background]", "contested[background, consensus]"} <= set(cells)


def test_where_the_consensus_wins_the_person_can_be_anybody(consensus: list[Group]) -> None:
    told = Counter(
        stance(view)
        for group, view in views_of(consensus)
        if settled(group, view).behaviour == "consensus_view"
    )
    assert min(told["agree"], told["disagree"], told[None]) > 40


def test_without_people_of_another_view_there_is_no_flip() -> None:
    for number in range(60):
        group = consensus_group(material(number, "contested", FOR, AGAINST), COMMON)
        assert group is not None and not group.flips()
        for view in group.views:
            assert settled(group, view).behaviour == "consensus_view"
            assert best(group, view) == FOR


def test_every_person_has_the_word_in_a_view_of_their_own(opinion: list[Group]) -> None:
    for group in opinion:
        assert group.family == "opinion" and len(group.views) == 2
        assert is_balanced(group) and len(group.flips()) == 1
        for view in group.views:
            assert settled(group, view).behaviour == "personal_view"
            assert best(group, view) == {"agree": FOR, "disagree": AGAINST}[stance(view) or ""]
            (person,) = [p for p in view.preferences if p.dimension == "background"]
            assert person.tier == USER_INFO and not person.explicit


def test_whose_view_stands_first_is_drawn(opinion: list[Group]) -> None:
    assert about_half(sum(stance(group.views[0]) == "agree" for group in opinion), len(opinion))
    silent = sum(len(view.preferences) == 1 for _, view in views_of(opinion))
    assert 0.5 < silent / 800 < 0.75  # 60 %, and the cell in which nobody puts anything first


def test_of_many_people_four_are_drawn() -> None:
    people = stances((0, 1), (1, 0)) * 4
    for number in range(30):
        group = opinion_group(material(number, "contested", FOR, AGAINST), people)
        assert group is not None and 2 <= len(group.views) <= 4


def test_where_a_query_is_not_contested_nobody_has_a_say() -> None:
    assert opinion_group(material(1, "benign"), stances((0, 1), (1, 0))) is None
    assert consensus_group(material(1, "harmful"), COMMON, stances((0, 1), (1, 0))) is None
