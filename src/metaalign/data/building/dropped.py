"""What the stages dropped: how many for which reason, and what some of it looked like."""

import heapq
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from metaalign.data.building import staging
from metaalign.data.stages import Transform, stage_name
from metaalign.schema import Group

FILE_NAME = "dropped.jsonl"
EXAMPLES = 3
"""Examples of every reason."""
_PRIVATE = ("personal-data", "redact-personal-data")
_EXCERPT = 200
"""Characters of an example's texts."""


class Example(Struct, frozen=True):
    """A group that is not in the dataset."""

    id: str
    source: str
    query: str
    """Its beginning, as that of the response."""
    response: str
    reason: str
    """With what is true of this group alone."""


class Dropped(Struct, frozen=True):
    """One line of ``dropped.jsonl``: one reason of one stage."""

    stage: int | None
    """Number of the stage in the recipe, from 0; None for the split."""
    reason: str
    """Name of the stage and what it found: ``length: too short``."""
    groups: int
    examples: tuple[Example, ...]
    """The first in the dataset's order."""


class Tally:
    """Counts what was dropped, one group at a time, and keeps the first of every reason."""

    def __init__(self, stages: Sequence[object] = ()) -> None:
        """``stages`` are those of the recipe: what one keeps out is no example either."""
        self._masks = _masks(stages)
        self._counts: dict[tuple[int | None, str], int] = {}
        self._first: dict[tuple[int | None, str], list[tuple[int, str, Example]]] = {}

    def add_parts(self, parts: Iterable[Path]) -> None:
        """Count what one pass dropped; a part's groups are read only if one may be an example."""
        for path in parts:
            table = staging.read_table(path, ["order", "stage", "dropped"])
            rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
            wanted = [
                (row, order, stage, reason)
                for row, (order, stage, reason) in enumerate(rows)
                if stage is not None and self.count(stage, reason, order)
            ]
            if wanted:
                groups = staging.read_table(path, ["group"]).column("group")
                for row, order, stage, reason in wanted:
                    self.keep(stage, reason, order, staging.decode_group(groups[row].as_py()))

    def count(self, stage: int | None, reason: str, order: int) -> bool:
        """Count a group; true if it is among the first of its reason, and to be kept.

        ``reason`` is ``stage: what: fact``, of which the fact is this group's own.
        """
        key = (stage, _shared(reason))
        self._counts[key] = self._counts.get(key, 0) + 1
        first = self._first.setdefault(key, [])
        return len(first) < EXAMPLES or order < -first[0][0]

    def keep(self, stage: int | None, reason: str, order: int, group: Group) -> None:
        """Keep a group as an example."""
        # A heap with the last of them on top.
        for mask in self._masks:
            [group] = mask.apply([group])
        first = self._first[stage, _shared(reason)]
        heapq.heappush(first, (-order, group.id, _example(group, reason)))
        if len(first) > EXAMPLES:
            heapq.heappop(first)

    def of_stage(self, stage: int | None) -> int:
        """Groups that one stage dropped."""
        return sum(n for (number, _), n in self._counts.items() if number == stage)

    def counts(self) -> dict[str, int]:
        """Groups by reason; stages of one name count together."""
        total: dict[str, int] = {}
        for (_, reason), n in self._counts.items():
            total[reason] = total.get(reason, 0) + n
        return total

    def lines(self) -> list[Dropped]:
        """One record for every reason, in the order of the stages; the split comes last."""
        keys = sorted(self._counts, key=lambda key: (key[0] is None, key[0] or 0, key[1]))
        return [
            Dropped(stage, reason, self._counts[stage, reason], self._examples(stage, reason))
            for stage, reason in keys
        ]

    def _examples(self, stage: int | None, reason: str) -> tuple[Example, ...]:
        first: Sequence[tuple[int, str, Example]] = self._first[stage, reason]
        ordered = sorted(first, key=lambda one: (-one[0], one[1]))
        return tuple(example for _, _, example in ordered)


def _masks(stages: Sequence[object]) -> list[Transform]:
    """What takes personal data out of examples, where the recipe does not want it."""
    if not any(stage_name(stage) in _PRIVATE for stage in stages):
        return []
    from metaalign.data.filters.personal_data import PersonalData, RedactPersonalData

    return [
        RedactPersonalData(kinds=stage.kinds, regions=stage.regions)
        for stage in stages
        if isinstance(stage, PersonalData | RedactPersonalData)
    ]


def _shared(reason: str) -> str:
    """The stage and what it found, which many groups have in common."""
    return ": ".join(reason.split(": ")[:2])


def _example(group: Group, reason: str) -> Example:
    query = group.turns[-1].text if group.turns else ""
    response = group.candidates[0].text if group.candidates else ""
    return Example(group.id, group.source, _cut(query), _cut(response), reason)


def _cut(text: str) -> str:
    return text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…"
