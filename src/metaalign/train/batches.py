"""Examples, and the batches that are made of them: bucketed by length, repeatable by seed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from metaalign.prompt import Encoded, Tokenizer, encode_batch
from metaalign.schema import Dialogue, Event, Progress, silent

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

Ids = npt.NDArray[np.int32]

BUCKET = 8
"""Rows are padded to a multiple of this, and batches are made of rows of equal length, so that few
shapes of tensors occur: on a CPU each new shape costs the compilation of its kernels."""

_ENCODED_AT_ONCE = 1024


@dataclass(frozen=True, eq=False)
class Example:
    """One prompt and the answers to it: one answer for SFT, chosen and rejected for DPO."""

    prompt: Ids
    answers: tuple[Ids, ...]
    """Token ids of every answer, its end token included."""
    reference: tuple[float, ...] = ()
    """log p(answer) under the reference policy, one per answer; empty where none is needed."""

    @property
    def length(self) -> int:
        """Tokens that the model reads in the longest row; the last token is only predicted."""
        return len(self.prompt) + max(len(answer) for answer in self.answers) - 1

    @property
    def tokens(self) -> int:
        """Tokens that the model reads in all rows, padding excluded."""
        return sum(len(self.prompt) + len(answer) - 1 for answer in self.answers)


@dataclass(frozen=True, eq=False)
class Batch:
    """Padded rows, one per answer, and the places where answer tokens are predicted.

    Rows are padded on the right. Under causal attention nothing that counts can see the padding, so
    there is no attention mask.
    """

    input_ids: Tensor
    """``[rows, length]``."""
    row: Tensor
    """``[answer tokens]``: the row of each answer token."""
    column: Tensor
    """``[answer tokens]``: the position whose logits predict it."""
    target: Tensor
    """``[answer tokens]``: its id."""
    reference: Tensor
    """``[rows]``: log p(answer) under the reference; empty where there is none."""
    tokens: int
    """Tokens read, padding excluded."""

    def to(self, device: torch.device) -> "Batch":
        return Batch(
            input_ids=self.input_ids.to(device),
            row=self.row.to(device),
            column=self.column.to(device),
            target=self.target.to(device),
            reference=self.reference.to(device),
            tokens=self.tokens,
        )


def encode_examples(
    rows: Sequence[tuple[Dialogue, Sequence[str]]],
    tokenizer: "PreTrainedTokenizerFast",
    *,
    task: str = "encode",
    progress: Progress = silent,
) -> list[Example]:
    """Render every dialogue with each of its answers.

    Only the last response is trained on: assistant turns that the dialogue already holds are part
    of the prompt. Every dialogue must end with the user's turn.
    """
    examples: list[Example] = []
    for start in range(0, len(rows), _ENCODED_AT_ONCE):
        chunk = rows[start : start + _ENCODED_AT_ONCE]
        answered = (dialogue.answered(text) for dialogue, texts in chunk for text in texts)
        encoded = iter(encode_batch(answered, cast(Tokenizer, tokenizer)))
        examples += [_example([next(encoded) for _ in texts]) for _, texts in chunk]
        progress(Event(task, len(examples), len(rows), "dialogues"))
    return examples


def _example(encoded: Sequence[Encoded]) -> Example:
    parts = [_split(one) for one in encoded]
    return Example(parts[0][0], tuple(answer for _, answer in parts))


def _split(encoded: Encoded) -> tuple[Ids, Ids]:
    """The prompt and the last response: the run of loss-bearing tokens at the very end."""
    start = len(encoded.ids)
    while start and encoded.loss_mask[start - 1]:
        start -= 1
    ids = np.array(encoded.ids, dtype=np.int32)
    return ids[:start], ids[start:]


def keep_fitting(examples: Sequence[Example], limit: int) -> tuple[list[Example], int]:
    """The examples whose rows are no longer than ``limit``, and how many were left out."""
    kept = [example for example in examples if example.length <= limit]
    return kept, len(examples) - len(kept)


def plan_epoch(
    lengths: Sequence[int], rows: Sequence[int], tokens_per_batch: int, seed: int, epoch: int
) -> list[list[int]]:
    """Cut one epoch into batches of example numbers.

    Every example occurs exactly once; the last, smaller batches are kept. The order depends on
    ``seed`` and ``epoch`` only.

    Args:
        lengths: longest row of every example, in tokens.
        rows: rows of every example.
        tokens_per_batch: most tokens of a batch, padding included. An example that is larger than
            this gets a batch of its own.
    """
    rng = np.random.default_rng([seed, epoch])
    batches: list[list[int]] = []
    growing: dict[tuple[int, int], list[int]] = {}
    for i in rng.permutation(len(lengths)).tolist():
        shape = rows[i], _padded(lengths[i])
        mine = growing.setdefault(shape, [])
        mine.append(i)
        if (len(mine) + 1) * shape[0] * shape[1] > tokens_per_batch:
            batches.append(growing.pop(shape))
    rest = [i for shape in sorted(growing) for i in growing[shape]]
    batches += _cut(sorted(rest, key=lambda i: lengths[i]), lengths, rows, tokens_per_batch)
    return [batches[i] for i in rng.permutation(len(batches)).tolist()]


def _cut(
    order: Sequence[int], lengths: Sequence[int], rows: Sequence[int], budget: int
) -> list[list[int]]:
    """Cut ``order`` into batches as large as the budget lets them be."""
    pieces: list[list[int]] = []
    height = longest = 0
    for i in order:
        height, longest = height + rows[i], max(longest, _padded(lengths[i]))
        if not pieces or height * longest > budget:
            pieces.append([])
            height, longest = rows[i], _padded(lengths[i])
        pieces[-1].append(i)
    return pieces


def _padded(length: int) -> int:
    return -(-length // BUCKET) * BUCKET


def make_batch(examples: Sequence[Example]) -> Batch:
    """Pad examples into one batch; the rows of an example stand next to each other, in order."""
    sequences = [(e.prompt, answer) for e in examples for answer in e.answers]
    length = _padded(max(len(prompt) + len(answer) for prompt, answer in sequences) - 1)
    input_ids = np.zeros((len(sequences), length), dtype=np.int64)
    counts, columns = [], []
    for i, (prompt, answer) in enumerate(sequences):
        end = len(prompt) + len(answer) - 1
        input_ids[i, : len(prompt)] = prompt
        input_ids[i, len(prompt) : end] = answer[:-1]
        counts.append(len(answer))
        columns.append(np.arange(len(prompt) - 1, end))
    return Batch(
        input_ids=torch.from_numpy(input_ids),
        row=torch.from_numpy(np.repeat(np.arange(len(sequences)), counts)),
        column=torch.from_numpy(np.concatenate(columns)),
        target=torch.from_numpy(np.concatenate([a for _, a in sequences]).astype(np.int64)),
        reference=torch.tensor([r for e in examples for r in e.reference]),
        tokens=sum(e.tokens for e in examples),
    )


def plan_steps(
    examples: Sequence[Example], tokens_per_batch: int, accumulate: int, seed: int
) -> Iterator[list[list[int]]]:
    """Endless optimizer steps, epoch after epoch: the batches of each, as example numbers."""
    lengths = [example.length for example in examples]
    rows = [len(example.answers) for example in examples]
    epoch = 0
    while examples:
        plan = plan_epoch(lengths, rows, tokens_per_batch, seed, epoch)
        for start in range(0, len(plan), accumulate):
            yield plan[start : start + accumulate]
        epoch += 1
