"""Splits that keep groups whole, and the check that they did.

Groups that share a key - a query, and whatever else is held out - go to the same split. Where that
ties so much together that no split could hold it, as with preferences that half of all groups ask
for, values are held out instead: some are kept for the test, and what asks for them leaves the
training. docs/data.md says which is when.
"""

from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from msgspec import Struct

from metaalign.data.building.keys import KEYS, Edges, edges_of, key_hash, keys_of, talk
from metaalign.data.draw import unit
from metaalign.data.recipe import LAYOUTS, TRAINING
from metaalign.policy import load_matrix
from metaalign.schema import Group, UserError

FRACTIONS: Mapping[str, float] = LAYOUTS["two-stage"]
"""Two halves to train on and what is held out."""

ALWAYS_WHOLE = ("group", "query")
"""What ties groups together however many they become."""
DROPPED = ""
"""Stands for a split where no split can take a group."""
_TOLERANCE = 0.1
"""How far beyond its share the test may grow for the sake of a value, relatively."""


class HeldOut(Struct, frozen=True):
    """Values that are kept for the test, where they could not be held out with all they touch."""

    by: str
    values: frozenset[int]
    """``key_hash`` of each."""
    groups: int
    """Groups that have one of them, before any was left out."""


class Assignment(Struct, frozen=True):
    """Where every group goes."""

    splits: list[str]
    """By the group's number; ``DROPPED`` where it is left out."""
    whole: tuple[str, ...]
    """What was held out with all that it touches: no key of it stands in two splits."""
    held_out: tuple[HeldOut, ...] = ()
    notes: tuple[str, ...] = ()
    """What came of it, in words for people."""

    @property
    def dropped(self) -> int:
        return self.splits.count(DROPPED)

    @property
    def reason(self) -> str:
        """Why groups are left out."""
        what = " or ".join(one.by for one in self.held_out)
        return f"split: holds a {what} that is kept for the test, and a query of the training"


class _Sets:
    """Groups in disjoint sets that are joined pair by pair; the smallest number leads a set."""

    def __init__(self, parents: Iterable[int]) -> None:
        self._parents = array("q", parents)

    def lead(self, group: int) -> int:
        parents = self._parents
        while (above := parents[group]) != group:
            parents[group] = group = parents[above]
        return group

    def join(self, one: int, other: int) -> None:
        one, other = self.lead(one), self.lead(other)
        if one != other:
            self._parents[max(one, other)] = min(one, other)

    def joined_by(self, edges: Edges) -> "_Sets":
        """These sets, and the groups of every key in one."""
        joined = _Sets(self._parents)
        for _, start, end in edges.runs():
            for at in range(start + 1, end):
                joined.join(edges.groups[start], edges.groups[at])
        return joined

    def sizes(self) -> "array[int]":
        """Groups of each set, at the number that leads it; 0 elsewhere."""
        sizes = array("q", bytes(8 * len(self._parents)))
        for group in range(len(sizes)):
            sizes[self.lead(group)] += 1
        return sizes


def assign(
    count: int,
    edges: Mapping[str, Edges],
    shares: Mapping[str, float],
    seed: int = 0,
    links: Iterable[tuple[int, int]] = (),
) -> Assignment:
    """Where each of ``count`` groups goes.

    Args:
        count: groups; they are numbered from 0.
        edges: the keys of the groups by what is to be held out.
        shares: share of every split; they sum to 1.
        links: pairs of hashes of queries that count as one.

    A set of groups that belong together is drawn by hash of its smallest key and ``seed``: where it
    goes does not depend on what else is there, and the sizes meet ``shares`` as a random draw does.
    """
    sets = _Sets(range(count))
    whole = [one for one in edges if one in ALWAYS_WHOLE]
    for one in whole:
        sets = sets.joined_by(edges[one])
    _join_links(sets, edges, links)
    apart, notes = [], []
    room = count * min((share for share in shares.values() if share > 0), default=0.0)
    for one in (one for one in edges if one not in ALWAYS_WHOLE):
        joined = sets.joined_by(edges[one])
        largest = max(joined.sizes(), default=0)
        if largest <= room:
            sets = joined
            whole.append(one)
        else:
            apart.append(one)
            notes.append(
                f"{largest:,} of {count:,} groups hang together by {one}, more than the smallest "
                f"split holds: values of {one} are held out instead"
            )
    names = _names(sets, count, [edges[one] for one in whole])
    if not apart:
        return Assignment(_drawn(sets, names, count, shares, seed), tuple(whole))
    return _with_values_held_out(sets, names, count, edges, shares, seed, whole, apart, notes)


