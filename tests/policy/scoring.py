"""How well the reader of free texts finds what people labelled.

One line of a labelled file is ``{"text", "tier", "wants": [[dimension, value], ...], "ambiguous":
[dimension, ...]}``. What is found and what is wanted are compared line by line as sets: of pairs
(dimension, value), and for what stays open of dimensions.
"""

from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct

from metaalign.policy.extraction import read_text
from metaalign.schema import Reading

LABELLED = Path(__file__).parents[1] / "data" / "labelled"
AMBIGUOUS = "ambiguous"
"""The row of the table that counts what was found to be open, of all dimensions together."""
PRESENCE = frozenset({"background"})
"""Dimensions whose values are whole sentences: only whether there is one is compared."""


class Labelled(Struct, frozen=True, forbid_unknown_fields=True):
    """One text and what its author says it asks for."""

    text: str
    tier: str
    wants: tuple[tuple[str, str], ...]
    ambiguous: tuple[str, ...]


class Score(Struct, frozen=True):
    """What was found of one dimension."""

    right: int = 0
    found: int = 0
    wanted: int = 0

    @property
    def precision(self) -> float:
        return self.right / self.found if self.found else float(not self.wanted)

    @property
    def recall(self) -> float:
        return self.right / self.wanted if self.wanted else float(not self.found)

    @property
    def f1(self) -> float:
        """2PR / (P + R), which is 2 right / (found + wanted)."""
        both = self.found + self.wanted
        return 2 * self.right / both if both else 1.0


def load(name: str) -> list[Labelled]:
    """The labelled texts of ``name``."""
    lines = (LABELLED / f"{name}.jsonl").read_bytes().splitlines()
    return [msgspec.json.decode(line, type=Labelled) for line in lines if line.strip()]


def scores(pairs: Iterable[tuple[Labelled, Reading]]) -> dict[str, Score]:
    """Dimension -> its score, in the order of the alphabet, ``ambiguous`` last."""
    counts: dict[str, Score] = {}
    opened = Score()
    for labelled, reading in pairs:
        wanted = {_key(dimension, value) for dimension, value in labelled.wants}
        found = {_key(p.dimension, p.value) for p in reading.preferences}
        for dimension in {d for d, _ in wanted | found}:
            ours, theirs = _of(found, dimension), _of(wanted, dimension)
            counts[dimension] = _add(counts.get(dimension, Score()), ours, theirs)
        open_found = {a.dimension for a in reading.ambiguous}
        opened = _add(opened, open_found, set(labelled.ambiguous))
    return {**dict(sorted(counts.items())), AMBIGUOUS: opened}


def score(name: str) -> dict[str, Score]:
    """The scores of the reader on the labelled file ``name``."""
    return scores((line, read_text(line.text, line.tier)) for line in load(name))


def _key(dimension: str, value: str) -> tuple[str, str]:
    if dimension in PRESENCE:
        return dimension, ""
    return dimension, value.strip("\"'“”‘’ ").rstrip(".,;:!? ").casefold()


def _of(pairs: set[tuple[str, str]], dimension: str) -> set[str]:
    return {value for d, value in pairs if d == dimension}


def _add(score: Score, found: set[str], wanted: set[str]) -> Score:
    return Score(
        score.right + len(found & wanted), score.found + len(found), score.wanted + len(wanted)
    )
