"""MinHash: which of very many texts are nearly the same, from a few bytes of each.

What two texts have in common is their Jaccard similarity J: the shingles (short runs of characters)
that are in both, as a share of those in either. ``rensa`` draws one shingle of a text for every
permutation, so that two texts draw the same with probability J. Here one byte of each draw is kept
(b-bit minwise hashing, Li and König 2010): texts that differ agree in it once in 256 draws, which
``estimate`` takes out again.

Candidates are found by locality-sensitive hashing (Indyk and Motwani 1998): those that agree in all
rows of some band.
"""

from array import array
from collections.abc import Iterator, Sequence
from typing import Any

from metaalign.data.filters.signed import first_equals, numpy
from metaalign.schema import MissingExtra

_SEED = 1
_RECALL = 0.95
"""Share of the pairs with a similarity of just the threshold that become candidates."""
_NEIGHBOURS = 16
"""With how many others of its band a text is compared, besides the first.

Without a bound a template that a million texts fill in would compare all with all. Texts that are
truly alike meet in other bands too, where they are among few.
"""
_CHUNK = 8_192
_ROWS = 256
"""Texts whose draws are Python numbers at a time: with many more, memory is what takes the time."""
_CODE_POINT_BITS = 21
_BY_CHANCE = 1 / 256


def sketches(texts: Sequence[str], permutations: int, shingle: int, salts: Any = None) -> Any:
    """One byte for each permutation of each text: (texts, permutations), ``uint8``.

    Args:
        texts: at least one character each.
        permutations: draws; the standard error of an estimate is sqrt(J (1 - J) / permutations).
        shingle: characters of a shingle, at most 8; a shorter text is one shingle.
        salts: 64 bits for each text, or None: texts of different salts have nothing in common.

    Raises:
        MissingExtra: rensa or numpy is not installed.
    """
    np = numpy()
    try:
        import rensa  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtra("curate", "rensa") from error
    shingles, counts = _shingles(texts, shingle)
    if salts is not None:
        shingles ^= np.repeat(salts, counts)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.uint64)
    drawn: list[array[int]] = []
    for begin in range(0, len(texts), _ROWS):
        own = starts[begin : begin + _ROWS + 1]
        matrix = rensa.RMinHash.digest_matrix_from_flat_token_hashes(
            shingles[int(own[0]) : int(own[-1])], own - own[0], permutations, _SEED
        )
        drawn += [array("I", row) for row in matrix.to_rows()]
    draws = np.frombuffer(b"".join(drawn), dtype=np.uintc).astype(np.uint8)
    return draws.reshape(len(texts), permutations)