def _join_links(sets: _Sets, edges: Mapping[str, Edges], links: Iterable[tuple[int, int]]) -> None:
    for one, other in links:
        found = edges["query"].first(one), edges["query"].first(other)
        if None not in found:
            sets.join(*found)  # type: ignore[arg-type]  # neither is None


def _names(sets: _Sets, count: int, edges: Sequence[Edges]) -> "array[int]":
    """The smallest key of every set, at the number that leads it."""
    none = 2**64 - 1
    names = array("Q", [none]) * count
    for one in edges:
        for key, start, _ in one.runs():
            lead = sets.lead(one.groups[start])
            names[lead] = min(names[lead], key)
    for group in range(count):
        if names[group] == none:
            names[group] = group
    return names


def _drawn(
    sets: _Sets, names: "array[int]", count: int, shares: Mapping[str, float], seed: int
) -> list[str]:
    splits: list[str] = []
    for group in range(count):
        lead = sets.lead(group)  # never after the group itself
        splits.append(_draw(shares, seed, names[group]) if lead == group else splits[lead])
    return splits


def _draw(shares: Mapping[str, float], seed: int, name: int) -> str:
    point = unit("split", seed, name) * sum(shares.values())
    names = [split for split, share in shares.items() if share > 0]
    ends = accumulate(shares[split] for split in names)
    # The last one catches what rounding leaves over.
    return next((s for s, end in zip(names, ends, strict=True) if point < end), names[-1])


def _with_values_held_out(
    sets: _Sets,
    names: "array[int]",
    count: int,
    edges: Mapping[str, Edges],
    shares: Mapping[str, float],
    seed: int,
    whole: Sequence[str],
    apart: Sequence[str],
    notes: Sequence[str],
) -> Assignment:
    """Sets that have most of the held-out values are the test; training groups with any leave."""
    test = {split: share for split, share in shares.items() if split not in TRAINING}
    training = {split: share for split, share in shares.items() if split in TRAINING}
    target = count * sum(test.values())
    touched = bytearray(count)
    held = [_values(one, edges[one], target / len(apart), touched, seed) for one in apart]
    chosen = _test_sets(sets, names, touched, target, seed)
    splits: list[str] = []
    for group in range(count):
        lead = sets.lead(group)
        if lead in chosen:
            splits.append(_draw(test, seed, names[lead]))
        elif touched[group] or not any(training.values()):
            splits.append(DROPPED)
        else:
            splits.append(_draw(training, seed, names[lead]))
    found = Assignment(splits, tuple(whole), tuple(held))
    said = [
        f"{len(one.values):,} values of {one.by} are kept for the test, in {one.groups:,} groups"
        for one in held
    ]
    left = f"{found.dropped:,} groups are left out: they would show a held-out value in training"
    return Assignment(splits, tuple(whole), tuple(held), (*notes, *said, left))


def _values(by: str, edges: Edges, target: float, touched: bytearray, seed: int) -> HeldOut:
    """Values, in an order drawn by hash, until ``target`` groups have one; marked in ``touched``.

    A value that too many groups have, such as a priority, is passed over: it stays in the training.
    """
    runs = list(edges.runs())
    runs.sort(key=lambda run: unit("hold out", seed, by, run[0]))
    values: set[int] = set()
    total = 0
    for key, start, end in runs:
        if total >= target:
            break
        new = [group for group in edges.groups[start:end] if not touched[group]]
        if total + len(new) <= target * (1 + _TOLERANCE):
            values.add(key)
            total += len(new)
            for group in new:
                touched[group] = 1
    having = {g for key, s, e in runs if key in values for g in edges.groups[s:e]}
    return HeldOut(by, frozenset(values), len(having))


def _test_sets(
    sets: _Sets, names: "array[int]", touched: bytearray, target: float, seed: int
) -> Collection[int]:
    """Leads of the sets that become the test: those that the fewest groups must leave for it."""
    sizes = sets.sizes()
    held = array("q", bytes(8 * len(sizes)))
    for group, one in enumerate(touched):
        held[sets.lead(group)] += one
    leads = [lead for lead, size in enumerate(sizes) if size]
    leads.sort(key=lambda lead: (-held[lead] / sizes[lead], unit("test", seed, names[lead])))
    chosen: set[int] = set()
    total = 0
    for lead in leads:
        if total >= target:
            break
        if total + sizes[lead] <= target * (1 + _TOLERANCE):
            chosen.add(lead)
            total += sizes[lead]
    return chosen


