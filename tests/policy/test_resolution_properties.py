"""What is true of who wins for any set of preferences, in every packaged matrix."""

from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.policy.makers import KINDS, RULE_NAMES, SHIPPED, in_matrix, preferences, user

from metaalign.policy import PriorityMatrix, load_matrix, resolve
from metaalign.schema import SYSTEM_INFO, USER_INFO, Kind, Preference


@settings(max_examples=300, deadline=None)
@given(in_matrix(), KINDS, st.randoms())
def test_the_order_of_the_preferences_never_matters(
    drawn: tuple[PriorityMatrix, list[Preference]], kind: Kind, random: Random
) -> None:
    matrix, asked = drawn
    shuffled = list(asked)
    random.shuffle(shuffled)
    resolution = resolve(asked, kind, matrix)
    assert resolve(shuffled, kind, matrix) == resolution
    order = ["priority", *matrix.dimensions]
    places = [order.index(d.dimension) for d in resolution.decisions]
    assert places == sorted(places)


@settings(max_examples=300, deadline=None)
@given(in_matrix(), st.data())
def test_a_lower_tier_changes_nothing_that_a_higher_one_decided(
    drawn: tuple[PriorityMatrix, list[Preference]], data: st.DataObject
) -> None:
    """Of an ordered dimension: nothing but towards what is more demanding."""
    matrix, asked = drawn
    border = data.draw(st.integers(1, len(matrix.tiers)))
    higher = [p for p in asked if matrix.tiers.index(p.tier) < border]
    alone = resolve(higher, "benign", matrix).decisions
    both = resolve(asked, "benign", matrix).decisions
    decided = [(d.dimension, d.value, d.tier, d.applies) for d in both]
    for found in alone:
        if found.dimension == "profanity":
            (after,) = [d.value for d in both if d.dimension == "profanity"]
            ranks = matrix.dimensions["profanity"].values
            assert ranks.index(after) <= ranks.index(found.value)
        else:
            assert (found.dimension, found.value, found.tier, found.applies) in decided


@pytest.mark.parametrize(
    "matrix", [m for m in SHIPPED if m.rule == "system_first"], ids=lambda matrix: matrix.label
)
@pytest.mark.parametrize("kind", ["harmful", "contested", "unknown"])
def test_under_system_first_the_highest_that_has_a_say_decides_how_to_answer(
    matrix: PriorityMatrix, kind: Kind
) -> None:
    """Whatever the tiers below it put first, in every combination of all tiers."""
    known = user("background", "town")
    stated = ("-", *matrix.priorities)
    for chosen in product(stated, repeat=len(matrix.tiers)):
        asked = [
            Preference(tier, "priority", value)
            for tier, value in zip(matrix.tiers, chosen, strict=True)
            if value != "-"
        ]
        heard = [p for p in asked if p.value in matrix.voices[kind]]
        both = resolve([*asked, known], kind, matrix)
        assert both.behaviour == resolve([*heard[:1], known], kind, matrix).behaviour


@settings(max_examples=300, deadline=None)
@given(in_matrix())
def test_nothing_lowers_the_floor(drawn: tuple[PriorityMatrix, list[Preference]]) -> None:
    matrix, asked = drawn
    assert matrix.floors == {"severe": "refuse"}
    assert resolve(asked, "severe", matrix).behaviour == "refuse"


@settings(max_examples=300, deadline=None)
@given(in_matrix(), KINDS)
def test_every_preference_is_accounted_for(
    drawn: tuple[PriorityMatrix, list[Preference]], kind: Kind
) -> None:
    """Each stands exactly once: with those that asked for what holds, or with the overridden."""
    matrix, asked = drawn
    resolution = resolve(asked, kind, matrix)
    told = [p for d in resolution.decisions for p in (*d.asked, *d.overridden)]
    assert sorted(map(repr, told)) == sorted(map(repr, asked))
    for found in resolution.decisions:
        assert found.value in {p.value for p in found.asked}
        assert found.tier in {p.tier for p in found.asked}
        assert len({p.value.casefold() for p in found.asked}) == 1


@settings(max_examples=300, deadline=None)
@given(preferences(), KINDS)
def test_what_lost_can_be_left_out(asked: list[Preference], kind: Kind) -> None:
    """Without what a higher tier has overridden the same is decided: strict relies on it."""
    for rule in RULE_NAMES:
        matrix = load_matrix(rule=rule)
        before = resolve(asked, kind, matrix)
        lost = [
            p
            for d in before.decisions
            for p in d.overridden
            if p.tier == USER_INFO and d.tier == SYSTEM_INFO and p.turn is None
        ]
        after = resolve([p for p in asked if p not in lost], kind, matrix)
        assert after.behaviour == before.behaviour
        assert [(d.dimension, d.value, d.applies) for d in after.decisions] == [
            (d.dimension, d.value, d.applies) for d in before.decisions
        ]
