"""What a split can hold out of a group: its query, its preferences, its personas, its cells."""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

from msgspec import Struct

from metaalign.data.draw import digest
from metaalign.data.samples import normalised
from metaalign.data.tables import pa, pc
from metaalign.policy import PriorityMatrix, load_matrix, resolve
from metaalign.policy.matrix import PRIORITY
from metaalign.schema import Group, Preference

_PERSONA = frozenset({"persona", "background"})
"""Dimensions that say who somebody is, also where they say so outright."""
_DECIDING = frozenset({PRIORITY, "background"})
"""Dimensions that decide the cell of a resolution."""


def _query(group: Group, _matrix: PriorityMatrix) -> tuple[str, ...]:
    """Both names of a query: the source's own, and what is asked, word for word."""
    talk = digest(*(f"{t.role}: {' '.join(t.text.casefold().split())}" for t in group.turns))
    return (f"{group.source}: {group.query_id}", talk) if group.query_id else (talk,)


def _preference(group: Group, _matrix: PriorityMatrix) -> tuple[str, ...]:
    return tuple(f"{p.dimension} = {p.value}" for view in group.views for p in view.preferences)


def _wording(group: Group, _matrix: PriorityMatrix) -> tuple[str, ...]:
    wordings = (normalised(p.wording) for view in group.views for p in view.preferences)
    return tuple(wording for wording in wordings if wording)


def _is_persona(preference: Preference) -> bool:
    return not preference.explicit or preference.dimension in _PERSONA


def _persona(group: Group, _matrix: PriorityMatrix) -> tuple[str, ...]:
    """Who the people of the views are: in the words that say so, else by the value."""
    found = [p for view in group.views for p in view.preferences if _is_persona(p)]
    return tuple(normalised(p.wording) or f"{p.dimension} = {p.value}" for p in found)


def _cell(group: Group, matrix: PriorityMatrix) -> tuple[str, ...]:
    """The cell of the Priority Matrix that decides each view."""
    return tuple(_cell_of(view.preferences, group, matrix) for view in group.views)


def _cell_of(preferences: Iterable[Preference], group: Group, matrix: PriorityMatrix) -> str:
    """Only what the matrix knows of is asked: sources have dimensions of their own."""
    if group.kind not in matrix.tables:
        return f"{group.kind}, which the matrix has no table for"
    deciding = [
        p
        for p in preferences
        if p.dimension in _DECIDING
        and p.tier in matrix.tiers
        and (p.dimension != PRIORITY or p.value in matrix.priorities)
    ]
    return resolve(deciding, group.kind, matrix).cell


def _group(group: Group, _matrix: PriorityMatrix) -> tuple[str, ...]:
    return (group.id,)


KEYS: Mapping[str, Callable[[Group, PriorityMatrix], tuple[str, ...]]] = {
    "query": _query,
    "preference": _preference,
    "wording": _wording,
    "persona": _persona,
    "cell": _cell,
    "group": _group,
}
"""What can be held out, and the keys of it that a group has, as texts."""


def keys_of(group: Group, by: Iterable[str], matrix: PriorityMatrix) -> dict[str, list[str]]:
    """The keys of ``group`` by what is held out, each key once, in order."""
    return {one: list(dict.fromkeys(KEYS[one](group, matrix))) for one in by if one in KEYS}


def key_hash(key: str) -> int:
    """Sixty-four bits that stand for a key wherever there are many."""
    return int(digest("key", key), 16)


class Edges:
    """Which groups have which keys, sorted by key and then by group.

    16 bytes for every key of a group, whatever the key's text.
    """

    def __init__(self, keys: "array[int]", groups: "array[int]") -> None:
        table = pa.table(
            {
                "key": pa.Array.from_buffers(pa.uint64(), len(keys), [None, pa.py_buffer(keys)]),
                "group": pa.Array.from_buffers(pa.int64(), len(keys), [None, pa.py_buffer(groups)]),
            }
        )
        order = pc.sort_indices(table, sort_keys=[("key", "ascending"), ("group", "ascending")])
        table = table.take(order).combine_chunks()
        self.keys = values(table.column("key"), "Q")
        self.groups = values(table.column("group"), "q")

    def __len__(self) -> int:
        return len(self.keys)

    def first_edge(self, key: int) -> int:
        """Number of the first edge whose key is not smaller."""
        return bisect_left(self.keys, key)

    def first(self, key: int) -> int | None:
        """The first group that has ``key``."""
        at = self.first_edge(key)
        return self.groups[at] if at < len(self) and self.keys[at] == key else None

    def runs(self) -> Iterable[tuple[int, int, int]]:
        """(key, start, end) for every distinct key: ``groups[start:end]`` have it."""
        start = 0
        for at in range(1, len(self.keys) + 1):
            if at == len(self.keys) or self.keys[at] != self.keys[start]:
                yield self.keys[start], start, at
                start = at


class KeySettings(Struct, frozen=True):
    """Which keys of the groups are written down for a split."""

    by: tuple[str, ...]
    """Keys of ``KEYS``."""
    matrix: str = "default"
    talks: bool = False
    """Whether the talk is needed, to find queries that are nearly the same."""


def key_columns(settings: KeySettings) -> Any:
    """The columns of ``key_table``: for each key of ``by`` its hashes, and its texts."""
    columns = {"order": pa.uint64(), "id": pa.uint64(), "split": pa.string()}
    for one in settings.by:
        columns |= {one: pa.list_(pa.uint64()), f"{one}.text": pa.list_(pa.string())}
    if settings.talks:
        columns |= {"talk": pa.string()}
    return pa.schema(columns)


def key_table(groups: Sequence[Group], orders: Sequence[int], settings: KeySettings) -> Any:
    """One row for every group: its place in the order, its id's hash, its own split, its keys."""
    matrix = _matrix(settings.matrix)
    keys = [keys_of(group, settings.by, matrix) for group in groups]
    columns: dict[str, Sequence[object]] = {
        "order": orders,
        "id": [key_hash(group.id) for group in groups],
        "split": [group.split for group in groups],
        "talk": [talk(group) for group in groups] if settings.talks else [],
    }
    for one in settings.by:
        columns[one] = [[key_hash(key) for key in own[one]] for own in keys]
        columns[f"{one}.text"] = [own[one] for own in keys]
    schema = key_columns(settings)
    arrays = [pa.array(columns[field.name], field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def talk(group: Group) -> str:
    """All that was said, to tell which queries are nearly the same."""
    return "\n".join(turn.text for turn in group.turns)


@lru_cache(maxsize=4)
def _matrix(name: str) -> PriorityMatrix:
    return load_matrix(name)


def edges_of(keys: Iterable[Sequence[str]]) -> Edges:
    """The edges of groups that are at hand: their keys as texts, one sequence a group."""
    hashes, groups = array("Q"), array("q")
    for number, own in enumerate(keys):
        hashes.extend(map(key_hash, own))
        groups.extend([number] * len(own))
    return Edges(hashes, groups)


def values(column: Any, code: Literal["q", "Q"]) -> "memoryview[int]":
    """The values of an Arrow array of 64-bit numbers, without copying them."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if not len(column):
        return memoryview(array(code))
    data: memoryview[int] = memoryview(column.buffers()[1]).cast("B").cast(code)
    return data[column.offset : column.offset + len(column)]