def check_assignment(
    assignment: Assignment, edges: Mapping[str, Edges], links: Iterable[tuple[int, int]] = ()
) -> None:
    """Prove from the keys alone that nothing crosses; ``ValueError`` says what does."""
    splits = assignment.splits
    for one in assignment.whole:
        for key, start, end in edges[one].runs():
            found = {splits[group] for group in edges[one].groups[start:end]} - {DROPPED}
            if len(found) > 1:
                raise ValueError(f"the {one} {key:x} stands in {' and '.join(sorted(found))}")
    for held in assignment.held_out:
        for key, start, end in edges[held.by].runs():
            found = {splits[group] for group in edges[held.by].groups[start:end]} & TRAINING
            if key in held.values and found:
                raise ValueError(f"the {held.by} {key:x} is held out and stands in the training")
    for pair in links:
        found = {split for key in pair for split in _splits_of(key, edges["query"], splits)}
        if len(found - {DROPPED}) > 1:
            raise ValueError(f"queries that are nearly the same stand in {sorted(found)}")


def _splits_of(key: int, edges: Edges, splits: Sequence[str]) -> Iterator[str]:
    start = edges.first_edge(key)
    while start < len(edges) and edges.keys[start] == key:
        yield splits[edges.groups[start]]
        start += 1


def split_groups(
    groups: Iterable[Group],
    fractions: Mapping[str, float] = FRACTIONS,
    seed: int = 0,
    by: str | Sequence[str] = "query",
    *,
    near: float = 0.0,
    matrix: str = "default",
) -> dict[str, list[Group]]:
    """``groups`` by split, each in the order in which it came, for as many as memory holds.

    ``by`` names what is held out, keys of ``KEYS``; queries that are as alike as ``near`` count as
    one, as in a recipe. See ``assign`` for the rest. Raises ``UserError`` for fractions that are
    negative or do not sum to 1, and for an unknown ``by``.
    """
    by = _known((by,) if isinstance(by, str) else by)
    if min(fractions.values(), default=-1.0) < 0 or abs(sum(fractions.values()) - 1) > 1e-6:
        raise UserError(f"fractions must be at least 0 and sum to 1, not {dict(fractions)}")
    groups, policy = list(groups), load_matrix(matrix)
    keys = [keys_of(group, by, policy) for group in groups]
    edges = {one: edges_of(own[one] for own in keys) for one in by}
    links = _near_links(groups, near) if near else []
    found = assign(len(groups), edges, fractions, seed, links)
    check_assignment(found, edges, links)
    splits: dict[str, list[Group]] = {name: [] for name in fractions}
    for group, split in zip(groups, found.splits, strict=True):
        if split != DROPPED:
            splits[split].append(group)
    return splits


def _near_links(groups: Iterable[Group], near: float) -> list[tuple[int, int]]:
    from metaalign.data.filters.near import near_links

    names = {key_hash(KEYS["query"](group, load_matrix())[-1]): group for group in groups}
    return list(near_links(((name, talk(group)) for name, group in names.items()), near))


def _known(by: Sequence[str]) -> tuple[str, ...]:
    for one in by:
        if one not in KEYS:
            raise UserError(f"cannot hold out by {one!r}: choose among {', '.join(KEYS)}")
    return tuple(by)


def check_splits(
    splits: Mapping[str, Iterable[Group]],
    by: str | Sequence[str] = "query",
    *,
    held_out: Mapping[str, Collection[str]] | None = None,
    matrix: str = "default",
) -> None:
    """Raise ``ValueError`` if a group, or what ``by`` holds out, stands in more than one split.

    ``held_out`` has the values that are kept for the test, for what is held out by values: then no
    split of the training may hold them, and all others are free.
    """
    held = {one: set(map(key_hash, values)) for one, values in (held_out or {}).items()}
    by = tuple(dict.fromkeys(("group", *_known((by,) if isinstance(by, str) else by))))
    policy = load_matrix(matrix)
    homes: dict[str, dict[int, str]] = {one: {} for one in by}
    for name, groups in splits.items():
        for group in groups:
            for one, keys in keys_of(group, by, policy).items():
                for key in map(key_hash, keys):
                    if one in held:
                        home = "the test" if key in held[one] and name in TRAINING else name
                    else:
                        home = homes[one].setdefault(key, name)
                    if home != name:
                        raise ValueError(
                            f"the {one} of {group.id} stands in the splits {home} and {name}: "
                            "nothing that is held out may cross"
                        )
