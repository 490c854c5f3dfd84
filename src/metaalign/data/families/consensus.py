"""The family ``consensus``: what most people think, or what this person thinks."""

from collections.abc import Sequence

from metaalign.data.draw import pick, unit
from metaalign.data.families.framing import (
    Material,
    Orders,
    Person,
    drawn_name,
    make_group,
    matrix_or_default,
    settled_views,
)
from metaalign.data.families.orders import combine
from metaalign.policy import PriorityMatrix
from metaalign.schema import Behaviour, Group

_TELLS = 0.8
"""Share of the views of the common opinion in which the person tells of themselves."""


def consensus_group(
    material: Material,
    consensus: Orders,
    persons: Sequence[Person] = (),
    *,
    seed: int = 0,
    matrix: PriorityMatrix | None = None,
) -> Group | None:
    """A group whose views put the common opinion first or the person's own.

    ``consensus`` orders the candidates by the share of people behind them. ``persons`` are people
    with a view of their own: those whose order is another one make the flips; where the consensus
    wins, any of them may speak in User Info. Without them all views are those of the consensus. The
    material's kind is mostly ``contested``, where the Matrix tells the two apart. None if no view
    puts one candidate before another.
    """
    matrix = matrix_or_default(matrix)
    draw = drawn_name(material, seed)
    common = combine(consensus)
    others = [p for p in persons if combine(p.orders) != common] or list(persons)
    if unit(*draw, "others") < 0.5:
        others.reverse()

    def tells(name: tuple[object, ...]) -> bool:
        return bool(persons) and unit(*name, "tells") < _TELLS

    def person(behaviour: Behaviour, number: int) -> Person | None:
        name = (*draw, behaviour, number)
        if behaviour == "personal_view":
            return others[number % len(others)]
        # Anybody: where the consensus wins, the person's view must not tell what it is.
        return pick(persons, *name, "person") if tells(name) else None

    known: dict[Behaviour, Orders] = {"consensus_view": consensus}
    if others:
        known["personal_view"] = ()  # the order of who speaks stands in
    views = settled_views(material, known, person, matrix, *draw)
    return make_group(material, "consensus", views, *draw)
