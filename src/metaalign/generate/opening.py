"""What opening a model of any sort has in common: names, devices, the hub, errors in one line."""

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch
from transformers.utils import logging

from metaalign.schema import UserError


def check_name(name: str, folder: Path) -> None:
    """Tell a path that is not there from a name that the hub may know, without asking the hub."""
    if folder.exists():
        raise UserError(f"{name} is a file: give the folder of a model")
    parts = name.split("/")
    if name.startswith((".", "~")) or len(parts) > 2 or not all(parts):
        raise UserError(
            f"there is no model folder {name}: check the path, "
            "or give a Hugging Face name (OWNER/NAME)"
        )


def check_weights(name: str, info: Mapping[str, Any]) -> None:
    """transformers fills weights that are missing with random ones and only logs it."""
    wrong = sorted(str(key) for kind in ("missing_keys", "mismatched_keys") for key in info[kind])
    if wrong:
        raise UserError(
            f"{name} has no usable weights for {wrong[0]}"
            f"{f' and {len(wrong) - 1} more' if len(wrong) > 1 else ''}: "
            "the folder is incomplete or its config.json belongs to another model; make it again"
        )


def place_on(device: str | None) -> torch.device:
    """The device called ``device``, or the best one here; ``UserError`` if it cannot be used."""
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError) as error:
        raise UserError(
            f"device {device!r} cannot be used here ({first_line(error)}): use cpu"
        ) from error
    return place


def hub_answers() -> bool:
    """Whether the hub can be reached at all: it retries for most of a minute before it says no."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY")):
        return True  # a proxy may reach what this machine cannot look up
    parts = urlsplit(constants.ENDPOINT)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 443), timeout=5).close()
    except OSError:
        return False
    return True


@contextmanager
def opening(name: str, *, local: bool, offline: bool) -> Iterator[None]:
    """Turn what the libraries raise about ``name`` into one line that says what to do."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # a damaged tokenizer.json raises a bare Exception, others anything
        if local:
            advice = "is the folder complete? make it again, or give another"
        elif offline:
            advice = (
                "it is no folder here, not among the models downloaded before, "
                "and the Hugging Face hub cannot be reached: give a model folder, or go online"
            )
            raise UserError(f"cannot open the model {name}: {advice}") from error
        else:
            advice = "check the name, and whether you may download it"
        raise UserError(f"cannot open the model {name} ({first_line(error)}): {advice}") from error


@contextmanager
def without_bars() -> Iterator[None]:
    """Keep transformers' own progress bars out of the terminal."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".:, ")
