"""The closed world: its queries, people and words, read from the TOML files in ``world/``.

Everything that may stand in an answer is known here, which is what lets a program decide whether
an answer is right.
"""

import hashlib
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from itertools import product

import msgspec
from msgspec import Struct

from metaalign.schema import Kind

SYNONYMS = {
    "small": "little",
    "big": "large",
    "start": "begin",
    "quickly": "rapidly",
    "often": "frequently",
    "slowly": "gradually",
    "gently": "softly",
    "choose": "pick",
    "finish": "complete",
    "check": "inspect",
    "whole": "entire",
    "near": "beside",
}
"""Words of the world that may be avoided, and what stands in their place."""


class Query(Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that can be asked, and all that can be truly said of it.

    Which fields are filled depends on the kind: ``facts``, ``beginner`` and ``expert`` of a benign
    query, ``general`` and ``safer`` of a harmful one, ``axis``, ``consensus`` and ``views`` of a
    contested one.
    """

    id: str
    topic: str
    asks: tuple[str, str]
    facts: tuple[str, ...] = ()
    """The most important first; a measure is written ``{metric|imperial}``."""
    beginner: str = ""
    expert: str = ""
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

    def query(self, kind: Kind, query_id: str) -> Query:
        """The query of that id; ``KeyError`` if there is none."""
        found = next((q for q in self.queries[kind] if q.id == query_id), None)
        if found is None:
            raise KeyError(query_id)
        return found


class _NameParts(Struct, forbid_unknown_fields=True):
    first: tuple[str, ...]
    middle: tuple[str, ...]
    last: tuple[str, ...]


class _Styles(Struct, forbid_unknown_fields=True):
    names: _NameParts
    tone: dict[str, str]
    openings_train: tuple[str, ...]
    openings_unseen: tuple[str, ...]
    nouns_train: tuple[str, ...]
    nouns_unseen: tuple[str, ...]
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
    seen_names, unseen_names = _names(styles.names)
    return World(
        queries={kind: _queries(kind, names) for kind, names in _FILES.items()},
        personas=msgspec.convert(_read("personas")["persona"], tuple[Persona, ...]),
        roles=styles.roles,
        asides=styles.asides,
        leads=styles.tone,
        seen=Words(
            seen_names,
            styles.nouns_train,
            styles.openings_train,
            {d: {v: w.train for v, w in values.items()} for d, values in wordings.items()},
        ),
        unseen=Words(
            unseen_names,
            styles.nouns_unseen,
            styles.openings_unseen,
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


def _names(parts: _NameParts) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Some three thousand pronounceable names; an eighth of them is kept from training."""
    names = sorted({a + b + c for a, b, c in product(parts.first, parts.middle, parts.last)})
    held = {n for n in names if hashlib.sha256(n.encode()).digest()[0] % 8 == 0}
    return tuple(n for n in names if n not in held), tuple(sorted(held))
