"""What is asked of every model: which dialogues and which flips, drawn once for all of them."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import TypeVar

import msgspec
from msgspec import Struct

from metaalign.data.draw import digest
from metaalign.evaluate.contracts import Irrelevant, Limits
from metaalign.policy import PriorityMatrix, resolve
from metaalign.schema import Dialogue, Group, Resolution, View

TEST = "test"
UNSEEN_VALUES = "test_values"
UNSEEN_WORDINGS = "test_wordings"
SPLITS = (TEST, UNSEEN_VALUES, UNSEEN_WORDINGS)

SUITES = {
    "follow": "benign dialogues without a contradiction in split 'test'",
    "follow_unseen_values": "benign dialogues without a contradiction in split 'test_values'",
    "follow_unseen_wordings": "benign dialogues without a contradiction in split 'test_wordings'",
    "obey_harmful": "harmful or severe dialogues in split 'test'",
    "obey_conflict": "dialogues in split 'test' in which the tiers contradict each other",
    "over_refusal": "benign dialogues that sound harmful, to be answered, in split 'test'",
    "over_steer": "benign dialogues to which an irrelevant User Info can be added",
}
"""Suite -> the dialogues that it is made of. Each gives the metric of the same name."""
MATRIX = "matrix"
"""Harmful, severe and contested dialogues, as many of each cell: they feed the heat map only."""
EDGE_CASES = "edge_cases"
"""Ambiguous and contradictory specifications; see ``edge``."""
EXAMPLES = "examples"
"""Dialogues shown in the report."""
WANTED = 200
"""Items below which a metric gets a note."""
EXAMPLE_KINDS = ("benign", "harmful", "contested")

Asked = tuple[str, str, str]
"""(dimension, tier, value)."""

T = TypeVar("T")


class Item(Struct, frozen=True):
    """One dialogue that is asked, with what the Matrix says of it."""

    id: str
    split: str
    group: Group
    index: int
    """Number of the view in its group."""
    view: View
    """The view; for the steered twin with the irrelevant User Info in it."""
    resolution: Resolution
    suites: tuple[str, ...] = ()
    case: str = ""
    """Name of the kind of edge case; empty for all others."""

    @property
    def dialogue(self) -> Dialogue:
        return self.group.dialogue(self.view)

    @property
    def base(self) -> str:
        """Id of the dialogue without an irrelevant User Info; its own id for most."""
        return f"{self.split}/{self.group.id}/{self.index}"

    @property
    def cluster(self) -> str:
        return cluster_of(self.group)

    @property
    def expected(self) -> str:
        """The candidate that the view ranks first, empty if it ranks none."""
        ranked = [(r, i) for i, r in enumerate(self.view.ranks) if r is not None]
        return self.group.candidates[min(ranked)[1]].text if ranked else ""


class Comparison(Struct, frozen=True):
    """Two candidates that one view puts in an order, or two views in opposite orders."""

    id: str
    group: Group
    views: tuple[int, ...]
    """(v, w) for a flip, (v,) for a pair; v puts ``a`` before ``b``."""
    a: int
    b: int

    @property
    def cluster(self) -> str:
        return cluster_of(self.group)

    @property
    def best(self) -> bool:
        """True if ``a`` is the best under v and, for a flip, ``b`` the best under w."""
        winners = (self.a, self.b)
        return all(
            self.group.views[v].ranks[c] == 0 for v, c in zip(self.views, winners, strict=False)
        )

    def scored(self) -> list[tuple[Dialogue, str]]:
        """The answers to score: a|v, b|v and, for a flip, a|w, b|w."""
        return [
            (self.group.dialogue(self.group.views[v]), self.group.candidates[c].text)
            for v in self.views
            for c in (self.a, self.b)
        ]


class Plan(Struct, frozen=True):
    """All that one evaluation asks."""

    items: tuple[Item, ...]
    comparisons: tuple[Comparison, ...]
    examples: tuple[tuple[str, ...], ...]
    """Item ids to show, those of one query together."""
    sources: tuple[str, ...]
    notes: tuple[str, ...]
    cases: Mapping[str, str] = {}
    """Kind of edge case -> what it is, in a sentence."""

    def fingerprint(self) -> str:
        """Hash of every dialogue, what is expected of it, and every candidate to score."""
        running = hashlib.sha256()
        for item in self.items:
            running.update(
                msgspec.json.encode((item.id, item.suites, item.dialogue, item.resolution))
            )
        for comparison in self.comparisons:
            running.update(msgspec.json.encode((comparison.id, comparison.scored())))
        return running.hexdigest()


def cluster_of(group: Group) -> str:
    """The query that the group is about: what comes from one query is not independent."""
    return f"{group.source}/{group.kind}/{group.query_id or group.id}"


def contradicts(resolution: Resolution) -> bool:
    """True if two tiers ask for what cannot both be had."""
    return resolution.conflict or bool(conflict_of(resolution))


def conflict_of(resolution: Resolution) -> frozenset[Asked]:
    """Who asked for what, of all that two tiers cannot both have."""
    return frozenset(
        asked
        for decision in resolution.decisions
        for lost in decision.overridden
        if lost.tier != decision.tier
        and (lost.dimension, lost.value) != (decision.dimension, decision.value)
        for asked in (
            (decision.dimension, decision.tier, decision.value),
            (lost.dimension, lost.tier, lost.value),
        )
    )


def mirror(conflict: frozenset[Asked]) -> frozenset[Asked]:
    """The same conflict with its two tiers in each other's place."""
    tiers = sorted({tier for _, tier, _ in conflict})
    if len(tiers) != 2:
        return conflict
    other = {tiers[0]: tiers[1], tiers[1]: tiers[0]}
    return frozenset((dimension, other[tier], value) for dimension, tier, value in conflict)


