"""How diverse a set of groups is: what it asks for, in how many ways, and what it covers.

Groups are looked at one at a time. What is held is eight bytes of every distinct wording, and the
texts of a sample of them: those whose hashes are the smallest, so that the sample depends on no
order, and is the same for the same set.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from metaalign.data.building.keys import KEYS
from metaalign.data.draw import digest
from metaalign.data.filters.meaning import TFIDF, embedded, load_encoder, same_meaning, weighted
from metaalign.data.filters.signed import numpy
from metaalign.data.samples import normalised
from metaalign.policy import PriorityMatrix, load_matrix
from metaalign.schema import Group, MissingExtra, Preference

Table = tuple[str, Sequence[str], Sequence[tuple[str, ...]]]
"""A title, the names of the columns, and the rows."""

MODEL = "minishlab/potion-base-8M"
_PERSONS = frozenset({"persona", "background"})
"""Dimensions that say who somebody is, whatever they ask for."""
_MOST_NAMED = 6


class Spread(Struct, frozen=True):
    """How many different texts there are, and how far apart they are."""

    stated: int
    """How often any was stated."""
    distinct: int
    """Different ones, after case, punctuation and space are gone."""
    compared: int
    """Of these, how many were compared by what they mean: all, or a sample."""
    meanings: int
    """Of the compared ones, how many mean something that no other does."""
    vendi: float
    """The Vendi score (Friedman and Dieng 2023) of ``sample`` of the distinct ones: as many as that
    if no two are alike in anything, 1 if all are the same."""
    sample: int


class Diversity(Struct, frozen=True, kw_only=True):
    """What a set of groups asks for and covers. Views are counted unless it says otherwise."""

    groups: int
    views: int
    preferences: Spread
    """What is wanted of an answer, in its own words."""
    persons: Spread
    """Who people say that they are."""
    by: str
    """What compared meanings: an embedding model, or ``TF-IDF``."""
    threshold: float
    """Cosine from which two texts mean the same."""
    matrix: str
    """Name, version and conflict rule of the Priority Matrix."""
    families: dict[str, int]
    kinds: dict[str, int]
    dimensions: dict[str, int]
    """Preferences by dimension; those of the Matrix that are never asked for have 0."""
    values: dict[str, int]
    """Preferences by dimension and value, of the Matrix's closed dimensions: ``length = short``."""
    tiers: dict[str, int]
    """Preferences by the tier that states them."""
    cells: dict[str, int]
    """Views by the cell of the Matrix that decides them, every cell of every kind."""

    @property
    def empty_cells(self) -> tuple[str, ...]:
        """Cells that decide no view."""
        return tuple(name for name, views in self.cells.items() if not views)

    def tables(self) -> Iterator[Table]:
        """For a terminal."""
        yield "diversity", ("", "preferences", "persons"), list(self._spreads())
        for title, counts in (
            ("family", self.families),
            ("tier", self.tiers),
            ("dimension", self.dimensions),
        ):
            what = "views" if title == "family" else "preferences"
            rows = [(name, f"{n:,}") for name, n in counts.items()]
            yield f"by {title}", (title, what), rows
        columns = ("kind", "views", "cells with views", "cells without")
        yield f"cells of {self.matrix}", columns, list(self._kinds())

    def _spreads(self) -> Iterator[tuple[str, ...]]:
        both = (self.preferences, self.persons)
        yield "stated", *(f"{one.stated:,}" for one in both)
        yield "in distinct words", *(f"{one.distinct:,}" for one in both)
        label = f"of distinct meaning (cosine below {self.threshold:g} by {self.by})"
        yield label, *(f"{one.meanings:,}{_of(one.compared, one.distinct)}" for one in both)
        label = f"Vendi score by {self.by}"
        yield label, *(f"{one.vendi:,.1f}{_of(one.sample, 0)}" for one in both)

    def _kinds(self) -> Iterator[tuple[str, ...]]:
        by_kind: dict[str, dict[str, int]] = {}
        for cell, views in self.cells.items():
            kind, _, pair = cell.partition("[")
            by_kind.setdefault(kind, {})[pair.rstrip("]")] = views
        for kind, cells in by_kind.items():
            empty = [pair for pair, views in cells.items() if not views]
            more = f" and {len(empty) - _MOST_NAMED} more" if len(empty) > _MOST_NAMED else ""
            yield (
                kind,
                f"{sum(cells.values()):,}",
                f"{len(cells) - len(empty)} of {len(cells)}",
                "; ".join(empty[:_MOST_NAMED]) + more or "-",
            )


def diversity(
    groups: Iterable[Group],
    *,
    matrix: PriorityMatrix | None = None,
    model: str = MODEL,
    threshold: float = 0.9,
    compared: int = 20_000,
    sample: int = 2_000,
) -> Diversity:
    """Measure ``groups``, which are read once.

    Args:
        matrix: whose cells and dimensions are covered; the packaged one if not given.
        model: the embedding model that compares meanings, or ``tf-idf``, which also stands in where
            the model cannot be loaded.
        threshold: cosine from which two texts mean the same.
        compared: distinct texts that are compared by meaning, at most.
        sample: distinct texts of which the Vendi score is taken, at most: it takes memory with
            their square and time with their cube.

    Raises:
        MissingExtra: scikit-learn or vendi-score is not installed.
    """
    count = _Count(load_matrix() if matrix is None else matrix, compared)
    for group in groups:
        count.add(group)
    encoder = None if model == TFIDF else load_encoder(model)
    spreads = [one.spread(encoder, threshold, sample) for one in (count.wishes, count.persons)]
    return count.result(spreads[0], spreads[1], TFIDF.upper() if encoder is None else model,
                        threshold)  # fmt: skip


