"""The decoding loop: the same tokens as transformers' own, whatever shares the batch."""

from collections import Counter
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.generate.makers import LEARNT, make_model
from transformers import AutoConfig, AutoModelForCausalLM

from metaalign.generate import Engine, Sampling
from metaalign.generate.decoding import choose, row_seed
from metaalign.prompt import encode, end_token_id
from metaalign.schema import Dialogue, UserError

TEXTS = ["a", "How do I boil an egg?", "moon " * 12, "é🥚" * 5, "Where?"]
DIALOGUES = [Dialogue.ask(text, "Answer briefly." * (i % 2)) for i, text in enumerate(TEXTS)]


def reference(engine: Engine, dialogue: Dialogue, new: int) -> list[int]:
    """Greedy ids by transformers' own ``generate``, one dialogue alone."""
    ids = torch.tensor([encode(dialogue, engine.tokenizer).ids])
    banned = [i for i, t in engine.tokenizer.added_tokens_decoder.items() if t.content != "<|end|>"]
    out: Any = engine.model.generate(  # type: ignore[operator]
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=new,
        suppress_tokens=banned,
        pad_token_id=engine.tokenizer.pad_token_id,
    )
    return [int(i) for i in out[0, ids.shape[1] :]]


SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": SMALL,
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256},
    "mistral": {**SMALL, "sliding_window": 8},
    "gemma3_text": {
        **SMALL,
        "head_dim": 8,
        "sliding_window": 8,
        "layer_types": ["sliding_attention", "full_attention"],
    },
    # Has no position ids; its positions come from the mask.
    "bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 4},
}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_greedy_batches_of_unequal_prompts_equal_transformers_generate(
    tokenizer: Any, architecture: str
) -> None:
    engine = Engine(_random_model(tokenizer, architecture), tokenizer)
    expected = [reference(engine, dialogue, 24) for dialogue in DIALOGUES]
    answers = engine.answer(DIALOGUES, max_new_tokens=24)
    texts = [tokenizer.decode(ids).removesuffix("<|end|>") for ids in expected]
    assert [a[0] for a in answers] == texts
    drawn = [
        engine.answer(dialogues, samples=2, temperature=1.0, max_new_tokens=8)[0]
        for dialogues in (DIALOGUES, DIALOGUES[:1])
    ]
    assert drawn[0] == drawn[1]


