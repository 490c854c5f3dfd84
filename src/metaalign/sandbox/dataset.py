"""The sandbox as a dataset folder, and as a source that a data recipe can name."""

from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from metaalign.data.building.inputs import BuiltIn
from metaalign.data.manifest import Manifest, fingerprint, hash_folder, is_done
from metaalign.data.sources import Skipped
from metaalign.data.store import check_dataset, write_dataset
from metaalign.policy import load_matrix, resolve
from metaalign.sandbox.groups import FULL_SIZE, build_groups, stream_groups
from metaalign.sandbox.world import load_world
from metaalign.sandbox.writing import write_answer
from metaalign.schema import SYSTEM_INFO, Group, Preference, Progress, UserError, silent

SOURCE = "sandbox"


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """What the source can be told, as ``options`` of a data recipe."""

    size: Annotated[int, Meta(ge=1)] = FULL_SIZE
    """Samples over all splits."""
    every: Annotated[int, Meta(ge=1)] = 1
    """2 takes every second query and person of the world."""


def read(
    _place: object,
    /,
    *,
    seed: int = 0,
    skipped: Skipped | None = None,
    size: int = FULL_SIZE,
    every: int = 1,
) -> Iterator[Group]:
    """The groups, each with its split; nothing is ever ``skipped``."""
    for split, group in stream_groups(size, seed, every=every):
        yield replace(group, split=split)


def _content_hash() -> str:
    """Of the world and of the matrix by which it answers."""
    with as_file(files("metaalign.sandbox") / "world") as world:
        return fingerprint({}, {"world": hash_folder(world), "matrix": load_matrix().content_hash})


WORLD = BuiltIn(
    SOURCE,
    licence="Apache-2.0",
    origin="metaalign",
    description="A small closed world in which every preference has a verifier; "
    "it comes with splits of its own.",
    read=read,
    content_hash=_content_hash,
    settings=Settings,
)
"""The sandbox as a source."""


def build_sandbox(
    out: Path,
    size: int = FULL_SIZE,
    seed: int = 0,
    *,
    every: int = 1,
    progress: Progress = silent,
) -> Manifest:
    """Build ``size`` samples of the sandbox at ``out``; kept if the same are there, and whole.

    ``every`` 2 takes every second query and person of the world.
    """
    matrix = load_matrix()
    settings = {"sources": [SOURCE], "size": size, "every": every, "matrix": matrix.label}
    with as_file(files("metaalign.sandbox") / "world") as world:
        inputs = {"world": hash_folder(world)}
    if is_done(out, fingerprint(settings, inputs, seed=seed)):
        try:
            return check_dataset(out)
        except UserError:
            pass  # a file of it is gone or damaged: build it again
    return write_dataset(
        out,
        build_groups(size, seed, every=every, matrix=matrix, progress=progress),
        settings=settings,
        seed=seed,
        inputs=inputs,
        sources_licences={SOURCE: "Apache-2.0"},
        progress=progress,
    )


def aligned_answer(group: Group) -> str:
    """The answer for one fixed preference: safety first, and otherwise as helpful as can be.

    It is what ``aligned-sft`` is taught: harmful requests refused, contested ones answered with the
    view that most share, all others with the plain answer.
    """
    world = load_world()
    fixed = [Preference(SYSTEM_INFO, "priority", "safety")]
    return write_answer(
        world.query(group.kind, group.query_id), resolve(fixed, group.kind, load_matrix()), world
    )
