"""A few groups in words: what each Meta-Prompt says, how it orders the responses, and why."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import msgspec
from msgspec import Struct

from metaalign.data.building.inputs import open_inputs
from metaalign.data.draw import digest
from metaalign.data.recipe import Recipe
from metaalign.data.sources import Source
from metaalign.data.sources.records import Quarantine, Skipped
from metaalign.data.tools.looking import Looking, looking_at
from metaalign.data.tools.telling import indented, printable
from metaalign.policy import PriorityMatrix, explain, resolve
from metaalign.policy.matrix import PRIORITY
from metaalign.schema import Group, Preference, UserError, View

_READ = 500
"""Groups of every source from which a preview of a recipe is drawn."""
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Wanted(Struct, frozen=True):
    """Which groups to show."""

    count: int = 3
    seed: int = 0
    family: str = ""
    """Empty for any."""
    source: str = ""


def of_dataset(dataset: Path, wanted: Wanted) -> list[Group]:
    """Groups of a dataset folder, drawn by hash. Raises ``UserError`` if none is as wanted."""
    with looking_at(dataset) as looking:
        rows = looking.ask(
            "SELECT id FROM groups WHERE $family IN ('', family) AND $source IN ('', source) "
            "ORDER BY md5($seed || ' ' || id) LIMIT $count",
            {
                "family": wanted.family,
                "source": wanted.source,
                "seed": str(wanted.seed),
                "count": wanted.count,
            },
        ).rows
        if not rows:
            raise UserError(f"{dataset} has no group{_such(wanted)}: metaalign data inspect tells")
        return groups_by_id(looking, [one for (one,) in rows])


def groups_by_id(looking: Looking, ids: list[str]) -> list[Group]:
    """These groups, in the order of ``ids``; the split of each is that in which it stands."""
    columns = ", ".join(name for name in Group.__struct_fields__)
    found = looking.ask(f"SELECT {columns} FROM groups WHERE list_contains($ids, id)", {"ids": ids})
    rows = (dict(zip(found.columns, row, strict=True)) for row in found.rows)
    by_id = {group.id: group for group in (msgspec.convert(row, Group) for row in rows)}
    return [by_id[one] for one in ids]


def of_recipe(
    recipe: Recipe, files: Path, sources: dict[str, Source], wanted: Wanted
) -> list[Group]:
    """Groups as the sources of a recipe give them, before any stage.

    Drawn from the first few hundred of every source that is wanted. Raises ``UserError`` if none is
    as wanted.
    """
    if recipe.write:
        raise UserError("a preview asks no teacher: take [[write]] out, or build and preview that")
    found: list[Group] = []
    for one in open_inputs(recipe, files, sources):
        if wanted.source in ("", one.name):
            groups = one.groups(Quarantine(Skipped()))
            kept = (group for group in groups if wanted.family in ("", group.family))
            found += _first(islice(kept, _READ), wanted)
    if not found:
        raise UserError(f"the recipe has no group{_such(wanted)} among its first {_READ}")
    return _first(found, wanted)


def _first(groups: Iterable[Group], wanted: Wanted) -> list[Group]:
    return sorted(groups, key=lambda g: digest("preview", wanted.seed, g.id))[: wanted.count]


def _such(wanted: Wanted) -> str:
    said = [f"of the {name} {value}" for name, value in (("family", wanted.family),
            ("source", wanted.source)) if value]  # fmt: skip
    return f" {' and '.join(said)}" if said else ""


def lines_of(group: Group, matrix: PriorityMatrix) -> Iterator[str]:
    """A group for people, line by line. Nothing in it commands the terminal."""
    yield from map(printable, _lines(group, matrix))


def _lines(group: Group, matrix: PriorityMatrix) -> Iterator[str]:
    facts = (group.family, f"{group.kind} query", group.split, f"from {group.source}")
    yield f"{group.id}: {', '.join(filter(None, facts))}"
    yield ""
    for number, turn in enumerate(group.turns):
        who = "query" if number + 1 == len(group.turns) else turn.role
        yield from indented([f"{who}: {turn.text}"], "  ")
    yield ""
    for number, candidate in enumerate(group.candidates):
        yield f"  {letter(number)}, written by {candidate.source}:"
        yield from indented([candidate.text], "    ")
    for number, view in enumerate(group.views, 1):
        yield ""
        yield from _view(number, view, group, matrix)
    yield from _flips(group)
    yield ""


def _flips(group: Group) -> Iterator[str]:
    """One line for every two views that disagree."""
    found: dict[tuple[int, int], list[str]] = {}
    for v, w, a, b in group.flips():
        found.setdefault((v, w), []).append(f"{letter(a)} > {letter(b)}")
    for number, ((v, w), pairs) in enumerate(found.items()):
        yield from [""] if not number else []
        yield f"  flip: {', '.join(pairs)} in view {v + 1}, the other way round in view {w + 1}"


def _view(number: int, view: View, group: Group, matrix: PriorityMatrix) -> Iterator[str]:
    yield f"  view {number}, ordered by {view.ordered_by}: {order_of(view) or 'nothing'}"
    for said in view.meta_prompt.tiers:
        yield from indented([f"{said.tier.replace('_', ' ').title()}: {said.text}"], "    ")
    if not view.meta_prompt.tiers:
        yield "    the Meta-Prompt says nothing"
    for one in view.annotations:
        yield f"    {one.by}: {order_of(View(view.meta_prompt, one.ranks, '')) or 'nothing'}"
    for sentence in why(view, group, matrix):
        yield f"    {sentence}"


def order_of(view: View) -> str:
    """``B > A = C``: the responses from the best on; those that nobody ordered are absent."""
    ranks = sorted({rank for rank in view.ranks if rank is not None})
    places = [
        " = ".join(letter(i) for i, own in enumerate(view.ranks) if own == rank) for rank in ranks
    ]
    return " > ".join(places)


def letter(number: int) -> str:
    """The name of a candidate: ``A`` to ``Z``, then ``A2`` and on."""
    again, place = divmod(number, len(_LETTERS))
    return _LETTERS[place] + (str(again + 1) if again else "")


def why(view: View, group: Group, matrix: PriorityMatrix) -> list[str]:
    """Who wins by the Matrix, in sentences; then what is asked for that it has no rule for."""
    known = [p for p in view.preferences if _knows(matrix, p)]
    sentences = explain(resolve(known, group.kind, matrix)) if group.kind in matrix.tables else []
    unknown = [p for p in view.preferences if p not in known]
    return sentences + [
        f"{p.dimension} = {p.value} from {p.tier.replace('_', ' ').title()}: "
        "the Matrix has no rule for it."
        for p in unknown
    ]


def _knows(matrix: PriorityMatrix, asked: Preference) -> bool:
    """Sources have dimensions of their own."""
    if asked.tier not in matrix.tiers:
        return False
    if asked.dimension == PRIORITY:
        return asked.value in matrix.priorities
    dimension = matrix.dimensions.get(asked.dimension)
    return dimension is not None and (not dimension.values or asked.value in dimension.values)
