"""Mixing people and models: several annotators' orders of the same candidates become one.

An annotator gives every candidate a rank, 0 the best; equal ranks tie, None says nothing. The
method is Copeland's (1951): of every two candidates the one wins that more annotators put before
the other, and a candidate ranks by its wins less its losses. Weights let one person count as much
as several models. Annotators that contradict each other are all kept in the view, so ``agreement``
can measure it later.
"""

from collections.abc import Iterable, Mapping, Sequence

from metaalign.schema import Annotation, MetaPrompt, MissingExtra, Preference, View

Ranks = tuple[int | None, ...]


def ranks_of(scores: Sequence[float | None]) -> Ranks:
    """The rank of every score, 0 for the highest; equal scores tie, and None stays None."""
    known = sorted({score for score in scores if score is not None}, reverse=True)
    places = {score: place for place, score in enumerate(known)}
    return tuple(None if score is None else places[score] for score in scores)


def scored(by: str, scores: Sequence[float | None]) -> tuple[Annotation, ...]:
    """What an annotator's ``scores`` say, the higher the better, as the orders builders take."""
    return (Annotation(by, ranks_of(scores)),)


def opposite(annotations: Iterable[Annotation]) -> tuple[Annotation, ...]:
    """The same annotators, from last to first: who likes it long puts first what is short last."""
    return tuple(
        Annotation(a.by, ranks_of([None if rank is None else float(rank) for rank in a.ranks]))
        for a in annotations
    )


def combine(annotations: Sequence[Annotation], weights: Mapping[str, float] | None = None) -> Ranks:
    """One order of what several annotators ordered, by weighted pairwise majority (Copeland).

    ``weights`` holds the weight of an annotator by its whole name (``teacher:x``) or its kind
    (``teacher``); who is not named weighs 1. Annotators vote on pairs that they ranked both of. A
    candidate that nobody ranked stays None; equal scores tie. One annotator's order stays as it is
    (its ranks counted from 0 without gaps). Raises ``ValueError`` for orders of different lengths.
    """
    if len({len(a.ranks) for a in annotations}) > 1:
        raise ValueError("the orders are of different numbers of candidates")
    if not annotations:
        return ()
    count = len(annotations[0].ranks)
    votes = [(a.ranks, _weight(a.by, weights or {})) for a in annotations]
    scores: list[float | None] = []
    for own in range(count):
        if all(ranks[own] is None for ranks, _ in votes):
            scores.append(None)
        else:
            scores.append(sum(_wins(votes, own, other) for other in range(count)))
    return ranks_of(scores)


def _weight(by: str, weights: Mapping[str, float]) -> float:
    return weights.get(by, weights.get(by.partition(":")[0], 1.0))


def _wins(votes: Sequence[tuple[Ranks, float]], own: int, other: int) -> int:
    """1 if the majority puts ``own`` before ``other``, -1 if behind it, 0 if neither."""
    balance = 0.0
    for ranks, weight in votes:
        mine, theirs = ranks[own], ranks[other]
        if mine is not None and theirs is not None and mine != theirs:
            balance += weight if mine < theirs else -weight
    return (balance > 0) - (balance < 0)


def ordered_view(
    meta_prompt: MetaPrompt,
    preferences: Sequence[Preference],
    annotations: Sequence[Annotation],
    weights: Mapping[str, float] | None = None,
) -> View:
    """The view in which ``annotations`` order the candidates, with all of them if several did."""
    kinds = dict.fromkeys(a.by.partition(":")[0] for a in annotations)
    return View(
        meta_prompt,
        combine(annotations, weights),
        "+".join(kinds),
        tuple(preferences),
        tuple(annotations) if len(annotations) > 1 else (),
    )


def agreement(views: Iterable[View]) -> float | None:
    """Krippendorff's alpha, ordinal, of the annotators of ``views``: 1 is full agreement, 0 chance.

    The units are the candidates of every view, the values their ranks, so views are pooled and
    annotators need not be the same throughout. Over many views alpha estimates how reliable the
    orders are. Of one view it has few units: two annotators of a pair give 1 or -0.5 and nothing
    between, so it serves to filter on and is no estimate. None where no candidate has two ranks or
    all ranks are the same: alpha is not defined there. Needs the extra ``curate``.
    """
    units: list[list[int]] = []
    for view in views:
        for ranks in zip(*(a.ranks for a in view.annotations), strict=True):
            known = [rank for rank in ranks if rank is not None]
            if len(known) > 1:
                units.append(known)
    if len({rank for unit in units for rank in unit}) < 2:
        return None
    try:
        import krippendorff
        import numpy as np
    except ImportError as error:
        raise MissingExtra("curate", "krippendorff") from error
    counts = np.zeros((len(units), 1 + max(max(unit) for unit in units)), dtype=int)
    for row, unit in enumerate(units):
        np.add.at(counts[row], unit, 1)
    domain = np.arange(counts.shape[1])
    return float(
        krippendorff.alpha(value_counts=counts, value_domain=domain, level_of_measurement="ordinal")
    )
