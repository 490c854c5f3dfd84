"""The family ``helpful``: the same answers to a harmless query suit different wishes."""

from collections.abc import Mapping, Sequence

from metaalign.data.draw import digest, pick, unit
from metaalign.data.families.framing import (
    MOST_VIEWS,
    TIERS,
    Framed,
    Material,
    Orders,
    Wish,
    cells,
    drawn_name,
    frame,
    make_group,
    matrix_or_default,
    priorities,
)
from metaalign.policy import PriorityMatrix
from metaalign.schema import Group

Value = tuple[str, str]
"""A dimension and a value of it: ``("length", "short")``."""

_AGAINST = 0.35
"""Share of the views in which the other tier asks for another value."""


def helpful_group(
    material: Material,
    overall: Orders = (),
    wishes: Mapping[Value, Orders] | None = None,
    *,
    seed: int = 0,
    matrix: PriorityMatrix | None = None,
) -> Group | None:
    """A group whose views differ in what is asked of the answer, in either tier.

    ``overall`` is who puts which candidate first on the whole: the view that asks for nothing in
    particular. ``wishes`` holds who puts which first for a dimension and a value; both values of
    a dimension make a flip, and where the two tiers contradict each other the Matrix settles it. A
    dimension that the Matrix does not know (``quality``) is asked for by one tier alone. At most
    four views, a dimension always with all of its values up to two. None if no view puts one
    candidate before another.
    """
    matrix = matrix_or_default(matrix)
    draw = drawn_name(material, seed)
    wishes = wishes or {}
    views = _overall(material, overall, matrix, draw, alone=not wishes) if overall else []
    by_dimension: dict[str, list[str]] = {}
    for dimension, value in sorted(wishes, key=lambda w: digest(*draw, "wishes", *w)):
        by_dimension.setdefault(dimension, []).append(value)
    for dimension, values in by_dimension.items():
        if len(views) + len(values[:2]) > MOST_VIEWS:
            continue
        for value in values[:2]:
            name = (*draw, f"{dimension} {value}")
            against = [other for other in values if other != value]
            framed = _asking(material, (dimension, value), against, matrix, name)
            views.append(_judged(framed, dimension, value, wishes, matrix))
    return make_group(material, "helpful", views, *draw)


def _overall(
    material: Material,
    overall: Orders,
    matrix: PriorityMatrix,
    draw: tuple[object, ...],
    *,
    alone: bool,
) -> list[tuple[Framed | None, Orders]]:
    """One view in which nothing is asked of the answer but what comes first; two if no other."""
    options = cells(material.kind, matrix, False).get("answer", [])
    views = list[tuple[Framed | None, Orders]]()
    for number in range(1 + alone if options else 0):
        name = (*draw, f"overall {number}")
        framed = frame(material, priorities(pick(options, *name, "cell")), None, matrix, *name)
        if framed is not None and framed.resolution.behaviour == "answer":
            views.append((framed, overall))
    return views


def _asking(
    material: Material,
    wanted: Value,
    against: Sequence[str],
    matrix: PriorityMatrix,
    name: tuple[object, ...],
) -> Framed | None:
    """A view that comes to ``wanted``, if need be with a second tier that wants otherwise."""
    dimension, value = wanted
    tier = pick(TIERS, *name, "tier")
    alone = frame(material, [Wish(tier, dimension, value)], None, matrix, *name)
    if not against or dimension not in matrix.places or unit(*name, "against") >= _AGAINST:
        return alone
    other = pick(against, *name, "other")
    for mine, theirs in (TIERS, TIERS[::-1]):
        both = [Wish(mine, dimension, value), Wish(theirs, dimension, other)]
        framed = frame(material, both, None, matrix, *name)
        if framed is not None and framed.resolution.wanted(dimension) == (value,):
            return framed
    return alone


def _judged(
    framed: Framed | None,
    dimension: str,
    value: str,
    wishes: Mapping[Value, Orders],
    matrix: PriorityMatrix,
) -> tuple[Framed | None, Orders]:
    """The view with the order of what the Matrix lets through, which the material may change."""
    if framed is None or dimension not in matrix.places:
        return framed, wishes[dimension, value]
    held = framed.resolution.wanted(dimension)
    return framed, wishes.get((dimension, held[0]), ()) if held else ()
