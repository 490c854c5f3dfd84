"""Recipes at work: from a dataset folder to a model folder, stage by stage.

Every stage ends with a manifest. A stage whose manifest has the fingerprint of what is asked for is
not done again, so the same command after an interruption goes on where it stopped.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from metaalign.data.manifest import (
    Manifest,
    fingerprint,
    hash_folder,
    is_done,
    plain_settings,
    read_manifest,
    versions,
    write_manifest,
)
from metaalign.data.samples import samples_of
from metaalign.data.store import check_dataset, iter_groups, split_names
from metaalign.schema import Event, Group, Progress, UserError, silent
from metaalign.train.checkpoint import remove_checkpoint
from metaalign.train.dpo import dpo
from metaalign.train.models import add_lora, is_scratch, load_model, save_model
from metaalign.train.pairs import Answer, Judge, make_pairs, read_pairs, write_pairs
from metaalign.train.recipe import Phase, Pretrained, Rates, Recipe, load_recipe
from metaalign.train.sft import SftRow, sft
from metaalign.train.trainer import History

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

TRAINING_SPLITS = ("sft", "dpo")
"""The halves of two-stage training; every other stage uses both."""

AnswererFactory = Callable[[Path], Answer]
"""Opens the SFT model's folder for sampling; ``lambda path: generate.Engine.load(path).answer``."""

FixedAnswer = Callable[[Group], str | None]
"""The answer to a group's query under the one fixed preference of aligned-sft, or None."""


class _Job(Struct, frozen=True):
    """What all stages of one run share."""

    recipe: Recipe
    dataset: Path
    model: str
    inputs: dict[str, str]
    seed: int
    checkpoint_seconds: float
    progress: Progress


def train(
    recipe: Recipe | str | Path,
    dataset: Path,
    model: str,
    out: Path,
    *,
    seed: int = 0,
    overrides: Mapping[str, str | int | float | bool] | None = None,
    answerer_factory: AnswererFactory | None = None,
    judge: Judge | None = None,
    fixed_answer: FixedAnswer | None = None,
    checkpoint_seconds: float = 120.0,
    progress: Progress = silent,
) -> Path:
    """Train one model as ``recipe`` says and return its folder, ``out``.

    Args:
        recipe: a recipe, the name of one that ships, or the path of a TOML file.
        dataset: folder that ``metaalign data build`` wrote.
        model: ``scratch:tiny``, a Hugging Face name, or a model folder.
        out: where the model goes; stages in between go to ``out/stages``.
        seed: decides weights, order and samples.
        overrides: values that replace the recipe's, by dotted key.
        answerer_factory: opens the SFT model for sampling pairs (two-stage).
        judge: judges what was sampled. Without either of the two, pairs come from the groups.
        fixed_answer: the targets of aligned-sft; see ``safe_or_common`` for the default.
        checkpoint_seconds: time between checkpoints.
        progress: called as the work goes on.

    Raises:
        UserError: a bad recipe, override, dataset or model; memory or disk ran out.
    """
    if not isinstance(recipe, Recipe):
        recipe = load_recipe(recipe, overrides)
    elif overrides:
        raise ValueError("overrides belong to a recipe by name: change the record instead")
    _refuse_idle(recipe, overrides or {}, is_scratch(model))
    data = check_dataset(dataset)
    inputs = {"dataset": data.fingerprint, "model": _identity(model)}
    job = _Job(recipe, dataset, model, inputs, seed, checkpoint_seconds, progress)
    if recipe.stage == "two-stage":
        return _two_stage(job, out, answerer_factory, judge)
    return _sft_stage(job, out, TRAINING_SPLITS, fixed_answer or safe_or_common)