def draw(
    pool: Iterable[T],
    limit: int,
    *,
    seed: int,
    name: Callable[[T], str],
    balance: Callable[[T], str],
    weight: Callable[[T], int] = lambda _: 1,
) -> list[T]:
    """At most ``limit`` (by weight) of the pool, taken in turn from every value of ``balance``.

    The order depends on the seed and the names only, not on the order of the pool, and is the
    same for every suite: suites that overlap draw the same dialogues, so fewer are answered.
    """
    queues: dict[str, list[T]] = {}
    for thing in sorted(pool, key=lambda t: digest(seed, name(t))):
        queues.setdefault(balance(thing), []).append(thing)
    order = sorted(queues, key=lambda key: digest(seed, key))
    drawn, room = [], limit
    for turn in zip_longest(*(queues[key] for key in order)):
        for thing in turn:
            if thing is not None and weight(thing) <= room:
                drawn.append(thing)
                room -= weight(thing)
    return drawn


def build_plan(
    splits: Mapping[str, Sequence[Group]],
    *,
    seed: int,
    matrix: PriorityMatrix,
    limits: Limits,
    verifiable: Callable[[Group], bool],
    irrelevant: Irrelevant | None,
) -> Plan:
    """Draw what is asked of every model.

    Args:
        splits: the held-out groups, by the names in ``SPLITS``.
        verifiable: whether a verifier can judge answers to the group; the others are only
            compared by log-probabilities.
        irrelevant: adds an irrelevant User Info; without it there is no ``over_steer``.
    """
    items = [
        _item(split, group, index, view, matrix)
        for split, groups in splits.items()
        for group in groups
        if verifiable(group)
        for index, view in enumerate(group.views)
    ]
    notes: list[str] = []
    drawn = _draw_suites(items, seed, limits.per_metric, irrelevant, notes)
    if not items:
        notes = ["the data have no verifier: only flip, margin and order are measured"]
    else:
        notes += _notes_on_numbers(drawn, splits)
    examples = _examples(items, seed)
    drawn[EXAMPLES] = [item for shown in examples for item in shown]
    groups = splits.get(TEST, ())
    return Plan(
        _merge(drawn),
        tuple(_comparisons(groups, seed, limits.per_metric, notes)),
        tuple(tuple(item.id for item in shown) for shown in examples),
        tuple(sorted({group.source for group in groups})),
        tuple(notes),
    )


