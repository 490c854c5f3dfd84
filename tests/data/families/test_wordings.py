"""Every wording is read as what it states, and none gives an answer away."""

from collections.abc import Iterator

import pytest

from metaalign.data.families.wordings import wordings
from metaalign.data.samples import normalised
from metaalign.policy import load_matrix
from metaalign.policy.extraction import read_text
from metaalign.schema import SYSTEM_INFO, USER_INFO

TIERS = (SYSTEM_INFO, USER_INFO)
MATRIX = load_matrix()


def stated() -> Iterator[tuple[str, str, str, str]]:
    """Every dimension, value, tier and wording."""
    for dimension, values in wordings().values.items():
        for value in values:
            for tier in TIERS:
                for wording in wordings().of(dimension, value, tier):
                    yield dimension, value, tier, wording.replace("{behavior}", "interest in art")


def test_the_rules_read_every_wording_as_what_it_states() -> None:
    wrong = []
    for dimension, value, tier, wording in stated():
        reading = read_text(wording, tier)
        found = [(p.dimension, p.value) for p in reading.preferences]
        if dimension == "background":
            right = [name for name, _ in found] == ["background"]
        else:
            # A quality stands outside the Matrix, and nothing else may be read in it.
            right = found == ([(dimension, value)] if dimension in MATRIX.places else [])
        if not right or reading.ambiguous:
            wrong.append((dimension, value, tier, wording, found))
    assert not wrong


def test_nothing_is_read_in_a_role_and_only_a_person_in_an_aside() -> None:
    for role in wordings().roles:
        assert not read_text(role, SYSTEM_INFO).preferences, role
    for aside in wordings().asides:
        found = read_text(aside, USER_INFO).preferences
        assert {p.dimension for p in found} <= {"background"}, aside


@pytest.mark.parametrize("priority", MATRIX.priorities)
@pytest.mark.parametrize("tier", TIERS)
def test_either_tier_has_two_dozen_ways_to_say_what_comes_first(priority: str, tier: str) -> None:
    said = {normalised(wording) for wording in wordings().of("priority", priority, tier)}
    assert len(said) >= 24


def test_no_wording_stands_for_two_things_or_twice() -> None:
    for tier in TIERS:
        said = [normalised(wording) for *_, of, wording in stated() if of == tier]
        assert len(said) == len(set(said))


def test_no_wording_has_a_word_that_only_some_answers_have() -> None:
    words = {word for *_, wording in stated() for word in normalised(wording).split()}
    words |= {word for text in wordings().roles for word in normalised(text).split()}
    for answers in wordings().answers["stance"]:
        sets: list[set[str]] = [set(normalised(answer).split()) for answer in answers]
        telling = set[str]().union(*sets) - sets[0].intersection(*sets)
        # "it", "is", "so" and "and" are in all kinds of sentences and tell nothing.
        assert not words & (telling - {"it", "is", "so", "and"}), answers


def test_the_values_of_a_dimension_are_the_matrixs_own() -> None:
    for dimension, values in wordings().values.items():
        known = MATRIX.value_ranks.get(dimension)
        assert known is None or set(values) <= set(known), dimension