def vendi_score(rows: Any) -> float:
    """The Vendi score of texts by their vectors, (texts, dimensions), each of length 1.

    The exponential of the entropy of the eigenvalues of their cosines. Rows of zeros are like
    nothing else. 0 if there are no rows. Raises ``MissingExtra`` without vendi-score.
    """
    np = numpy()
    if not rows.shape[0]:
        return 0.0
    try:
        from vendi_score import vendi  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtra("curate", "vendi-score") from error
    product = rows @ rows.T
    kernel = product.toarray() if hasattr(product, "toarray") else product
    kernel = kernel.astype(np.float64)
    np.fill_diagonal(kernel, 1.0)
    # As vendi.score_K does, which looks for a class that SciPy 2 no longer has.
    eigenvalues = np.linalg.eigvalsh(vendi.weight_K(kernel))
    return float(np.exp(vendi.entropy_q(eigenvalues)))


class _Texts:
    """Counts distinct texts, and holds a sample of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._stated = 0
        self._seen: set[int] = set()
        self._sample: list[tuple[int, str]] = []
        """The smallest hashes, negative, in a heap, with their texts."""

    def add(self, text: str) -> None:
        self._stated += 1
        words = normalised(text)
        name = int(digest("wording", words), 16)
        if not words or name in self._seen:
            return
        self._seen.add(name)
        if len(self._sample) < self._most:
            heapq.heappush(self._sample, (-name, words))
        else:
            heapq.heappushpop(self._sample, (-name, words))

    def spread(self, encoder: Any, threshold: float, sample: int) -> Spread:
        texts = [words for _, words in sorted(self._sample, reverse=True)]
        if not texts:
            return Spread(self._stated, 0, 0, 0, 0.0, 0)
        rows = weighted(texts) if encoder is None else embedded(encoder, texts)
        alike = sum(1 for _ in same_meaning(rows, threshold))
        some = rows[:sample].astype("float32")
        return Spread(
            self._stated,
            len(self._seen),
            len(texts),
            len(texts) - alike,
            vendi_score(some),
            some.shape[0],
        )


class _Count:
    """What was seen so far."""

    def __init__(self, matrix: PriorityMatrix, compared: int) -> None:
        self.wishes, self.persons = _Texts(compared), _Texts(compared)
        self._matrix = matrix
        self._groups = 0
        self._families: Counter[str] = Counter()
        self._kinds: Counter[str] = Counter()
        self._dimensions: Counter[str] = Counter()
        self._values: Counter[str] = Counter()
        self._tiers: Counter[str] = Counter()
        self._cells: Counter[str] = Counter()

    def add(self, group: Group) -> None:
        self._groups += 1
        self._families[group.family] += len(group.views)
        self._kinds[group.kind] += len(group.views)
        for cell in KEYS["cell"](group, self._matrix):
            self._cells[cell.partition("/needs-")[0]] += 1
        for view in group.views:
            for preference in view.preferences:
                self._add(preference)

    def _add(self, preference: Preference) -> None:
        who = not preference.explicit or preference.dimension in _PERSONS
        (self.persons if who else self.wishes).add(preference.wording or preference.value)
        self._tiers[preference.tier] += 1
        self._dimensions[preference.dimension] += 1
        if self._matrix.value_ranks.get(preference.dimension):
            self._values[f"{preference.dimension} = {preference.value}"] += 1

    def result(self, wishes: Spread, persons: Spread, by: str, threshold: float) -> Diversity:
        matrix = self._matrix
        values = [
            f"{name} = {value}"
            for name, known in matrix.value_ranks.items()
            for value in known or ()
        ]
        cells = [one.cell for table in matrix.outcomes.values() for one in table.values()]
        return Diversity(
            groups=self._groups,
            views=sum(self._families.values()),
            preferences=wishes,
            persons=persons,
            by=by,
            threshold=threshold,
            matrix=matrix.label,
            families=dict(sorted(self._families.items())),
            kinds=_all(matrix.tables, self._kinds),
            dimensions=_all(matrix.places, self._dimensions),
            values=_all(values, self._values),
            tiers=_all(matrix.tiers, self._tiers),
            cells=_all(cells, self._cells),
        )


def _all(names: Iterable[str], counts: Mapping[str, int]) -> dict[str, int]:
    """The counts of ``names``, also where they are 0, and then of all else by name."""
    known = {name: counts.get(name, 0) for name in names}
    return known | {name: n for name, n in sorted(counts.items()) if name not in known}


def _of(some: int, whole: int) -> str:
    """`` of N`` where not all of them were looked at; always, if ``whole`` is 0."""
    return f" of {some:,}" if some != whole else ""
