"""How well the rules read texts that their author has never seen, and whether the score counts
rightly."""

from collections.abc import Mapping

import pytest
from tests.policy.scoring import AMBIGUOUS, Labelled, Score, score, scores

from metaalign.schema import USER_INFO, Ambiguity, Preference, Reading

FLOOR = 0.85
PRIORITY_FLOOR = 0.95


@pytest.fixture(scope="module")
def held_out() -> Mapping[str, Score]:
    return score("held_out")


def test_priorities_of_unseen_texts_are_read(held_out: Mapping[str, Score]) -> None:
    assert held_out["priority"].f1 >= PRIORITY_FLOOR


def test_every_other_dimension_of_unseen_texts_is_read(held_out: Mapping[str, Score]) -> None:
    low = {
        dimension
        for dimension, found in held_out.items()
        if dimension not in ("priority", AMBIGUOUS) and found.f1 < FLOOR
    }
    assert low == set()


def labelled(*wants: tuple[str, str], ambiguous: tuple[str, ...] = ()) -> Labelled:
    return Labelled("any text", USER_INFO, wants, ambiguous)


def reading(*found: tuple[str, str], ambiguous: tuple[str, ...] = ()) -> Reading:
    return Reading(
        tuple(Preference(USER_INFO, dimension, value) for dimension, value in found),
        tuple(Ambiguity(USER_INFO, dimension, "words", "hedged") for dimension in ambiguous),
    )


def test_the_score_by_hand() -> None:
    found = scores(
        [
            (labelled(("length", "short")), reading(("length", "short"))),
            (labelled(("length", "long")), reading(("length", "short"))),
            (labelled(("length", "long")), reading()),
            (labelled(), reading(("length", "long"))),
        ]
    )["length"]
    assert found == Score(right=1, found=3, wanted=3)
    assert found.precision == found.recall == pytest.approx(1 / 3)
    assert found.f1 == pytest.approx(1 / 3)


def test_what_is_open_but_read_for_sure_is_wrong() -> None:
    found = scores([(labelled(ambiguous=("tone",)), reading(("tone", "formal")))])
    assert found["tone"] == Score(right=0, found=1, wanted=0)
    assert found[AMBIGUOUS] == Score(right=0, found=0, wanted=1)


def test_what_is_open_is_counted_by_dimension() -> None:
    pair = (labelled(ambiguous=("tone", "length")), reading(ambiguous=("tone", "units")))
    assert scores([pair])[AMBIGUOUS] == Score(right=1, found=2, wanted=2)


def test_of_a_background_only_the_presence_counts() -> None:
    pair = (labelled(("background", "")), reading(("background", "I keep bees")))
    assert scores([pair])["background"] == Score(1, 1, 1)


def test_quotes_case_and_closing_punctuation_do_not_count() -> None:
    pair = (labelled(("opening", "“Good day!”")), reading(("opening", "good Day")))
    assert scores([pair])["opening"] == Score(1, 1, 1)


def test_finding_nothing_where_nothing_is_wanted_is_perfect() -> None:
    assert Score().f1 == Score().precision == Score().recall == 1
    assert Score(found=1).recall == Score(wanted=1).precision == 0
