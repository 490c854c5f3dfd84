"""A build that is killed, or whose disk is full, goes on where it stopped, to the same bytes."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from tests.data.sources.published import habermas_record, write_lines

from metaalign.data.building.staging import staging_folder
from metaalign.data.manifest import hash_folder
from metaalign.data.store import read_groups

_KILLED = """
    import sys
    from pathlib import Path
    from tests.data import small_stages
    from metaalign.data.build import build_dataset
    from metaalign.data.recipe import load_recipe
    from metaalign.data.building.running import Sizes
    recipe, files, out = map(Path, sys.argv[1:])
    made = load_recipe(recipe, stages=small_stages.STAGES)
    print("begun", flush=True)
    build_dataset(made, out, files=files, sizes=Sizes(part=40, batch=16))
"""


def _start(recipe: Path, files: Path, out: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(_KILLED), str(recipe), str(files), str(out)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=Path(__file__).parents[3],
    )


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_build_that_is_killed_again_and_again_makes_the_same_bytes(tmp_path: Path) -> None:
    write_lines(tmp_path / "h.jsonl", map(habermas_record, range(3000)))
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        'stages = [{ name = "same-end", digits = 3 }, { name = "loud" }]\n'
        '[[sources]]\nname = "habermas"\nplace = "h.jsonl"\n'
    )
    whole = _start(recipe, tmp_path, tmp_path / "whole")
    assert whole.stdout and whole.stdout.readline() == "begun\n"
    began = time.monotonic()
    assert whole.wait() == 0
    seconds = time.monotonic() - began
    out = tmp_path / "killed"
    kills = 0
    for at in (0.15, 0.3, 0.45, 0.6, 0.75, 0.9):  # shares of the time that all of it takes
        run = _start(recipe, tmp_path, out)
        assert run.stdout and run.stdout.readline() == "begun\n"
        time.sleep(at * seconds)
        run.send_signal(signal.SIGKILL)
        kills += run.wait() == -signal.SIGKILL
    assert kills
    assert _start(recipe, tmp_path, out).wait() == 0
    assert hash_folder(out) == hash_folder(tmp_path / "whole")
    assert not staging_folder(out).exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_disk_that_runs_full_is_one_line_and_the_next_build_goes_on(tmp_path: Path) -> None:
    write_lines(tmp_path / "h.jsonl", map(habermas_record, range(3000)))
    code = """
        import resource, sys
        from pathlib import Path
        from metaalign.data.build import build_dataset
        from metaalign.data.recipe import make_recipe
        from metaalign.data.building.running import Sizes
        from metaalign.schema import UserError
        folder, limit, part = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
        # A file may grow so far: the write that goes beyond fails as on a full disk.
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        recipe = make_recipe({"sources": [{"name": "habermas", "place": "h.jsonl"}]})
        try:
            build_dataset(recipe, folder / "out", files=folder, sizes=Sizes(part=part))
        except UserError as error:
            print(error)
    """

    def run(limit: int, part: int) -> str:
        words = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path), str(limit), str(part)]
        path = os.pathsep.join(sys.path)
        return subprocess.run(
            words, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
        ).stdout

    # A part of 3,000 groups is larger than that, one of 300 is not, a file of the dataset is.
    assert run(60_000, 3000).startswith("the disk is full: cannot write ")
    said = run(60_000, 300)
    assert said.startswith("the disk is full: cannot write ") and said.count("\n") == 1
    assert not (tmp_path / "out").exists()
    assert (
        len(list(staging_folder(tmp_path / "out").rglob("part-*.parquet"))) == 20
    )  # read, and passed
    assert run(10**9, 300) == ""
    assert len(read_groups(tmp_path / "out")) == 3000
