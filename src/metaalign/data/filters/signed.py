"""Ids and signatures of many groups, without a Python object for each."""

from array import array
from collections.abc import Iterable
from typing import Any

from metaalign.schema import MissingExtra


class Signed:
    """Who signed, in order; the index of a group stands for it.

    A group whose signature is empty has nothing to compare and is left out. What is held is the
    signature, the id in UTF-8 and 8 bytes.
    """

    def __init__(self, signed: Iterable[tuple[str, bytes]], width: int) -> None:
        """Read all of ``signed``; every signature that is not empty has ``width`` bytes."""
        self._names, self._ends, self._rows = bytearray(), array("Q"), bytearray()
        self.width = width
        for name, signature in signed:
            if signature:
                # The ids of a damaged file may hold half of a surrogate pair.
                self._names += name.encode("utf-8", "surrogatepass")
                self._ends.append(len(self._names))
                self._rows += signature

    def __len__(self) -> int:
        return len(self._ends)

    def id(self, index: int) -> str:
        start = self._ends[index - 1] if index else 0
        return self._names[start : self._ends[index]].decode("utf-8", "surrogatepass")

    def rows(self) -> Any:
        """The signatures as an array of bytes, (groups, ``width``), without a copy."""
        np = numpy()
        return np.frombuffer(self._rows, dtype=np.uint8).reshape(len(self), self.width)


def numpy() -> Any:
    """Raises ``MissingExtra`` where numpy is not installed."""
    try:
        import numpy as np
    except ImportError as error:
        raise MissingExtra("curate", "numpy") from error
    return np


def first_equals(rows: Any) -> Any:
    """For every row of bytes the index of the first row that equals it, as ``int32``.

    ``rows`` is (groups, width), width at least 16. Sixteen bytes order the rows: a row is missed
    only if another that differs behind them stands between it and its equal.
    """
    np = numpy()
    words = rows[:, :16].copy().view(np.uint64)
    order = np.lexsort((words[:, 1], words[:, 0])).astype(np.int32)  # stable: equals keep order
    del words
    starts = np.ones(len(order), dtype=bool)
    for begin in range(1, len(order), _CHUNK):
        here = order[begin : begin + _CHUNK]
        before = order[begin - 1 : begin - 1 + len(here)]
        starts[begin : begin + len(here)] = (rows[here] != rows[before]).any(axis=1)
    first = np.empty(len(order), dtype=np.int32)
    first[order] = order[starts][np.cumsum(starts, dtype=np.int32) - 1]
    return first


_CHUNK = 8_192
