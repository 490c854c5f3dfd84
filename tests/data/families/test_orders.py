"""Several annotators' orders become one, and how far they agree is measured."""

from random import Random

import krippendorff
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaalign.data.families.orders import (
    agreement,
    combine,
    opposite,
    ordered_view,
    ranks_of,
    scored,
)
from metaalign.schema import Annotation, MetaPrompt, View

RANKS = st.lists(st.none() | st.integers(0, 5), min_size=3, max_size=3).map(tuple)


def orders(**ranks: tuple[int | None, ...]) -> list[Annotation]:
    return [Annotation(by.replace("_", ":"), order) for by, order in ranks.items()]


def view(*ranks: tuple[int | None, ...]) -> View:
    annotations = [Annotation(f"human:{i}", order) for i, order in enumerate(ranks)]
    return ordered_view(MetaPrompt.of("Be kind."), (), annotations)


def test_the_highest_score_ranks_first_and_equal_ones_tie() -> None:
    assert ranks_of([0.5, None, 3, 0.5, -1]) == (1, None, 0, 1, 2)
    assert scored("human", [1, 2]) == (Annotation("human", (1, 0)),)


def test_the_opposite_order_is_turned_and_keeps_ties_and_gaps() -> None:
    assert opposite(orders(rule=(0, 1, 1, None, 2))) == (Annotation("rule", (2, 1, 1, None, 0)),)


def test_the_majority_of_every_pair_decides() -> None:
    # Two of three put a before b, two b before c, all a before c: a, b, c.
    assert combine(orders(human_1=(0, 1, 2), human_2=(0, 2, 3), human_3=(1, 0, 2))) == (0, 1, 2)
    # Condorcet's paradox: a before b before c before a, each by two of three. All tie.
    assert combine(orders(human_1=(0, 1, 2), human_2=(2, 0, 1), human_3=(1, 2, 0))) == (0, 0, 0)


def test_copeland_differs_from_the_mean_rank() -> None:
    # Mean ranks: a (0 + 0 + 3) / 3 = 1, b (1 + 1 + 0) / 3 = 0.67. But two of three prefer a to b.
    five = orders(human_1=(0, 1, 2, 3), human_2=(0, 1, 2, 3), human_3=(3, 0, 1, 2))
    assert combine(five) == (0, 1, 2, 3)


def test_who_is_not_ranked_stays_so_and_is_not_voted_on() -> None:
    assert combine(orders(human=(0, None, 1), teacher=(1, None, 0))) == (0, None, 0)
    # Only the teacher saw the third: it is behind both, and the others keep the human's order.
    assert combine(orders(human=(1, 0, None), teacher=(None, 0, 1))) == (1, 0, 1)
    assert combine([]) == ()


def test_weights_let_one_person_outvote_two_models() -> None:
    three = orders(human_ann=(0, 1), teacher_x=(1, 0), teacher_y=(1, 0))
    assert combine(three) == (1, 0)
    assert combine(three, {"human": 3}) == (0, 1)
    assert combine(three, {"human": 2}) == (0, 0)
    assert combine(three, {"human": 3, "human:ann": 0.5}) == (1, 0)


def test_orders_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="different numbers of candidates"):
        combine(orders(human=(0, 1), rule=(0, 1, 2)))


@given(RANKS)
def test_one_annotator_is_followed_to_the_letter(ranks: tuple[int | None, ...]) -> None:
    one = [Annotation("human", ranks)]
    before = View(MetaPrompt(), ranks, "human").pairs()
    assert View(MetaPrompt(), combine(one), "human").pairs() == before
    assert [r is None for r in combine(one)] == [r is None for r in ranks]


@given(st.lists(RANKS, min_size=1, max_size=4), st.randoms())
def test_the_order_of_the_annotators_does_not_matter(
    all_ranks: list[tuple[int | None, ...]], random: Random
) -> None:
    annotations = [Annotation(f"human:{i}", ranks) for i, ranks in enumerate(all_ranks)]
    shuffled = sorted(annotations, key=lambda _: random.random())
    assert combine(annotations) == combine(shuffled)


@given(st.lists(st.permutations(range(4)), min_size=1, max_size=5))
def test_what_everybody_agrees_on_holds(complete: list[list[int]]) -> None:
    annotations = [Annotation(f"human:{i}", tuple(ranks)) for i, ranks in enumerate(complete)]
    agreed = set.intersection(*(set(View(MetaPrompt(), a.ranks, "").pairs()) for a in annotations))
    assert agreed <= set(View(MetaPrompt(), combine(annotations), "").pairs())


def test_a_view_says_who_ordered_it_and_keeps_contradictions() -> None:
    mixed = orders(human_1=(0, 1), human_2=(0, 1), teacher_x=(1, 0), rule=(0, 0))
    made = ordered_view(MetaPrompt.of("Be kind."), (), mixed)
    assert (made.ranks, made.ordered_by) == ((0, 1), "human+teacher+rule")
    assert made.annotations == tuple(mixed)
    alone = ordered_view(MetaPrompt.of("Be kind."), (), mixed[:1])
    assert (alone.ordered_by, alone.annotations) == ("human", ())


def test_agreement_of_two_people_on_one_pair() -> None:
    assert agreement([view((0, 1), (0, 1))]) == pytest.approx(1.0)
    # By hand: observed disagreement 1; expected 2 * 2 * 2 / (4 * 3) = 2 / 3; 1 - 1 / (2 / 3).
    assert agreement([view((0, 1), (1, 0))]) == pytest.approx(-0.5)


def test_agreement_on_krippendorffs_own_example() -> None:
    # "Computing Krippendorff's Alpha-Reliability" (2011), section C: four observers, twelve units,
    # missing values; ordinal alpha is 0.815.
    observers = (
        "1 2 3 3 2 1 4 1 2 . . .",
        "1 2 3 3 2 2 4 1 2 5 . 3",
        ". 3 3 3 2 3 4 2 2 5 1 .",
        "1 2 3 3 2 4 4 1 2 5 1 .",
    )
    values = [[None if v == "." else int(v) for v in row.split()] for row in observers]
    units = [view(*((value,) for value in unit)) for unit in zip(*values, strict=True)]
    assert agreement(units) == pytest.approx(0.815, abs=0.0005)


def test_agreement_pools_views_with_different_annotators() -> None:
    two = [view((0, 1, 2), (0, 2, 1)), view((1, 0, None), (0, 1, 2), (0, 1, 2))]
    rows: list[list[float]] = [
        [0, 1, 2, 1, 0, np.nan],
        [0, 2, 1, 0, 1, 2],
        [np.nan] * 3 + [0, 1, 2],
    ]
    expected = krippendorff.alpha(reliability_data=rows, level_of_measurement="ordinal")
    assert agreement(two) == pytest.approx(expected)


def test_agreement_is_unknown_where_nothing_can_be_compared() -> None:
    assert agreement([]) is None
    assert agreement([view((0, 1))]) is None  # one annotator: no single orders are kept
    assert agreement([view((0, None), (None, 1))]) is None
    assert agreement([view((0, 0), (0, 0))]) is None
