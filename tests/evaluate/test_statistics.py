"""Intervals agree with another library, and with what can be worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]

from metaalign.evaluate.metrics import Score
from metaalign.evaluate.statistics import bootstrap, estimate


def alone(values: list[float]) -> list[Score]:
    """Every item its own cluster."""
    return [Score(value, str(i)) for i, value in enumerate(values)]


@pytest.mark.parametrize("values", [[1.0] * 170 + [0.0] * 30, [0.0, 0.5, 1.0] * 40])
def test_without_clusters_it_is_scipys_percentile_bootstrap(values: list[float]) -> None:
    theirs = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=5000, rng=np.random.default_rng(1)
    ).confidence_interval
    low, high = bootstrap(alone(values), seed=0, resamples=5000)
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=0.01)


def test_clusters_are_drawn_whole() -> None:
    """scipy on cluster means: with clusters of equal size the mean of means is the mean."""
    per_cluster = [0.0, 0.25, 0.5, 1.0] * 12
    clustered = [
        Score(float(k < 4 * mean), str(i)) for i, mean in enumerate(per_cluster) for k in range(4)
    ]
    theirs = stats.bootstrap(
        (per_cluster,), np.mean, method="percentile", n_resamples=5000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert bootstrap(clustered, seed=0, resamples=5000) == pytest.approx(
        (theirs.low, theirs.high), abs=0.015
    )


def test_copies_of_an_item_do_not_narrow_the_interval() -> None:
    values = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0]
    copied = alone(values) * 10
    assert bootstrap(copied, seed=3) == bootstrap(alone(values), seed=3)


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from("abcd")), min_size=1))
def test_the_interval_lies_within_the_values_and_depends_on_the_seed_only(
    items: list[tuple[float, str]],
) -> None:
    scores = [Score(value, cluster) for value, cluster in items]
    low, high = bootstrap(scores, seed=0, resamples=200)
    values = [value for value, _ in items]
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
    assert bootstrap(scores, seed=0, resamples=200) == (low, high)


def test_an_estimate_says_mean_interval_and_number() -> None:
    found = estimate(alone([1.0, 1.0, 1.0]), seed=0)
    assert (found.value, found.ci95, found.n) == (1.0, (1.0, 1.0), 3)
    assert estimate(alone([1.0, 0.0, 0.0]), seed=0).value == 0.333333


def test_no_items_are_an_error_and_not_zero() -> None:
    with pytest.raises(ValueError, match="no scores"):
        estimate([], seed=0)
