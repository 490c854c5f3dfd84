"""What is to be written for a query: Meta-Prompts that want different answers, and the answers.

Everything is drawn by hash from the seed, the plan's name and the query. What a Meta-Prompt comes
to is asked of the Priority Matrix; one that comes to something else than it is for is drawn again.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from msgspec import Struct

from metaalign.data.draw import digest, pick, unit
from metaalign.data.sources.queries import Query
from metaalign.data.writing.aims import Aim, Aims, Draw
from metaalign.data.writing.brief import BACKGROUND, Target, Wish
from metaalign.data.writing.pools import Pools
from metaalign.data.writing.table import WriteTable
from metaalign.data.writing.views import Sentence, Settled, as_read, person, settled
from metaalign.policy import PriorityMatrix
from metaalign.schema import SYSTEM_INFO, USER_INFO

ONE_WAY = "the Matrix answers the query in one way, whoever says what"
NO_FLIP = "no two Meta-Prompts were found that want different answers"

_TRIES = 12
"""Draws for one view before it is given up."""
_ROLE = 0.3
"""Share of groups whose provider has a role, in all views."""
_ASIDE = 0.2
"""Share of views in which the person says something that has no bearing."""


class Draft(Struct, frozen=True):
    """A candidate that is to be written."""

    target: Target
    view: int
    """The view whose Meta-Prompt is shown to whoever writes it."""
    broken: Wish | None = None
    """A wish of that view which the candidate is to ignore."""


class Plan(NamedTuple):
    """One group before it is written."""

    id: str
    query: Query
    views: tuple[Settled, ...]
    drafts: tuple[Draft, ...]
    """One for every target of the views, in the order of the views, and perhaps a near miss."""

    @property
    def flips(self) -> bool:
        """Whether two views want what excludes each other; else they all want the same."""
        wanted = {view.target for view in self.views}
        return any(not one.meets(other) for one in wanted for other in wanted)

    def own(self, view: int) -> int:
        """The draft that is written for what ``view`` wants."""
        return [draft.target for draft in self.drafts].index(self.views[view].target)


class Planner:
    """Plans groups by ``table``, from ``pools``."""

    def __init__(self, table: WriteTable, pools: Pools, matrix: PriorityMatrix, seed: int) -> None:
        self._table = table
        self._pools = pools
        self._matrix = matrix
        self._seed = seed
        self._aims = Aims(table, pools, matrix)

    def plan(self, query: Query) -> Plan | str:
        """The group that is to be written for ``query``, or why there is none."""
        draw = (self._seed, self._table.name, query.id)
        role = self._role(draw)
        views: dict[object, Settled] = {}
        for aim in self._aims.of(query, draw):
            for number in range(self._often(draw)):
                found = self._view(aim, role, query, (*draw, aim.name, number))
                if found is not None:
                    views.setdefault(found.meta_prompt, found)
        drawn = sorted(views.values(), key=lambda v: digest(*draw, "views", v.meta_prompt))
        return self._with_drafts(query, drawn, draw)

    def _with_drafts(self, query: Query, views: Sequence[Settled], draw: Draw) -> Plan | str:
        targets = list(dict.fromkeys(view.target for view in views))
        drafts = [
            Draft(target, next(i for i, view in enumerate(views) if view.target == target))
            for target in targets
        ]
        if not any(not one.meets(other) for one in targets for other in targets):
            declines = self._declining(targets, draw)
            if declines is None:
                return ONE_WAY if len(targets) == 1 else NO_FLIP
            drafts.append(declines)
        elif unit(*draw, "near miss") < self._table.near_miss:
            drafts += _near_miss(drafts, views, draw)
        order = tuple(sorted(drafts, key=lambda d: digest(*draw, "drafts", d)))
        whole = (self._seed, self._matrix.content_hash, query, views, order)
        name = digest(msgspec.json.encode(whole))
        return Plan(f"{self._table.name}:{name}", query, tuple(views), order)

    def _declining(self, targets: Sequence[Target], draw: Draw) -> Draft | None:
        """Of a query that is answered whoever says what: the refusal that nobody wants."""
        if self._table.family != "priority" or len(targets) != 1:
            return None
        return Draft(Target("refuse"), 0) if targets[0].behaviour == "answer" else None

    def _often(self, draw: Draw) -> int:
        """How many Meta-Prompts are to want the same: for all targets of a group as many."""
        return 1 + int(unit(*draw, "how often") * self._table.views)

    def _role(self, draw: Draw) -> tuple[Sentence, ...]:
        if unit(*draw, "has role") >= _ROLE:
            return ()
        return (as_read(SYSTEM_INFO, pick(self._pools.roles, *draw, "role")),)

    def _view(
        self, aim: Aim, role: tuple[Sentence, ...], query: Query, draw: Draw
    ) -> Settled | None:
        """A Meta-Prompt that comes to what ``aim`` is for."""
        for attempt in range(_TRIES):
            name = (*draw, attempt)
            said = aim.say(name)
            if said is None:
                continue
            aside = () if aim.personal else self._aside(query, name)
            found = settled([*role, *said, *aside], query.kind, self._matrix, *name)
            if found is not None and aim.is_met(found.target):
                return found
        return None

    def _aside(self, query: Query, draw: Draw) -> tuple[Sentence, ...]:
        # Of contested queries the answer turns on what the person says of themselves.
        if query.kind == "contested" or unit(*draw, "aside") >= _ASIDE:
            return ()
        if self._pools.persons:
            return (person(pick(self._pools.persons, *draw, "which aside").text),)
        return (as_read(USER_INFO, pick(self._pools.asides, *draw, "which aside")),)


def _near_miss(drafts: Sequence[Draft], views: Sequence[Settled], draw: Draw) -> list[Draft]:
    """One more candidate for the Meta-Prompt of one of ``drafts``, which ignores one wish."""
    wishes = [
        (draft, one) for draft in drafts for one in draft.target.wishes if one[0] != BACKGROUND
    ]
    if not wishes:
        return []
    draft, broken = pick(wishes, *draw, "broken")
    target = draft.target.without(broken)
    if target in {one.target for one in drafts}:
        return []  # it is written anyway
    return [Draft(target, draft.view, broken)]
