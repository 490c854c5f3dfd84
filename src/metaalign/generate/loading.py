"""Opening a model: a folder or a Hugging Face name to a model and its tokenizer, or one line that
says why not."""

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.utils import logging

from metaalign.data.manifest import FILE_NAME, read_manifest
from metaalign.prompt import has_markers
from metaalign.schema import UserError

Reads = Literal["meta_prompt", "query"]
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Loaded(NamedTuple):
    """What ``Engine`` is made of."""

    model: PreTrainedModel
    tokenizer: Any
    reads: Reads
    """``query`` if the model is shown the turns only, without the Meta-Prompt."""


def load(model: str | Path, dtype: str | None, device: str | None) -> Loaded:
    """Open ``model``; see ``Engine.load``."""
    name = str(model)
    folder = Path(model)
    local = folder.is_dir()
    if not local:
        _check_name(name, folder)
    reads = _reads(folder) if local else "meta_prompt"
    place = _device(device)
    offline = not local and not _hub_answers()
    with _errors(name, local=local, offline=offline), _without_bars():
        tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=local or offline)
        if not has_markers(tokenizer):
            raise UserError(
                f"{name} has no tier markers, so it cannot read a Meta-Prompt: "
                f"train it first with metaalign train --model {name}"
            )
        opened: Any = AutoModelForCausalLM.from_pretrained(
            name,
            dtype=_dtype(dtype, place),
            local_files_only=local or offline,
            output_loading_info=True,
        )
    loaded, info = opened
    _check_weights(name, info)
    rows = loaded.get_input_embeddings().num_embeddings
    if rows < len(tokenizer):
        raise UserError(
            f"{name}: the model knows {rows} tokens and its tokenizer {len(tokenizer)}: "
            "the two do not belong together; save both into one folder again"
        )
    return Loaded(loaded.to(place).eval(), tokenizer, reads)


def _check_name(name: str, folder: Path) -> None:
    """Tell a path that is not there from a name that the hub may know, without asking the hub."""
    if folder.exists():
        raise UserError(f"{name} is a file: give the folder of a model")
    parts = name.split("/")
    if name.startswith((".", "~")) or len(parts) > 2 or not all(parts):
        raise UserError(
            f"there is no model folder {name}: check the path, "
            "or give a Hugging Face name (OWNER/NAME)"
        )


def _check_weights(name: str, info: Mapping[str, Any]) -> None:
    """transformers fills weights that are missing with random ones and only logs it."""
    wrong = sorted(str(key) for kind in ("missing_keys", "mismatched_keys") for key in info[kind])
    if wrong:
        raise UserError(
            f"{name} has no usable weights for {wrong[0]}"
            f"{f' and {len(wrong) - 1} more' if len(wrong) > 1 else ''}: "
            "the folder is incomplete or its config.json belongs to another model; make it again"
        )


def _reads(folder: Path) -> Reads:
    if not (folder / FILE_NAME).exists():
        return "meta_prompt"
    reads = read_manifest(folder).settings.get("reads", "meta_prompt")
    if reads == "query":
        return "query"
    if reads == "meta_prompt":
        return "meta_prompt"
    raise UserError(
        f"{folder / FILE_NAME}: settings.reads is {reads!r}: it must be meta_prompt or query"
    )


def _device(device: str | None) -> torch.device:
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError) as error:
        raise UserError(
            f"device {device!r} cannot be used here ({_first_line(error)}): use cpu"
        ) from error
    return place


def _dtype(dtype: str | None, device: torch.device) -> torch.dtype | Literal["auto"]:
    if dtype is None:
        # Measured on two CPUs with bfloat16 units: a 1M-parameter Llama decodes hardly faster in
        # bfloat16, and its ties between tokens fall otherwise in a batch than alone.
        return torch.float32 if device.type == "cpu" else "auto"
    if dtype == "auto":
        return "auto"
    if dtype not in DTYPES:
        raise UserError(f"no dtype is called {dtype!r}: use auto, {', '.join(DTYPES)}")
    return DTYPES[dtype]


def _hub_answers() -> bool:
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
def _errors(name: str, *, local: bool, offline: bool) -> Iterator[None]:
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
        raise UserError(f"cannot open the model {name} ({_first_line(error)}): {advice}") from error


@contextmanager
def _without_bars() -> Iterator[None]:
    """Keep transformers' own progress bars out of the terminal."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".:, ")
