"""Checkpoints: whole or not at all."""

import subprocess
import sys
from pathlib import Path

import torch

from metaalign.train.checkpoint import load_checkpoint, remove_checkpoint, save_checkpoint


def test_it_comes_back_under_its_key_only(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, {"key": "a", "weights": torch.arange(3)})
    state = load_checkpoint(tmp_path, "a")
    assert state is not None
    assert state["weights"].tolist() == [0, 1, 2]
    assert load_checkpoint(tmp_path, "b") is None
    remove_checkpoint(tmp_path)
    assert load_checkpoint(tmp_path, "a") is None
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_one_is_not_loaded(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, {"key": "a", "weights": torch.arange(1000)})
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:500])
    assert load_checkpoint(tmp_path, "a") is None


FULL_DISK = """
import resource, sys
from pathlib import Path
import torch
from metaalign.schema import UserError
from metaalign.train.checkpoint import load_checkpoint, save_checkpoint
folder = Path(sys.argv[1])
save_checkpoint(folder, {"key": "a", "weights": torch.zeros(10)})
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    save_checkpoint(folder, {"key": "a", "weights": torch.ones(1_000_000)})
except UserError as error:
    print(error)
print(load_checkpoint(folder, "a")["weights"].sum().item(), [p.name for p in folder.iterdir()])
"""


def test_a_full_disk_leaves_the_last_one(tmp_path: Path) -> None:
    """A file size limit makes every write fail as a full disk does."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    complaint, left = done.stdout.strip().splitlines()
    assert complaint.startswith("the disk is full: cannot write")
    assert left == "0.0 ['checkpoint.pt']"