def _sft_stage(job: _Job, out: Path, splits: Iterable[str], fixed_answer: FixedAnswer) -> Path:
    """SFT from the given model on ``splits``, saved at ``out``."""
    recipe = msgspec.structs.replace(job.recipe, stage=_sft_name(job.recipe), pairs=None, dpo=None)
    names = split_names(job.dataset)
    splits = [name for name in splits if name in names]
    if not splits:
        raise UserError(
            f"{job.dataset} has no split to train on: it needs {' or '.join(TRAINING_SPLITS)}"
        )
    settings: dict[str, object] = {"reads": recipe.reads, "splits": splits, "model": job.model}
    settings |= recipe.settings()
    key = fingerprint(settings, job.inputs, seed=job.seed)
    if is_done(out, key):
        return out
    started = time.monotonic()
    # The tokenizer of a scratch model learns from all training splits, whatever the recipe trains
    # on: so models from scratch on one dataset share it.
    known = [name for name in TRAINING_SPLITS if name in names]
    groups = {name: _read_groups(job, name) for name in known}
    model, tokenizer, rates = _open(job, job.model, recipe.sft, chain(*groups.values()))
    rows = list(_sft_rows(chain(*(groups[name] for name in splits)), recipe, fixed_answer))
    del groups
    history = sft(
        model,
        tokenizer,
        rows,
        recipe.sft,
        rates,
        out=out,
        key=key,
        reads=recipe.reads,
        seed=job.seed,
        checkpoint_seconds=job.checkpoint_seconds,
        progress=job.progress,
    )
    _finish(job, out, model, tokenizer, history, key, settings, started)
    return out


def _two_stage(
    job: _Job, out: Path, answerer_factory: AnswererFactory | None, judge: Judge | None
) -> Path:
    """SFT on one split, pairs from the SFT model on the other, DPO on the pairs."""
    recipe = job.recipe
    assert recipe.pairs is not None and recipe.dpo is not None  # the recipe checks itself
    missing = [name for name in TRAINING_SPLITS if name not in split_names(job.dataset)]
    if missing:
        raise UserError(
            f"{job.dataset} has no split {missing[0]}, which two-stage needs: train with one-stage"
        )
    sampled = answerer_factory is not None and judge is not None and recipe.pairs.samples > 0
    settings: dict[str, object] = {
        "reads": recipe.reads,
        "splits": list(TRAINING_SPLITS),
        "model": job.model,
        "pairs_are_sampled": sampled,
    }
    settings |= recipe.settings()
    key = fingerprint(settings, job.inputs, seed=job.seed)
    if is_done(out, key):
        return out
    started = time.monotonic()
    sft_folder = _sft_stage(job, out / "stages" / "sft", ["sft"], safe_or_common)
    pairs_folder = _pairs_stage(
        job, out / "stages" / "pairs", sft_folder, answerer_factory if sampled else None, judge
    )
    model, tokenizer, rates = _open(job, str(sft_folder), recipe.dpo)
    history = dpo(
        model,
        tokenizer,
        read_pairs(pairs_folder),
        recipe.dpo,
        rates,
        out=out,
        key=key,
        seed=job.seed,
        checkpoint_seconds=job.checkpoint_seconds,
        progress=job.progress,
    )
    _finish(job, out, model, tokenizer, history, key, settings, started)
    return out


def _pairs_stage(
    job: _Job,
    out: Path,
    sft_folder: Path,
    answerer_factory: AnswererFactory | None,
    judge: Judge | None,
) -> Path:
    """Pairs on split ``dpo``, saved at ``out``."""
    pairs = job.recipe.pairs
    assert pairs is not None
    settings = {"sampled": answerer_factory is not None} | msgspec.structs.asdict(pairs)
    inputs = {"dataset": job.inputs["dataset"], "sft": read_manifest(sft_folder).fingerprint}
    key = fingerprint(settings, inputs, seed=job.seed)
    if is_done(out, key):
        return out
    started = time.monotonic()
    rows, counts = make_pairs(
        _read_groups(job, "dpo"),
        pairs,
        seed=job.seed,
        answer=answerer_factory(sft_folder) if answerer_factory else None,
        judge=judge,
        progress=job.progress,
    )
    write_pairs(out, rows)
    note = "no verifier for this data: the pairs come from the order of the candidates"
    write_manifest(
        out,
        Manifest(
            kind="pairs",
            fingerprint=key,
            seed=job.seed,
            settings=plain_settings(settings),
            inputs=inputs,
            versions=versions(),
            counts=counts,
            notes=() if answerer_factory else (note,),
            seconds=round(time.monotonic() - started, 3),
        ),
    )
    return out


