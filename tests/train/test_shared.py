"""Answers that share their prompt have the loss and the gradients of the plain form."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.train.makers import random_examples, tiny
from tests.train.test_scoring import ARCHITECTURES
from torch import Tensor

from metaalign.train.batches import Example, Layout, make_batch
from metaalign.train.scoring import AnswerModel, answer_logprobs, can_share

EXAMPLES = [(9, (5, 2)), (3, (7, 1, 4)), (14, (1, 6))]


def loss_and_gradient(model: Any, examples: list[Example], shared: bool) -> tuple[Tensor, Tensor]:
    """Of a loss that weighs every answer token differently."""
    model.zero_grad()
    logprobs = AnswerModel(model, "fp32")(make_batch(examples, shared=shared))
    loss = (logprobs * torch.linspace(-1, 2, len(logprobs))).sum()
    loss.backward()
    gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    return loss.detach(), torch.cat(gradients)


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_loss_and_every_gradient_equal_the_plain_form(kind: str) -> None:
    model = tiny(kind, vocabulary=64, **ARCHITECTURES[kind])
    assert can_share(model)
    examples = random_examples(EXAMPLES, vocabulary=64)
    plain, plain_gradient = loss_and_gradient(model, examples, shared=False)
    shared, shared_gradient = loss_and_gradient(model, examples, shared=True)
    torch.testing.assert_close(shared, plain, rtol=1e-5, atol=0)
    assert (shared_gradient - plain_gradient).norm() <= 1e-5 * plain_gradient.norm()


@pytest.mark.parametrize(
    ("kind", "changes"),
    [("bloom", {"n_layer": 2, "n_head": 4}), ("mamba", {})],
    ids=["positions by distance", "no attention"],
)
def test_an_architecture_that_cannot_share_is_recognised(
    kind: str, changes: dict[str, Any]
) -> None:
    assert not can_share(tiny(kind, vocabulary=64, **changes))


def test_a_mask_that_leaks_is_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    """One answer that sees another makes another function."""
    seen = Layout.visible
    monkeypatch.setattr(
        Layout, "visible", lambda self, window=None: seen(self, window) | seen(self, window).mT
    )
    assert not can_share(tiny())


def test_a_row_by_hand() -> None:
    """Prompt 5 6, answers 7 8 and 9 10 11: what each last token predicts is not read."""
    [example] = random_examples([(2, (2, 3))])
    example.prompt[:] = [5, 6]
    example.answers[0][:] = [7, 8]
    example.answers[1][:] = [9, 10, 11]
    batch = make_batch([example], shared=True)
    assert batch.input_ids.tolist() == [[5, 6, 7, 9, 10, 0, 0, 0]]
    assert batch.layout is not None
    assert batch.layout.position.tolist() == [[0, 1, 2, 2, 3, 0, 0, 0]]
    assert batch.layout.part.tolist() == [[0, 0, 1, 2, 2, -1, -1, -1]]
    assert batch.column.tolist() == [1, 2, 1, 3, 4]
    assert batch.target.tolist() == [7, 8, 9, 10, 11]
    assert batch.answer.tolist() == [0, 0, 1, 1, 1]
    visible = batch.layout.visible()
    assert visible[0, :5].int().tolist() == [
        [1, 0, 0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0, 0, 0],
        [1, 1, 0, 1, 0, 0, 0, 0],
        [1, 1, 0, 1, 1, 0, 0, 0],
    ]
    assert visible.any(dim=-1).all()  # a softmax over nothing has no value
    # In a window of 2 a token sees itself and the one before it in its own sequence.
    assert batch.layout.visible(2)[0, 3].int().tolist() == [0, 1, 0, 1, 0, 0, 0, 0]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 30), st.lists(st.integers(1, 12), min_size=1, max_size=4)),
        min_size=1,
        max_size=6,
    ),
    st.integers(64, 512),
)
def test_bucketing_changes_nothing(shapes: list[tuple[int, list[int]]], tokens: int) -> None:
    """Every answer has its own log-probability, however rows are put together."""
    model = tiny()
    examples = random_examples([(prompt, tuple(answers)) for prompt, answers in shapes])
    scorer = AnswerModel(model, "fp32")
    cpu = torch.device("cpu")
    shared = answer_logprobs(scorer, examples, device=cpu, tokens_per_batch=tokens, shared=True)
    plain = answer_logprobs(scorer, examples, device=cpu, tokens_per_batch=10_000)
    for one, other in zip(shared, plain, strict=True):
        assert one == pytest.approx(other, rel=1e-5)
