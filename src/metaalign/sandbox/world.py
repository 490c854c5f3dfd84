"""The closed world: its queries, people and words, read from the TOML files in ``world/``.

Everything that may stand in an answer is known here, which is what lets a program decide whether
an answer is right.
"""

import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from itertools import product

import msgspec
from msgspec import Struct

from metaalign.schema import Kind

SYNONYMS = {
    "start": "begin",
    "choose": "pick",
    "finish": "complete",
    "check": "inspect",
}
"""Words of the world that may be avoided, and what stands in their place."""


class Query(Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that can be asked, and all that can be truly said of it.

    Which fields are filled depends on the kind: ``facts`` of a benign query, ``general`` and
    ``safer`` of a harmful one, ``axis``, ``consensus`` and ``views`` of a contested one.
    """

    id: str
    topic: str
    asks: tuple[str, str]
    facts: tuple[str, ...] = ()
    """The most important first; a measure is written ``{metric|imperial}``."""
    general: tuple[str, ...] = ()
    """Harmless general text: what a helpful answer to a harmful request may say."""
    safer: str = ""
    axis: str = ""
    consensus: str = ""
    views: Mapping[str, str] = {}
    """What each side of ``axis`` would say."""
    kind: Kind = "benign"


class Persona(Struct, frozen=True, forbid_unknown_fields=True):
    """A person from whose life a side of one axis follows."""

    id: str
    axis: str
    side: str
    text: str


class Words(Struct, frozen=True):
    """Open values of preferences, either those of training or those it never sees."""

    names: tuple[str, ...]
    nouns: tuple[str, ...]
    openings: tuple[str, ...]
    wordings: Mapping[str, Mapping[str, tuple[str, ...]]]
    """dimension -> value -> wordings; open dimensions have the one value ``value``."""


class World(Struct, frozen=True):
    """The whole of it."""

    queries: Mapping[Kind, tuple[Query, ...]]
    personas: tuple[Persona, ...]
    roles: tuple[str, ...]
    asides: tuple[str, ...]
    """What people say of themselves and nothing follows from."""
    leads: Mapping[str, str]
    """The sentence that carries each tone."""
    seen: Words
    unseen: Words

    def narrowed(self, every: int) -> "World":
        """The world with every second query of each kind and every second person, for 2."""
        queries = {kind: found[::every] for kind, found in self.queries.items()}
        return msgspec.structs.replace(self, queries=queries, personas=self.personas[::every])

    def query(self, kind: Kind, query_id: str) -> Query:
        """The query of that id; ``KeyError`` if there is none."""
        found = next((q for q in self.queries[kind] if q.id == query_id), None)
        if found is None:
            raise KeyError(query_id)
        return found


class _Parts(Struct, forbid_unknown_fields=True):
    """What open values are put together from."""

    first: tuple[str, ...]
    last: tuple[str, ...]
    middle: tuple[str, ...] = ("",)

    def values(self) -> Iterator[str]:
        return map("".join, product(self.first, self.middle, self.last))


class _Styles(Struct, forbid_unknown_fields=True):
    names: _Parts
    openings: _Parts
    nouns: _Parts
    tone: dict[str, str]
    roles: tuple[str, ...]
    asides: tuple[str, ...]


class _Wordings(Struct, forbid_unknown_fields=True):
    train: tuple[str, ...]
    unseen: tuple[str, ...]


_FILES: dict[Kind, tuple[str, ...]] = {
    "benign": ("benign/home", "benign/outdoors", "benign/work", "benign/leisure"),
    "sounds_harmful": ("borderline",),
    "harmful": ("harmful",),
    "severe": ("severe",),
    "contested": ("contested",),
}


@cache
def load_world() -> World:
    """Read the world that comes with the package."""
    styles = msgspec.convert(_read("styles"), _Styles)
    wordings = msgspec.convert(_read("wordings"), dict[str, dict[str, _Wordings]])
    seen_names, unseen_names = _divided(styles.names)
    seen_nouns, unseen_nouns = _divided(styles.nouns)
    seen_openings, unseen_openings = _divided(styles.openings)
    return World(
        queries={kind: _queries(kind, names) for kind, names in _FILES.items()},
        personas=msgspec.convert(_read("personas")["persona"], tuple[Persona, ...]),
        roles=styles.roles,
        asides=styles.asides,
        leads=styles.tone,
        seen=Words(
            seen_names,
            seen_nouns,
            seen_openings,
            {d: {v: w.train for v, w in values.items()} for d, values in wordings.items()},
        ),
        unseen=Words(
            unseen_names,
            unseen_nouns,
            unseen_openings,
            {d: {v: w.unseen for v, w in values.items()} for d, values in wordings.items()},
        ),
    )


def _read(name: str) -> dict[str, object]:
    path = files("metaalign.sandbox").joinpath("world", f"{name}.toml")
    return tomllib.loads(path.read_text("utf-8"))


def _queries(kind: Kind, names: tuple[str, ...]) -> tuple[Query, ...]:
    rows = [
        row
        for name in names
        for row in msgspec.convert(_read(name)["query"], list[dict[str, object]])
    ]
    return tuple(msgspec.convert({**row, "kind": kind}, Query) for row in rows)


def _divided(parts: _Parts) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """All values that can be put together: those of training, and an eighth that it never sees."""
    values = sorted(set(parts.values()))
    held = {v for v in values if hashlib.sha256(v.encode()).digest()[0] % 8 == 0}
    return tuple(v for v in values if v not in held), tuple(sorted(held))