def _shingles(texts: Sequence[str], size: int) -> tuple[Any, Any]:
    """All shingles of all texts, each as one number, and how many every text has.

    A number holds ``64 // size`` bits of every character, which is all there is of up to three
    and enough to tell apart the letters of one script for up to eight.
    """
    np = numpy()
    padded = [text.ljust(size, "\0") for text in texts]
    lengths = np.array([len(text) for text in padded])
    data = "".join(padded).encode("utf-32-le", "surrogatepass")
    bits = min(_CODE_POINT_BITS, 64 // size)
    codes = np.frombuffer(data, dtype="<u4").astype(np.uint64) & np.uint64((1 << bits) - 1)
    found = np.zeros(len(codes) - size + 1, dtype=np.uint64)
    for place in range(size):
        found |= codes[place : place + len(found)] << np.uint64(bits * place)
    inside = np.ones(len(found), dtype=bool)
    ends = np.cumsum(lengths)[:-1]
    for back in range(1, size):
        inside[ends - back] = False  # runs on into the next text
    return found[inside], lengths - size + 1


def estimate(some: Any, others: Any) -> Any:
    """The estimated Jaccard similarity of rows of sketches, pair by pair or one to many."""
    alike = (some == others).mean(axis=-1)
    return ((alike - _BY_CHANCE) / (1 - _BY_CHANCE)).clip(0, 1)


def band_rows(threshold: float, permutations: int) -> int:
    """Rows of a band: the most that still find ``_RECALL`` of the pairs at the threshold.

    A pair with similarity J agrees in all r rows of at least one of b bands with probability
    1 - (1 - J^r)^b.
    """
    for rows in range(8, 1, -1):
        if 1 - (1 - threshold**rows) ** (permutations // rows) >= _RECALL:
            return rows
    return 1


def connected(sketch: Any, threshold: float) -> Any:
    """For every row the first row that it is joined with, by pairs that are alike.

    Args:
        sketch: (texts, permutations), ``uint8``.
        threshold: estimated similarity from which two texts are alike, above 0.

    Returns:
        ``int32``, (texts,). A set is joined by pairs, so its outermost may be less alike.
    """
    np = numpy()
    lead = first_equals(sketch)
    own = np.flatnonzero(lead == np.arange(len(lead), dtype=np.int32)).astype(np.int32)
    rows = band_rows(threshold, sketch.shape[1])
    for band in range(sketch.shape[1] // rows):
        keys = _keys(sketch, own, band * rows, rows)
        for some, others in _candidates(keys, own):
            _join(lead, *_alike(sketch, lead, some, others, threshold))
    return lead


class Index:
    """Sketches that others can be looked up in."""

    def __init__(self, sketch: Any, threshold: float) -> None:
        """As in ``connected``."""
        np = numpy()
        self._sketch, self._threshold = sketch, threshold
        self._rows = band_rows(threshold, sketch.shape[1])
        own = np.arange(len(sketch))
        self._bands = []
        for start in range(0, sketch.shape[1] - self._rows + 1, self._rows):
            keys = _keys(sketch, own, start, self._rows)
            order = np.argsort(keys, kind="stable")
            self._bands.append((start, keys[order], order))

    def nearest(self, sketch: Any) -> list[tuple[int, float] | None]:
        """For every row of ``sketch`` the row of the index that is most alike and how much, if it
        reaches the threshold; the first of several."""
        np = numpy()
        best = np.zeros(len(sketch))
        found = np.full(len(sketch), -1)
        own = np.arange(len(sketch))
        for start, keys, order in self._bands:
            wanted = _keys(sketch, own, start, self._rows)
            at = np.searchsorted(keys, wanted)
            for distance in range(_NEIGHBOURS):
                place = np.minimum(at + distance, len(keys) - 1)
                hits = np.flatnonzero((at + distance < len(keys)) & (keys[place] == wanted))
                if not len(hits):
                    break
                rows = order[place[hits]]
                alike = estimate(sketch[hits], self._sketch[rows])
                better = (alike > best[hits]) | ((alike == best[hits]) & (rows < found[hits]))
                best[hits[better]], found[hits[better]] = alike[better], rows[better]
        return [
            (int(row), float(alike)) if row >= 0 and alike >= self._threshold else None
            for row, alike in zip(found, best, strict=True)
        ]


def _keys(sketch: Any, own: Any, start: int, rows: int) -> Any:
    """The bytes of a band as one number for each of the rows ``own``."""
    np = numpy()
    keys = np.zeros((len(own), 8), dtype=np.uint8)
    keys[:, :rows] = sketch[own, start : start + rows]
    return keys.view(np.uint64)[:, 0]


def _candidates(keys: Any, own: Any) -> Iterator[tuple[Any, Any]]:
    """Pairs of rows with the same key, the earlier one first."""
    np = numpy()
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    same = keys[1:] == keys[:-1]
    shared = np.concatenate([same, [False]]) | np.concatenate([[False], same])
    keys, members = keys[shared], own[order[shared]]
    del order, same, shared
    if not len(keys):
        return
    starts = np.concatenate([[True], keys[1:] != keys[:-1]])
    first = np.maximum.accumulate(np.where(starts, np.arange(len(keys)), 0))
    yield members[first[~starts]], members[~starts]
    for distance in range(1, min(_NEIGHBOURS, len(keys) - 1) + 1):
        pairs = np.flatnonzero(keys[distance:] == keys[:-distance])
        if not len(pairs):
            return
        yield members[pairs], members[pairs + distance]


def _alike(
    sketch: Any, lead: Any, some: Any, others: Any, threshold: float
) -> tuple[list[int], list[int]]:
    """Those pairs that are alike and not joined yet."""
    np = numpy()
    apart = lead[some] != lead[others]
    some, others = some[apart], others[apart]
    alike = np.zeros(len(some), dtype=bool)
    for begin in range(0, len(some), _CHUNK):
        here = slice(begin, begin + _CHUNK)
        alike[here] = estimate(sketch[some[here]], sketch[others[here]]) >= threshold
    return some[alike].tolist(), others[alike].tolist()


def _join(lead: Any, some: list[int], others: list[int]) -> None:
    """Join the sets of every pair; afterwards every row points at the first of its set."""
    if not some:
        return

    def first(row: int) -> int:
        while (above := int(lead[row])) != row:
            row = above
        return row

    for one, other in zip(some, others, strict=True):
        one, other = first(one), first(other)
        lead[max(one, other)] = min(one, other)
    while ((above := lead[lead]) != lead).any():
        lead[:] = above
