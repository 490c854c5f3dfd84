"""Supervised fine-tuning: dialogues and the responses that the model is to give."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from metaalign.schema import Dialogue, MetaPrompt, Progress, silent
from metaalign.train.batches import Batch, encode_examples
from metaalign.train.losses import sft_loss
from metaalign.train.recipe import Phase, Rates, Reads
from metaalign.train.trainer import History, fit

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

SftRow = tuple[Dialogue, str]
"""A dialogue that ends with the user's turn, and the response to it."""


def shown(dialogue: Dialogue, reads: Reads) -> Dialogue:
    """What the model is shown of a dialogue: all of it, or the turns without the Meta-Prompt."""
    return dialogue if reads == "meta_prompt" else Dialogue(MetaPrompt(), dialogue.turns)


def sft_objective(batch: Batch, token_logprobs: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Negative log-likelihood of every response token; the prompt has no loss."""
    return sft_loss(token_logprobs), {}


def sft(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerFast",
    rows: Sequence[SftRow],
    phase: Phase,
    rates: Rates,
    *,
    out: Path,
    key: str,
    reads: Reads = "meta_prompt",
    seed: int = 0,
    task: str = "SFT",
    checkpoint_seconds: float = 120.0,
    progress: Progress = silent,
) -> History:
    """Train ``model`` in place on the responses of ``rows``; see ``trainer.fit``."""
    examples = encode_examples(
        [(shown(dialogue, reads), (response,)) for dialogue, response in rows],
        tokenizer,
        task=f"{task}: encode",
        progress=progress,
    )
    return fit(
        model,
        examples,
        sft_objective,
        phase,
        rates,
        out=out,
        key=key,
        seed=seed,
        task=task,
        checkpoint_seconds=checkpoint_seconds,
        progress=progress,
    )
