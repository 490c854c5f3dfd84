"""What the tests of writing share: queries of the sandbox, a mock teacher, and what it writes."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from metaalign.data.families.wordings import wordings
from metaalign.data.sources.queries import Query, Text
from metaalign.data.sources.records import Skipped
from metaalign.data.teacher.mock.behaviour import Behaviour, Manners
from metaalign.data.teacher.mock.server import running_mock
from metaalign.data.teacher.settings import Settings
from metaalign.data.writing.brief import Target, target_of
from metaalign.data.writing.plans import Plan, Planner
from metaalign.data.writing.pools import Found, Pools, said_in
from metaalign.data.writing.table import write_tables
from metaalign.data.writing.writer import PlanWriter
from metaalign.policy import PriorityMatrix, load_matrix, resolve
from metaalign.sandbox import load_world
from metaalign.schema import Family, Group, Kind, View

MATRIX = load_matrix()
FAMILIES: tuple[Family, ...] = ("priority", "helpful", "consensus", "opinion")
KINDS: dict[Family, tuple[Kind, ...]] = {
    "priority": ("harmful",),
    "helpful": ("benign",),
    "consensus": ("contested",),
    "opinion": ("contested",),
}
"""Of the queries that a family is tried on."""


def queries_file(
    folder: Path, kinds: Iterable[Kind], each: int = 6, axis: str | None = None
) -> Path:
    """So many queries of the sandbox of every kind, and its people beside them.

    ``axis`` keeps those of one thing that people differ in.
    """
    world, path = load_world(), folder / "queries.jsonl"
    lines = [
        {"query": query.asks[0], "kind": kind, "id": query.id}
        for kind in kinds
        for query in [q for q in world.queries[kind] if axis in (None, q.axis)][:each]
    ]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    people = "".join(
        f"{json.dumps({'text': person.text})}\n"
        for person in world.personas
        if axis in (None, person.axis)
    )
    (folder / "people.jsonl").write_text(people, encoding="utf-8")
    return path


def writer(folder: Path, family: Family, url: str = "", **changes: Any) -> PlanWriter:
    """The writer of one family, with the files of ``queries_file``."""
    table: dict[str, Any] = {
        "name": f"written-{family}",
        "family": family,
        "place": "queries.jsonl",
    }
    if family in ("consensus", "opinion"):
        table["personas"] = "people.jsonl"
    given = changes.pop("settings", {})
    settings = Settings(
        model="mock", base_url=url or None, journal=str(folder / "journal.sqlite"), **given
    )
    [made] = write_tables([{**table, **changes}])
    return PlanWriter(made, settings, MATRIX, folder)


def write(one: PlanWriter, seed: int = 0) -> tuple[list[Group], Skipped]:
    """All that ``one`` writes, and what it left out."""
    skipped = Skipped()
    return list(one.write(seed=seed, skipped=skipped)), skipped


@contextmanager
def mock(said: Any = None, **manners: Any) -> Iterator[tuple[str, Behaviour]]:
    """The address of a mock teacher, and its behaviour."""
    behaviour = Behaviour(Manners(**manners), said)
    with running_mock(behaviour) as url:
        yield url, behaviour


PEOPLE = tuple(
    Text(text, text)
    for text in ("I milk cows.", "I sail alone.", "I teach Latin.", "I repair clocks.")
)
OTHERS = tuple(
    Found(f"answers with {thing}", "other", f"answers with {thing}", f"Answer with {thing}.",
          f"I am fond of {thing}.")
    for thing in ("a rhyme", "an anecdote", "a proverb", "a riddle")
)  # fmt: skip


def planner(
    family: Family,
    found: Iterable[Found] = (),
    seed: int = 0,
    matrix: PriorityMatrix = MATRIX,
    **changes: Any,
) -> Planner:
    """A planner whose texts are the packaged ones, ``PEOPLE`` and ``found``."""
    personas = {"personas": "people.jsonl"} if family in ("consensus", "opinion") else {}
    table = {"name": "made", "family": family, "place": "queries.jsonl", **personas, **changes}
    [made] = write_tables([table])
    texts = wordings()
    pools = Pools(said_in(texts, found, matrix), PEOPLE, texts.roles, texts.asides)
    return Planner(made, pools, matrix, seed)


def plans(family: Family, count: int = 60, kind: Kind | None = None, **more: Any) -> list[Plan]:
    """The plans of so many queries."""
    made = planner(family, **more)
    queries = [
        Query(f"What about {n}?", f"q{n}", kind or KINDS[family][0], family) for n in range(count)
    ]
    found = [made.plan(query) for query in queries]
    return [plan for plan in found if isinstance(plan, Plan)]


def target(group: Group, view: View, matrix: PriorityMatrix = MATRIX) -> Target:
    """What the Matrix makes of all that ``view`` says that it asks for."""
    known = [p for p in view.preferences if p.dimension in matrix.places]
    return target_of(resolve(known, group.kind, matrix), view.preferences)
