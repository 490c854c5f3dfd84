"""Where an artefact came from: its manifest, and the hashes that name what it was made of.

A manifest is written last and in one step, so a folder that has one is complete.
"""

import errno
import hashlib
import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from metaalign import __version__
from metaalign.schema import SCHEMA_VERSION, UserError

FILE_NAME = "manifest.json"

Scalar = str | int | float | bool | None
Setting = Scalar | list[Scalar] | dict[str, Scalar]
ManifestKind = Literal["dataset", "model", "pairs", "report"]

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_LIBRARIES = (
    "torch",
    "transformers",
    "tokenizers",
    "accelerate",
    "peft",
    "pyarrow",
    "msgspec",
    "scipy",
)


class Manifest(Struct, frozen=True, kw_only=True):
    """What a folder holds and how it was made."""

    schema: int = SCHEMA_VERSION
    """Version of the layout of the folder; a reader refuses a newer one."""
    kind: ManifestKind
    fingerprint: str
    """Hash of the settings, the inputs and the seed: equal means that a rerun makes the same."""
    seed: int
    settings: dict[str, Setting] = {}
    inputs: dict[str, str] = {}
    """Name of everything it was made from, and the hash of what was in it."""
    versions: dict[str, str] = {}
    """Versions of metaalign, Python and the libraries that were in use."""
    counts: dict[str, int] = {}
    """How much of what is in it, and how much was left out: ``groups.test``, ``skipped.…``."""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    """Wall time that making it took."""


class _Version(Struct):
    schema: int


def plain_settings(settings: Mapping[str, object]) -> dict[str, Setting]:
    """``settings`` as values that JSON can hold; a path becomes its text.

    Raises ``TypeError`` for a value that has no such form.
    """
    builtins = msgspec.to_builtins(dict(settings), enc_hook=_path_as_text)
    try:
        return msgspec.convert(builtins, dict[str, Setting])
    except msgspec.ValidationError as error:
        raise TypeError(f"a setting cannot be written to a manifest: {error}") from error


def _path_as_text(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a setting cannot be written to a manifest: {value!r}")


def fingerprint(
    settings: Mapping[str, object], inputs: Mapping[str, str] | None = None, *, seed: int = 0
) -> str:
    """Sixteen hex digits that change when anything that decides the result changes.

    The order of the keys does not matter. ``inputs`` holds names and hashes (``hash_file``,
    ``hash_folder``, or another manifest's fingerprint).
    """
    payload = {
        "schema": SCHEMA_VERSION,
        "settings": plain_settings(settings),
        "inputs": dict(inputs or {}),
        "seed": seed,
    }
    text = json.dumps(payload, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as ``sha256sum`` prints it."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error


def hash_folder(folder: Path) -> str:
    """SHA-256 over the names and the bytes of all files below ``folder``.

    The manifest itself is left out: it holds the time that a run took, so two runs that made
    the same files would otherwise differ.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder: give the folder that a stage has written")
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if name != FILE_NAME:
            digest.update(f"{name}\n{hash_file(path)}\n".encode())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Versions of metaalign, Python and those libraries that this process has imported."""
    found = {"metaalign": __version__, "python": platform.python_version()}
    return found | {name: metadata.version(name) for name in _LIBRARIES if name in sys.modules}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the operating system's complaints about writing ``path`` into one line for people."""
    try:
        yield
    except OSError as error:
        if error.errno in _DISK_FULL:
            raise UserError(
                f"the disk is full: cannot write {path}; free some space and run the same "
                "command again, what was finished before is kept"
            ) from error
        raise UserError(
            f"cannot write {path}: {error.strerror or error}; choose another --out or put it right"
        ) from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write ``manifest.json`` into ``folder`` in one step. Call it when all else is written."""
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    target, partial = folder / FILE_NAME, folder / f".{FILE_NAME}.{os.getpid()}"
    with writing(target):
        try:
            with partial.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, target)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def read_manifest(folder: Path) -> Manifest:
    """The manifest of ``folder``; ``UserError`` if it is missing, damaged or too new."""
    path = folder / FILE_NAME
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise UserError(
            f"{folder} has no {FILE_NAME}: it is not a folder that metaalign has finished; "
            "check the path, or run the command that makes it again"
        ) from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        # The version comes first: a newer manifest may not fit today's record at all.
        version = msgspec.json.decode(data, type=_Version).schema
        if version > SCHEMA_VERSION:
            raise UserError(
                f"{path} has schema {version}, and this metaalign reads up to {SCHEMA_VERSION}: "
                "upgrade metaalign (pip install -U metaalign)"
            )
        return msgspec.json.decode(data, type=Manifest)
    except msgspec.MsgspecError as error:
        raise UserError(
            f"{path} is damaged ({error}): run the command that makes {folder} again"
        ) from error


def is_done(folder: Path, expected: str) -> bool:
    """True if ``folder`` is complete and has the fingerprint ``expected``, so that making it
    again would make the same.

    A damaged manifest counts as not done; one of a newer metaalign raises ``UserError``, because
    doing the work again would overwrite what this version cannot judge.
    """
    if not (folder / FILE_NAME).exists():
        return False
    try:
        return read_manifest(folder).fingerprint == expected
    except UserError as error:
        if isinstance(error.__cause__, msgspec.MsgspecError):
            return False
        raise
