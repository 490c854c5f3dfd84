"""Examples, and the batches that are made of them: bucketed by length, repeatable by seed.

A batch has one of two forms. In the *plain* form every answer is a row of its own, behind its own
copy of the prompt. In the *shared* form a row is one example: the prompt once, then all answers to
it, each of which sees the prompt and itself only. Both give the same log-probabilities; the shared
form reads fewer tokens.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
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
    def shared_length(self) -> int:
        """Tokens that the model reads if the answers share the prompt."""
        return len(self.prompt) + sum(len(answer) - 1 for answer in self.answers)

    @property
    def tokens(self) -> int:
        """Tokens of all answers, each with its prompt: what the plain form reads, unpadded.

        It measures the work that is to be done, in whatever form it is done.
        """
        return sum(len(self.prompt) + len(answer) - 1 for answer in self.answers)


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the tokens of a batch in the shared form belong; all ``[rows, length]``."""

    position: Tensor
    """Place of every token in its own sequence of prompt and answer, from 0."""
    part: Tensor
    """0 for the prompt, 1 and so on for the answers, -1 for padding."""

    def visible(self, window: int | None = None) -> Tensor:
        """Who sees whom: ``[rows, length, length]``, True where a token (axis 1) sees one (axis 2).

        A token sees the prompt and its own answer, up to its own place; with ``window``, only
        tokens that are less than so many places before it. Nothing sees padding but itself: a
        softmax over nothing has no value.
        """
        part, place = self.part, self.position
        seen = (part[:, None, :] == 0) | (part[:, None, :] == part[:, :, None])
        before = place[:, :, None] - place[:, None, :]
        seen &= before >= 0
        if window is not None:
            seen &= before < window
        padding = part < 0
        seen &= ~padding[:, None, :]
        return seen | torch.diag_embed(padding)


@dataclass(frozen=True, eq=False)
class Batch:
    """Padded rows, and the places where answer tokens are predicted.

    Rows are padded on the right. In the plain form nothing that counts can see the padding under
    causal attention, so there is no attention mask; in the shared form ``layout`` says who sees
    whom.
    """

    input_ids: Tensor
    """``[rows, length]``."""
    row: Tensor
    """``[answer tokens]``: the row of each answer token."""
    column: Tensor
    """``[answer tokens]``: the position whose logits predict it."""
    target: Tensor
    """``[answer tokens]``: its id."""
    answer: Tensor
    """``[answer tokens]``: the number of the answer that it belongs to, over the whole batch."""
    answers: tuple[int, ...]
    """How many answers every example has."""
    reference: Tensor
    """``[answers]``: log p(answer) under the reference; empty where there is none."""
    tokens: int
    """``Example.tokens`` of all examples."""
    layout: Layout | None = None
    """None in the plain form."""

    def to(self, device: torch.device) -> "Batch":
        def there(tensor: Tensor) -> Tensor:
            return tensor.to(device, non_blocking=True)

        layout = self.layout
        return replace(
            self,
            input_ids=there(self.input_ids),
            row=there(self.row),
            column=there(self.column),
            target=there(self.target),
            answer=there(self.answer),
            reference=there(self.reference),
            layout=layout and Layout(there(layout.position), there(layout.part)),
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


def make_batch(examples: Sequence[Example], *, shared: bool = False) -> Batch:
    """Pad examples into one batch; answers are numbered example by example, in order."""
    input_ids, layout, row, column = (_shared_rows if shared else _plain_rows)(examples)
    answers = [answer for example in examples for answer in example.answers]
    return Batch(
        input_ids=torch.from_numpy(input_ids),
        row=torch.from_numpy(row),
        column=torch.from_numpy(column),
        target=torch.from_numpy(np.concatenate(answers).astype(np.int64)),
        answer=torch.from_numpy(np.repeat(np.arange(len(answers)), [len(a) for a in answers])),
        answers=tuple(len(example.answers) for example in examples),
        reference=torch.tensor([r for e in examples for r in e.reference]),
        tokens=sum(e.tokens for e in examples),
        layout=layout,
    )


Rows = tuple[npt.NDArray[np.int64], Layout | None, npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Ids ``[rows, length]``, the layout, and row and column of every answer token."""


def _plain_rows(examples: Sequence[Example]) -> Rows:
    sequences = [(e.prompt, answer) for e in examples for answer in e.answers]
    length = _padded(max(len(prompt) + len(answer) for prompt, answer in sequences) - 1)
    input_ids = np.zeros((len(sequences), length), dtype=np.int64)
    columns = []
    for i, (prompt, answer) in enumerate(sequences):
        end = len(prompt) + len(answer) - 1
        input_ids[i, : len(prompt)] = prompt
        input_ids[i, len(prompt) : end] = answer[:-1]
        columns.append(np.arange(len(prompt) - 1, end))
    counts = [len(answer) for _, answer in sequences]
    return input_ids, None, np.repeat(np.arange(len(sequences)), counts), np.concatenate(columns)


def _shared_rows(examples: Sequence[Example]) -> Rows:
    length = _padded(max(e.shared_length for e in examples))
    input_ids, position = np.zeros((2, len(examples), length), dtype=np.int64)
    part = np.full_like(position, -1)
    columns = []
    for i, example in enumerate(examples):
        start = prompt = len(example.prompt)
        input_ids[i, :prompt] = example.prompt
        position[i, :prompt] = np.arange(prompt)
        part[i, :prompt] = 0
        for number, answer in enumerate(example.answers, start=1):
            here = slice(start, start := start + len(answer) - 1)
            input_ids[i, here] = answer[:-1]
            position[i, here] = np.arange(prompt, prompt + len(answer) - 1)
            part[i, here] = number
            # The prompt's last token predicts the first token of every answer.
            columns += [np.array([prompt - 1]), np.arange(here.start, here.stop)]
    counts = [sum(len(answer) for answer in e.answers) for e in examples]
    layout = Layout(torch.from_numpy(position), torch.from_numpy(part))
    return input_ids, layout, np.repeat(np.arange(len(examples)), counts), np.concatenate(columns)


def plan_steps(
    examples: Sequence[Example],
    tokens_per_batch: int,
    accumulate: int,
    seed: int,
    *,
    shared: bool = False,
) -> Iterator[list[list[int]]]:
    """Endless optimizer steps, epoch after epoch: the batches of each, as example numbers."""
    lengths, rows = shapes(examples, shared=shared)
    epoch = 0
    while examples:
        plan = plan_epoch(lengths, rows, tokens_per_batch, seed, epoch)
        for start in range(0, len(plan), accumulate):
            yield plan[start : start + accumulate]
        epoch += 1


def shapes(examples: Sequence[Example], *, shared: bool) -> tuple[list[int], list[int]]:
    """The longest row and the number of rows of every example, for ``plan_epoch``."""
    if shared:
        return [e.shared_length for e in examples], [1] * len(examples)
    return [e.length for e in examples], [len(e.answers) for e in examples]
