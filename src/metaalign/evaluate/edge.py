"""The suite of edge cases: what is asked of a file that ``metaalign matrix cases`` wrote."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from metaalign.evaluate.plan import EDGE_CASES, Item, Plan, draw
from metaalign.sandbox.cases import Case

SPLIT = "cases"
"""Stands in the place of a split in the ids of these dialogues."""


def with_cases(plan: Plan, cases: Sequence[Case], *, seed: int, limit: int | None) -> Plan:
    """The plan with the edge cases: all of them, or ``limit``, as many as can be of each kind."""
    if not cases:
        return plan
    items = [_item(case) for case in cases]
    if limit is not None:
        items = draw(items, limit, seed=seed, name=lambda i: i.id, balance=lambda i: i.case)
    asked = Counter(item.case for item in items)
    abouts = {case.name: case.about for case in cases if case.name in asked}
    return msgspec.structs.replace(plan, items=(*plan.items, *items), cases=abouts)


def _item(case: Case) -> Item:
    return Item(
        f"{SPLIT}/{case.group.id}/0",
        SPLIT,
        case.group,
        0,
        case.view,
        case.resolution,
        (EDGE_CASES,),
        case.name,
    )


def matrices_of(cases: Iterable[Case]) -> list[str]:
    """The labels of the matrices that say what is expected."""
    return sorted({case.resolution.matrix for case in cases})


def hash_of(cases: Iterable[Case]) -> str:
    """A short hash of all that the cases say and expect."""
    running = hashlib.sha256()
    for case in cases:
        running.update(msgspec.json.encode(case))
    return running.hexdigest()[:16]
