"""The loop that writes answers: batched, cached, and rows leave it when they are finished.

``transformers``' own ``generate`` carries every row to the end of the longest: with answers of 44
tokens on average and 128 at most it takes 2.2 times as long as this loop (two CPUs, 1M-parameter
Llama, 512 rows).
"""

import hashlib
import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from msgspec import Struct
from torch import Tensor
from transformers import PreTrainedModel
from transformers.cache_utils import Cache

from metaalign.schema import UserError

_COMPACT = 16
"""Finished rows that are worth copying the cache without them, ..."""
_COMPACT_SHARE = 0.2
"""... or the share of a smaller batch that is."""


class Sampling(Struct, frozen=True, kw_only=True):
    """How tokens are chosen, and when an answer ends."""

    temperature: float = 0.0
    """0 takes the likeliest token each time; 1 draws from the model's own distribution."""
    top_p: float = 1.0
    """Draw only among the likeliest tokens that together have this probability, (0, 1]."""
    max_new_tokens: int = 128
    """Most tokens of an answer, the end token included."""
    seed: int = 0
    """With the prompt and the number of the sample it decides every draw."""
    stop: tuple[str, ...] = ()
    """Texts that end the answer and are not part of it."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise UserError(f"temperature is {self.temperature}: it must be 0 or more")
        if not 0 < self.top_p <= 1:
            raise UserError(f"top_p is {self.top_p}: it must be above 0 and at most 1")
        if self.max_new_tokens < 1:
            raise UserError(f"max_new_tokens is {self.max_new_tokens}: it must be at least 1")
        if not all(self.stop):
            raise UserError("stop holds an empty text, which would end every answer at once")


class Control(NamedTuple):
    """The control tokens of a model."""

    end: int
    """Ends an answer."""
    banned: Tensor
    """Ids that no answer holds: all other control tokens, and rows that no token has."""


def decode(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    samples: int,
    sampling: Sampling,
    control: Control,
    done: set[int],
) -> Iterator[list[tuple[int, int]]]:
    """Write ``samples`` answers to every prompt, one token of each row per step.

    Row ``i * samples + j`` is sample ``j`` of prompt ``i``. Each step yields (row, token) of the
    rows that are not finished; a row is finished after the end token or ``max_new_tokens``, or when
    the caller puts it into ``done``. The draws of a row depend on the seed, its prompt and ``j``
    only, not on what else is in the batch.
    """
    # Not a decorator: the caller's code runs between the steps and must not be in this mode.
    with torch.inference_mode():
        logits, cache, mask = _prefill(model, prompts, samples)
        noise = (
            _noise(prompts, samples, sampling).to(model.device) if sampling.temperature else None
        )
    rows = list(range(len(prompts) * samples))
    position = torch.tensor([len(p) for p in prompts for _ in range(samples)], device=model.device)
    step = 0
    while True:
        with torch.inference_mode():
            logits = logits.float().index_fill(1, control.banned, -torch.inf)
            drawn = noise[:, step] if noise is not None else None
            chosen = choose(logits, sampling.temperature, sampling.top_p, drawn)
        tokens = chosen.tolist()
        pairs = list(zip(rows, tokens, strict=True))
        yield [(row, token) for row, token in pairs if row not in done]
        step += 1
        done.update(row for row, token in pairs if token == control.end)
        alive = [i for i, row in enumerate(rows) if row not in done]
        if not alive or step == sampling.max_new_tokens:
            return
        with torch.inference_mode():
            gone = len(rows) - len(alive)
            if gone and gone >= min(_COMPACT, _COMPACT_SHARE * len(rows)):
                kept = torch.tensor(alive, device=model.device)
                if _select(cache, kept):
                    rows = [rows[i] for i in alive]
                    chosen, position = chosen[kept], position[kept]
                    mask = mask[kept] if mask is not None else None
                    noise = noise[kept] if noise is not None else None
            if mask is not None:
                mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
            logits, cache = _forward(model, chosen[:, None], position[:, None], mask, cache)
            position = position + 1


def choose(logits: Tensor, temperature: float, top_p: float, noise: Tensor | None) -> Tensor:
    """Choose one token per row.

    Args:
        logits: ``[rows, vocabulary]`` in float32.
        temperature, top_p: see ``Sampling``.
        noise: ``[rows]`` uniform numbers in [0, 1) that decide the draws; not needed for greedy.

    Returns:
        ``[rows]`` token ids. Row r is the token at which the cumulated probability passes
        ``noise[r]`` (inverse transform sampling), so that equal noise gives equal tokens.
    """
    if temperature == 0 or noise is None:
        return logits.argmax(-1)
    # The maximum goes first: a tiny temperature must not make infinities out of finite logits.
    scaled = (logits - logits.amax(-1, keepdim=True)).double() / temperature
    probabilities = scaled.softmax(-1)
    order = None
    if top_p < 1:
        probabilities, order = probabilities.sort(dim=-1, descending=True, stable=True)
        before = probabilities.cumsum(-1) - probabilities
        probabilities = probabilities.where(before < top_p, 0.0)
    cumulated = probabilities.cumsum(-1)
    target = noise.to(cumulated.dtype)[:, None] * cumulated[:, -1:]
    index = torch.searchsorted(cumulated, target, right=True).clamp(max=logits.shape[1] - 1)
    return index[:, 0] if order is None else order.gather(1, index)[:, 0]


def row_seed(seed: int, prompt: Sequence[int], sample: int) -> int:
    """63 bits that are the same for the same seed, prompt and sample on every machine."""
    digest = hashlib.blake2b(repr((seed, sample, list(prompt))).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def _noise(prompts: Sequence[Sequence[int]], samples: int, sampling: Sampling) -> Tensor:
    """``[rows, max_new_tokens]`` uniform numbers, each row from a generator of its own."""
    generator = torch.Generator()
    found = []
    for prompt in prompts:
        for sample in range(samples):
            generator.manual_seed(row_seed(sampling.seed, prompt, sample))
            found.append(
                torch.rand(sampling.max_new_tokens, generator=generator, dtype=torch.float64)
            )
    return torch.stack(found)


def _prefill(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], samples: int
) -> tuple[Tensor, Cache, Tensor | None]:
    """Read every prompt once: ``[rows, vocabulary]`` logits, the cache and the mask of all rows."""
    longest = max(len(prompt) for prompt in prompts)
    ids = torch.zeros(len(prompts), longest, dtype=torch.long)
    mask = torch.zeros(len(prompts), longest, dtype=torch.long)
    for i, prompt in enumerate(prompts):
        ids[i, longest - len(prompt) :] = torch.tensor(prompt)
        mask[i, longest - len(prompt) :] = 1
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    ids, mask, positions = (t.to(model.device) for t in (ids, mask, positions))
    padded = None if bool(mask.all()) else mask
    logits, cache = _forward(model, ids, positions, padded, None)
    if bool(torch.isnan(logits).any()):
        raise UserError(
            "the model's logits are no numbers (NaN): its training has diverged; "
            "train it again with a lower learning rate, or take an earlier checkpoint"
        )
    if samples > 1:
        if not _all_layers(cache, "batch_repeat_interleave"):
            return _prefill(model, [prompt for prompt in prompts for _ in range(samples)], 1)
        cache.batch_repeat_interleave(samples)
        logits = logits.repeat_interleave(samples, dim=0)
        padded = padded.repeat_interleave(samples, dim=0) if padded is not None else None
    return logits, cache, padded


def _forward(
    model: PreTrainedModel, ids: Tensor, positions: Tensor, mask: Tensor | None, cache: Cache | None
) -> tuple[Tensor, Cache]:
    """The logits after the last token of every row, and the cache that has read it."""
    takes = _parameters(type(model).forward)
    offered: dict[str, Any] = {"position_ids": positions, "logits_to_keep": 1}
    offered = {name: value for name, value in offered.items() if name in takes}
    out = model(
        input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **offered
    )
    if getattr(out, "past_key_values", None) is None:
        raise UserError(
            f"{type(model).__name__} keeps no cache of what it has read that metaalign can use: "
            "take a model with attention"
        )
    return out.logits[:, -1], out.past_key_values


def _select(cache: Cache, rows: Tensor) -> bool:
    """Keep only ``rows`` in the cache; False if it is of a kind that cannot."""
    if not _all_layers(cache, "batch_select_indices"):
        return False
    cache.batch_select_indices(rows)
    return True


def _all_layers(cache: Cache, method: str) -> bool:
    return all(hasattr(layer, method) for layer in cache.layers)


@lru_cache
def _parameters(function: Callable[..., object]) -> frozenset[str]:
    return frozenset(inspect.signature(function).parameters)
