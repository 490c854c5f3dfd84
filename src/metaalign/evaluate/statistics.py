"""Means with bootstrap intervals over clusters."""

from collections.abc import Sequence

from metaalign.evaluate.metrics import Score
from metaalign.evaluate.records import Estimate
from metaalign.schema import MissingExtra

try:
    import numpy as np
except ModuleNotFoundError as error:
    raise MissingExtra("eval", "numpy") from error

RESAMPLES = 2000


def bootstrap(
    scores: Sequence[Score], *, seed: int, resamples: int = RESAMPLES, level: float = 0.95
) -> tuple[float, float]:
    """The percentile bootstrap interval of the mean, resampling whole clusters.

    Items of one query are not independent, so whole queries are drawn with replacement and the
    mean is taken over their items (Davison and Hinkley 1997, section 3.8). If every item is its
    own cluster, this is ``scipy.stats.bootstrap(..., method="percentile")``.

    Raises:
        ValueError: there are no scores.
    """
    if not scores:
        raise ValueError("no scores: a metric without items has no interval")
    names: dict[str, int] = {}
    clusters = np.array([names.setdefault(s.cluster, len(names)) for s in scores])
    sums = np.bincount(clusters, weights=np.array([s.value for s in scores]))
    sizes = np.bincount(clusters)
    count = len(names)
    # How often each cluster comes up in each resample: (resamples, clusters).
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), resamples)
    means = (drawn @ sums) / (drawn @ sizes)
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(means, [tail, 100 - tail])
    return float(low), float(high)


def estimate(scores: Sequence[Score], *, seed: int) -> Estimate:
    """Mean, 95 % interval and number of items, rounded to six digits."""
    low, high = bootstrap(scores, seed=seed)
    mean = sum(s.value for s in scores) / len(scores)
    return Estimate(round(mean, 6), (round(low, 6), round(high, 6)), len(scores))