def _random_model(tokenizer: Any, architecture: str) -> Any:
    config = AutoConfig.for_model(
        architecture,
        vocab_size=len(tokenizer),
        bos_token_id=None,
        eos_token_id=end_token_id(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        **ARCHITECTURES[architecture],
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(config).eval()


def test_a_model_without_a_usable_cache_is_told(tokenizer: Any) -> None:
    config = AutoConfig.for_model(
        "mamba", vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, state_size=4
    )
    model = AutoModelForCausalLM.from_config(config).eval()
    with pytest.raises(UserError, match="MambaForCausalLM keeps no cache"):
        Engine(model, tokenizer).answer(DIALOGUES[:1])


def test_rows_that_end_early_leave_the_others_unchanged(engine: Engine) -> None:
    """The learnt answers have different lengths, so rows leave the batch one after another."""
    assert [a[0] for a in engine.answer(list(LEARNT))] == list(LEARNT.values())


def test_an_answer_does_not_depend_on_the_batch(babbler: Engine) -> None:
    together = babbler.answer(DIALOGUES, samples=3, temperature=1.0, max_new_tokens=16, seed=4)
    shuffled = babbler.answer(
        DIALOGUES[::-1], samples=3, temperature=1.0, max_new_tokens=16, seed=4, batch_size=3
    )
    alone = [
        babbler.answer([d], samples=3, temperature=1.0, max_new_tokens=16, seed=4)[0]
        for d in DIALOGUES
    ]
    assert together == shuffled[::-1] == alone


def test_samples_and_seeds_differ(babbler: Engine) -> None:
    [first] = babbler.answer(DIALOGUES[:1], samples=4, temperature=1.0, max_new_tokens=16, seed=0)
    [other] = babbler.answer(DIALOGUES[:1], samples=4, temperature=1.0, max_new_tokens=16, seed=1)
    assert len(set(first + other)) == 8


def test_no_control_token_is_ever_drawn(tokenizer: Any) -> None:
    """Even a model that wants nothing but control tokens writes none, except the end."""
    model = make_model(tokenizer)
    control = [i for i, t in tokenizer.added_tokens_decoder.items() if t.content != "<|end|>"]
    model.lm_head = torch.nn.Linear(64, len(tokenizer), bias=True)
    with torch.no_grad():
        model.lm_head.bias[control] += 100.0
    engine = Engine(model, tokenizer)
    answers = engine.answer(DIALOGUES, samples=4, temperature=1.5, max_new_tokens=24)
    assert not any("<|" in text for row in answers for text in row)


def test_a_model_that_has_diverged_is_told(tokenizer: Any) -> None:
    model = make_model(tokenizer)
    with torch.no_grad():
        model.model.norm.weight.fill_(float("nan"))
    with pytest.raises(UserError, match="diverged"):
        Engine(model, tokenizer).answer(DIALOGUES[:1])


def test_choose_follows_the_model_s_distribution() -> None:
    """10,000 equidistant draws hit each token as often as its probability says."""
    probabilities = torch.tensor([0.5, 0.3, 0.15, 0.05])
    noise = (torch.arange(10_000, dtype=torch.float64) + 0.5) / 10_000
    logits = probabilities.log().expand(10_000, 4)
    counts = Counter(choose(logits, 1.0, 1.0, noise).tolist())
    assert [counts[i] for i in range(4)] == pytest.approx([5000, 3000, 1500, 500], abs=2)


def test_top_p_keeps_the_fewest_tokens_that_reach_it() -> None:
    """0.5 + 0.3 reach 0.7, so the other two are never drawn; 5 : 3 remain."""
    probabilities = torch.tensor([0.05, 0.3, 0.5, 0.15])
    noise = (torch.arange(8_000, dtype=torch.float64) + 0.5) / 8_000
    counts = Counter(choose(probabilities.log().expand(8_000, 4), 1.0, 0.7, noise).tolist())
    assert set(counts) == {1, 2}
    assert counts[2] == pytest.approx(5000, abs=2)


def test_temperature_sharpens() -> None:
    """At temperature 1/2 the probabilities 0.8 and 0.2 become 16/17 and 1/17."""
    noise = (torch.arange(17_000, dtype=torch.float64) + 0.5) / 17_000
    logits = torch.tensor([0.8, 0.2]).log().expand(17_000, 2)
    assert (choose(logits, 0.5, 1.0, noise) == 1).sum().item() == pytest.approx(1000, abs=2)


@given(
    logits=st.lists(st.floats(-1e4, 1e4, width=32), min_size=2, max_size=9),
    temperature=st.sampled_from([1e-9, 0.3, 1.0, 2.0]),
    top_p=st.sampled_from([1e-6, 0.5, 1.0]),
    noise=st.floats(0, 1, exclude_max=True),
)
@settings(max_examples=200, deadline=None)
def test_choose_never_takes_an_excluded_token(
    logits: list[float], temperature: float, top_p: float, noise: float
) -> None:
    row = torch.tensor([[*logits, -torch.inf]], dtype=torch.float32)
    token = int(choose(row, temperature, top_p, torch.tensor([noise], dtype=torch.float64)))
    assert token < len(logits)
    if top_p == 1e-6:
        # Logits that differ by less than rounding have equal probabilities.
        assert row[0, token] >= row.max() - 1e-6


def test_row_seeds_are_fixed_for_all_time() -> None:
    """A change of these numbers would change every sampled answer of a published run."""
    assert row_seed(0, (1, 2, 3), 0) == row_seed(0, [1, 2, 3], 0)
    assert len({row_seed(s, (1, p), n) for s in range(3) for p in range(3) for n in range(3)}) == 27
    assert all(0 <= row_seed(s, (7,), 0) < 2**63 for s in (-5, 0, 2**62))


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_p": 1.01}, "top_p"),
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"stop": ("x", "")}, "stop"),
    ],
)
def test_settings_without_sense_are_refused(wrong: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        Sampling(**wrong)