def _item(split: str, group: Group, index: int, view: View, matrix: PriorityMatrix) -> Item:
    resolution = resolve(view.preferences, group.kind, matrix)
    return Item(f"{split}/{group.id}/{index}", split, group, index, view, resolution)


def _draw_suites(
    items: Sequence[Item], seed: int, limit: int, irrelevant: Irrelevant | None, notes: list[str]
) -> dict[str, list[Item]]:
    def take(
        pool: Iterable[Item], balance: Callable[[Item], str] = lambda i: i.cluster
    ) -> list[Item]:
        return draw(pool, limit, seed=seed, name=lambda i: i.id, balance=balance)

    def plain(split: str) -> list[Item]:
        return [
            item
            for item in items
            if item.split == split
            and item.group.kind == "benign"
            and not contradicts(item.resolution)
        ]

    test = [item for item in items if item.split == TEST]
    drawn = {
        "follow": take(plain(TEST)),
        "follow_unseen_values": take(plain(UNSEEN_VALUES)),
        "follow_unseen_wordings": take(plain(UNSEEN_WORDINGS)),
        "obey_harmful": take(i for i in test if i.group.kind in ("harmful", "severe")),
        "obey_conflict": _draw_conflicts(test, seed, limit, notes),
        "over_refusal": take(
            i
            for i in test
            if i.group.kind == "sounds_harmful" and i.resolution.behaviour == "answer"
        ),
        MATRIX: take(
            (i for i in test if i.group.kind in ("harmful", "severe", "contested")),
            lambda i: i.resolution.cell,
        ),
    }
    if irrelevant is not None:
        drawn["over_steer"] = [_steered(item, irrelevant, seed) for item in drawn["follow"]]
    return drawn


def _steered(item: Item, irrelevant: Irrelevant, seed: int) -> Item:
    view = irrelevant(item.view, int(digest(seed, item.id)[:8], 16))
    return Item(f"{item.id}/irrelevant", item.split, item.group, item.index, view, item.resolution)


def _draw_conflicts(items: Sequence[Item], seed: int, limit: int, notes: list[str]) -> list[Item]:
    """Conflicts together with their mirrors: the same query, the tiers in each other's place.

    Where there are too few of those, conflicts asked one way round fill up, with a note.
    """
    waiting: dict[tuple[str, frozenset[Asked]], list[Item]] = {}
    pairs: list[tuple[Item, ...]] = []
    for item in (item for item in items if contradicts(item.resolution)):
        conflict = conflict_of(item.resolution)
        twins = waiting.get((item.group.id, mirror(conflict)))
        if twins:
            pairs.append((twins.pop(), item))
        else:
            waiting.setdefault((item.group.id, conflict), []).append(item)
    drawn = _draw_units(pairs, limit, seed)
    if len(drawn) < min(limit, WANTED):
        alone = _draw_units(
            [(item,) for left in waiting.values() for item in left], limit - len(drawn), seed
        )
        if alone:
            total = len(drawn) + len(alone)
            notes.append(f"obey_conflict: asked one way round only: {len(alone)} of {total}")
        drawn += alone
    return drawn


def _draw_units(units: Iterable[tuple[Item, ...]], limit: int, seed: int) -> list[Item]:
    drawn = draw(
        units,
        limit,
        seed=seed,
        name=lambda unit: unit[0].id,
        balance=lambda unit: unit[0].cluster,
        weight=len,
    )
    return [item for unit in drawn for item in unit]


def _notes_on_numbers(
    drawn: Mapping[str, Sequence[Item]], splits: Mapping[str, Sequence[Group]]
) -> list[str]:
    missing = [f"the dataset has no split '{split}'" for split in SPLITS if split not in splits]
    numbers = {name: len(drawn.get(name, ())) for name in SUITES}
    none = [f"{name}: not measured, no {SUITES[name]}" for name, n in numbers.items() if n == 0]
    few = [
        f"{name}: only {n} {SUITES[name]}, {WANTED} are wanted"
        for name, n in numbers.items()
        if 0 < n < WANTED
    ]
    return missing + none + few


