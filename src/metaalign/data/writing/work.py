"""From a plan to a group: candidates are written, criticised, revised and ordered.

The steps for one group follow each other, those for different groups overlap. Every reply is in the
teacher's journal before it is used, so whatever is done again after a kill is paid for once.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeVar

from metaalign.data.families.orders import Ranks, ordered_view, ranks_of
from metaalign.data.samples import normalised
from metaalign.data.teacher.requests import Outcome
from metaalign.data.writing import tasks
from metaalign.data.writing.brief import brief_of
from metaalign.data.writing.plans import Draft, Plan
from metaalign.data.writing.table import WriteTable
from metaalign.data.writing.tasks import Asked, Situation
from metaalign.schema import Annotation, Candidate, Group, Turn, View

T = TypeVar("T")

MATRIX, TEACHER = "matrix", "teacher"
WEIGHTS = {MATRIX: 2.0, TEACHER: 1.0}
"""The teacher is asked for two orders of every view."""

TOO_FEW = "fewer than two candidates are left"
NOTHING_ORDERED = "no view puts one candidate before another"
NO_FLIP_LEFT = "no two views order the same candidates oppositely any more"


class Ask(Protocol):
    """Asks a teacher one question."""

    async def __call__(self, asked: Asked[T], /) -> Outcome[T]: ...


class Written(NamedTuple):
    """What became of a plan."""

    group: Group | None
    reason: str
    """Why there is no group; empty if there is one."""
    counts: Counter[str]
    """What else there is to tell: replies by task and status, candidates that are missing."""


async def write_group(plan: Plan, table: WriteTable, ask: Ask, model: str) -> Written:
    """The group of ``plan``, as the teacher called ``model`` writes it.

    A candidate that was refused, or that repeats another word for word, is left out, and with it
    the views that it was written for. There is no group if less than two candidates are left, or
    none of the flips that there should have been.
    """
    work = _Work(plan, table, ask, model)
    group = await work.group()
    if isinstance(group, Group):
        return Written(group, "", work.counts)
    return Written(None, group, work.counts)


class _Work:
    def __init__(self, plan: Plan, table: WriteTable, ask: Ask, model: str) -> None:
        self._plan = plan
        self._table = table
        self._ask = ask
        self._model = model
        self.counts: Counter[str] = Counter()

    async def group(self) -> Group | str:
        written = await asyncio.gather(*(self._candidate(draft) for draft in self._plan.drafts))
        texts = self._without_repeats(written)
        kept = [number for number, text in enumerate(texts) if text]
        if len(kept) < 2:
            return TOO_FEW
        views = await self._views(kept, [texts[number] for number in kept])
        if not any(view.pairs() for view in views):
            return NOTHING_ORDERED
        group = Group(
            self._plan.id,
            self._table.name,
            self._table.family,
            self._plan.query.kind,
            (Turn("user", self._plan.query.text),),
            tuple(Candidate(texts[number], self._model) for number in kept),
            tuple(views),
            self._plan.query.id,
        )
        # Of candidates that are missing one may have been the other side of all flips.
        return NO_FLIP_LEFT if self._plan.flips and not group.flips() else group

    async def _candidate(self, draft: Draft) -> str:
        """The text of a candidate, revised as often as the recipe says; empty if there is none."""
        view = self._plan.views[draft.view]
        brief = brief_of(draft.target, view.resolution, draft.broken)
        situation = Situation(self._plan.query.text, view.meta_prompt, brief)
        text = await self._value(tasks.write(situation, self._table.max_tokens)) or ""
        for _ in range(self._table.rounds if text else 0):
            violations = await self._value(tasks.critique(situation, text))
            if not violations:
                break
            asked = tasks.revise(situation, text, violations, self._table.max_tokens)
            revised = await self._value(asked)
            if revised is None:
                break
            text = revised
            self.counts["responses revised"] += 1
        return text

    def _without_repeats(self, written: Sequence[str]) -> list[str]:
        """The texts, empty where one repeats another: the two sides of a flip must differ."""
        seen: set[str] = set()
        kept = []
        for text in written:
            # What has no letters at all is compared as it is.
            key = normalised(text) or text
            if text and key in seen:
                self.counts["candidates that repeat another"] += 1
                text = ""
            seen.add(key)
            kept.append(text)
        return kept

    async def _views(self, kept: Sequence[int], texts: Sequence[str]) -> list[View]:
        """The views whose own candidate is there, ordered."""
        numbers = [n for n in range(len(self._plan.views)) if self._plan.own(n) in kept]
        lost = len(self._plan.views) - len(numbers)
        self.counts["views without their candidate"] += lost
        found = await asyncio.gather(*(self._view(n, kept, texts) for n in numbers))
        return [view for view in found if view is not None]

    async def _view(self, number: int, kept: Sequence[int], texts: Sequence[str]) -> View | None:
        view, order = self._plan.views[number], self._table.order
        annotations: list[Annotation] = []
        if order != TEACHER:
            annotations.append(Annotation(MATRIX, self._by_matrix(number, kept)))
        if order != MATRIX:
            annotations += await self._by_teacher(number, texts)
        if not annotations:
            self.counts["views that the teacher did not order"] += 1
            return None
        weights = WEIGHTS | dict(self._table.weights)
        return ordered_view(view.meta_prompt, view.preferences, annotations, weights)

    def _by_matrix(self, number: int, kept: Sequence[int]) -> Ranks:
        """By how far what a candidate was written for is from what the view wants."""
        wanted = self._plan.views[number].target
        drafts = [self._plan.drafts[draft] for draft in kept]
        return ranks_of([-float(draft.target.distance(wanted)) for draft in drafts])

    async def _by_teacher(self, number: int, texts: Sequence[str]) -> list[Annotation]:
        """The teacher's two orders; none if it did not give both."""
        view = self._plan.views[number]
        situation = Situation(
            self._plan.query.text, view.meta_prompt, brief_of(view.target, view.resolution)
        )
        forth, back = tasks.order(situation, texts, self._plan.id, number)
        answers = self._value(forth), self._value(back)
        first, second = await asyncio.gather(*answers)
        if first is None or second is None:
            return []
        self.counts["orders that the teacher contradicted"] += _contradict(first, second)
        return [Annotation(f"{TEACHER}:{self._model}", ranks) for ranks in (first, second)]

    async def _value(self, asked: Asked[T]) -> T | None:
        """The answer to one question; None if it is in quarantine, which is counted."""
        outcome = await self._ask(asked)
        self.counts[f"{asked.request.task}.{outcome.status}"] += 1
        return outcome.value


def _contradict(first: Ranks, second: Ranks) -> bool:
    """Whether two orders of the same candidates put any two of them the other way round."""
    both = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    return any(a < c and b > d for a, b in both for c, d in both)
