"""``[[write]]`` of a recipe as an input of a build, and what it would cost."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from metaalign.data.families.wordings import FILE_NAME as WORDINGS
from metaalign.data.recipe import Recipe
from metaalign.data.sources.place import Place
from metaalign.data.sources.records import Skipped
from metaalign.data.teacher.dry import Estimate, Planned, estimate
from metaalign.data.teacher.requests import Outcome, Request
from metaalign.data.teacher.settings import Settings
from metaalign.data.writing.plans import Plan, Planner
from metaalign.data.writing.pools import (
    check_table,
    licence_of,
    read_drawn_queries,
    read_pools,
)
from metaalign.data.writing.prompts import prompts_hash
from metaalign.data.writing.replay import GroupReplay, replaying
from metaalign.data.writing.table import WriteTable, write_tables
from metaalign.data.writing.tasks import Asked
from metaalign.data.writing.work import write_group
from metaalign.policy import PriorityMatrix, load_matrix
from metaalign.schema import Group, MissingExtra, Progress, silent

if TYPE_CHECKING:
    from metaalign.data.teacher.teacher import Teacher

T = TypeVar("T")

_FILES = ("personas", "system_prompts", "preferences")
"""Keys of the table that name a place, besides that of the queries."""


class PlanWriter:
    """Has a teacher write groups by one ``[[write]]``: ``data.inputs.Writer``."""

    def __init__(
        self,
        table: WriteTable,
        settings: Settings,
        matrix: PriorityMatrix,
        files: Path = Path(),
        progress: Progress = silent,
    ) -> None:
        check_table(table)
        self.name = table.name
        self.licence = licence_of(table)
        self._table = table
        self._settings = settings
        self._matrix = matrix
        self._progress = progress
        self._place = Place.parse(table.place, files)
        named = {key: getattr(table, key) for key in _FILES}
        self._places = {key: Place.parse(text, files) for key, text in named.items() if text}
        self._counts: Counter[str] = Counter()

    @property
    def content_hash(self) -> str:
        """Changes whenever what the teacher is asked does."""
        decides = (
            self._table,
            self._settings.model,
            self._matrix.content_hash,
            prompts_hash(),
            _wordings_hash(),
            self._place.identity(),
            sorted((key, place.identity()) for key, place in self._places.items()),
        )
        return sha256(msgspec.json.encode(decides)).hexdigest()

    def plans(self, *, seed: int, skipped: Skipped) -> Iterator[Plan]:
        """The groups that are to be written, in the order of the queries."""
        pools = read_pools(self._table, self._matrix, self._places, seed)
        planner = Planner(self._table, pools, self._matrix, seed)
        for query in read_drawn_queries(self._table, self._place, seed, skipped):
            plan = planner.plan(query)
            if isinstance(plan, str):
                skipped[plan] += 1
            else:
                yield plan

    def write(self, *, seed: int, skipped: Skipped) -> Iterator[Group]:
        """The groups, in the order of the queries, whatever the order of the replies.

        Raises ``UserError`` where the budget is spent or the server cannot be asked; what was
        paid for is in the journal, and the next call goes on from there.
        """
        self._counts.clear()
        with open_teacher(self._settings, self._progress) as teacher:

            async def ask(asked: Asked[T]) -> Outcome[T]:
                return await teacher.call(asked.request, asked.check)

            work = partial(write_group, table=self._table, ask=ask, model=self._settings.model)
            plans = self.plans(seed=seed, skipped=skipped)
            for written in teacher.each(plans, work):
                self._counts += written.counts
                if written.group is not None:
                    yield written.group
                else:
                    skipped[written.reason] += 1

    def costs(self) -> Mapping[str, int]:
        """Replies by task and status, and what became of candidates, of the last ``write``.

        What the journal had counts too, so that a build that was killed counts the same.
        """
        return dict(sorted(self._counts.items()))

    def requests(self, *, seed: int) -> Iterator[Request | Planned]:
        """All that ``write`` would ask; as far as the journal reaches, what it asks next."""
        loop = asyncio.new_event_loop()
        try:
            with replaying(self._settings) as replay:
                for plan in self.plans(seed=seed, skipped=Skipped()):
                    ask = GroupReplay(replay)
                    work = write_group(plan, self._table, ask, self._settings.model)
                    loop.run_until_complete(work)
                    yield from ask.asked
        finally:
            loop.close()


def open_teacher(settings: Settings, progress: Progress) -> "Teacher":
    """The teacher; ``MissingExtra`` where what talks to a server is not installed."""
    try:
        # Here, because it takes a while, and a dry run does without.
        from metaalign.data.teacher.teacher import Teacher
    except ImportError as error:
        raise MissingExtra("curate", error.name or "openai") from error
    return Teacher(settings, progress=progress)


def open_writers(
    recipe: Recipe, files: Path = Path(), progress: Progress = silent
) -> list[PlanWriter]:
    """A writer for each ``[[write]]`` of ``recipe``; ``UserError`` for what is wrong with one.

    ``files`` is the folder in which the places lie.
    """
    if recipe.teacher is None:
        return []
    matrix = load_matrix(recipe.matrix)
    tables = write_tables(recipe.write)
    return [PlanWriter(table, recipe.teacher, matrix, files, progress) for table in tables]


def estimate_writing(recipe: Recipe, files: Path = Path()) -> Estimate | None:
    """What ``recipe`` would cost that is not in the journal yet; None if it has no ``[[write]]``.

    Nothing is sent. Answers that are not there are taken to be as long as they can be, and every
    critique to find something: it will not be more, but for repairs.
    """
    if recipe.teacher is None:
        return None
    writers = open_writers(recipe, files)
    asked = (one for writer in writers for one in writer.requests(seed=recipe.seed))
    return estimate(asked, recipe.teacher)


def _wordings_hash() -> str:
    from importlib.resources import files

    source = files("metaalign.data.families") / WORDINGS
    return sha256(source.read_bytes()).hexdigest()
