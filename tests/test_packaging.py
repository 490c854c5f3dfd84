"""What people install: the wheel has its data, the core is light, and every version is pinned."""

import re
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    # Without isolation: hatchling is among the development tools, so no network is needed.
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--quiet", "-w", str(folder), str(ROOT)], check=True, timeout=300)
    [path] = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_has_every_file_of_the_package(wheel: zipfile.ZipFile) -> None:
    source = ROOT / "src"
    there = {
        path.relative_to(source).as_posix()
        for path in (source / "metaalign").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert there - set(wheel.namelist()) == set()
    # The kinds that are easily lost.
    assert {Path(name).suffix for name in wheel.namelist()} >= {".toml", ".typed", ".py"}


def test_the_core_brings_three_small_libraries(wheel: zipfile.ZipFile) -> None:
    [name] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    needs = message_from_bytes(wheel.read(name)).get_all("Requires-Dist") or []
    core = {re.split(r"[^\w-]", need)[0] for need in needs if "extra ==" not in need}
    assert core == {"msgspec", "rich", "typer"}


def test_the_wheel_brings_the_command(wheel: zipfile.ZipFile) -> None:
    [name] = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    assert b"metaalign = metaalign.cli:main" in wheel.read(name)


def test_everything_that_is_needed_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    needed = {normal(re.split(r"[^\w.-]", need)[0]) for group in groups for need in group}
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert needed - {"metaalign"} <= {normal(name) for name in pins}
    assert pins["torch"] == "2.13.0"


def normal(name: str) -> str:
    """A distribution's name as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()
