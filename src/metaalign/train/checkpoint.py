"""Checkpoints: written in one step, so that a half-written one is never found."""

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from metaalign.data.manifest import writing

FILE_NAME = "checkpoint.pt"


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write ``state`` beside the last checkpoint, then put it in its place.

    Whatever happens meanwhile (kill, full disk, Ctrl-C), the last one stays whole.
    """
    target, partial = folder / FILE_NAME, folder / f".{FILE_NAME}.partial"
    with writing(target):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, target)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def load_checkpoint(folder: Path, key: str) -> dict[str, Any] | None:
    """The checkpoint that was made under ``key``; None if there is none, or it is another's."""
    path = folder / FILE_NAME
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile):
        return None
    return state if state.get("key") == key else None


def remove_checkpoint(folder: Path) -> None:
    """Remove the checkpoint of a run that is complete."""
    (folder / FILE_NAME).unlink(missing_ok=True)
