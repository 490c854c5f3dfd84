"""The family ``opinion``: people who think differently want different answers."""

from collections.abc import Sequence
from typing import Literal

from metaalign.data.draw import digest, pick, unit
from metaalign.data.families.framing import (
    MOST_VIEWS,
    Framed,
    Material,
    Orders,
    Person,
    cells,
    drawn_name,
    frame,
    make_group,
    matrix_or_default,
    priorities,
)
from metaalign.data.families.orders import Ranks
from metaalign.data.families.wordings import wordings
from metaalign.policy import PriorityMatrix
from metaalign.policy.matrix_parts import UNSTATED
from metaalign.schema import USER_INFO, Annotation, Group

_SILENT = 0.6
"""Share of the views in which no tier says what comes first."""


def opinion_group(
    material: Material,
    persons: Sequence[Person],
    *,
    seed: int = 0,
    matrix: PriorityMatrix | None = None,
) -> Group | None:
    """A group with a view for each of ``persons``, four of them at most, drawn by hash.

    In most views no tier says what comes first; in the others they say something by which the
    Matrix leaves the word to the person. None if no view puts one candidate before another.
    """
    matrix = matrix_or_default(matrix)
    draw = drawn_name(material, seed)
    numbered = sorted(enumerate(persons), key=lambda p: digest(*draw, "persons", p[0]))
    personal = cells(material.kind, matrix, True).get("personal_view", [])
    views = list[tuple[Framed | None, Orders]]()
    for number, person in numbered[:MOST_VIEWS]:
        name = (*draw, f"person {number}")
        silent = unit(*name, "silent") < _SILENT or not personal
        cell = (UNSTATED, UNSTATED) if silent else pick(personal, *name, "cell")
        framed = frame(material, priorities(cell), person, matrix, *name)
        if framed is not None and framed.resolution.behaviour == "personal_view":
            views.append((framed, person.orders))
    return make_group(material, "opinion", views, *draw)


def stances(
    agree: Ranks,
    disagree: Ranks,
    by: str = "rule",
    about: Literal["question", "statement"] = "question",
) -> tuple[Person, Person]:
    """Somebody for and somebody against what the query asks about, with their orders.

    ``about`` a ``statement`` they speak of what somebody has said, whatever is asked of it.
    """
    names = ("agree", "disagree") if about == "question" else ("supports", "opposes")
    first, second = (
        Person(
            value=value,
            wordings=wordings().of("background", value, USER_INFO),
            orders=(Annotation(by, ranks),),
        )
        for value, ranks in zip(names, (agree, disagree), strict=True)
    )
    return first, second
