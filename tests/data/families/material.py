"""Judged material for the tests of the builders, and what they ask of the groups."""

from collections import Counter
from collections.abc import Iterable, Iterator

from metaalign.data.families import Material
from metaalign.policy import PriorityMatrix, load_matrix, resolve
from metaalign.schema import Candidate, Group, Kind, Resolution, Turn, View

MATRIX = load_matrix()


def material(number: int, kind: Kind, *texts: str, **changes: str) -> Material:
    return Material(
        source="made",
        id=str(number),
        kind=kind,
        turns=(Turn("user", f"What about {number}?"),),
        candidates=tuple(Candidate(text, "model") for text in texts or ("first", "second")),
        **changes,
    )


def best(group: Group, view: View) -> str:
    """The text that stands first in ``view``."""
    ranked = [(rank, i) for i, rank in enumerate(view.ranks) if rank is not None]
    return group.candidates[min(ranked)[1]].text


def settled(group: Group, view: View, matrix: PriorityMatrix = MATRIX) -> Resolution:
    """What the Matrix makes of all that the view says that it asks for."""
    known = [p for p in view.preferences if p.dimension in matrix.places]
    return resolve(known, group.kind, matrix)


def views_of(groups: Iterable[Group]) -> Iterator[tuple[Group, View]]:
    return ((group, view) for group in groups for view in group.views)


def wins(group: Group) -> Counter[tuple[str, str]]:
    """How many views put the one candidate before the other, by their texts."""
    texts = [candidate.text for candidate in group.candidates]
    return Counter((texts[i], texts[j]) for view in group.views for i, j in view.pairs())


def is_balanced(group: Group) -> bool:
    """Whether each of a flip's two candidates is chosen over the other as often as rejected."""
    counted = wins(group)
    return all(n == counted[b, a] for (a, b), n in counted.items() if counted[b, a])


def about_half(number: int, total: int) -> bool:
    """Within five standard deviations of a fair coin."""
    return abs(number - total / 2) < 2.5 * total**0.5
