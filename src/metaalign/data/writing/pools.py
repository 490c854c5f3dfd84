"""What plans are drawn from: queries, people, roles, and preferences in words."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, TypeVar

from msgspec import Struct

from metaalign.data.draw import digest
from metaalign.data.families.wordings import Wordings, wordings
from metaalign.data.sources.place import Place
from metaalign.data.sources.queries import (
    QUERIES,
    Query,
    Text,
    read_personas,
    read_queries,
    read_system_prompts,
)
from metaalign.data.sources.records import Skipped, read_records
from metaalign.data.writing.brief import OTHER
from metaalign.data.writing.table import OWN, WriteTable
from metaalign.policy import PriorityMatrix, classify_query
from metaalign.schema import SYSTEM_INFO, USER_INFO, Kind, UserError

MOST_TEXTS = 50_000
"""People, roles and preferences of a file that are held; of more, so many are drawn by hash."""


class Found(Struct, frozen=True):
    """A preference in words for either tier, as ``metaalign data preferences`` writes it."""

    text: str
    """What it is, in a few words."""
    dimension: str
    """Of the Priority Matrix, or ``other``."""
    value: str
    """Of the dimension; the text itself if the dimension is ``other``."""
    system_info: str
    """How a provider asks for it."""
    user_info: str
    """How a person asks for it."""

    def wording(self, tier: str) -> str:
        """How ``tier`` asks for it."""
        return self.system_info if tier == SYSTEM_INFO else self.user_info


T = TypeVar("T", Text, Found)


class _Own(Struct, frozen=True):
    query: str
    kind: Kind | None = None
    id: str = ""


class _Told(Struct, frozen=True):
    text: str = ""


class Said(NamedTuple):
    """Values of the dimensions, and how each tier asks for them."""

    values: Mapping[str, tuple[str, ...]]
    """dimension -> values, at least two each."""
    wordings: Mapping[tuple[str, str, str], tuple[str, ...]]
    """(dimension, value, tier) -> how it is asked for."""
    other: tuple[Found, ...]
    """What no dimension is for, or one in which any words can be asked for."""


class Pools(NamedTuple):
    """All of a plan's texts."""

    said: Said
    persons: tuple[Text, ...]
    """None if the recipe names no file of them."""
    roles: tuple[str, ...]
    asides: tuple[str, ...]
    """What people say of themselves where no file of them is named."""


def read_pools(
    table: WriteTable, matrix: PriorityMatrix, places: Mapping[str, Place], seed: int
) -> Pools:
    """The texts that ``table`` draws from; ``places`` holds its files by the name of the key."""
    texts = wordings()
    found = _held(_found(places.get("preferences")), seed)
    persons = _held(_persons(places.get("personas")), seed)
    roles: tuple[str, ...] = texts.roles
    if "system_prompts" in places:
        read = read_system_prompts(places["system_prompts"])
        roles = tuple(role.text for role in _held(read, seed))
    if table.family in ("consensus", "opinion") and len(persons) < 2:
        raise UserError(f"{places['personas']} holds fewer than two people: {table.name} needs two")
    return Pools(said_in(texts, found, matrix), persons, roles, texts.asides)


def said_in(texts: Wordings, found: Iterable[Found], matrix: PriorityMatrix) -> Said:
    """What can be asked for in the words of the package, and of ``found``."""
    pools: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)
    for dimension, values in texts.values.items():
        known = matrix.dimensions.get(dimension)
        if known is None:
            continue
        for value in values:
            if value in known.values:
                for tier in (SYSTEM_INFO, USER_INFO):
                    pools[dimension, value, tier] += texts.of(dimension, value, tier)
    other = []
    for one in found:
        if one.dimension == OTHER or matrix.value_ranks.get(one.dimension, {}) is None:
            other.append(one)  # of a dimension in which any words can be asked for
        elif one.value in (matrix.value_ranks.get(one.dimension) or ()):
            for tier in (SYSTEM_INFO, USER_INFO):
                pools[one.dimension, one.value, tier].append(one.wording(tier))
    worded = {
        name: tuple(v for v in dimension.values if pools.get((name, v, USER_INFO)))
        for name, dimension in matrix.dimensions.items()
    }
    return Said(
        {name: some for name, some in worded.items() if len(some) > 1},
        {key: tuple(dict.fromkeys(some)) for key, some in pools.items()},
        tuple(other),
    )


def read_drawn_queries(
    table: WriteTable, place: Place, seed: int, skipped: Skipped | None = None
) -> Iterator[Query]:
    """The queries of ``table``: all of them, or the ``limit`` with the smallest draws, in the order
    of the file. It is then read twice, and only the draws are held."""
    most = _most(table, place, seed)
    for query in _queries(table, place, skipped):
        if most is None or _draw(query, table, seed) <= most:
            yield query


def count_queries(table: WriteTable, place: Place) -> int:
    """How many queries there will be."""
    known = sum(1 for _ in _queries(table, place, None))
    return known if table.limit is None else min(known, table.limit)


def check_table(table: WriteTable) -> None:
    """Raise ``UserError`` if the source of queries is not known."""
    if table.queries != OWN and table.queries not in QUERIES:
        raise UserError(
            f"write {table.name}: no source of queries is called {table.queries!r}: "
            f"use {', '.join((OWN, *QUERIES))}"
        )


def licence_of(table: WriteTable) -> str:
    """The licence that holds for what is written."""
    if table.licence:
        return table.licence
    return QUERIES[table.queries].licence if table.queries in QUERIES else "unknown"


def _most(table: WriteTable, place: Place, seed: int) -> str | None:
    """The greatest draw within the limit."""
    if table.limit is None:
        return None
    draws = (_draw(query, table, seed) for query in _queries(table, place, None))
    smallest = heapq.nsmallest(table.limit, draws)
    return smallest[-1] if smallest else None


def _draw(query: Query, table: WriteTable, seed: int) -> str:
    return digest("limit", seed, table.name, query.id)


def _queries(table: WriteTable, place: Place, skipped: Skipped | None) -> Iterator[Query]:
    if table.queries != OWN:
        yield from read_queries(table.queries, place, skipped=skipped)
        return
    skipped = Skipped() if skipped is None else skipped
    seen: set[str] = set()
    for record in read_records(place, _Own):
        text = record.query.strip()
        name = record.id or digest(" ".join(text.casefold().split()))
        if not text:
            skipped["the query is empty"] += 1
        elif name in seen:
            skipped["the same query was there before"] += 1
        else:
            seen.add(name)
            kind = record.kind or classify_query(text)
            yield Query(text, f"{table.name}:{name}", kind, table.family)


def _persons(place: Place | None) -> Iterator[Text]:
    """From a file of our own, or of the public dataset."""
    if place is None:
        return
    first = next(iter(read_records(place, _Told)), None)
    if first is None or not first.text:
        yield from read_personas(place)
        return
    for told in read_records(place, _Told):
        if told.text.strip():
            yield Text(told.text.strip(), digest(told.text))


def _found(place: Place | None) -> Iterator[Found]:
    return iter(()) if place is None else read_records(place, Found)


def _held(items: Iterable[T], seed: int) -> tuple[T, ...]:
    """At most ``MOST_TEXTS`` of ``items``, each text once, in an order drawn by hash."""
    drawn = heapq.nsmallest(MOST_TEXTS, items, key=lambda one: digest("pool", seed, one.text))
    return tuple({one.text: one for one in drawn}.values())
