"""Log-probabilities of answers equal the plain computation, whatever the architecture."""

from typing import Any

import pytest
import torch
from tests.train.makers import random_examples, tiny

from metaalign.train.batches import make_batch
from metaalign.train.scoring import AnswerModel, after_head, answer_logprobs, use_bf16

_ONE_SLIDES = {"sliding_window": 4, "layer_types": ["sliding_attention", "full_attention"]}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": {},
    "mistral": {"sliding_window": 4},
    "qwen2": {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1},
    "qwen3": {"head_dim": 8},
    "gemma2": {"head_dim": 8, "final_logit_softcapping": 0.5} | _ONE_SLIDES,
    "gemma3_text": {"head_dim": 8, "final_logit_softcapping": 0.5} | _ONE_SLIDES,
    "phi3": {"sliding_window": 5},
    "granite": {"logits_scaling": 3.0},
    "cohere": {"logit_scale": 0.3},
    "mixtral": {"num_local_experts": 2},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4},
    "opt": {"ffn_dim": 64, "word_embed_proj_dim": 32},
    "gpt_neox": {},
}


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_every_architecture_gives_what_its_own_logits_say(kind: str) -> None:
    """Each answer alone, without padding, through the whole model, with log_softmax."""
    model = tiny(kind, vocabulary=64, **ARCHITECTURES[kind])
    examples = random_examples([(9, (5, 2)), (3, (7, 1)), (14, (1, 4))], vocabulary=64)
    found = answer_logprobs(
        AnswerModel(model, "fp32"), examples, device=torch.device("cpu"), tokens_per_batch=10_000
    )
    for example, values in zip(examples, found, strict=True):
        for answer, value in zip(example.answers, values, strict=True):
            ids = torch.tensor([*example.prompt.tolist(), *answer.tolist()])
            with torch.no_grad():
                logits = model(input_ids=ids[None], use_cache=False).logits[0]
            logprobs = logits.log_softmax(-1)[:-1].gather(1, ids[1:, None])[:, 0]
            expected = logprobs[len(example.prompt) - 1 :].sum().item()
            assert value == pytest.approx(expected, rel=1e-5)


def test_the_model_is_as_it_was_afterwards() -> None:
    """The hook on the output layer is gone: the model's own forward gives all logits again."""
    model = tiny()
    [example] = random_examples([(5, (3,))])
    AnswerModel(model)(make_batch([example]))
    assert model(input_ids=torch.ones(2, 6, dtype=torch.long)).logits.shape == (2, 6, 320)


def test_bfloat16_is_close_and_returns_float32() -> None:
    model = tiny()
    batch = make_batch(random_examples([(9, (5,)), (3, (7,))]))
    exact, rounded = AnswerModel(model, "fp32")(batch), AnswerModel(model, "bf16")(batch)
    assert rounded.dtype == torch.float32
    assert not torch.equal(exact, rounded)
    torch.testing.assert_close(rounded, exact, rtol=2e-2, atol=0)


def test_precision_can_be_forced() -> None:
    cpu = torch.device("cpu")
    assert use_bf16("bf16", cpu)
    assert not use_bf16("fp32", cpu)


def test_a_row_as_long_as_the_context_is_read() -> None:
    """Padding goes to a multiple of 8, which 30 is not, and there is no position 31."""
    model = tiny("gpt2", n_embd=32, n_layer=2, n_head=4, n_positions=30)
    [example] = random_examples([(20, (11,))])
    assert example.length == 30
    assert AnswerModel(model, "fp32")(make_batch([example])).shape == (11,)


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_logits_in_chunks_give_the_same_values_and_gradients(kind: str) -> None:
    """As for a large vocabulary: never more than 64 positions at a time."""
    model = tiny(kind, vocabulary=64, **ARCHITECTURES[kind])
    batch = make_batch(random_examples([(9, (50, 40)), (3, (60, 1))], vocabulary=64))
    found = []
    for most in (2**26, 1):
        model.zero_grad()
        scorer = AnswerModel(model, "fp32", most_logits=most)
        assert scorer.finish is not None
        logprobs = scorer(batch)
        logprobs.square().sum().backward()
        gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        found.append((logprobs.detach(), torch.cat(gradients)))
    torch.testing.assert_close(found[1][0], found[0][0], rtol=1e-5, atol=1e-6)
    assert (found[1][1] - found[0][1]).norm() <= 1e-5 * found[0][1].norm()


def test_chunks_bound_how_many_logits_exist() -> None:
    model = tiny(vocabulary=64)
    sizes: list[int] = []
    model.lm_head.register_forward_hook(lambda _m, _args, out: sizes.append(out.numel()))
    scorer = AnswerModel(model, "fp32", most_logits=64 * 64)
    sizes.clear()
    scorer(make_batch(random_examples([(9, (150, 40))], vocabulary=64)))
    assert max(sizes) <= 64 * 64


def test_what_happens_to_logits_must_be_known_for_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny("gemma2", vocabulary=64, head_dim=8, final_logit_softcapping=0.5)
    assert after_head(model) is not None
    capped = model.config.final_logit_softcapping
    forward = type(model).forward

    def other(self: Any, *args: Any, **more: Any) -> Any:
        found = forward(self, *args, **more)
        found.logits = found.logits + capped * torch.arange(64)
        return found

    monkeypatch.setattr(type(model), "forward", other)
    assert after_head(model) is None
