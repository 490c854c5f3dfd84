"""What all tests share: no network, one thread, and one small quickstart for the whole run."""

import os
from pathlib import Path

import pytest

NETWORK = os.environ.get("METAALIGN_NETWORK") == "1"
if not NETWORK:
    # Before any test imports a library that reads it: nothing is asked of the hub by accident.
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with a line that says why, what this machine cannot run."""
    gpu = [item for item in items if item.get_closest_marker("gpu")]
    if gpu:
        import torch

        if not torch.cuda.is_available():
            for item in gpu:
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device, and there is none"))
    for item in items:
        if item.get_closest_marker("network") and not NETWORK:
            item.add_marker(pytest.mark.skip(reason="needs the internet: METAALIGN_NETWORK=1"))


@pytest.fixture(scope="session")
def quickstart_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one finished quickstart at test scale: dataset/, models/, report/.

    Made once for all xdist workers: whoever comes first makes it, the others wait. Read it, or copy
    it; do not write into it. A test that uses it carries ``pytest.mark.xdist_group("quickstart")``,
    so that no second worker waits for nothing.
    """
    from filelock import FileLock

    from metaalign.quickstart import quickstart

    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    out = root / "quickstart"
    done = root / "quickstart.done"
    with FileLock(root / "quickstart.lock"):
        if not done.exists():
            quickstart(out, seed=0, scale="test")
            done.touch()
    return out


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 samples of the sandbox, made by the command line. Read it, or copy it."""
    from metaalign.cli import main

    out = tmp_path_factory.mktemp("small") / "data"
    assert main(["data", "build", "--size", "120", "--seed", "3", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="session")
def small_model(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has seen ``small_dataset`` once and learned nothing. Read it, or copy it."""
    from metaalign.cli import main

    out = tmp_path_factory.mktemp("small") / "model"
    words = ["train", "--data", str(small_dataset), "--model", "scratch:tiny"]
    words += ["--recipe", "one-stage", "--set", "sft.epochs=1", "--out", str(out)]
    assert main(words) == 0
    return out