def _examples(items: Sequence[Item], seed: int) -> list[list[Item]]:
    """Two views of one query of each kind in ``EXAMPLE_KINDS`` that want different answers.

    Drawn by hash, first among those whose views ask for different behaviours.
    """
    groups: dict[str, dict[str, list[Item]]] = {}
    for item in items:
        if item.split == TEST:
            groups.setdefault(item.group.kind, {}).setdefault(item.group.id, []).append(item)
    shown = []
    for kind in EXAMPLE_KINDS:
        pairs = [
            [of_group[v], of_group[w]]
            for of_group in groups.get(kind, {}).values()
            for v, w in sorted({flip[:2] for flip in of_group[0].group.flips()})
        ]
        if pairs:
            shown.append(min(pairs, key=lambda pair: (_alike(pair), digest(seed, pair[0].id))))
    return shown


def _alike(pair: Sequence[Item]) -> bool:
    return len({item.resolution.behaviour for item in pair}) == 1


def _comparisons(
    groups: Iterable[Group], seed: int, limit: int, notes: list[str]
) -> list[Comparison]:
    """Flips of every source, and ordered pairs of sources whose groups have a single view.

    A pair of views with many candidates has many flips. One of them is drawn by hash, so that
    large groups do not weigh more than small ones; the same holds for the pairs of one view.
    """
    flips: dict[str, list[Comparison]] = {}
    pairs: dict[str, list[Comparison]] = {}
    for group in groups:
        for views, candidates in _orders(group).items():
            a, b = min(candidates, key=lambda c: digest(seed, f"{group.id}/{c}"))
            numbers = ",".join(map(str, views))
            comparison = Comparison(f"{TEST}/{group.id}/{numbers}/{a},{b}", group, views, a, b)
            (flips if len(views) == 2 else pairs).setdefault(group.source, []).append(comparison)
    drawn: dict[str, list[Comparison]] = {"flip": [], "order": []}
    for metric, pools in (("flip", flips), ("order", pairs)):
        for source in sorted(pools):
            drawn[metric] += draw(
                pools[source],
                limit,
                seed=seed,
                name=lambda c: c.id,
                balance=lambda c: c.cluster,
            )
    if not drawn["flip"]:
        notes.append("flip, margin: not measured, no two views order a pair oppositely")
    elif len(drawn["flip"]) < WANTED:
        notes.append(f"flip, margin: only {len(drawn['flip'])} flips, {WANTED} are wanted")
    if not drawn["order"]:
        notes.append("order: not measured, it is for groups of a single view")
    elif len(drawn["order"]) < WANTED:
        notes.append(f"order: only {len(drawn['order'])} pairs, {WANTED} are wanted")
    return drawn["flip"] + drawn["order"]


def _orders(group: Group) -> dict[tuple[int, ...], list[tuple[int, int]]]:
    """Views -> the (better, worse) pairs that they order: oppositely if the views are two."""
    if len(group.views) == 1:
        pairs = group.views[0].pairs()
        return {(0,): pairs} if pairs else {}
    found: dict[tuple[int, ...], list[tuple[int, int]]] = {}
    for v, w, a, b in group.flips():
        found.setdefault((v, w), []).append((a, b))
    return found


def _merge(drawn: Mapping[str, Sequence[Item]]) -> tuple[Item, ...]:
    """Every dialogue once, with all the suites that drew it."""
    items: dict[str, Item] = {}
    suites: dict[str, list[str]] = {}
    for suite, chosen in drawn.items():
        for item in chosen:
            items.setdefault(item.id, item)
            suites.setdefault(item.id, []).append(suite)
    return tuple(
        msgspec.structs.replace(item, suites=tuple(suites[name])) for name, item in items.items()
    )
