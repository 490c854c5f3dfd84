"""What a build reads from: published datasets, sources of the program's own, and what writes.

All of them become an ``Input``: groups as a stream, and a hash of what they are made of.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import msgspec
from msgspec import Struct
from msgspec.structs import asdict, replace

from metaalign.data.manifest import Scalar, fingerprint
from metaalign.data.recipe import Recipe, SourceTable
from metaalign.data.sources.place import Place
from metaalign.data.sources.records import Quarantine, Skipped, Source, count_records
from metaalign.schema import Group, UserError

_GLOB = re.compile(r"[*?\[]")


class BuiltIn(Source, frozen=True, kw_only=True):
    """A source that needs no place: the program holds what its groups are made of."""

    content_hash: Callable[[], str]
    """Changes whenever the groups would."""
    settings: type[Struct]
    """What ``read`` can be told besides, by name."""

    def configured(self, given: Mapping[str, Any]) -> "BuiltIn":
        try:
            settings = msgspec.convert(dict(given), self.settings, strict=False)
        except msgspec.ValidationError as error:
            raise UserError(f"the options of the source {self.name}: {error}") from None
        return replace(self, read=partial(self.read, **asdict(settings)))


class Writer(Protocol):
    """Has a teacher write groups by a plan: an input like a source, and one that may cost."""

    @property
    def name(self) -> str:
        """Name of the plan, and ``Group.source`` of what is written; no source has it too."""
        ...

    @property
    def licence(self) -> str: ...

    @property
    def content_hash(self) -> str:
        """Changes whenever what the teacher is asked does."""
        ...

    def write(self, *, seed: int, skipped: Skipped) -> Iterator[Group]:
        """The groups. Called again after a kill; whatever was paid for must not be paid twice."""
        ...

    def costs(self) -> Mapping[str, int]:
        """What writing took, by name (``calls``, ``tokens``): kept in the manifest."""
        ...


class Input(Struct, frozen=True):
    """Groups as a stream, with what is known of them beforehand."""

    name: str
    """What the groups say that they come from, and how reports name it."""
    licence: str
    """Identifier as dataset cards use it."""
    content: str
    """Hash of what it is made of."""
    groups: Callable[[Quarantine], Iterator[Group]]
    """Reads it from its beginning; what is left out is counted and named."""
    options: dict[str, Scalar] = {}
    place: str = ""
    """Where it is found, for people."""
    count: Callable[[], int] = int
    """Records, for those that look on; 0 if nobody can tell."""
    notes: Callable[[], tuple[str, ...]] = tuple
    """What is worth telling of it besides its groups, in lines."""
    costs: Callable[[], Mapping[str, int]] = dict
    """What reading it took, by name, once it was read to its end."""
    limit: int | None = None
    """Groups at most."""
    max_chars: int | None = None
    """Longer groups are left out."""

    def fingerprint(self, seed: int) -> str:
        """Changes whenever the groups would."""
        decides = {
            "name": self.name,
            "options": self.options,
            "limit": self.limit,
            "max_chars": self.max_chars,
        }
        return fingerprint(decides, {"content": self.content}, seed=seed)


def open_inputs(
    recipe: Recipe, files: Path, sources: Mapping[str, Source], writers: Sequence[Writer] = ()
) -> list[Input]:
    """The inputs of ``recipe``, its sources first.

    Args:
        files: the folder in which the places of the sources lie.
        sources: every source that there is, by name.
        writers: one for each ``[[write]]``.

    Raises:
        UserError: an unknown source, a file that is not there, an option that it does not know.
    """
    found = [_source(table, recipe.seed, files, sources) for table in recipe.sources]
    return found + [_written(writer, recipe.seed) for writer in writers]


def _source(table: SourceTable, seed: int, files: Path, sources: Mapping[str, Source]) -> Input:
    if table.name not in sources:
        raise UserError(f"unknown source {table.name!r}: known are {', '.join(sources)}")
    source = sources[table.name].configured(table.options)
    shared = partial(
        Input,
        table.name,
        source.licence,
        options=table.options,
        limit=table.limit,
        max_chars=table.max_chars,
    )
    if isinstance(source, BuiltIn):
        if table.place:
            raise UserError(f"the source {table.name} needs no place: {table.place} has no effect")
        return shared(source.content_hash(), _reader(source, Place(), seed))
    place = _place(table, source, files)
    return shared(
        place.identity(),
        _reader(source, place, seed),
        place=str(place),
        count=partial(count_records, place),
        notes=partial(source.notes, place) if source.notes else tuple,
    )


def _reader(source: Source, place: Place, seed: int) -> Callable[[Quarantine], Iterator[Group]]:
    def groups(quarantine: Quarantine) -> Iterator[Group]:
        return source.read(place.quarantined(quarantine), seed=seed, skipped=quarantine.skipped)

    return groups


def _place(table: SourceTable, source: Source, files: Path) -> Place:
    """Where the recipe says; else where the source is published on the hub."""
    text = table.place or source.hub
    if not text:
        raise UserError(f"the source {table.name} needs a file: say its place")
    place = Place.parse(text, files)
    path = place.path
    if path is not None and not path.exists() and not _GLOB.search(path.name):
        raise UserError(
            f"{path} is not a file: give the published file of {table.name}, or with --files the "
            "folder in which it lies"
        )
    return place


def place_stages(recipe: Recipe, files: Path) -> tuple[tuple[Any, ...], dict[str, str]]:
    """The stages with whole paths, and the hash of every set that one compares with.

    A set's place is looked for where those of the sources are. Workers need not stand in the folder
    in which the build does. Raises ``UserError`` for a set that is not there.
    """
    stages, hashes = [], {}
    for number, stage in enumerate(recipe.stages):
        places = {text: Place.parse(text, files.absolute()) for text in getattr(stage, "sets", ())}
        for text, place in places.items():
            hashes[f"stage {number}, {text}"] = place.identity()
        placed = tuple(map(str, places.values()))
        stages.append(replace(stage, sets=placed) if places else stage)
    return tuple(stages), hashes


def _written(writer: Writer, seed: int) -> Input:
    return Input(
        writer.name,
        writer.licence,
        writer.content_hash,
        lambda quarantine: writer.write(seed=seed, skipped=quarantine.skipped),
        costs=writer.costs,
    )
