"""What every source shares: its description, its reader's shape, and the reading of records."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from metaalign.data.sources import hub
from metaalign.data.sources.formats import Row, count_rows, rows_of
from metaalign.data.sources.place import Place
from metaalign.data.sources.quarantine import Quarantine, Skipped
from metaalign.schema import Family, Group, Kind, UserError

__all__ = ["Quarantine", "Reader", "Skipped", "Source", "count_records", "read_records"]

RecordT = TypeVar("RecordT")


class Reader(Protocol):
    """Turns a published dataset into groups, one at a time."""

    def __call__(
        self, place: Place | Path, /, *, seed: int = 0, skipped: Skipped | None = None
    ) -> Iterator[Group]: ...


class Source(Struct, frozen=True):
    """A public dataset, or a common layout, that metaalign can read."""

    name: str
    """The name on the command line, and ``Group.source`` of what is read."""
    licence: str
    """Identifier as dataset cards use it: ``mit``, ``cc-by-4.0``."""
    origin: str
    """Where the public dataset is found."""
    description: str
    """One sentence: what the records are and which groups they become."""
    read: Reader
    hub: str = ""
    """The place on the Hugging Face hub, ``hf:OWNER/NAME``, if it is published there."""
    options: type["Options"] | None = None
    """What ``read`` can be told besides, as ``options``; None if nothing."""
    notes: Callable[[Place | Path], tuple[str, ...]] | None = None
    """What is worth telling of a place besides its groups, in lines; reads it once more."""

    @property
    def non_commercial(self) -> bool:
        """True if the licence forbids commercial use."""
        return "nc" in self.licence.lower().split("-")

    def configured(self, given: Mapping[str, Any]) -> "Source":
        """This source with the options ``given``, as a recipe's table has them.

        Its ``read`` knows them, and its ``licence`` is theirs if they name one. Raises
        ``UserError`` for an option that the source does not have, or a value that it cannot be.
        """
        if self.options is None:
            if given:
                raise UserError(f"the source {self.name} has no options: remove {', '.join(given)}")
            return self
        try:
            options = msgspec.convert(dict(given), self.options, strict=False)
        except msgspec.ValidationError as error:
            known = ", ".join(msgspec.structs.asdict(self.options()))
            raise UserError(
                f"the options of the source {self.name}: {error}; it has {known}"
            ) from None
        read = cast(Reader, partial(cast(Any, self.read), options=options))
        return replace(self, read=read, licence=options.licence or self.licence)


class Options(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a layout says nothing of, and whoever uses it must: a source's ``options``."""

    family: Family = "helpful"
    """Family of the groups."""
    kind: Kind = "unknown"
    """Kind of the queries."""
    licence: str = ""
    """Identifier of the licence of what is read, such as ``cc-by-4.0``."""


def read_records(place: Place | Path, record: type[RecordT]) -> Iterator[RecordT]:
    """The records of ``place``, each checked against ``record``.

    Local files are read in the order of their names, in any format of ``formats``; a dataset on
    the hub is streamed. Fields that ``record`` does not name are ignored: published files carry
    more than is used. Empty lines hold nothing and are passed over.

    Raises ``UserError`` that names the file, the line and the field for anything that is not such
    a record, unless the place has a quarantine: that counts it, and the rest goes on, as it does
    after a file of several that cannot be read on. Too many of either still raise.
    """
    place = Place.of(place)
    check = _checker(record)
    for where, row in _rows(place, tuple(_field_names(record))):
        try:
            found = check(row.value)
        except msgspec.MsgspecError as error:
            if place.quarantine is None:
                names = ", ".join(_field_names(record))
                raise UserError(
                    f"{where}, {row.where}: {error}; expected one record with the fields {names}: "
                    "repair or remove it"
                ) from error
            place.quarantine.add(f"{where}, {row.where}", str(error))
            continue
        if place.quarantine is not None:
            place.quarantine.whole += 1
        yield found
    if place.quarantine is not None:
        place.quarantine.end()


def count_records(place: Place | Path) -> int:
    """How many records ``read_records`` will find, if none is damaged; for the hub what the
    dataset's card says, or 0."""
    place = Place.of(place)
    if place.on_hub:
        return hub.count(place.name, place.revision, place.config, place.split)
    return sum(count_rows(file) for file in place.files())


def _rows(place: Place, fields: tuple[str, ...]) -> Iterator[tuple[str, Row]]:
    """Every row with the name of the file or dataset that it stands in."""
    if place.on_hub:
        for number, value in enumerate(place.load(), start=1):
            yield str(place), Row(f"row {number}", value)
        return
    files = place.files()
    for file in files:
        try:
            for row in rows_of(file, fields):
                yield str(file), row
        except UserError as error:
            # Of a single file too much would be lost for the rest to be the dataset.
            if place.quarantine is None or len(files) == 1:
                raise
            place.quarantine.add(str(file), f"a file cannot be read to its end: {error}")


def _checker(record: type[RecordT]) -> Callable[[bytes | dict[str, Any]], RecordT]:
    decoder = msgspec.json.Decoder(record)
    optional = frozenset(_optional_names(record))

    def check(value: bytes | dict[str, Any]) -> RecordT:
        if isinstance(value, bytes):
            return decoder.decode(value)
        try:
            return msgspec.convert(value, record)
        except msgspec.ValidationError:
            cells = _as_cells(value, optional)
            if cells is None:
                raise
        try:
            return msgspec.convert(cells, record, strict=False)
        except msgspec.ValidationError:
            parsed = {name: _parsed(cell) for name, cell in cells.items()}
            return msgspec.convert(parsed, record, strict=False)

    return check


def _as_cells(value: dict[str, Any], optional: frozenset[str]) -> dict[str, Any] | None:
    """A row of a table of text; None if it is none. Lists and objects are written out in its
    cells, and an empty cell of an optional field says nothing."""
    if not all(isinstance(cell, str | None) for cell in value.values()):
        return None
    return {name: cell for name, cell in value.items() if cell or name not in optional}


def _parsed(cell: str | None) -> Any:
    if cell is None or not cell.lstrip().startswith(("[", "{")):
        return cell
    try:
        return msgspec.json.decode(cell)
    except msgspec.DecodeError:
        return cell


def _field_names(record: type) -> list[str]:
    if not issubclass(record, Struct):
        return []
    return [field.encode_name for field in msgspec.structs.fields(record)]


def _optional_names(record: type) -> list[str]:
    if not issubclass(record, Struct):
        return []
    return [f.encode_name for f in msgspec.structs.fields(record) if not f.required]
