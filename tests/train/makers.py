"""Small things to train in tests: groups, a tokenizer, models and short phases."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from metaalign.data.store import write_dataset
from metaalign.schema import (
    USER_INFO,
    Candidate,
    Dialogue,
    Group,
    MetaPrompt,
    Preference,
    Turn,
    View,
)
from metaalign.train.batches import Example
from metaalign.train.recipe import Dpo, Phase, Pretrained, Recipe, Scratch, load_recipe
from metaalign.train.tokenizer import train_tokenizer

THINGS = ("egg", "moon", "river", "clock", "violin", "bridge")


def make_group(number: int) -> Group:
    """A query with a short and a long answer, and two views that want one or the other."""
    thing = THINGS[number % len(THINGS)]
    views = tuple(
        View(
            MetaPrompt.of("You help.", f"I am person {number}. Be {length}."),
            ranks,
            ordered_by="rule",
            preferences=(Preference(USER_INFO, "length", length, f"Be {length}."),),
        )
        for length, ranks in (("brief", (0, 1)), ("thorough", (1, 0)))
    )
    return Group(
        id=f"g{number}",
        source="made",
        family="helpful",
        kind="benign",
        turns=(Turn("user", f"What is the {thing}?"),),
        candidates=(
            Candidate(f"A {thing}.", "rule"),
            Candidate(f"The {thing} is a thing that most people know well.", "rule"),
        ),
        views=views,
    )


def make_dataset(folder: Path, sizes: tuple[int, int] = (24, 12), seed: int = 0) -> Path:
    groups = [make_group(i) for i in range(sum(sizes) + 3)]
    splits = {
        "sft": groups[: sizes[0]],
        "dpo": groups[sizes[0] : sum(sizes)],
        "test": groups[sum(sizes) :],
    }
    write_dataset(folder, splits, settings={"sizes": list(sizes)}, seed=seed)
    return folder


def make_rows(count: int = 24) -> list[tuple[Dialogue, str]]:
    """Dialogues with the answer that they ask for."""
    groups = [make_group(i) for i in range(count)]
    return [
        (group.dialogue(view), group.candidates[view.ranks.index(0)].text)
        for group in groups
        for view in group.views
    ][:count]


@cache
def tokenizer() -> Any:
    texts = [text for d, a in make_rows() for text in (d.query, a, d.meta_prompt.user_info)]
    return train_tokenizer(texts, 320)


def tiny(kind: str = "llama", vocabulary: int = 320, seed: int = 0, **changes: Any) -> Any:
    """A random model of two layers of any architecture that has the usual names of settings."""
    settings = {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "pad_token_id": 0,
        "bos_token_id": None,
        "eos_token_id": None,
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = CONFIG_MAPPING[kind](**(settings | changes))
        model: Any = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
        return model.eval()


SCRATCH = Scratch(lr=0.004, muon_lr=0.02, warmup=0.1)
PRETRAINED = Pretrained(lr=0.003)


def phase(**changes: Any) -> Phase:
    """A short phase in float32."""
    base = Phase(
        epochs=1.0, tokens_per_batch=256, precision="fp32", scratch=SCRATCH, pretrained=PRETRAINED
    )
    return msgspec.structs.replace(base, **changes)


def dpo_phase(**changes: Any) -> Dpo:
    return Dpo(**(msgspec.structs.asdict(phase()) | changes))


def short_recipe(name: str, **more: str | int | float | bool) -> Recipe:
    """A recipe that ships, for few and small steps."""
    overrides: dict[str, str | int | float | bool] = {
        "sft.epochs": 0,
        "sft.max_tokens": 1500,
        "sft.tokens_per_batch": 512,
    }
    if name == "two-stage":
        overrides |= {"dpo.epochs": 1, "dpo.tokens_per_batch": 512}
    return load_recipe(name, overrides | more)


def random_examples(
    shapes: Sequence[tuple[int, tuple[int, ...]]], vocabulary: int = 320, seed: int = 0
) -> list[Example]:
    """Examples of random ids: (length of the prompt, lengths of the answers) each."""
    rng = np.random.default_rng(seed)

    def ids(length: int) -> Any:
        return rng.integers(1, vocabulary, length).astype(np.int32)

    return [Example(ids(p), tuple(ids(a) for a in answers)) for p, answers in shapes]
