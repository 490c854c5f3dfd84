"""Where the stages run changes nothing but the time that they take."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.data import small_stages
from tests.data.sources.published import habermas_record, write_lines

from metaalign.data.build import build_dataset
from metaalign.data.building.running import Sizes
from metaalign.data.manifest import Manifest, hash_folder
from metaalign.data.recipe import make_recipe
from metaalign.schema import Event, UserError

ROOT = Path(__file__).parents[3]
STAGES = [
    {"name": "too-short", "characters": 34},
    {"name": "same-end", "digits": 2},
    {"name": "loud"},
]

pytestmark = pytest.mark.xdist_group("ray")


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """A Ray of this machine's own, with two workers."""
    import logging

    ray = pytest.importorskip("ray")
    # Workers import what the tests import.
    path = os.pathsep.join([str(ROOT), *sys.path])
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        runtime_env={"env_vars": {"PYTHONPATH": path}},
    )
    yield ray
    ray.shutdown()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    write_lines(tmp_path / "h.jsonl", map(habermas_record, range(400)))
    return tmp_path


def build(files: Path, out: str, engine: str, stages: Any, **more: Any) -> Manifest:
    source = {"name": "habermas", "place": "h.jsonl"}
    recipe = make_recipe({"sources": [source], "stages": stages}, stages=small_stages.STAGES)
    sizes = Sizes(part=50, batch=20)
    return build_dataset(recipe, files / out, files=files, engine=engine, sizes=sizes, **more)


def test_ray_makes_the_bytes_that_one_process_makes(ray: Any, files: Path) -> None:
    events: list[Event] = []
    build(files, "local", "local", STAGES)
    manifest = build(files, "ray", "ray", STAGES, progress=events.append)
    assert hash_folder(files / "local") == hash_folder(files / "ray")
    assert manifest.counts["groups"] == 100  # one for every last two digits
    passed = [(e.done, e.total) for e in events if e.task.startswith("stages")]
    assert passed == [(n, 8) for n in range(1, 9)] * 2
    assert ray.is_initialized()  # it was not started by the build, so it goes on


def test_a_worker_that_is_killed_costs_nothing_but_time(ray: Any, files: Path) -> None:
    marker = files / "killed"
    marker.touch()  # nobody is killed while this is there
    stages = [{"name": "deadly", "marker": str(marker), "at": "habermas:S321"}, *STAGES]
    build(files, "local", "local", stages)
    marker.unlink()
    build(files, "ray", "ray", stages)
    assert marker.exists()  # a worker was killed
    assert hash_folder(files / "local") == hash_folder(files / "ray")


def test_what_a_person_must_put_right_comes_back_from_a_worker(ray: Any, files: Path) -> None:
    with pytest.raises(UserError, match=r"^the list of words is not there: give one$"):
        build(files, "out", "ray", [{"name": "refusing"}])
    assert not (files / "out").exists()


def test_an_unknown_engine_is_one_line(files: Path) -> None:
    with pytest.raises(UserError, match="no engine is called 'spark': use local or ray"):
        build(files, "out", "spark", [])


def _python(code: str, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    path = os.pathsep.join([str(ROOT), *sys.path])
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path, **variables},
    )


def test_a_ray_of_its_own_says_nothing_and_ends(files: Path) -> None:
    pytest.importorskip("ray")
    code = """
        import sys
        from metaalign.cli import main
        words = ["data", "build", "--source", f"habermas={sys.argv[1]}/h.jsonl"]
        code = main([*words, "--engine", "ray", "--out", f"{sys.argv[1]}/out"])
        import ray
        assert not ray.is_initialized()
        sys.exit(code)
    """
    result = _python(code, str(files))
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("dataset in ")
    said = [line for line in result.stderr.splitlines() if " in " not in line]
    assert not [line for line in said if not line.startswith(("read ", "stages", "write "))], said


def test_a_cluster_that_is_not_there_is_one_line(files: Path) -> None:
    pytest.importorskip("ray")
    code = """
        from metaalign.data.building.engines import open_engine
        from metaalign.schema import UserError
        try:
            with open_engine("ray"):
                pass
        except UserError as error:
            print(error)
    """
    result = _python(code, RAY_ADDRESS="127.0.0.1:1")
    assert result.stdout.startswith("cannot reach the cluster at RAY_ADDRESS=127.0.0.1:1 (")
    assert result.stdout.count("\n") == 1


def test_without_ray_the_extra_is_named() -> None:
    code = """
        import sys
        sys.modules["ray"] = None
        from metaalign.data.building.engines import open_engine
        from metaalign.schema import MissingExtra
        try:
            with open_engine("ray"):
                pass
        except MissingExtra as error:
            print(error)
        with open_engine("local"):
            pass
    """
    result = _python(code)
    assert "pip install 'metaalign[ray]'" in result.stdout, result.stderr
