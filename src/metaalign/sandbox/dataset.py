"""The sandbox as a dataset folder."""

from importlib.resources import as_file, files
from pathlib import Path

from metaalign.data.manifest import Manifest, fingerprint, hash_folder, is_done
from metaalign.data.store import check_dataset, write_dataset
from metaalign.policy import load_matrix, resolve
from metaalign.sandbox.groups import FULL_SIZE, build_groups
from metaalign.sandbox.world import load_world
from metaalign.sandbox.writing import write_answer
from metaalign.schema import SYSTEM_INFO, Group, Preference, Progress, UserError, silent

SOURCE = "sandbox"


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
