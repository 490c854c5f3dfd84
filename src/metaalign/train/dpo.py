"""Direct Preference Optimization: chosen against rejected, held to the SFT policy."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from metaalign.schema import Progress, silent
from metaalign.train.batches import Batch, encode_examples
from metaalign.train.losses import chosen_nll, dpo_loss, sequence_logprobs
from metaalign.train.pairs import PairRow
from metaalign.train.recipe import Dpo, Rates
from metaalign.train.trainer import History, fit

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


def dpo_objective(
    batch: Batch, token_logprobs: Tensor, *, settings: Dpo
) -> tuple[Tensor, dict[str, Tensor]]:
    """The DPO loss of every pair; answers are chosen and rejected in turn.

    Measures ``margin``, beta times the log-probability ratio of the pair against the reference, in
    nats, and ``accuracy``, the share of pairs in which it is above 0.
    """
    answers = sum(batch.answers)
    chosen, rejected = (
        sequence_logprobs(token_logprobs, batch.answer, answers).view(-1, 2).unbind(1)
    )
    reference = batch.reference.view(-1, 2)
    losses = dpo_loss(
        chosen,
        rejected,
        reference[:, 0],
        reference[:, 1],
        settings.beta,
        settings.label_smoothing,
    )
    if settings.sft_weight:
        tokens = torch.bincount(batch.answer, minlength=answers).view(-1, 2)[:, 0]
        losses = losses + settings.sft_weight * chosen_nll(chosen, tokens)
    with torch.no_grad():
        margin = settings.beta * (chosen - rejected - reference[:, 0] + reference[:, 1])
    return losses, {"margin": margin, "accuracy": (margin > 0).float()}


def dpo(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerFast",
    pairs: Sequence[PairRow],
    settings: Dpo,
    rates: Rates,
    *,
    out: Path,
    key: str,
    seed: int = 0,
    task: str = "DPO",
    checkpoint_seconds: float = 120.0,
    progress: Progress = silent,
) -> History:
    """Train ``model`` in place on ``pairs``; see ``trainer.fit``.

    The reference is the model as it comes in, the SFT policy: its log-probabilities are computed
    once, before the first step.
    """
    examples = encode_examples(
        [(pair.dialogue, (pair.chosen, pair.rejected)) for pair in pairs],
        tokenizer,
        task=f"{task}: encode",
        progress=progress,
    )
    return fit(
        model,
        examples,
        partial(dpo_objective, settings=settings),
        settings,
        rates,
        out=out,
        key=key,
        seed=seed,
        task=task,
        with_reference=True,
        checkpoint_seconds=checkpoint_seconds,
        progress=progress,
    )
