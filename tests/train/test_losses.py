"""Losses by hand, and against TRL."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.train.makers import dpo_phase, random_examples, tiny, tokenizer

from metaalign.train.batches import Example, make_batch
from metaalign.train.dpo import dpo_objective
from metaalign.train.losses import (
    chosen_nll,
    dpo_loss,
    ipo_loss,
    lexicographic_loss,
    log_ratio_difference,
    plackett_luce_loss,
    sequence_logprobs,
    sft_loss,
    simpo_loss,
    token_logprobs,
)
from metaalign.train.scoring import AnswerModel, answer_logprobs


def test_token_logprobs_by_hand() -> None:
    """softmax([0, ln 3]) = [1/4, 3/4]; softmax([ln 2, 0, 0]) = [1/2, 1/4, 1/4]."""
    two = torch.tensor([[0.0, math.log(3)]])
    assert token_logprobs(two, torch.tensor([1])).item() == pytest.approx(math.log(3 / 4))
    three = torch.tensor([[[math.log(2), 0.0, 0.0]], [[math.log(2), 0.0, 0.0]]])
    found = token_logprobs(three, torch.tensor([[0], [2]]))
    assert found.shape == (2, 1)
    assert found.flatten().tolist() == pytest.approx([math.log(1 / 2), math.log(1 / 4)])


def test_token_logprobs_of_bfloat16_logits_are_computed_in_float32() -> None:
    logits = torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.bfloat16)
    expected = 3 - math.log(sum(math.exp(x) for x in (1, 2, 3)))
    assert token_logprobs(logits, torch.tensor([2])).item() == pytest.approx(expected, rel=1e-6)


def test_sequence_logprobs_sums_the_tokens_of_each_answer() -> None:
    tokens = torch.tensor([-1.0, -2.0, -4.0, -8.0])
    found = sequence_logprobs(tokens, torch.tensor([0, 2, 0, 2]), 3)
    assert found.tolist() == [-5.0, 0.0, -10.0]


def test_sft_loss_has_one_value_per_response_token() -> None:
    assert sft_loss(torch.tensor([-0.5, -1.5])).tolist() == [0.5, 1.5]


def test_dpo_loss_by_hand() -> None:
    """h = (-1 - -2) - (-3 - -1) = 3; beta h = 0.3; -log(1 / (1 + e^-0.3)) = 0.554355."""
    one, two = torch.tensor([-1.0]), torch.tensor([-2.0])
    three = torch.tensor([-3.0])
    found = dpo_loss(one, three, two, one, beta=0.1)
    assert found.item() == pytest.approx(0.5543552, abs=1e-6)


def test_dpo_loss_of_the_reference_itself_is_log_two() -> None:
    chosen, rejected = torch.tensor([-3.0, -9.0]), torch.tensor([-1.0, -20.0])
    found = dpo_loss(chosen, rejected, chosen, rejected, beta=0.7)
    assert found.tolist() == pytest.approx([math.log(2)] * 2)


def test_robust_dpo_by_hand() -> None:
    """beta h = 0.3, e = 0.1: (0.9 * 0.5543552 - 0.1 * 0.8543552) / 0.8 = 0.5168552."""
    one, two = torch.tensor([-1.0]), torch.tensor([-2.0])
    found = dpo_loss(one, torch.tensor([-3.0]), two, one, beta=0.1, label_smoothing=0.1)
    assert found.item() == pytest.approx(0.5168552, abs=1e-6)


def test_chosen_nll_is_per_token() -> None:
    found = chosen_nll(torch.tensor([-6.0, -6.0]), torch.tensor([2, 3]))
    assert found.tolist() == [3.0, 2.0]


def test_ipo_by_hand() -> None:
    """h = 3 and 1 / (2 * 0.25) = 2; the loss is least, 0, where h is 2."""
    assert ipo_loss(torch.tensor([3.0, 2.0]), beta=0.25).tolist() == [1.0, 0.0]


def test_simpo_by_hand() -> None:
    """-6 / 3 - -8 / 2 = 2; 0.5 * 2 - 0.4 = 0.6; -log(1 / (1 + e^-0.6)) = 0.4374880."""
    found = simpo_loss(
        torch.tensor([-6.0]), torch.tensor([-8.0]), torch.tensor([3]), torch.tensor([2]), 0.5, 0.4
    )
    assert found.item() == pytest.approx(0.4374880, abs=1e-6)


def test_plackett_luce_by_hand() -> None:
    """Scores ln 1, ln 2, ln 3, best the last: -log(3 / 6) - log(2 / 3) = log 3."""
    scores = torch.tensor([[1.0, 2.0, 3.0]]).log()
    assert plackett_luce_loss(scores, torch.tensor([[2, 1, 0]])).tolist() == pytest.approx(
        [math.log(3)]
    )


def test_plackett_luce_of_two_is_dpo() -> None:
    one, two, three, four = torch.randn(4, 9)
    h = log_ratio_difference(one, two, three, four)
    scores = torch.stack([0.3 * h, torch.zeros(9)], dim=1)
    found = plackett_luce_loss(scores, torch.tensor([[0, 1]]).expand(9, 2))
    torch.testing.assert_close(found, dpo_loss(one, two, three, four, beta=0.3))


def test_plackett_luce_compares_neither_equals_nor_what_nobody_ranked() -> None:
    """One best, two equal ones, one unranked and one place empty: -2 log terms, both of the best.

    Scores ln 4, ln 1, ln 3: -log(4 / (4 + 1 + 3)) = log 2.
    """
    scores = torch.tensor([[4.0, 1.0, 3.0, 9.0, 5.0], [1.0, 2.0, 3.0, 4.0, 5.0]]).log()
    ranks = torch.tensor([[0, 1, 1, -1, -1], [0, 0, -1, -1, -1]])
    assert plackett_luce_loss(scores, ranks).tolist() == pytest.approx([math.log(2), 0.0])


def test_lexicographic_margins_by_hand() -> None:
    """beta h = 1 and margins 2, 1, 0.5: -log sigmoid(-1), (0), (0.5)."""
    found = lexicographic_loss(torch.full((3,), 2.0), torch.arange(3), beta=0.5, margin=2.0)
    assert found.tolist() == pytest.approx([1.3132617, 0.6931472, 0.4740770], abs=1e-6)


@pytest.mark.parametrize(("kind", "smoothing"), [("sigmoid", 0.0), ("robust", 0.2)])
def test_dpo_equals_trl(tmp_path: Path, kind: str, smoothing: float) -> None:
    """TRL's own trainer, on the same model, reference and pairs: the same loss and gradient."""
    pairs = random_examples([(7, (5, 3)), (4, (2, 9)), (11, (6, 6))])
    policy, reference = tiny(seed=1), tiny(seed=2)
    expected, gradients = trl_loss(tmp_path, kind, smoothing, policy, reference, pairs)

    settings = dpo_phase(beta=0.3, label_smoothing=smoothing)
    found = answer_logprobs(
        AnswerModel(reference, "fp32"), pairs, device=torch.device("cpu"), tokens_per_batch=64
    )
    with_reference = [Example(e.prompt, e.answers, r) for e, r in zip(pairs, found, strict=True)]
    batch = make_batch(with_reference)
    policy.zero_grad()
    losses, _ = dpo_objective(batch, AnswerModel(policy, "fp32")(batch), settings=settings)
    losses.mean().backward()
    assert losses.mean().item() == pytest.approx(expected, rel=1e-5)
    for name, parameter in policy.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-4, atol=1e-6)


def trl_loss(
    folder: Path, kind: str, smoothing: float, policy: Any, reference: Any, pairs: list[Example]
) -> tuple[float, dict[str, torch.Tensor]]:
    from datasets import Dataset  # type: ignore[import-untyped]
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer

    text = "x"
    trainer: Any = DPOTrainer(
        model=policy,
        ref_model=reference,
        args=DPOConfig(
            output_dir=str(folder),
            beta=0.3,
            loss_type=[kind],
            label_smoothing=smoothing,
            use_cpu=True,
            bf16=False,
            activation_checkpointing=False,
            report_to=[],
            max_length=None,
        ),
        train_dataset=Dataset.from_dict({"prompt": [text], "chosen": [text], "rejected": [text]}),
        processing_class=tokenizer(),
    )
    rows = [
        {
            "prompt_ids": np.asarray(e.prompt).tolist(),
            "chosen_ids": np.asarray(e.answers[0]).tolist(),
            "rejected_ids": np.asarray(e.answers[1]).tolist(),
        }
        for e in pairs
    ]
    loss = trainer.compute_loss(policy, trainer.data_collator(rows))
    policy.zero_grad()
    loss.backward()
    return loss.item(), {n: p.grad.clone() for n, p in policy.named_parameters()}
