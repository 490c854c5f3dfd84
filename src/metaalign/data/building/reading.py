"""From inputs to staged parts: one after the other, as streams."""

import heapq
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from metaalign.data.building import staging
from metaalign.data.building.inputs import Input
from metaalign.data.building.passes import limit_draw
from metaalign.data.draw import digest
from metaalign.data.recipe import Recipe
from metaalign.data.sources.records import Quarantine, Skipped
from metaalign.schema import Event, Group, Progress, UserError

_DONE = "read.json"
_REPORT_EVERY = 500
_PLACE_BITS = 40
"""Of the order as given: the place within an input is in the low bits, the input above them."""


class Read(Struct, frozen=True):
    """An input that was read to its end."""

    groups: int
    """Groups within the limit."""
    skipped: dict[str, int]
    """Records that became no group, by reason."""
    damaged: tuple[str, ...] = ()
    """The first of the records that could not be read, with file and line."""
    costs: dict[str, int] = {}
    """What it took, by name."""
    threshold: int | None = None
    """Of the staged groups, those with a greater draw are beyond the limit; None: all are in."""


def read_input(
    source: Input,
    number: int,
    recipe: Recipe,
    folder: Path,
    part_groups: int,
    progress: Progress,
) -> Read:
    """Stage the groups of ``source`` in ``folder``; what was read before is not read again.

    ``number`` is the input's place in the recipe. Raises ``UserError`` if no group is left.
    """
    done = folder / _DONE
    if done.exists():
        return msgspec.json.decode(done.read_bytes(), type=Read)
    reading = _Reading(source, number, recipe)
    total = source.count()
    for _ in staging.write_parts(folder, reading.groups(total, progress), part_groups):
        pass
    if not reading.kept:
        raise UserError(_nothing_in(source, reading.skipped))
    result = reading.result()
    staging.write_record(done, result)
    return result


class _Reading:
    """One run through an input, with its cuts."""

    def __init__(self, source: Input, number: int, recipe: Recipe) -> None:
        self._source, self._number = source, number
        self._seed, self._drawn = recipe.seed, recipe.order == "drawn"
        self._quarantine = Quarantine(Skipped())
        self.kept = 0
        self._smallest: list[int] = []
        """The smallest draws so far, as many as the limit lets in; negative, in a heap."""

    def groups(self, total: int, progress: Progress) -> Iterator[tuple[int, Group]]:
        """Groups with their place in the order; those beyond the limit as far as is known."""
        task = f"read {self._source.name}"
        for group in self._source.groups(self._quarantine):
            if self._too_long(group):
                self.skipped[f"longer than {self._source.max_chars} characters"] += 1
            else:
                self.kept += 1
                if self._may_be_within_limit(group):
                    yield self._order(group), group
            done = self.kept + self.skipped.total()
            if done % _REPORT_EVERY == 0 and done != total:
                progress(Event(task, done, total, "record"))
        done = total or self.kept + self.skipped.total()
        progress(Event(task, done, done, "record"))

    def _too_long(self, group: Group) -> bool:
        return self._source.max_chars is not None and _characters(group) > self._source.max_chars

    def _may_be_within_limit(self, group: Group) -> bool:
        """By hash and not the first ones: published files are often sorted by topic."""
        limit = self._source.limit
        if limit is None:
            return True
        draw = -limit_draw(self._seed, group.id)
        if len(self._smallest) < limit:
            heapq.heappush(self._smallest, draw)
            return True
        return heapq.heappushpop(self._smallest, draw) != draw

    def _order(self, group: Group) -> int:
        if self._drawn:
            return int(digest("order", self._seed, group.id), 16)
        return (self._number << _PLACE_BITS) + self.kept

    @property
    def skipped(self) -> Skipped:
        return self._quarantine.skipped

    def result(self) -> Read:
        limit = self._source.limit
        over = 0 if limit is None else max(0, self.kept - limit)
        if over:
            self.skipped[f"over the limit of {limit} groups"] += over
        return Read(
            self.kept - over,
            dict(self.skipped),
            tuple(self._quarantine.named),
            dict(self._source.costs()),
            -self._smallest[0] if over else None,
        )


def _nothing_in(source: Input, skipped: Skipped) -> str:
    where = source.place or f"the source {source.name}"
    if not skipped:
        return f"{where} is empty: it holds no record of {source.name}"
    reasons = ", ".join(f"{n} {reason}" for reason, n in skipped.items())
    return f"no group of {source.name} is left of {where}; left out: {reasons}"


def _characters(group: Group) -> int:
    """Length of the talk with the longest candidate."""
    talk = sum(len(turn.text) for turn in group.turns)
    return talk + max(len(candidate.text) for candidate in group.candidates)
