"""Draws by hash: the same names always draw the same, in any order and in any process."""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

# Between the parts, so that ("ab", "c") and ("a", "bc") draw differently.
_BETWEEN = "\x1f"
_BITS = 64


def digest(*parts: object) -> str:
    """Sixteen hex digits that name ``parts``."""
    text = _BETWEEN.join(map(str, parts))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[: _BITS // 4]


def unit(*parts: object) -> float:
    """A number in [0, 1), uniform over different ``parts``."""
    # Shifted to the 53 bits that a float holds exactly: 64 bits could round up to 1.0.
    return (int(digest(*parts), 16) >> 11) / 2**53


def pick(options: Sequence[T], *parts: object) -> T:
    """One of ``options``."""
    return options[int(digest(*parts), 16) % len(options)]
