"""How many pairs a second DPO trains on: TRL, answers behind a prompt each, answers that share it.

    python benchmarks/dpo.py [--pairs 128] [--repeats 3]

The same random model of 6.2M parameters, the same pairs of random tokens (prompt 150 +- 40, answers
60 +- 25), reference log-probabilities known beforehand for all. TRL's DPOTrainer runs in every
setting given below, and its fastest counts. Rates are of whole training steps (forward, backward,
optimizer), medians over the repeats, which take turns. Prints Markdown.

What sharing can gain is bounded by the tokens that are not read twice: the bound is the plain
form's tokens, padding included, over the shared form's tokens without padding.
"""

import argparse
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.train.makers import dpo_phase, tokenizer

from metaalign.train.batches import Example, make_batch, plan_epoch, shapes
from metaalign.train.dpo import dpo_objective
from metaalign.train.models import SIZES, Size
from metaalign.train.scoring import AnswerModel

TOKENS_PER_BATCH = 3072
BETA = 0.1
TRL_SETTINGS = [(batch, attention) for batch in (2, 4, 8) for attention in ("eager", "sdpa")]


def model(attention: str) -> Any:
    from transformers import AutoModelForCausalLM, LlamaConfig

    size: Size = SIZES["small"]
    config = LlamaConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.width,
        intermediate_size=size.feed_forward,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        max_position_embeddings=size.positions,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=None,
    )
    torch.manual_seed(0)
    factory: Any = AutoModelForCausalLM
    return factory.from_config(config, attn_implementation=attention).eval()


def pairs(count: int) -> list[Example]:
    draw = np.random.default_rng(0)

    def ids(mean: float, deviation: float) -> Any:
        length = max(4, round(draw.normal(mean, deviation)))
        return draw.integers(1, SIZES["small"].vocabulary, length).astype(np.int32)

    return [
        Example(ids(150, 40), (ids(60, 25), ids(60, 25)), (-300.0, -300.0)) for _ in range(count)
    ]


def ours(examples: Sequence[Example], attention: str, *, shared: bool) -> Callable[[], float]:
    """One pass over all pairs; returns its seconds."""
    policy = model(attention)
    scorer = AnswerModel(policy, "fp32")
    optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-5, fused=True)
    settings = dpo_phase(beta=BETA)
    lengths, rows = shapes(examples, shared=shared)

    def run() -> float:
        started = time.perf_counter()
        for numbers in plan_epoch(lengths, rows, TOKENS_PER_BATCH, seed=0, epoch=0):
            batch = make_batch([examples[i] for i in numbers], shared=shared)
            losses, _ = dpo_objective(batch, scorer(batch), settings=settings)
            torch.autograd.backward(losses.mean())
            torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
        return time.perf_counter() - started

    return run


def trl(
    examples: Sequence[Example], batch: int, attention: str, folder: str
) -> Callable[[], float]:
    """The same by TRL's trainer."""
    from datasets import Dataset  # type: ignore[import-untyped]
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer

    text = {"prompt": ["x"], "chosen": ["x"], "rejected": ["x"]}
    trainer: Any = DPOTrainer(
        model=model(attention),
        ref_model=model(attention),
        args=DPOConfig(
            output_dir=folder,
            beta=BETA,
            per_device_train_batch_size=batch,
            num_train_epochs=1,
            learning_rate=1e-5,
            use_cpu=True,
            bf16=False,
            activation_checkpointing=False,
            report_to=[],
            max_length=None,
            save_strategy="no",
            disable_tqdm=True,
            logging_strategy="no",
        ),
        train_dataset=Dataset.from_dict(text),
        processing_class=tokenizer(),
    )
    trainer.precompute_ref_logps = True
    trainer.train_dataset = Dataset.from_list(
        [
            {
                "prompt_ids": example.prompt.tolist(),
                "chosen_ids": example.answers[0].tolist(),
                "rejected_ids": example.answers[1].tolist(),
                "ref_chosen_logps": example.reference[0],
                "ref_rejected_logps": example.reference[1],
            }
            for example in examples
        ]
    )
    return lambda: float(trainer.train().metrics["train_runtime"])


def padded(examples: Sequence[Example], *, shared: bool) -> int:
    lengths, rows = shapes(examples, shared=shared)
    batches = plan_epoch(lengths, rows, TOKENS_PER_BATCH, seed=0, epoch=0)
    return sum(
        make_batch([examples[i] for i in numbers], shared=shared).input_ids.numel()
        for numbers in batches
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--attention", default="sdpa", choices=("sdpa", "eager"))
    given = parser.parse_args()
    examples = pairs(given.pairs)
    with tempfile.TemporaryDirectory() as folder:
        few = examples[: max(16, given.pairs // 8)]
        tried = {}
        for setting in TRL_SETTINGS:
            run = trl(few, *setting, folder)
            run()
            tried[setting] = len(few) / run()
            print(
                f"TRL, batch {setting[0]}, {setting[1]}: {tried[setting]:.2f} pairs/s", flush=True
            )
        best = max(tried, key=lambda setting: tried[setting])
        runs = {
            f"TRL, batch {best[0]}, {best[1]}": trl(examples, *best, folder),
            "plain": ours(examples, given.attention, shared=False),
            "shared": ours(examples, given.attention, shared=True),
        }
        for run in runs.values():
            run()  # kernels are compiled for every shape that is new
        times: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(given.repeats):
            for name, run in runs.items():
                times[name].append(run())
    rates = {name: len(examples) / statistics.median(taken) for name, taken in times.items()}
    first = next(iter(rates))
    print("\n| form | pairs/s | range | times TRL |\n| --- | ---: | ---: | ---: |")
    for name, rate in rates.items():
        low, high = (len(examples) / extreme(times[name]) for extreme in (max, min))
        print(f"| {name} | {rate:.2f} | {low:.2f} to {high:.2f} | {rate / rates[first]:.2f} |")
    bound = padded(examples, shared=False) / sum(e.shared_length for e in examples)
    gain = rates["shared"] / rates["plain"]
    print(f"\nbound {bound:.3f}, gained {gain:.3f}: {gain / bound:.0%} of it; the shared form pads")
    print(f"{padded(examples, shared=True) / sum(e.shared_length for e in examples) - 1:.1%}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"\n{os.cpu_count()} cores, {platform.machine()}, torch {torch.__version__}; ", end="")
    print(f"peak of all together {peak:.1f} GB")


if __name__ == "__main__":
    main()
