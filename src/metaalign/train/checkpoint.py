"""Checkpoints: written in one step, so that a half-written one is never found."""

import os
import pickle
import re
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
        except RuntimeError as error:
            raise (os_error_behind(error) or error) from None
        finally:
            partial.unlink(missing_ok=True)


def os_error_behind(error: BaseException) -> OSError | None:
    """The operating system's complaint that ``error`` hides, None if it hides none.

    On a full disk torch and the writers of weights and tokenizers raise errors of their own.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError):
            return seen
        if code := re.search(r"\(os error (\d+)\)", str(seen)):
            return OSError(int(code[1]), os.strerror(int(code[1])))
        seen = seen.__cause__ or seen.__context__
    return None


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


def has_checkpoint(folder: Path) -> bool:
    """Whether a checkpoint is there, whatever is in it."""
    return (folder / FILE_NAME).exists()


def remove_checkpoint(folder: Path) -> None:
    """Remove the checkpoint of a run that is complete."""
    (folder / FILE_NAME).unlink(missing_ok=True)
