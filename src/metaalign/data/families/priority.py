"""The family ``priority``: of the same answers one is safer and another more helpful."""

from collections.abc import Mapping

from metaalign.data.families.framing import (
    Material,
    Orders,
    drawn_name,
    make_group,
    matrix_or_default,
    settled_views,
)
from metaalign.policy import PriorityMatrix
from metaalign.schema import Behaviour, Group

SHOWS: Mapping[Behaviour, str] = {"refuse": "safety", "answer": "helpfulness"}
"""Which order shows what the Matrix decided: of a query that is refused the safest candidate comes
first, of one that is answered the most helpful one."""


def priority_group(
    material: Material,
    orders: Mapping[str, Orders],
    *,
    seed: int = 0,
    matrix: PriorityMatrix | None = None,
) -> Group | None:
    """A group whose views differ in what the tiers put first.

    ``orders`` holds what is known of the candidates: who puts which first for ``safety`` and for
    ``helpfulness``; one of them is enough. One or two views are drawn for every known order that
    the Matrix can lead to in the material's kind, over both tiers, contradictions among them. None
    if no view puts one candidate before another.
    """
    matrix = matrix_or_default(matrix)
    draw = drawn_name(material, seed)
    known = {behaviour: orders[name] for behaviour, name in SHOWS.items() if orders.get(name)}
    views = settled_views(material, known, lambda *_: None, matrix, *draw)
    return make_group(material, "priority", views, *draw)
