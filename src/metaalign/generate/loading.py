"""Opening a model: a folder or a Hugging Face name to a model and its tokenizer, or one line that
says why not."""

from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from metaalign.data.manifest import FILE_NAME, read_manifest
from metaalign.generate.opening import (
    check_name,
    check_weights,
    hub_answers,
    opening,
    place_on,
    without_bars,
)
from metaalign.prompt import layout_of
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
        check_name(name, folder)
    reads = _reads(folder) if local else "meta_prompt"
    place = place_on(device)
    offline = not local and not hub_answers()
    with opening(name, local=local, offline=offline), without_bars():
        tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=local or offline)
        layout_of(tokenizer)  # says at once if there is no way to show this model a dialogue
        opened: Any = AutoModelForCausalLM.from_pretrained(
            name,
            dtype=_dtype(dtype, place),
            local_files_only=local or offline,
            output_loading_info=True,
        )
    loaded, info = opened
    check_weights(name, info)
    rows = loaded.get_input_embeddings().num_embeddings
    if rows < len(tokenizer):
        raise UserError(
            f"{name}: the model knows {rows} tokens and its tokenizer {len(tokenizer)}: "
            "the two do not belong together; save both into one folder again"
        )
    return Loaded(loaded.to(place).eval(), tokenizer, reads)


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
