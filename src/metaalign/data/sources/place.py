"""Where a source is found: files in a published format, or a dataset on the Hugging Face hub.

A place is written as

    FILE                        such as data/pairs.jsonl.gz
    FOLDER or GLOB              all data files below it, or that match, in the order of their names
    hf:OWNER/NAME               a dataset on the hub, its split ``train``
    hf:OWNER/NAME@REVISION:CONFIG#SPLIT
                                each of the three can be left out; a slash in a revision is %2F
    hf:./FOLDER:CONFIG#SPLIT    a folder that is a copy of a dataset on the hub (with ./ or /)
"""

import hashlib
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from msgspec import Struct
from msgspec.structs import replace

from metaalign.data.manifest import hash_file
from metaalign.data.sources import hub
from metaalign.data.sources.quarantine import Quarantine
from metaalign.schema import UserError

HUB = "hf:"
DEFAULT_SPLIT = "train"
"""The split of a dataset on the hub where none is named: what is held out stays held out."""

SUFFIXES = (".jsonl", ".json", ".ndjson", ".csv", ".tsv", ".parquet")
COMPRESSED = (".gz", ".zst", ".xz")
_NO_DATA = frozenset({"dataset_info.json", "dataset_infos.json", "state.json", "manifest.json"})
"""What tools write beside the data."""

_HUB_NAME = re.compile(
    r"(?P<name>[\w.-]+/[\w.-]+|\.?\.?/[^@:#]*)"
    r"(?:@(?P<revision>[^@:#]+))?(?::(?P<config>[^@:#]+))?(?:#(?P<split>[\w.-]+))?"
)


class Place(Struct, frozen=True):
    """Files, or a dataset on the hub; and what becomes of damaged records."""

    path: Path | None = None
    """A file, a folder or a glob; None for a dataset on the hub."""
    name: str = ""
    """``OWNER/NAME`` on the hub, or a folder that is a copy of one."""
    revision: str = ""
    config: str = ""
    split: str = DEFAULT_SPLIT
    quarantine: Quarantine | None = None
    """Counts and names damaged records; without one, the first of them raises ``UserError``."""

    def __str__(self) -> str:
        if self.path is not None:
            return str(self.path)
        revision = f"@{quote(self.revision, safe='')}" if self.revision else ""
        config = f":{self.config}" if self.config else ""
        split = f"#{self.split}" if self.split != DEFAULT_SPLIT else ""
        return f"{HUB}{self.name}{revision}{config}{split}"

    @classmethod
    def parse(cls, text: str, folder: Path = Path()) -> "Place":
        """The place that ``text`` names, a file from ``folder``; ``UserError`` if it names none.

        Nothing is looked up: whether it is there turns out when it is read.
        """
        if not text.strip():
            raise UserError(f"no place: write a file, a folder, or {HUB}OWNER/NAME")
        if not text.startswith(HUB):
            return cls(folder / text)
        match = _HUB_NAME.fullmatch(text.removeprefix(HUB))
        if match is None:
            raise UserError(
                f"{text!r} is no dataset on the hub: write {HUB}OWNER/NAME, "
                f"or all of it as {HUB}OWNER/NAME@REVISION:CONFIG#SPLIT"
            )
        given = match.groupdict(default="")
        name = given["name"]
        if given["revision"] and name.startswith((".", "/")):
            raise UserError(f"{text!r} names a revision of a folder, which has none: leave it out")
        return cls(
            name=str((folder / name).absolute()) if name.startswith(".") else name,
            revision=unquote(given["revision"]),
            config=given["config"],
            split=given["split"] or DEFAULT_SPLIT,
        )

    @classmethod
    def of(cls, place: "Place | Path | str") -> "Place":
        """``place`` itself, or what a path or a text names."""
        if isinstance(place, Place):
            return place
        return cls(place) if isinstance(place, Path) else cls.parse(place)

    @property
    def on_hub(self) -> bool:
        return self.path is None

    @property
    def is_copy(self) -> bool:
        """True if it is read as a dataset on the hub is, from a folder."""
        return self.on_hub and Path(self.name).is_absolute()

    def quarantined(self, quarantine: Quarantine) -> "Place":
        """The same place, where damaged records go into ``quarantine`` and the rest goes on."""
        return replace(self, quarantine=quarantine)

    def part(self, name: str) -> "Place":
        """Another table of the same dataset: the configuration ``name`` on the hub, else the
        file ``name.*`` in the folder, or beside the file.

        Raises ``UserError`` if there is no such file.
        """
        if self.path is None:
            return replace(self, config=name)
        folder = self.path if self.path.is_dir() else self.path.parent
        found = [p for p in sorted(folder.glob(f"{name}.*")) if is_data_file(p)]
        if not found:
            raise UserError(f"{folder} has no file {name}.jsonl: it belongs to the same dataset")
        return replace(self, path=found[0])

    def files(self) -> list[Path]:
        """The local files, in order; ``UserError`` if there is none. Empty for the hub."""
        if self.path is None:
            return []
        if self.path.is_dir():
            found = [p for p in self.path.rglob("*") if is_data_file(p)]
            if not found:
                raise UserError(
                    f"{self.path} holds no data file: expected {', '.join(SUFFIXES)}, "
                    f"plain or with {', '.join(COMPRESSED)}"
                )
            return sorted(found)
        if not self.path.exists() and re.search(r"[*?\[]", str(self.path)):
            found = [p for p in _glob(self.path) if p.is_file()]
            if not found:
                raise UserError(f"no file matches {self.path}; check the path")
            return sorted(found)
        return [self.path]

    def identity(self) -> str:
        """What names the content: SHA-256 of the bytes, or the hub's commit.

        Of one file it is ``hash_file``; of several the hash of their names and hashes. Raises
        ``UserError`` for what cannot be read or reached.
        """
        if self.is_copy:
            return Place(Path(self.name)).identity()
        if self.path is None:
            return hub.commit(self.name, self.revision)
        files = self.files()
        if files == [self.path]:
            return hash_file(self.path)
        folder = self.path if self.path.is_dir() else self.path.parent
        digest = hashlib.sha256()
        for file in files:
            name = file.relative_to(folder) if file.is_relative_to(folder) else file
            digest.update(f"{name.as_posix()}\n{hash_file(file)}\n".encode())
        return digest.hexdigest()

    def load(self) -> Any:
        """The rows of a place on the hub as dictionaries, streamed; ``UserError`` if it is not
        there, or there is no network."""
        return hub.stream(self.name, self.revision, self.config, self.split, str(self))


def is_data_file(path: Path) -> bool:
    """True if the name is one of a data file, and not hidden."""
    name = path.name
    for suffix in COMPRESSED:
        name = name.removesuffix(suffix)
    named = name.endswith(SUFFIXES) and not name.startswith(".") and path.name not in _NO_DATA
    return named and path.is_file()


def _glob(pattern: Path) -> list[Path]:
    return list(Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor))))