def safe_or_common(group: Group) -> str | None:
    """The target of aligned-sft where the caller knows none: one answer to a query for everybody.

    It is the best candidate of a view that puts safety first, if a view says so; else the candidate
    with the best mean rank over all views, the first of equals.
    """
    ranked = [view for view in group.views if view.pairs()]
    safe = [
        view
        for view in ranked
        if any(p.dimension == "priority" and p.value == "safety" for p in view.preferences)
    ]
    ranks = [
        [r for view in safe or ranked if (r := view.ranks[i]) is not None]
        for i in range(len(group.candidates))
    ]
    means = {i: sum(mine) / len(mine) for i, mine in enumerate(ranks) if mine}
    if not means:
        return None
    return group.candidates[min(means, key=lambda i: (means[i], i))].text


def _read_groups(job: _Job, split: str) -> list[Group]:
    total = check_dataset(job.dataset).counts[f"groups.{split}"]
    groups: list[Group] = []
    for group in iter_groups(job.dataset, split):
        groups.append(group)
        if len(groups) % 1000 == 0 or len(groups) == total:
            job.progress(Event(f"read split {split}", len(groups), total, "groups"))
    return groups


def _sft_rows(
    groups: Iterable[Group], recipe: Recipe, fixed_answer: FixedAnswer
) -> Iterator[SftRow]:
    """The dialogues of ``groups`` with the response that the recipe's stage teaches."""
    for group in groups:
        for sample in samples_of(group):
            aligned = recipe.stage == "aligned-sft"
            target = fixed_answer(group) if aligned else sample.chosen
            if target is not None:
                yield sample.dialogue, target


def texts_of(groups: Iterable[Group]) -> Iterator[str]:
    """All that is said in ``groups``, in any tier and by anybody."""
    for group in groups:
        yield from (turn.text for turn in group.turns)
        yield from (candidate.text for candidate in group.candidates)
        for view in group.views:
            yield from (said.text for said in view.meta_prompt.tiers)


def _open(
    job: _Job, model: str, phase: Phase, groups: Iterable[Group] = ()
) -> "tuple[PreTrainedModel, PreTrainedTokenizerFast, Rates]":
    """Load what the phase trains, with adapters if its rates ask for them."""
    rates = phase.rates(is_scratch(job.model))
    texts = texts_of(groups) if is_scratch(model) else None
    job.progress(Event("open the model", 0, 1, "models"))
    loaded, tokenizer = load_model(model, texts, seed=job.seed)
    if isinstance(rates, Pretrained) and rates.lora_rank:
        loaded = add_lora(loaded, tokenizer, rates.lora_rank, seed=job.seed)
    job.progress(Event("open the model", 1, 1, "models"))
    return loaded, tokenizer, rates


def _finish(
    job: _Job,
    out: Path,
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerFast",
    history: History,
    key: str,
    settings: Mapping[str, object],
    started: float,
) -> None:
    manifest = Manifest(
        kind="model",
        fingerprint=key,
        seed=job.seed,
        settings=plain_settings(settings),
        inputs=job.inputs,
        versions=versions(),
        counts={
            "examples": history.examples,
            "skipped.too_long": history.too_long,
            "steps": len(history.steps),
            "tokens": history.tokens,
        },
        seconds=round(time.monotonic() - started, 3),
    )
    save_model(model, tokenizer, out, manifest)
    remove_checkpoint(out)


def _sft_name(recipe: Recipe) -> str:
    return "one-stage" if recipe.stage == "two-stage" else recipe.stage


def _identity(model: str) -> str:
    """What tells one starting model from another."""
    folder = Path(model)
    if is_scratch(model) or not folder.is_dir():
        return model
    try:
        return read_manifest(folder).fingerprint
    except UserError:
        return hash_folder(folder)


def _refuse_idle(recipe: Recipe, overrides: Mapping[str, object], from_scratch: bool) -> None:
    """A setting that would have no effect is an error."""
    unused, kind = ("pretrained", "from scratch") if from_scratch else ("scratch", "pretrained")
    for key in overrides:
        if f".{unused}." in key:
            raise UserError(f"override {key} has no effect: the model is {kind}")
