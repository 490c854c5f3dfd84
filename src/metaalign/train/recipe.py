"""Recipes: what a training run does, as a frozen record that is a TOML file.

The four that ship are in ``recipes/``; their comments explain every key.
"""

from collections.abc import Container, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from metaalign.schema import UserError

Stage = Literal["vanilla-sft", "aligned-sft", "one-stage", "two-stage"]
Reads = Literal["meta_prompt", "query"]
Precision = Literal["auto", "bf16", "fp32"]

_Positive = Annotated[float, Meta(gt=0)]
_NotNegative = Annotated[float, Meta(ge=0)]
_Share = Annotated[float, Meta(ge=0, lt=1)]
_Count = Annotated[int, Meta(ge=1)]
_CountOrNone = Annotated[int, Meta(ge=0)]


_DPO_TABLES = ("pairs", "dpo")


class Scratch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Learning rates for a model that starts from random weights."""

    lr: _Positive
    """Peak rate of AdamW: embeddings, norms and biases, and the matrices if ``muon_lr`` is 0."""
    muon_lr: _NotNegative = 0.0
    """Peak rate of Muon for the matrices of the layers; 0 gives them to AdamW."""
    warmup: _Share = 0.03
    """Share of the run in which the rates rise from 0 in a line; afterwards they fall to 0."""
    decay: _Positive = 1.0
    """How they fall: as this power of what is left of the run; 1 is a line."""
    weight_decay: _NotNegative = 0.1
    """Decoupled decay of the matrices, per step and unit of learning rate."""


class Pretrained(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Learning rate for a model that somebody has trained."""

    lr: _Positive
    """Peak rate of AdamW for everything that is trained."""
    warmup: _Share = 0.03
    decay: _Positive = 1.0
    weight_decay: _NotNegative = 0.0
    lora_rank: _CountOrNone = 0
    """Rank of the LoRA adapters on all linear layers; 0 trains all weights."""


Rates = Scratch | Pretrained


class Phase(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run of the trainer: how long, on what batches, how fast."""

    epochs: _NotNegative = 0.0
    """Passes over the data; 0 sets no limit."""
    max_tokens: _CountOrNone = 0
    """Tokens read in training, padding excluded; 0 sets no limit."""
    max_seconds: _NotNegative = 0.0
    """Seconds of training; 0 sets no limit. With a limit the result depends on the machine."""
    tokens_per_batch: _Count
    """Most tokens of one batch, padding included."""
    accumulate: _Count = 1
    """Batches whose gradients are summed to one step."""
    max_length: _Count = 1024
    """Longest row in tokens; longer ones are left out, counted and reported."""
    clip: _Positive = 1.0
    """Largest norm of the gradient."""
    precision: Precision = "auto"
    """bf16, fp32, or auto: bf16 where the hardware computes it."""
    scratch: Scratch
    pretrained: Pretrained

    def __post_init__(self) -> None:
        if not (self.epochs or self.max_tokens or self.max_seconds):
            raise ValueError("has no end: set epochs, max_tokens or max_seconds")

    def rates(self, from_scratch: bool) -> Rates:
        return self.scratch if from_scratch else self.pretrained


class Dpo(Phase, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run of the trainer with the DPO loss."""

    beta: _Positive = 0.1
    """How strongly the policy is held to the reference."""
    label_smoothing: Annotated[float, Meta(ge=0, lt=0.5)] = 0.0
    """Share of pairs believed to be the wrong way round."""
    sft_weight: _NotNegative = 0.0
    """Weight of the log-likelihood of the chosen answer, per token, beside DPO."""


class Pairs(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the pairs that DPO compares are made."""

    dialogues: _CountOrNone = 0
    """Dialogues that pairs are made for, drawn by chance; 0 takes all."""
    samples: _CountOrNone = 4
    """Answers sampled from the SFT model per dialogue; 0 compares candidates only."""
    sampled_dialogues: _CountOrNone = 0
    """Of these, dialogues that answers are sampled for, drawn by chance; 0 takes all."""
    temperature: _Positive = 1.0
    max_new_tokens: _Count = 128
    """Longest sampled answer in tokens."""
    chosen: Literal["candidate", "sampled"] = "candidate"
    """What is chosen: the best candidate, or a sampled answer that obeys where there is one."""
    flips: Literal["fallback", "always"] = "fallback"
    """When a candidate that another view prefers is rejected: where no sampled answer failed, or
    always, as a second pair."""


class Recipe(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One training run from a dataset to a model."""

    stage: Stage
    sft: Phase
    pairs: Pairs | None = None
    dpo: Dpo | None = None

    def __post_init__(self) -> None:
        _check_tables(self.stage, {k for k in _DPO_TABLES if getattr(self, k) is not None})

    @property
    def reads(self) -> Reads:
        """What the model is shown: everything, or the turns without the Meta-Prompt."""
        return "query" if self.stage in ("vanilla-sft", "aligned-sft") else "meta_prompt"

    def settings(self) -> dict[str, str | int | float | bool]:
        """Every key by its dotted name, as ``overrides`` and manifests have them."""
        return dict(_flat(msgspec.to_builtins(self)))


def load_recipe(
    name: str | Path, overrides: Mapping[str, str | int | float | bool] | None = None
) -> Recipe:
    """Read a recipe by the name of one that ships, or by the path of a TOML file.

    Args:
        name: ``two-stage``, or ``my/recipe.toml``.
        overrides: values by dotted key (``{"sft.max_tokens": 1000000}``). Texts that are numbers,
            as they come from a command line, are read as such.

    Raises:
        UserError: no such recipe, broken TOML, an unknown key, a value out of range, or a key that
            the recipe's stage does not use.
    """
    text, where = _read(name)
    try:
        tree = msgspec.toml.decode(text)
    except msgspec.DecodeError as error:
        raise UserError(f"{where}: not valid TOML: {error}") from None
    for key, value in (overrides or {}).items():
        _set(tree, key, value)
    try:
        _check_tables(tree.get("stage"), tree)
        return msgspec.convert(tree, Recipe, strict=False)
    except ValueError as error:
        raise UserError(
            f"{where}: {error}; the recipes that ship with metaalign explain every key"
        ) from None


def recipe_names() -> tuple[str, ...]:
    """Names of the recipes that ship."""
    return get_args(Stage)


def _check_tables(stage: object, given: Container[str]) -> None:
    for table in _DPO_TABLES:
        if stage == "two-stage" and table not in given:
            raise ValueError(f"lacks [{table}], which stage two-stage needs")
        if stage != "two-stage" and table in given:
            raise ValueError(f"has [{table}], which stage {stage} does not use")


def _read(name: str | Path) -> tuple[str, str]:
    if str(name) in recipe_names():
        file = resources.files("metaalign.train") / "recipes" / f"{name}.toml"
        return file.read_text(encoding="utf-8"), f"recipe {name}"
    path = Path(name)
    try:
        return path.read_text(encoding="utf-8"), str(path)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"cannot read the recipe {name} ({reason}): "
            f"give the path of a TOML file, or one of {', '.join(recipe_names())}"
        ) from None


def _set(tree: dict[str, Any], key: str, value: object) -> None:
    *tables, last = key.split(".")
    for table in tables:
        tree = tree.setdefault(table, {})
        if not isinstance(tree, dict):
            raise UserError(f"override {key}: {table} is a value and has no keys")
    tree[last] = value


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}", value
