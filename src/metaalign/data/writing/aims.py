"""What the Meta-Prompts of a group are for, by family.

What is wanted, in which words and in which tier is drawn by hash, each on its own.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from typing import NamedTuple

from metaalign.data.draw import digest, pick, unit
from metaalign.data.families.framing import TIERS, cells
from metaalign.data.families.framing import priorities as wishes_of
from metaalign.data.families.wordings import wordings
from metaalign.data.sources.queries import Query, Text
from metaalign.data.writing.brief import BACKGROUND, Target, Wish
from metaalign.data.writing.pools import Found, Pools
from metaalign.data.writing.table import WriteTable
from metaalign.data.writing.views import Sentence, first_of_all, other_wish, person, wish
from metaalign.policy import PriorityMatrix
from metaalign.schema import Behaviour

_TRIES = 12
"""Draws for every person who is to be another one than those before."""
_AGAINST = 0.35
"""Share of wishes against which the other tier asks for another value."""
_OTHER = 0.5
"""Share of the helpful groups that turn on wishes beyond the Matrix, where such are known."""
_SECOND = 0.5
"""Share of the helpful groups with a second dimension."""
_MOST_OTHER = 4
_TELLS = 0.8
"""Share of the groups in which the person of a common opinion tells of themselves."""
_SILENT = 0.6
"""Share of the views of an opinion in which no tier says what comes first."""

Draw = tuple[object, ...]
"""The name under which something is drawn."""
_Cell = tuple[str, str]


class _Wanted(NamedTuple):
    dimension: str
    value: str
    found: Found | None


class Aim(NamedTuple):
    """What some views of a group are for."""

    name: str
    say: Callable[[Draw], tuple[Sentence, ...] | None]
    wishes: tuple[Wish, ...]
    behaviour: Behaviour | None = None
    """None: whatever the Matrix says."""
    personal: bool = False
    """The person tells of themselves already."""

    def is_met(self, target: Target) -> bool:
        same = self.behaviour is None or target.behaviour == self.behaviour
        return same and set(self.wishes) <= set(target.wishes)


class Aims:
    """The aims of the family of ``table``, from ``pools``."""

    def __init__(self, table: WriteTable, pools: Pools, matrix: PriorityMatrix) -> None:
        self._table = table
        self._pools = pools
        self._matrix = matrix
        self._families: Mapping[str, Callable[[Query, Draw], Iterator[Aim]]] = {
            "helpful": self._helpful,
            "priority": self._priority,
            "consensus": self._consensus,
            "opinion": self._opinion,
        }

    def of(self, query: Query, draw: Draw) -> Iterator[Aim]:
        """What the views of the group of ``query`` are for; ``draw`` names the group."""
        return self._families[self._table.family](query, draw)

    def _helpful(self, query: Query, draw: Draw) -> Iterator[Aim]:
        """Different values of one dimension, and perhaps of a second."""
        for number, wanted in enumerate(self._combinations(draw)):
            pairs = tuple((one.dimension, one.value) for one in wanted)
            yield Aim(f"wishes {number}", partial(self._say_wishes, wanted), pairs)

    def _combinations(self, draw: Draw) -> list[tuple[_Wanted, ...]]:
        said, first = self._pools.said, list[_Wanted]()
        others = sorted(said.values, key=lambda name: digest(*draw, "dimension", name))
        if len(said.other) > 1 and unit(*draw, "other") < _OTHER:
            places = (int(unit(*draw, "other", i) * len(said.other)) for i in range(_MOST_OTHER))
            some = [said.other[place] for place in dict.fromkeys(places)]
            first = [_Wanted(one.dimension, one.value, one) for one in some]
        if len(first) < 2:
            first = self._values(others.pop(0), draw)
        rows = [first]
        if others and unit(*draw, "second") < _SECOND:
            rows.append(self._values(others[0], draw))
        every = sorted(product(*rows), key=lambda one: digest(*draw, "combination", *one))
        # Each value of the first dimension once before any comes twice: the first two make a flip.
        seen: dict[str, int] = {}
        turns = []
        for one in every:
            turn = seen[one[0].value] = seen.get(one[0].value, -1) + 1
            turns.append((turn, one))
        return [one for _, one in sorted(turns, key=lambda t: t[0])][: self._table.answers]

    def _values(self, dimension: str, draw: Draw) -> list[_Wanted]:
        return [_Wanted(dimension, value, None) for value in self._pools.said.values[dimension]]

    def _say_wishes(self, wanted: Sequence[_Wanted], draw: Draw) -> tuple[Sentence, ...] | None:
        found: list[Sentence | None] = []
        for one in wanted:
            name = (*draw, one.dimension)
            tier = pick(TIERS, *name, "tier")
            if one.found is not None:
                found.append(other_wish(tier, one.found))
                continue
            found.append(wish(tier, one.dimension, one.value, self._pools.said, *name))
            if unit(*name, "against") < _AGAINST:
                found.append(self._against(one, tier, name))
        return None if None in found else tuple(one for one in found if one is not None)

    def _against(self, one: _Wanted, tier: str, draw: Draw) -> Sentence | None:
        """The other tier asks for another value: the Matrix says whether ``one`` still holds."""
        values = [v for v in self._pools.said.values[one.dimension] if v != one.value]
        other = next(other for other in TIERS if other != tier)
        value = pick(values, *draw, "against which")
        return wish(other, one.dimension, value, self._pools.said, *draw, "against")

    def _priority(self, query: Query, draw: Draw) -> Iterator[Aim]:
        """Every way in which the Matrix can have such a query answered."""
        for behaviour, options in cells(query.kind, self._matrix, False).items():
            yield self._aim(behaviour, options, behaviour, None)

    def _consensus(self, query: Query, draw: Draw) -> Iterator[Aim]:
        """What most people think, and what one or more persons think."""
        every = cells(query.kind, self._matrix, True)
        anybody = self._persons(draw, "anybody", 1)[0]
        tells = unit(*draw, "tells") < _TELLS
        if "consensus_view" in every:
            who = anybody if tells else None
            options = cells(query.kind, self._matrix, tells).get("consensus_view", [])
            yield self._aim("consensus_view", options, "consensus", who)
        yield from self._personal(every, draw, self._table.answers - 1)

    def _opinion(self, query: Query, draw: Draw) -> Iterator[Aim]:
        """What people think who differ."""
        every = cells(query.kind, self._matrix, True)
        yield from self._personal(every, draw, self._table.answers)

    def _personal(
        self, every: Mapping[Behaviour, list[_Cell]], draw: Draw, count: int
    ) -> Iterator[Aim]:
        silent = self._table.family == "opinion"
        options = every.get("personal_view", [])
        for number, who in enumerate(self._persons(draw, "persons", count)):
            yield self._aim("personal_view", options, f"person {number}", who, silent=silent)

    def _persons(self, draw: Draw, what: str, count: int) -> list[Text]:
        """So many different people."""
        found: dict[str, Text] = {}
        for attempt in range(_TRIES * count):
            one = pick(self._pools.persons, *draw, what, attempt)
            found.setdefault(one.text, one)
            if len(found) == count:
                break
        return list(found.values())

    def _aim(
        self,
        behaviour: Behaviour,
        options: Sequence[_Cell],
        name: str,
        who: Text | None,
        *,
        silent: bool = False,
    ) -> Aim:
        """Views in which the Matrix comes to ``behaviour``, from one of its cells ``options``."""

        def say(draw: Draw) -> tuple[Sentence, ...] | None:
            if not options:
                return None
            said = () if who is None else (person(who.text),)
            if silent and unit(*draw, "silent") < _SILENT:
                return said
            return (*said, *_priorities(pick(options, *draw, "cell"), draw))

        wanted = ((BACKGROUND, who.text),) if who and behaviour == "personal_view" else ()
        return Aim(name, say, wanted, behaviour, personal=who is not None)


def _priorities(cell: _Cell, draw: Draw) -> Iterator[Sentence]:
    for one in wishes_of(cell):
        options = wordings().of(one.dimension, one.value, one.tier)
        yield first_of_all(one.tier, one.value, options, *draw, one.tier)
