"""Vectors of what texts mean, and which of very many are nearly parallel."""

import logging
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from metaalign.data.filters.signed import numpy
from metaalign.schema import MissingExtra

TFIDF = "tf-idf"
Rows = Any
"""Vectors of length 1: a dense array of ``float16``, or a sparse one of ``float32``."""

_FEATURES = 2**20
_ALL = 50_000
"""Rows that are compared all with all."""
_CELL = 10_000
"""Rows of a cell, on average."""
_DIMENSIONS = 128
"""To which TF-IDF is projected in order to find cells, and for nothing else."""
_BLOCK = 512
_OTHERS = 16_384
_SEED = 0

_log = logging.getLogger(__name__)


@cache
def load_encoder(name: str) -> Any:
    """The Model2Vec model ``name``, or None if it cannot be loaded: the log says why, once."""
    try:
        from model2vec import StaticModel

        return StaticModel.from_pretrained(name, force_download=False)
    except Exception as error:  # the hub, the network, the disk: there is no list of what may fail
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        _log.warning(
            "semantic-duplicates: TF-IDF is used, as %s cannot be loaded: %s", name, reason
        )
        return None


def embedded(encoder: Any, texts: Sequence[str]) -> Rows:
    """The embeddings of ``texts``, (texts, dimensions); zero for a text without a known word."""
    np = numpy()
    vectors = encoder.encode(list(texts), use_multiprocessing=False, show_progress_bar=False)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float16)


def weighted(texts: Sequence[str]) -> Rows:
    """TF-IDF vectors of ``texts``, by words and pairs of words.

    Raises ``MissingExtra`` where scikit-learn is not installed.
    """
    text = _sklearn("feature_extraction.text")
    # Hashed, so that no vocabulary of millions of pairs is held.
    counts = text.HashingVectorizer(
        n_features=_FEATURES,
        ngram_range=(1, 2),
        alternate_sign=False,
        norm=None,
        dtype="float32",
        token_pattern=r"(?u)\b\w+\b",
    ).transform(texts)
    return text.TfidfTransformer(sublinear_tf=True).fit_transform(counts).astype("float32")


def same_meaning(rows: Rows, threshold: float) -> Iterator[tuple[int, int, float]]:
    """Every row that is nearly parallel to one before it that is kept: (row, kept, cosine)."""
    for members in _cells(rows):
        yield from _dropped(rows, members, threshold)


def _cells(rows: Rows) -> Iterator[Any]:
    """The rows that are compared with each other, in order."""
    np = numpy()
    count = rows.shape[0]
    if count <= _ALL:
        yield np.arange(count)
        return
    if rows.dtype == np.float32:
        reducer = _sklearn("random_projection").SparseRandomProjection(
            _DIMENSIONS, random_state=_SEED, dense_output=True
        )
        rows = reducer.fit_transform(rows)
    clusters = _sklearn("cluster").MiniBatchKMeans(
        -(-count // _CELL), random_state=_SEED, n_init=1, batch_size=4096
    )
    cells = clusters.fit_predict(rows.astype(np.float32))
    for cell in range(cells.max() + 1):
        yield np.flatnonzero(cells == cell)


def _dropped(rows: Rows, members: Any, threshold: float) -> Iterator[tuple[int, int, float]]:
    np = numpy()
    kept = np.empty(0, dtype=np.int64)
    for start in range(0, len(members), _BLOCK):
        block = members[start : start + _BLOCK]
        best, alike = _best(rows, block, kept)
        dropped = alike >= threshold
        for at in np.flatnonzero(dropped).tolist():
            yield int(block[at]), int(best[at]), float(alike[at])
        block = block[~dropped]
        within = _cosines(rows, block, block)
        here: list[int] = []
        for at in range(len(block)):
            nearest = max(here, key=lambda other: within[at, other], default=None)
            if nearest is not None and within[at, nearest] >= threshold:
                yield int(block[at]), int(block[nearest]), float(within[at, nearest])
            else:
                here.append(at)
        kept = np.concatenate([kept, block[here]])


def _best(rows: Rows, block: Any, kept: Any) -> tuple[Any, Any]:
    """For every row of ``block`` the row of ``kept`` with the greatest cosine, and that cosine."""
    np = numpy()
    best = np.zeros(len(block), dtype=np.int64)
    alike = np.full(len(block), -1.0, dtype=np.float32)
    for start in range(0, len(kept), _OTHERS):
        others = kept[start : start + _OTHERS]
        cosines = _cosines(rows, block, others)
        nearest = cosines.argmax(axis=1)
        found = cosines[np.arange(len(block)), nearest]
        better = found > alike
        best[better], alike[better] = others[nearest[better]], found[better]
    return best, alike


def _cosines(rows: Rows, some: Any, others: Any) -> Any:
    """(some, others), rounded, so that the order of a sum does not decide."""
    np = numpy()
    if rows.dtype == np.float16:
        cosines = rows[some].astype(np.float32) @ rows[others].astype(np.float32).T
    else:
        cosines = (rows[some] @ rows[others].T).toarray()
    return cosines.round(3)


def _sklearn(module: str) -> Any:
    from importlib import import_module

    try:
        return import_module(f"sklearn.{module}")
    except ImportError as error:
        raise MissingExtra("curate", "scikit-learn") from error
