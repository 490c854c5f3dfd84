"""Plans: Meta-Prompts that want different answers, as the Matrix and the rules read them."""

from collections import Counter

import pytest
from tests.data.families.material import about_half
from tests.data.writing.written import FAMILIES, KINDS, MATRIX, OTHERS, PEOPLE, planner, plans

from metaalign.data.sources.queries import Query
from metaalign.data.writing.brief import BACKGROUND, OTHER, target_of
from metaalign.data.writing.plans import ONE_WAY
from metaalign.policy import extract, resolve
from metaalign.schema import SYSTEM_INFO, USER_INFO, Family, Kind, Preference


@pytest.mark.parametrize("family", FAMILIES)
def test_nearly_every_query_gets_a_plan_with_a_flip(family: Family) -> None:
    found = plans(family)
    assert len(found) >= 57
    assert all(plan.flips and len(plan.drafts) == 2 for plan in found)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_matrix_comes_to_what_a_view_is_planned_for(family: Family) -> None:
    kind = KINDS[family][0]
    for plan in plans(family):
        for view in plan.views:
            known = [p for p in view.preferences if p.dimension in MATRIX.places]
            assert target_of(resolve(known, kind, MATRIX), view.preferences) == view.target
        assert {view.target for view in plan.views} == {draft.target for draft in plan.drafts}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_rules_read_in_the_words_what_the_plan_says_of_them(family: Family) -> None:
    """Whoever reads a Meta-Prompt afresh comes to the same: nothing is only in the plan."""

    def asked(preferences: tuple[Preference, ...]) -> set[tuple[str, str, str]]:
        return {(p.tier, p.dimension, p.value) for p in preferences if p.dimension != BACKGROUND}

    for plan in plans(family):
        for view in plan.views:
            assert asked(extract(view.meta_prompt)) == asked(view.preferences)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_preference_stands_where_its_span_says(family: Family) -> None:
    for plan in plans(family, found=OTHERS):
        for view in plan.views:
            for preference in view.preferences:
                assert preference.span is not None
                text = view.meta_prompt.text(preference.tier)
                assert text[slice(*preference.span)] == preference.wording


def test_wishes_stand_in_either_tier_whatever_they_are() -> None:
    tiers = Counter(
        (p.dimension, p.value, p.tier)
        for plan in plans("helpful", 400)
        for view in plan.views
        for p in view.preferences
        if p.dimension == "length"
    )
    # Where the tiers contradict each other the higher one has what holds: both values alike.
    for value in ("short", "long"):
        both = [tiers["length", value, tier] for tier in (SYSTEM_INFO, USER_INFO)]
        assert min(both) > 40
        assert about_half(both[0], sum(both))


def test_the_place_of_a_candidate_says_nothing_of_what_it_is_for() -> None:
    found = plans("priority", 300)
    refusals_first = sum(plan.drafts[0].target.behaviour == "refuse" for plan in found)
    assert about_half(refusals_first, len(found))
    # Nor does the place of the view that wants it.
    same = sum(plan.drafts[0].target == plan.views[0].target for plan in found)
    assert about_half(same, len(found))


def test_a_refusal_is_wanted_under_either_tier_and_in_conflicts() -> None:
    cells = Counter(view.resolution.cell for plan in plans("priority", 200) for view in plan.views)
    assert cells["harmful[safety, helpfulness]"] > 5
    assert cells["harmful[helpfulness, safety]"] > 5
    assert len(cells) > 15


def test_found_preferences_make_flips_of_their_own() -> None:
    found = plans("helpful", 200, found=OTHERS)
    turning = [p for p in found if any(w[0] == OTHER for v in p.views for w in v.target.wishes)]
    assert about_half(len(turning), len(found))
    for plan in turning:
        wishes = {next(v for d, v in draft.target.wishes if d == OTHER) for draft in plan.drafts}
        assert len(wishes) == len(plan.drafts)


def test_a_near_miss_ignores_one_wish_of_its_view() -> None:
    for plan in plans("helpful", near_miss=1.0):
        broken = [draft for draft in plan.drafts if draft.broken is not None]
        assert len(broken) == 1
        wanted = plan.views[broken[0].view].target
        assert broken[0].broken in wanted.wishes
        assert broken[0].target.distance(wanted) == 1
        assert len(plan.drafts) == 3


def test_people_of_an_opinion_are_different_ones() -> None:
    names = {person.text for person in PEOPLE}
    for plan in plans("opinion", answers=3):
        people = [dict(draft.target.wishes)[BACKGROUND] for draft in plan.drafts]
        assert len(set(people)) == len(people) == 3
        assert set(people) <= names


def test_a_consensus_stands_against_a_person() -> None:
    for plan in plans("consensus"):
        behaviours = {draft.target.behaviour for draft in plan.drafts}
        assert behaviours == {"consensus_view", "personal_view"}


def test_a_query_that_is_always_answered_gets_a_refusal_to_avoid() -> None:
    for plan in plans("priority", kind="sounds_harmful"):
        wanted = {view.target.behaviour for view in plan.views}
        assert wanted == {"answer"}
        assert {draft.target.behaviour for draft in plan.drafts} == {"answer", "refuse"}


@pytest.mark.parametrize("kind", ["severe"])
def test_nothing_is_written_for_what_is_always_refused(kind: Kind) -> None:
    query = Query("What about it?", "q", kind, "priority")
    assert planner("priority").plan(query) == ONE_WAY


@pytest.mark.parametrize("family", FAMILIES)
def test_a_plan_is_the_same_every_time_and_another_for_another_seed(family: Family) -> None:
    assert plans(family, 20) == plans(family, 20)
    first, other = plans(family, 20), plans(family, 20, seed=1)
    assert not {plan.id for plan in first} & {plan.id for plan in other}
    assert len({plan.id for plan in first}) == len(first)
