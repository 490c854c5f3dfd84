"""Answers that share their prompt: the attention masks, and whether a model's attention takes them.

A row holds a prompt once and all answers to it (``batches.Layout``). For a causal model that is the
same function as the plain form, row by row, if its attention obeys a mask that it is given and its
positions are those it is told. Most architectures do; which, is found out by trying.
"""

from typing import Any

import torch
from torch import Tensor

from metaalign.train.batches import Layout

Mask = Tensor | dict[str, Tensor]
"""``[rows, 1, length, length]``, or one such mask for every kind of layer."""

FULL, SLIDING = "full_attention", "sliding_attention"


def attention_mask(config: Any, layout: Layout, dtype: torch.dtype = torch.float32) -> Mask:
    """What is added to the attention scores, in the shape that the architecture expects.

    0 where a token sees another, and the lowest number of ``dtype`` where it does not. Layers with
    a sliding window get a mask of their own; ``config`` says which there are.

    Raises:
        NotImplementedError: the architecture has layers that are neither full nor sliding.
    """
    config = config.get_text_config()
    window = getattr(config, "sliding_window", None)
    kinds = set(getattr(config, "layer_types", None) or ())
    if not kinds <= {FULL, SLIDING}:
        raise NotImplementedError(f"layers of the kinds {', '.join(sorted(kinds))}")
    if not kinds:
        # Without kinds a window holds for all layers.
        return _additive(layout.visible(window), dtype)
    masks = {FULL: _additive(layout.visible(), dtype)}
    if SLIDING in kinds:
        masks[SLIDING] = _additive(layout.visible(window), dtype)
    return masks


def _additive(visible: Tensor, dtype: torch.dtype) -> Tensor:
    lowest = torch.finfo(dtype).min
    zeros = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
    return zeros.masked_fill_(~visible, lowest)[:, None]
