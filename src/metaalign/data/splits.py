"""Splits that keep groups whole, and the check that they did."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate

from metaalign.data.draw import digest, unit
from metaalign.schema import Group, UserError

FRACTIONS: Mapping[str, float] = {"sft": 0.45, "dpo": 0.45, "test": 0.1}
"""Two halves to train on (one-stage training uses both) and what is held out."""


def _query_keys(group: Group) -> tuple[str, ...]:
    """Both names of a query: the source's own, and what is asked, word for word."""
    talk = digest(*(f"{t.role}: {' '.join(t.text.casefold().split())}" for t in group.turns))
    return (f"{group.source}: {group.query_id}", talk) if group.query_id else (talk,)


def _group_keys(group: Group) -> tuple[str, ...]:
    return (group.id,)


HELD_OUT_BY: Mapping[str, Callable[[Group], tuple[str, ...]]] = {
    "query": _query_keys,
    "group": _group_keys,
}
"""What a split can hold out: groups that share a key always fall into the same split."""


def split_groups(
    groups: Iterable[Group],
    fractions: Mapping[str, float] = FRACTIONS,
    seed: int = 0,
    by: str = "query",
) -> dict[str, list[Group]]:
    """``groups`` by split, each in the order in which it came.

    Groups that share a query stay together, also where two sources or two names share it. The
    split is drawn by hash of the query and ``seed``: it does not depend on what else is there, so
    the sizes meet ``fractions`` (which sum to 1) as a random draw does. Raises ``UserError`` for
    fractions that are negative or do not sum to 1, and for an unknown ``by``.
    """
    if by not in HELD_OUT_BY:
        raise UserError(f"cannot hold out by {by!r}: choose one of {', '.join(HELD_OUT_BY)}")
    if min(fractions.values(), default=-1.0) < 0 or abs(sum(fractions.values()) - 1) > 1e-6:
        raise UserError(f"fractions must be at least 0 and sum to 1, not {dict(fractions)}")
    groups = list(groups)
    keys = [HELD_OUT_BY[by](group) for group in groups]
    representative = _connect(keys)
    splits: dict[str, list[Group]] = {name: [] for name in fractions}
    for group, own in zip(groups, keys, strict=True):
        splits[_draw(fractions, seed, representative[own[0]])].append(group)
    check_splits(splits, by)
    return splits


def _draw(fractions: Mapping[str, float], seed: int, key: str) -> str:
    point = unit("split", seed, key)
    names = [name for name, fraction in fractions.items() if fraction > 0]
    ends = accumulate(fractions[name] for name in names)
    # The last one catches what rounding leaves over.
    return next((name for name, end in zip(names, ends, strict=True) if point < end), names[-1])


def _connect(keys: Sequence[tuple[str, ...]]) -> dict[str, str]:
    """For every key the smallest key that it is connected with, directly or through groups."""
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while parent.setdefault(key, key) != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for own in keys:
        for other in own[1:]:
            first, second = sorted((root(own[0]), root(other)))
            parent[second] = first
    return {key: root(key) for own in keys for key in own}


def check_splits(splits: Mapping[str, Iterable[Group]], by: str = "query") -> None:
    """Raise ``ValueError`` if a group, or what ``by`` holds out, stands in more than one split."""
    for what, keys_of in {"group": _group_keys, by: HELD_OUT_BY[by]}.items():
        home: dict[str, str] = {}
        for name, groups in splits.items():
            for group in groups:
                for key in keys_of(group):
                    if home.setdefault(key, name) != name:
                        raise ValueError(
                            f"the {what} of {group.id} stands in the splits {home[key]} and "
                            f"{name}: nothing that is held out may cross"
                        )
