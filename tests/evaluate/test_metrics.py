"""The metrics on numbers made by hand."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from tests.evaluate.makers import MATRIX, SYSTEM_SHORT, USER_LONG, Ask, make_group

from metaalign.evaluate import metrics
from metaalign.evaluate.metrics import Answered
from metaalign.evaluate.plan import Item
from metaalign.evaluate.records import Likelihood
from metaalign.policy import resolve
from metaalign.schema import SYSTEM_INFO, USER_INFO, Verdict

RIGHT = Verdict(True, True, (("length", "short", True), ("tone", "formal", True)))
HALF = Verdict(True, True, (("length", "short", True), ("tone", "formal", False)))
REFUSED = Verdict(False, False, (("length", "short", False), ("tone", "formal", False)), True)
TIE = 1e-3


def answered(
    verdict: Verdict, query: str = "q", asks: tuple[Ask, ...] = (SYSTEM_SHORT,)
) -> Answered:
    group = make_group(query, "benign", [asks])
    view = group.views[0]
    resolution = resolve(view.preferences, "benign", MATRIX)
    return Answered(Item(f"test/{query}/0", "test", group, 0, view, resolution), verdict)


def values(scores: list[metrics.Score]) -> list[float]:
    return [score.value for score in scores]


def flip_of(*logprobs: float) -> Likelihood:
    return Likelihood("x", "made", "q", logprobs)


def test_follow_wants_content_behaviour_and_every_preference() -> None:
    wrong_content = msgspec.structs.replace(RIGHT, content=False)
    wrong_behaviour = msgspec.structs.replace(RIGHT, behaviour=False)
    some = [answered(v) for v in (RIGHT, HALF, wrong_content, wrong_behaviour)]
    assert values(metrics.follow(some)) == [1, 0, 0, 0]


def test_behave_forgives_a_missed_preference_and_nothing_else() -> None:
    wrong_content = msgspec.structs.replace(RIGHT, content=False)
    some = [answered(v) for v in (RIGHT, HALF, wrong_content, REFUSED)]
    assert values(metrics.behave(some)) == [1, 1, 0, 0]


def test_refuse_counts_refusals_and_not_failures() -> None:
    some = [answered(v) for v in (RIGHT, HALF, REFUSED)]
    assert values(metrics.refuse(some)) == [0, 0, 1]


def test_over_steer_counts_any_change_of_the_verdict() -> None:
    # The second pair fails both times, but in another preference: that is a change too.
    other_half = Verdict(True, True, (("length", "short", False), ("tone", "formal", True)))
    pairs = [(RIGHT, RIGHT), (HALF, other_half), (RIGHT, HALF), (REFUSED, REFUSED)]
    scores = metrics.over_steer((answered(base), answered(twin)) for base, twin in pairs)
    assert values(scores) == [0, 1, 1, 0]


def test_items_of_one_query_share_a_cluster() -> None:
    some = [answered(RIGHT, "a"), answered(HALF, "a"), answered(HALF, "b")]
    clusters = [score.cluster for score in metrics.follow(some)]
    assert clusters[0] == clusters[1] != clusters[2]


def test_win_rate_compares_shares_and_halves_ties() -> None:
    # Shares: RIGHT 4/4, HALF 3/4, REFUSED 0/4.
    mine = {"1": answered(RIGHT), "2": answered(HALF), "3": answered(REFUSED)}
    theirs = {"1": answered(HALF), "2": answered(HALF), "3": answered(HALF), "4": answered(RIGHT)}
    assert values(metrics.win_rate(mine, theirs)) == [1, 0.5, 0]


VERDICTS = st.builds(
    Verdict,
    st.booleans(),
    st.booleans(),
    st.lists(st.tuples(st.just("length"), st.just("short"), st.booleans()), max_size=3).map(tuple),
)


@given(st.lists(st.tuples(VERDICTS, VERDICTS), min_size=1))
def test_what_one_model_wins_the_other_loses(pairs: list[tuple[Verdict, Verdict]]) -> None:
    mine = {str(i): answered(a) for i, (a, _) in enumerate(pairs)}
    theirs = {str(i): answered(b) for i, (_, b) in enumerate(pairs)}
    won = sum(values(metrics.win_rate(mine, theirs)))
    assert won + sum(values(metrics.win_rate(theirs, mine))) == len(pairs)


def test_flip_wants_both_orders_and_margin_the_movement() -> None:
    # logp of a|v, b|v, a|w, b|w; v puts a first, w puts b first.
    both_right = flip_of(-1, -3, -5, -2)
    biased_to_a = flip_of(-1, -9, -1, -3)  # the ratio moves, but a stays the likelier
    other_way = flip_of(-3, -1, -1, -3)
    some = [both_right, biased_to_a, other_way]
    assert values(metrics.flip(some, tie=TIE)) == [1, 0, 0]
    assert values(metrics.margin(some, tie=TIE)) == [1, 1, 0]


def test_a_tie_is_wrong() -> None:
    query_only = [flip_of(-1, -3, -1, -3), flip_of(-3, -1, -3, -1), flip_of(-1, -1, -1, -1)]
    assert values(metrics.flip(query_only, tie=TIE)) == [0, 0, 0]
    assert values(metrics.margin(query_only, tie=TIE)) == [0, 0, 0]
    pairs = [Likelihood("x", "made", "q", p) for p in [(-1.0, -1.0), (-1.0, -2.0), (-2.0, -1.0)]]
    assert values(metrics.order(pairs, tie=TIE)) == [0, 1, 0]


@given(
    st.tuples(*[st.floats(-200, 0)] * 2),
    st.floats(-50, 50),
    st.tuples(*[st.floats(-1e-4, 1e-4)] * 4),
)
def test_a_model_that_reads_only_the_query_scores_nothing(
    likes: tuple[float, float], longer_prompt: float, rounding: tuple[float, ...]
) -> None:
    """One order for both views, but for rounding and a number that both answers share."""
    a, b = likes
    clean = (a, b, a + longer_prompt, b + longer_prompt)
    one = flip_of(*(x + noise for x, noise in zip(clean, rounding, strict=True)))
    assert values(metrics.flip([one], tie=TIE)) == [0]
    assert values(metrics.margin([one], tie=TIE)) == [0]


@given(st.tuples(*[st.floats(-200, 0)] * 4))
def test_a_right_flip_has_a_right_margin(logprobs: tuple[float, ...]) -> None:
    one = flip_of(*logprobs)
    [flipped], [moved] = metrics.flip([one], tie=TIE), metrics.margin([one], tie=TIE)
    assert moved.value >= flipped.value


def test_marks_tell_tier_and_position_of_each_preference() -> None:
    asks = (
        (SYSTEM_INFO, "tone", "formal"),
        (SYSTEM_INFO, "length", "short"),
        (SYSTEM_INFO, "format", "prose"),
        (USER_INFO, "sign_off", "Ada"),
    )
    verdict = Verdict(
        True,
        True,
        (
            ("tone", "formal", True),
            ("length", "short", False),
            ("format", "prose", True),
            ("sign_off", "Ada", True),
        ),
    )
    marks = metrics.marks([answered(verdict, asks=asks)])
    assert [(m.dimension, m.tier, m.position, m.score.value) for m in marks] == [
        ("tone", SYSTEM_INFO, "first", 1),
        ("length", SYSTEM_INFO, "middle", 0),
        ("format", SYSTEM_INFO, "last", 1),
        ("sign_off", USER_INFO, "only", 1),
    ]


def test_the_tier_of_an_overridden_preference_does_not_count() -> None:
    assert metrics.tiers_of(answered(RIGHT, asks=(SYSTEM_SHORT, USER_LONG)).item) == SYSTEM_INFO
    both = (SYSTEM_SHORT, (USER_INFO, "tone", "formal"))
    assert metrics.tiers_of(answered(RIGHT, asks=both).item) == f"{SYSTEM_INFO}+{USER_INFO}"
