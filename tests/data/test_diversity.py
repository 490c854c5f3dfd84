"""How diverse groups are: the Vendi score by hand, and counts by hand."""

import math
import random

import msgspec
import numpy as np
import pytest
from tests.data.makers import make_group

from metaalign.data.diversity import Diversity, diversity, vendi_score
from metaalign.policy import load_matrix
from metaalign.schema import SYSTEM_INFO, USER_INFO, Group, MetaPrompt, Preference, View


def measured(*groups: Group, **more: object) -> Diversity:
    return diversity(groups, model="tf-idf", **more)  # type: ignore[arg-type]


def asking(name: str, *wordings: str, dimension: str = "other") -> Group:
    """A group with a view for every wording."""
    views = tuple(
        View(
            MetaPrompt.of(user_info=text),
            (0, 1),
            "rule",
            (Preference(USER_INFO, dimension, text, text),),
        )
        for text in wordings
    )
    return make_group(name, views=views)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_vendi_of_the_same_is_one_and_of_what_has_nothing_in_common_its_number(count: int) -> None:
    assert vendi_score(np.tile([0.6, 0.8], (count, 1))) == pytest.approx(1)
    assert vendi_score(np.eye(count)) == pytest.approx(count)


def test_vendi_of_three_of_one_and_one_of_another() -> None:
    """The eigenvalues are 3/4 and 1/4: exp(-(3/4 ln 3/4 + 1/4 ln 1/4)) = 4 / 3^(3/4)."""
    rows = np.array([[1.0, 0], [1, 0], [1, 0], [0, 1]])
    assert vendi_score(rows) == pytest.approx(4 / 3**0.75)


def test_vendi_of_two_at_an_angle() -> None:
    """Of the cosine c the eigenvalues are (1 + c) / 2 and (1 - c) / 2."""
    high, low = 0.8, 0.2
    expected = math.exp(-(high * math.log(high) + low * math.log(low)))
    assert vendi_score(np.array([[1.0, 0], [0.6, 0.8]])) == pytest.approx(expected)


def test_vendi_of_nothing_is_nothing() -> None:
    assert vendi_score(np.zeros((0, 3))) == 0


def test_texts_are_counted_by_words_and_by_meaning() -> None:
    """Four are stated, three differ in words, and two of these have the same words in all."""
    found = measured(
        asking("a", "Give me rhymes.", "give me rhymes"),
        asking("b", "Rhymes give me, give me rhymes!", "Something about tea"),
    )
    spread = found.preferences
    assert (spread.stated, spread.distinct, spread.compared) == (4, 3, 3)
    assert measured(asking("c", "one", "two", "three")).preferences.vendi == pytest.approx(3)
    alike = measured(
        asking("d", "Give me rhymes", "rhymes give me", "tea with milk"), threshold=0.5
    )
    assert alike.preferences.meanings == 2


def test_who_people_are_is_told_apart_from_what_they_want() -> None:
    person = View(
        MetaPrompt.of(user_info="I milk cows."),
        (0, 1),
        "rule",
        (Preference(USER_INFO, "background", "cows", "I milk cows.", explicit=False),),
    )
    found = measured(make_group("a", views=(person,)), asking("b", "Give me rhymes."))
    assert (found.persons.stated, found.preferences.stated) == (1, 1)


def test_families_tiers_dimensions_and_values_are_counted() -> None:
    found = measured(make_group("a"), make_group("b", family="opinion"))
    assert found.families == {"helpful": 2, "opinion": 2}
    assert found.tiers == {SYSTEM_INFO: 0, USER_INFO: 4}
    assert (found.dimensions["length"], found.dimensions["tone"]) == (4, 0)
    assert (found.values["length = short"], found.values["format = prose"]) == (2, 0)
    assert (found.groups, found.views, found.kinds["benign"]) == (2, 4, 4)


def test_every_cell_of_the_matrix_is_counted_empty_or_not() -> None:
    safety = Preference(SYSTEM_INFO, "priority", "safety", "Safety first.")
    view = View(MetaPrompt.of(system_info="Safety first."), (0, 1), "rule", (safety,))
    found = measured(make_group("a", kind="harmful", views=(view,)), make_group("b"))
    assert len(found.cells) == load_matrix().counts["cell"] == 150
    assert found.cells["harmful[safety, -]"] == 1
    assert found.cells["benign[-, -]"] == 2
    assert len(found.empty_cells) == 148


def test_a_view_without_the_background_that_its_cell_needs_counts_for_the_cell() -> None:
    found = measured(make_group("a", kind="contested"))
    assert found.cells["contested[-, -]"] == 2


def test_the_order_of_the_groups_says_nothing() -> None:
    groups = [asking(f"g{n}", f"the wish {n}", f"number {n * n} of them") for n in range(60)]
    shuffled = random.Random(1).sample(groups, len(groups))
    found = measured(*groups, compared=40, sample=20)
    assert measured(*shuffled, compared=40, sample=20) == found
    spread = found.preferences
    assert (spread.distinct, spread.compared, spread.sample) == (120, 40, 20)
    assert 1 <= spread.vendi <= 20


def test_groups_are_read_once_and_as_a_stream() -> None:
    stream = iter([make_group("a"), make_group("b")])
    assert diversity(stream, model="tf-idf").groups == 2


def test_of_no_groups_everything_is_nothing() -> None:
    found = measured()
    assert (found.groups, found.preferences.vendi, len(found.empty_cells)) == (0, 0, 150)
    assert next(title for title, _, _ in found.tables()) == "diversity"


def test_it_goes_through_json_and_into_tables() -> None:
    found = measured(make_group("a"))
    assert msgspec.json.decode(msgspec.json.encode(found), type=Diversity) == found
    tables = {title: (columns, rows) for title, columns, rows in found.tables()}
    for columns, rows in tables.values():
        assert all(len(row) == len(columns) for row in rows)
    assert ("helpful", "2") in tables["by family"][1]
    label = f"cells of {load_matrix().label}"
    benign = next(row for row in tables[label][1] if row[0] == "benign")
    assert benign[1:3] == ("2", "1 of 25")
