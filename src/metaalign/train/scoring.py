"""How likely a causal model finds answer tokens: the forward pass of all training."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from metaalign.schema import Event, Progress, silent
from metaalign.train.batches import Batch, Example, make_batch, plan_epoch, shapes
from metaalign.train.losses import sequence_logprobs, token_logprobs
from metaalign.train.shared import attention_mask

if TYPE_CHECKING:
    from transformers import PreTrainedModel


POSITIONS = 64
"""Logits are computed at a multiple of this many positions."""
MOST_LOGITS = 2**26
"""Most logits that exist at a time: 256 MB in float32, and as much again for their gradient."""
_CLOSE = 1e-4
"""Difference of two log-probabilities, in nats, that rounding in float32 explains."""


def longest_input(model: "PreTrainedModel") -> int:
    """Most tokens that the model can read, by its own configuration."""
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return int(limit) if limit else 2**31


def use_bf16(precision: str, device: torch.device) -> bool:
    """Whether to compute in bfloat16: ``bf16``, ``fp32``, or ``auto``, where the hardware can."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Older CPUs emulate bfloat16, which is slower than float32.
    return device.type == "cpu" and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class AnswerModel(nn.Module):
    """A causal language model that returns log-probabilities of answer tokens only.

    The hidden states are gathered just before the output layer, so logits exist at answer positions
    only; and where a vocabulary is large, for a chunk of them at a time (``most_logits``), made
    once more in the backward pass.
    """

    def __init__(
        self, model: "PreTrainedModel", precision: str = "auto", most_logits: int = MOST_LOGITS
    ) -> None:
        super().__init__()
        self.model = model
        self.precision = precision
        self.most_logits = most_logits
        self.finish = after_head(model)

    def forward(self, batch: Batch) -> Tensor:
        """``[answer tokens]`` log-probabilities in float32."""
        # Few shapes, as in ``batches.BUCKET``: the number of answer tokens is rounded up too.
        answers = len(batch.target)
        more = -answers % POSITIONS
        row, column = F.pad(batch.row, (0, more)), F.pad(batch.column, (0, more))
        device = batch.input_ids.device
        with torch.autocast(device.type, torch.bfloat16, enabled=use_bf16(self.precision, device)):
            chunk = self._chunk()
            if self.finish is None or answers <= chunk:
                with _gathered(self.model, row, column) as gathered:
                    logits = self._logits(batch)
                # A model without an output layer of its own has made the logits of every position.
                logits = logits[0, :answers] if gathered else logits[batch.row, batch.column]
                return token_logprobs(logits, batch.target)
            with _gathered(self.model, row, column, keep=1) as gathered:
                self._logits(batch)
            hidden = gathered[0][:answers]
            return torch.cat(
                [
                    checkpoint(self._of_hidden, *part, use_reentrant=False)
                    for part in zip(
                        torch.split(hidden, chunk), torch.split(batch.target, chunk), strict=True
                    )
                ]
            )

    def _logits(self, batch: Batch) -> Tensor:
        logits: Tensor = self.model(**self._inputs(batch), use_cache=False).logits
        return logits

    def _of_hidden(self, hidden: Tensor, target: Tensor) -> Tensor:
        """From ``[chunk, width]`` to the log-probabilities ``[chunk]``."""
        assert self.finish is not None
        return token_logprobs(self.finish(_head(self.model)(hidden)), target)

    def _chunk(self) -> int:
        """How many positions have their logits made at a time."""
        vocabulary = int(self.model.config.get_text_config().vocab_size)
        return max(POSITIONS, self.most_logits // vocabulary)

    def _inputs(self, batch: Batch) -> dict[str, Any]:
        if batch.layout is None:
            # What is cut off here is padding: rows that do not fit have been left out.
            return {"input_ids": batch.input_ids[:, : longest_input(self.model)]}
        return {
            "input_ids": batch.input_ids,
            "position_ids": batch.layout.position,
            "attention_mask": attention_mask(self.model.config, batch.layout),
        }


def _head(model: "PreTrainedModel") -> Any:
    return model.get_output_embeddings()  # type: ignore[no-untyped-call]


@contextmanager
def _gathered(
    model: "PreTrainedModel", row: Tensor, column: Tensor, keep: int | None = None
) -> Iterator[list[Tensor]]:
    """Hand the output layer only the hidden states at ``row`` and ``column``; ``keep`` of them.

    The list that is yielded gets them all, ``[positions, width]``; it stays empty for a model
    without an output layer of its own.
    """
    found: list[Tensor] = []

    def gather(_head: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        found.append(args[0][row, column])
        return (found[0][None, :keep], *args[1:])

    head = _head(model)
    hook = head.register_forward_pre_hook(gather) if isinstance(head, nn.Module) else None
    try:
        yield found
    finally:
        if hook is not None:
            hook.remove()


def after_head(model: "PreTrainedModel") -> Callable[[Tensor], Tensor] | None:
    """What the architecture does to the logits that its output layer makes: None if unknown.

    Known are soft capping (Gemma 2) and scales (Cohere, Granite), by the names that configurations
    give them. Whether it is right is tried, so that an architecture with something else is not
    computed wrongly: its logits are then made by its own code, all at a time.
    """
    config = model.config.get_text_config()
    cap = getattr(config, "final_logit_softcapping", None)
    times = getattr(config, "logit_scale", None) or 1.0
    over = getattr(config, "logits_scaling", None) or 1.0

    def finish(logits: Tensor) -> Tensor:
        logits = logits * times / over if times != over else logits
        return torch.tanh(logits / cap) * cap if cap else logits

    if not isinstance(_head(model), nn.Module):
        return None
    here = torch.arange(8, device=model.device)
    ids = (here % config.vocab_size)[None]
    with torch.no_grad(), _gathered(model, torch.zeros_like(here), here) as hidden:
        expected = model(input_ids=ids, use_cache=False).logits[0]
        found = finish(_head(model)(hidden[0])) if hidden else None
    same = found is not None and torch.allclose(found, expected, rtol=_CLOSE, atol=_CLOSE)
    return finish if same else None


@torch.no_grad()
def can_share(model: "PreTrainedModel") -> bool:
    """Whether ``model`` gives the same log-probabilities in the shared form as in the plain one.

    It is tried on a prompt and three answers of random tokens: an architecture whose attention
    takes no such mask, or whose positions cannot be told, fails or differs.
    """
    draw = np.random.default_rng(0)
    vocabulary = len(next(model.get_input_embeddings().parameters()))
    ids = [draw.integers(0, vocabulary, n).astype(np.int32) for n in (17, 6, 1, 4)]
    example = Example(ids[0], tuple(ids[1:]))
    scorer = AnswerModel(model, "fp32")
    try:
        plain, shared = (
            scorer(make_batch([example], shared=form).to(model.device)) for form in (False, True)
        )
    except Exception:  # whatever a model's own code raises at what it does not know
        return False
    return bool(torch.allclose(plain, shared, rtol=_CLOSE, atol=_CLOSE))


@torch.no_grad()
def answer_logprobs(
    scorer: nn.Module,
    examples: Sequence[Example],
    *,
    device: torch.device,
    tokens_per_batch: int,
    shared: bool = False,
    task: str = "score",
    progress: Progress = silent,
) -> list[tuple[float, ...]]:
    """log p(answer) of every answer of every example, in order; nats, summed over tokens.

    ``scorer`` is an ``AnswerModel``, or one that accelerate has wrapped. With ``shared``, which
    ``can_share`` allows, answers share their prompt.
    """
    found: list[tuple[float, ...]] = [()] * len(examples)
    lengths, rows = shapes(examples, shared=shared)
    done = 0
    for numbers in plan_epoch(lengths, rows, tokens_per_batch, seed=0, epoch=0):
        batch = make_batch([examples[i] for i in numbers], shared=shared).to(device)
        total = sequence_logprobs(scorer(batch), batch.answer, sum(batch.answers))
        values = iter(total.tolist())
        for i in numbers:
            found[i] = tuple(next(values) for _ in examples[i].answers)
        done += len(numbers)
        progress(Event(task, done, len(examples), "pairs"))
    return found
