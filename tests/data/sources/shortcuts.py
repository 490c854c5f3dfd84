"""How far one comes without reading the Meta-Prompt for what it says."""

from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer  # type: ignore[import-untyped]
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from tests.data.families.material import is_balanced

from metaalign.data.samples import normalised, samples_of
from metaalign.schema import Group, View


def pairs(groups: Sequence[Group]) -> list[tuple[Group, View, int, int]]:
    """Every (better, worse) pair of candidates of every view."""
    return [(g, v, i, j) for g in groups for v in g.views for i, j in v.pairs()]


def scores(groups: Sequence[Group]) -> dict[str, float]:
    """Share of the pairs in which the better one is the one that a shortcut takes; a tie is 0.5."""
    found = {"first": 0.0, "longer": 0.0, "shares more words with the Meta-Prompt": 0.0}
    every = pairs(groups)
    for group, view, better, worse in every:
        chosen, rejected = group.candidates[better].text, group.candidates[worse].text
        told = set(normalised(" ".join(t.text for t in view.meta_prompt.tiers)).split())
        shared = [len(told & set(normalised(text).split())) for text in (chosen, rejected)]
        found["first"] += better < worse
        found["longer"] += _before(len(chosen), len(rejected))
        found["shares more words with the Meta-Prompt"] += _before(*shared)
    return {name: count / len(every) for name, count in found.items()}


def _before(one: int, other: int) -> float:
    return 0.5 if one == other else float(one > other)


def bag_of_words(groups: Sequence[Group]) -> float:
    """Accuracy, on every second group, of a linear model of the candidates' words.

    It sees the words of the chosen less those of the rejected. The Meta-Prompt is the same for
    both, so of a sum over words nothing of it is left.
    """
    samples = [sample for group in groups for sample in samples_of(group)]
    vectors = CountVectorizer(max_features=2000, token_pattern=r"\w+")
    vectors.fit([s.chosen for s in samples] + [s.rejected for s in samples])
    difference = vectors.transform([s.chosen for s in samples]) - vectors.transform(
        [s.rejected for s in samples]
    )
    # Half of the rows turned, so that both labels are there.
    labels = np.arange(len(samples)) % 2
    rows = difference.multiply((2 * labels - 1)[:, None]).tocsr()
    known = {group.id: number % 2 == 0 for number, group in enumerate(groups)}
    learned = np.array([known[s.group_id] for s in samples])
    model = LogisticRegression(max_iter=300).fit(rows[learned], labels[learned])
    return float(model.score(rows[~learned], labels[~learned]))


def assert_no_shortcut(groups: Sequence[Group], *, within: float = 0.03) -> None:
    """Every shortcut is right about half of the time, and every flip is balanced."""
    for name, share in {**scores(groups), "bag of words": bag_of_words(groups)}.items():
        assert abs(share - 0.5) < within, (name, share)
    assert all(map(is_balanced, groups))
