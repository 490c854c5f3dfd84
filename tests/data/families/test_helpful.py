"""The same answers suit different wishes, in either tier."""

from collections import Counter

import pytest
from tests.data.families.material import (
    MATRIX,
    best,
    is_balanced,
    material,
    settled,
    views_of,
)

from metaalign.data.families import helpful_group, opposite, scored
from metaalign.data.families.measured import by_compliance, by_format, by_length, refuses
from metaalign.policy import resolve_dialogue
from metaalign.schema import SYSTEM_INFO, USER_INFO, Annotation, Group

SHORT, LONG = "Yes.", "Yes, and there is a good deal more to be said about this."
OVERALL = scored("human", [0, 1])
LENGTH = by_length([SHORT, LONG])


@pytest.fixture(scope="module")
def groups() -> list[Group]:
    made = [helpful_group(material(i, "benign", SHORT, LONG), OVERALL, LENGTH) for i in range(400)]
    return [group for group in made if group]


def test_what_the_matrix_lets_through_orders_the_view(groups: list[Group]) -> None:
    assert len(groups) == 400
    for group, view in views_of(groups):
        wanted = settled(group, view).wanted("length")
        assert best(group, view) == {("short",): SHORT, ("long",): LONG, (): LONG}[wanted]
        assert view.ordered_by == ("rule" if wanted else "human")
        read = resolve_dialogue(group.dialogue(view), MATRIX, group.kind)
        assert read.wanted("length") == wanted


def test_both_values_stand_in_either_tier_and_against_each_other(groups: list[Group]) -> None:
    seen = Counter(
        tuple((p.tier, p.value) for p in view.preferences if p.dimension == "length")
        for _, view in views_of(groups)
    )
    for tier in (SYSTEM_INFO, USER_INFO):
        assert min(seen[((tier, "short"),)], seen[((tier, "long"),)]) > 60
    against = [
        ((SYSTEM_INFO, a), (USER_INFO, b)) for a, b in (("short", "long"), ("long", "short"))
    ]
    assert all(seen[pair] > 60 for pair in against)
    assert all(group.flips() for group in groups)
    assert all(is_balanced(helpful) for helpful in _only_length())


def _only_length() -> list[Group]:
    made = [helpful_group(material(i, "benign", SHORT, LONG), (), LENGTH) for i in range(100)]
    return [group for group in made if group]


def test_a_persons_wish_loses_against_what_the_provider_always_says() -> None:
    for number in range(60):
        given = material(number, "benign", SHORT, LONG, system_info="Keep answers short.")
        group = helpful_group(given, (), LENGTH)
        assert group is not None
        for view in group.views:
            if any(p.value == "long" and p.tier == SYSTEM_INFO for p in view.preferences):
                continue  # the provider says both, and the Matrix takes the first of its values
            assert best(group, view) == SHORT


def test_a_quality_is_asked_for_by_one_tier() -> None:
    for number in range(60):
        wishes = {("quality", "truthfulness"): scored("human", [1, 0])}
        group = helpful_group(material(number, "benign", SHORT, LONG), OVERALL, wishes)
        assert group is not None
        for view in group.views:
            asked = [p for p in view.preferences if p.dimension == "quality"]
            assert len(asked) <= 1
            assert best(group, view) == (SHORT if asked else LONG)


def test_at_most_four_views_and_a_dimension_whole() -> None:
    wishes = {**LENGTH}
    for dimension, values in {
        "audience": ("beginner", "expert"),
        "format": ("prose", "bullets"),
    }.items():
        wishes[dimension, values[0]] = scored("human", [0, 1])
        wishes[dimension, values[1]] = opposite(scored("human", [0, 1]))
    for number in range(60):
        group = helpful_group(material(number, "benign", SHORT, LONG), OVERALL, wishes)
        assert group is not None and 3 <= len(group.views) <= 4
        assert group.flips()


def test_a_general_order_alone_gives_one_or_two_views() -> None:
    for number in range(60):
        group = helpful_group(material(number, "benign", SHORT, LONG), OVERALL)
        assert group is not None and 1 <= len(group.views) <= 2 and not group.flips()
    assert helpful_group(material(1, "benign")) is None
    assert helpful_group(material(1, "severe"), OVERALL, LENGTH) is None


def test_length_is_told_only_where_it_is_plain() -> None:
    assert by_length(["a" * 100, "b" * 119]) == {}
    assert by_length(["a" * 10, "b" * 29]) == {}
    found = by_length(["a" * 100, "b" * 110, "c" * 126, "d" * 400])
    assert found["length", "short"] == (Annotation("rule", (0, 0, 1, 2)),)
    assert found["length", "long"] == (Annotation("rule", (2, 2, 1, 0)),)


def test_forms_are_told_apart_and_what_is_neither_is_not_ordered() -> None:
    bullets, numbered = "- one\n- two", "1. one\n2. two"
    prose = "A first sentence that is long enough to flow. And a second one that goes on and on."
    lines = "one\ntwo\nthree"
    found = by_format([bullets, prose, lines])
    assert found == {
        ("format", "bullets"): (Annotation("rule", (0, 1, None)),),
        ("format", "prose"): (Annotation("rule", (1, 0, None)),),
    }
    assert set(by_format([bullets, numbered])) == {("format", "bullets"), ("format", "numbered")}
    assert by_format([prose, prose]) == by_format([prose, lines]) == {}


def test_who_declines_is_told_from_who_answers() -> None:
    answer = "You need a good map, a torch and somebody who has been there before you."
    for text in (
        "I'm sorry, I can't help with that.",
        "I’m really sorry, but I cannot assist you with this. Talk to a friend.",
        "No. I won't tell you that.",
        "Sorry, but I can't.",
    ):
        assert refuses(text), text
    for text in (answer, "I can't say for sure, but most of them do.", "I can't wait to help you!"):
        assert not refuses(text), text
    assert by_compliance(["I can't help with that.", answer]) == (Annotation("rule", (1, 0)),)
    # A few words or an excuse may be either.
    assert by_compliance(["I can't help with that.", "No."]) == ()
    assert by_compliance([answer, answer]) == ()
