"""What the four builders share: material, Meta-Prompts in words, and the group made of the views.

Which wish, in which words, in which tier and in which order is drawn by hash, each on its own. What
a view then comes to is asked of the Priority Matrix, with all that its Meta-Prompt asks for.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec
from msgspec import Struct

from metaalign.data.draw import digest, pick, unit
from metaalign.data.families.orders import ordered_view
from metaalign.data.families.wordings import wordings
from metaalign.policy import PriorityMatrix, extract, load_matrix, resolve
from metaalign.policy.matrix_parts import PRIORITY, UNSTATED
from metaalign.schema import (
    SYSTEM_INFO,
    USER_INFO,
    Annotation,
    Behaviour,
    Candidate,
    Family,
    Group,
    Kind,
    MetaPrompt,
    Preference,
    Resolution,
    TierText,
    Turn,
    View,
)

BACKGROUND = "background"
TIERS = (SYSTEM_INFO, USER_INFO)
MOST_VIEWS = 4

Orders = Sequence[Annotation]
"""How one or more annotators order the candidates for one thing, such as safety."""

_ROLE = 0.3
"""Share of groups whose provider has a neutral role in all views."""
_ASIDE = 0.2
"""Share of views in which the person says something that has no bearing."""
_TRIES = 8
"""Draws for one view before it is given up: it may come to something else, or be there already."""


class Material(Struct, frozen=True, kw_only=True):
    """A query and its candidates as a source publishes them: what a builder makes a group of."""

    source: str
    id: str
    """The source's own name of the group; the group's id is ``source:id``."""
    kind: Kind
    turns: tuple[Turn, ...]
    candidates: tuple[Candidate, ...]
    """In any order: the builder draws the order in which they stand in the group."""
    query_id: str = ""
    split: str = ""
    system_info: str = ""
    """What the provider says in every view; what it asks for is read by the rules."""
    user_info: str = ""
    """What the person says in every view; read likewise."""


class Person(Struct, frozen=True, kw_only=True):
    """Somebody with a view of their own, and how that orders the candidates."""

    value: str
    """What ``background`` comes to: ``agree``, ``interest in art``."""
    wordings: tuple[str, ...]
    """Ways in which they tell of themselves; one is drawn for every view."""
    orders: tuple[Annotation, ...]


class Wish(NamedTuple):
    """A value that a tier is to ask for, before it has words."""

    tier: str
    dimension: str
    value: str


class Framed(NamedTuple):
    """A Meta-Prompt in words, all that it asks for, and what the Matrix makes of it."""

    meta_prompt: MetaPrompt
    preferences: tuple[Preference, ...]
    resolution: Resolution


def drawn_name(material: Material, seed: int) -> tuple[object, ...]:
    """What all draws of a group begin with."""
    return (seed, material.source, material.id)


def frame(
    material: Material,
    wishes: Sequence[Wish],
    person: Person | None,
    matrix: PriorityMatrix,
    *draw: object,
) -> Framed | None:
    """``wishes`` and ``person`` in words, beside what the material says; None if nobody says any.

    ``draw`` names the view. The sentences of a tier stand in a drawn order.
    """
    texts = wordings()
    said: dict[str, list[tuple[str, tuple[Preference, ...]]]] = {tier: [] for tier in TIERS}
    for tier, text in ((SYSTEM_INFO, material.system_info), (USER_INFO, material.user_info)):
        if text:
            said[tier].append((text, _read(tier, text)))
    for number, wish in enumerate(wishes):
        options = texts.of(wish.dimension, wish.value, wish.tier)
        said[wish.tier].append(_sentence(wish, pick(options, *draw, "wording", number), True))
    if person is not None:
        wording = pick(person.wordings, *draw, "person")
        said[USER_INFO].append(_sentence(Wish(USER_INFO, BACKGROUND, person.value), wording, False))
    _add_neutral(said, material, draw)
    tiers, preferences = [], list[Preference]()
    for tier, sentences in said.items():
        sentences.sort(key=lambda sentence: digest(*draw, "place", sentence[0]))
        start = 0
        for text, asked in sentences:
            preferences += [_moved(preference, start) for preference in asked]
            start += len(text) + 1
        if sentences:
            tiers.append(TierText(tier, " ".join(text for text, _ in sentences)))
    if not tiers:
        return None
    known = [p for p in preferences if p.dimension in matrix.places]
    resolution = resolve(known, material.kind, matrix)
    return Framed(MetaPrompt(tuple(tiers)), tuple(preferences), resolution)


def _sentence(wish: Wish, wording: str, explicit: bool) -> tuple[str, tuple[Preference, ...]]:
    span = (0, len(wording))
    return wording, (Preference(*wish, wording, explicit, span),)


def _add_neutral(
    said: dict[str, list[tuple[str, tuple[Preference, ...]]]],
    material: Material,
    draw: tuple[object, ...],
) -> None:
    """Roles and asides, from which nothing follows: no view is told by there being more text."""
    texts = wordings()
    # The same in all views of a group, which share all but the last part of their name.
    group = draw[:-1]
    if not material.system_info and unit(*group, "has role") < _ROLE:
        said[SYSTEM_INFO].append((pick(texts.roles, *group, "role"), ()))
    # Of contested queries the answer turns on what the person says of themselves.
    if material.kind != "contested" and not material.user_info and unit(*draw, "aside") < _ASIDE:
        text = pick(texts.asides, *draw, "which aside")
        said[USER_INFO].append((text, _read(USER_INFO, text)))


@lru_cache(maxsize=4096)
def _read(tier: str, text: str) -> tuple[Preference, ...]:
    return extract(MetaPrompt((TierText(tier, text),)))


def _moved(preference: Preference, by: int) -> Preference:
    if preference.span is None:
        return preference
    start, end = preference.span
    return msgspec.structs.replace(preference, span=(start + by, end + by))


Cell = tuple[str, str]
"""What the higher and the lower tier put first; ``-`` for nothing."""


def priorities(cell: Cell) -> tuple[Wish, ...]:
    """The wishes of the two tiers in ``cell``."""
    return tuple(
        Wish(tier, PRIORITY, value)
        for tier, value in zip(TIERS, cell, strict=True)
        if value != UNSTATED
    )


def cells(kind: Kind, matrix: PriorityMatrix, background: bool) -> Mapping[Behaviour, list[Cell]]:
    """The cells of ``kind`` by what they come to; each as often in its list as it is to be drawn.

    ``background`` says whether the person tells of themselves. Cells in which the tiers want
    different things that both have a say come thrice, those with a priority without a say once.
    """
    key = (matrix.content_hash, kind, background)
    if key not in _CELLS:
        _CELLS[key] = _find_cells(kind, matrix, background)
    return _CELLS[key]


_CELLS: dict[tuple[str, Kind, bool], Mapping[Behaviour, list[Cell]]] = {}


def _find_cells(
    kind: Kind, matrix: PriorityMatrix, background: bool
) -> Mapping[Behaviour, list[Cell]]:
    person = (Preference(USER_INFO, BACKGROUND, "somebody", explicit=False),) if background else ()
    voices = matrix.voices[kind]
    found: dict[Behaviour, list[Cell]] = {}
    for cell in matrix.tables[kind]:
        asked = [Preference(*wish) for wish in priorities(cell)]
        resolution = resolve([*asked, *person], kind, matrix)
        told = {value for value in cell if value != UNSTATED}
        often = 2 if told <= voices or not voices else 1
        if len(told) == 2 and told <= voices:
            often = 3
        found.setdefault(resolution.behaviour, []).extend([cell] * often)
    return found


def make_group(
    material: Material,
    family: Family,
    views: Sequence[tuple[Framed | None, Orders]],
    *draw: object,
) -> Group | None:
    """The group of all ``views`` that put one candidate before another; None if none does.

    The candidates and the views stand in a drawn order; of two views with one Meta-Prompt the first
    is kept.
    """
    count = len(material.candidates)
    order = sorted(range(count), key=lambda i: digest(*draw, "candidates", i))
    kept: dict[MetaPrompt, View] = {}
    for framed, orders in views:
        if framed is None or not orders:
            continue
        annotations = [Annotation(a.by, tuple(a.ranks[i] for i in order)) for a in orders]
        view = ordered_view(framed.meta_prompt, framed.preferences, annotations)
        if view.pairs():
            kept.setdefault(view.meta_prompt, view)
    if not kept:
        return None
    drawn = sorted(kept.values(), key=lambda v: digest(*draw, "views", v.meta_prompt))
    return Group(
        f"{material.source}:{material.id}",
        material.source,
        family,
        material.kind,
        material.turns,
        tuple(material.candidates[i] for i in order),
        tuple(drawn),
        material.query_id,
        material.split,
    )


def settled_views(
    material: Material,
    orders: Mapping[Behaviour, Orders],
    person: Callable[[Behaviour, int], Person | None],
    matrix: PriorityMatrix,
    *draw: object,
) -> list[tuple[Framed | None, Orders]]:
    """Views for every behaviour of which the order is known: one or two each, the same number.

    ``person`` gives who speaks in User Info, by behaviour and number of the view; their own order
    stands in for that of ``personal_view``.
    """
    often = 1 + (unit(*draw, "how often") < 0.5)
    views = list[tuple[Framed | None, Orders]]()
    seen: set[MetaPrompt] = set()
    for behaviour in orders:
        for number in range(often):
            who = person(behaviour, number)
            options = cells(material.kind, matrix, who is not None).get(behaviour, [])
            for attempt in range(_TRIES if options else 0):
                name = (*draw, f"{behaviour} {number} {attempt}")
                cell = priorities(pick(options, *name, "cell"))
                framed = frame(material, cell, who, matrix, *name)
                # What the material itself says can change what the cell comes to.
                if framed is None or framed.resolution.behaviour != behaviour:
                    continue
                if framed.meta_prompt not in seen:
                    seen.add(framed.meta_prompt)
                    own = who.orders if who and behaviour == "personal_view" else ()
                    views.append((framed, own or orders[behaviour]))
                    break
    return views


def matrix_or_default(matrix: PriorityMatrix | None) -> PriorityMatrix:
    """The Matrix that settles the views."""
    return load_matrix() if matrix is None else matrix
