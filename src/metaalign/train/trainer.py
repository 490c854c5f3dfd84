"""The one training loop, for SFT and for DPO.

It reads top to bottom: ``fit`` prepares, resumes, steps, writes checkpoints and returns the
history. What is learned comes in as an objective; how fast, as a ``Phase`` of the recipe.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import torch
from accelerate import Accelerator  # type: ignore[import-untyped]
from msgspec import Struct
from torch import Tensor, nn

from metaalign.data.manifest import writing
from metaalign.schema import SCHEMA_VERSION, Event, Progress, UserError, silent
from metaalign.train.batches import Batch, Example, keep_fitting, make_batch, plan_steps
from metaalign.train.checkpoint import has_checkpoint, load_checkpoint, save_checkpoint
from metaalign.train.models import embedding_tables
from metaalign.train.recipe import Phase, Rates, Scratch
from metaalign.train.scoring import AnswerModel, answer_logprobs, can_share, longest_input

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Objective = Callable[[Batch, Tensor], tuple[Tensor, dict[str, Tensor]]]
"""From a batch and its ``[answer tokens]`` log-probabilities to one loss per unit, and measurements
by name, each one value per unit. A unit is a token or a pair."""


class Step(Struct, frozen=True):
    """What one optimizer step measured."""

    tokens: int
    """Tokens read so far, padding excluded."""
    loss: float
    """Mean over the units of the step, in nats."""
    lr: float
    """Rate of AdamW."""
    grad_norm: float
    """Norm of the gradient before clipping."""
    measured: dict[str, float] = {}
    """The objective's own measurements, means over the units of the step."""


class History(Struct, frozen=True):
    """The course of one run; ``history.json`` in the model's folder."""

    task: str
    tokens: int
    seconds: float
    """Time in training, over all runs that were resumed; without loading and saving."""
    examples: int
    too_long: int
    """Examples that were left out because a row was longer than ``max_length``."""
    steps: tuple[Step, ...]
    schema: int = SCHEMA_VERSION


@dataclass
class _Run:
    """What changes while training, apart from the weights."""

    tokens: int = 0
    seconds: float = 0.0
    whole: bool = True
    """False while the weights are ahead of the steps."""
    steps: list[Step] = field(default_factory=list)


def fit(
    model: "PreTrainedModel",
    examples: Sequence[Example],
    objective: Objective,
    phase: Phase,
    rates: Rates,
    *,
    out: Path,
    key: str,
    seed: int = 0,
    task: str = "train",
    with_reference: bool = False,
    checkpoint_seconds: float = 120.0,
    progress: Progress = silent,
) -> History:
    """Train ``model`` in place.

    If ``out`` holds a checkpoint made under the same ``key``, the run goes on from there, exactly
    as if it had never stopped. Ctrl-C leaves a checkpoint too. The caller removes it once the
    model is saved (``checkpoint.remove_checkpoint``).

    Args:
        model: any causal language model; parameters that need no gradient stay as they are.
        examples: what to train on.
        objective: the loss; see ``Objective``.
        phase: length, batches and precision.
        rates: ``phase.rates(...)``.
        out: folder for the checkpoint and ``history.json``.
        key: says what is trained on what; a checkpoint of another key is not used.
        seed: order of the data.
        task: how ``progress`` shows it.
        with_reference: compute log p(answer) under the model as it comes in, before the first step
            and before a checkpoint is loaded: the reference of DPO.
        checkpoint_seconds: time between checkpoints.
        progress: called after every step.

    Raises:
        UserError: nothing to train on, the loss is no number, or memory ran out.
    """
    accelerator = Accelerator(mixed_precision="no")  # AnswerModel casts: one rule for all passes
    if accelerator.num_processes > 1:
        raise UserError("training uses one process: start it without accelerate launch or torchrun")
    limit = min(phase.max_length, longest_input(model))
    examples, too_long = keep_fitting(examples, limit)
    if not examples:
        raise UserError(
            f"{task}: nothing to train on ({too_long} examples are over {limit} tokens)"
        )

    torch.manual_seed(seed)
    # Without dropout: policy and reference must be the same function of the same weights.
    model.eval()  # type: ignore[no-untyped-call]
    optimizers = make_optimizers(model, rates)
    scorer, *optimizers = accelerator.prepare(AnswerModel(model, phase.precision), *optimizers)
    trained = [p for p in model.parameters() if p.requires_grad]
    run = _Run()
    budget = token_budget(phase, examples)
    shared = _shares(model, examples, task, progress)
    plan = partial(
        plan_steps, examples, phase.tokens_per_batch, phase.accumulate, seed, shared=shared
    )
    if with_reference:
        reached = examples_reached(plan(), examples, budget)
        reference = answer_logprobs(
            scorer,
            [examples[i] for i in reached],
            device=accelerator.device,
            tokens_per_batch=phase.tokens_per_batch,
            shared=shared,
            task=f"{task}: reference",
            progress=progress,
        )
        for i, values in zip(reached, reference, strict=True):
            examples[i] = replace(examples[i], reference=values)
    if not _resume(out, key, model, optimizers, run) and has_checkpoint(out):
        note = "starting afresh: the checkpoint here is damaged or was made with other settings"
        progress(Event(task, 0, round(min(budget, 1e18)), "tokens", note))

    def save() -> None:
        save_checkpoint(out, _state(key, model, optimizers, run))

    last_save = time.monotonic()
    try:
        for number, step in enumerate(plan()):
            if number < len(run.steps):
                continue
            share = share_done(run, phase, budget)
            if share >= 1:
                break
            started = time.monotonic()
            batches = [
                make_batch([examples[i] for i in numbers], shared=shared).to(accelerator.device)
                for numbers in step
            ]
            read = sum(batch.tokens for batch in batches)
            # The rate of the step's middle: neither the first one nor the last is 0.
            factor = rate_factor(share + 0.5 * min(read / budget, 1 - share), rates)
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = group["peak_lr"] * factor
            with _explained(task, phase):
                loss, norm, measured = _step(
                    accelerator, scorer, objective, batches, trained, phase.clip
                )
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise UserError(
                    f"{task}: the loss is no number at step {number + 1} (loss {loss}, gradient "
                    f"norm {norm}): lower lr and muon_lr, raise warmup, or set precision = fp32"
                )
            run.whole = False
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()

            now = time.monotonic()
            run.tokens += read
            run.seconds += now - started
            lr = optimizers[-1].param_groups[-1]["lr"]
            run.steps.append(Step(run.tokens, loss, lr, norm, measured))
            run.whole = True
            if now - last_save >= checkpoint_seconds:
                save()
                last_save = time.monotonic()
            progress(_event(task, run, phase, budget))
    except KeyboardInterrupt:
        if run.whole:
            save()
        raise

    history = History(task, run.tokens, run.seconds, len(examples), too_long, tuple(run.steps))
    write_history(out, history)
    return history


def _shares(
    model: "PreTrainedModel", examples: Sequence[Example], task: str, progress: Progress
) -> bool:
    """Whether several answers share one copy of their prompt."""
    if all(len(example.answers) == 1 for example in examples):
        return False
    shared = can_share(model)
    if not shared:
        note = (
            f"{model.config.model_type}: its attention takes no mask, prompts are read per answer"
        )
        progress(Event(f"{task}: form", 1, 1, "models", note))
    return shared


def _step(
    accelerator: Accelerator,
    scorer: nn.Module,
    objective: Objective,
    batches: Sequence[Batch],
    trained: Sequence[nn.Parameter],
    clip: float,
) -> tuple[float, float, dict[str, float]]:
    """Leave the gradient of the mean loss over all units of all batches, clipped.

    Returns that loss, the norm before clipping, and the measurements.
    """
    total, units = 0.0, 0
    sums: dict[str, float] = {}
    for batch in batches:
        losses, measured = objective(batch, scorer(batch))
        loss = losses.sum()
        accelerator.backward(loss)
        total += loss.item()
        units += losses.numel()
        for name, values in measured.items():
            sums[name] = sums.get(name, 0.0) + values.sum().item()
    gradients = [p.grad for p in trained if p.grad is not None]
    # One division at the end: the batches of a step need not hold equally many units.
    torch._foreach_div_(gradients, float(units))
    norm = float(accelerator.clip_grad_norm_(trained, clip))
    return total / units, norm, {name: value / units for name, value in sums.items()}


def make_optimizers(model: "PreTrainedModel", rates: Rates) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers if the rates say so, AdamW for the rest.

    Each group remembers its peak rate under ``peak_lr``. Only matrices decay: embeddings, norms and
    biases do not.
    """
    tables = embedding_tables(model)
    embeddings = {
        parameter
        for module in model.modules()
        if isinstance(module, nn.Embedding) or module in tables
        for parameter in module.parameters()
    }
    trained = [p for p in model.parameters() if p.requires_grad]
    matrices = [p for p in trained if p.ndim == 2 and p not in embeddings]
    others = [p for p in trained if p.ndim != 2 or p in embeddings]
    found: list[torch.optim.Optimizer] = []
    groups: list[dict[str, Any]] = [{"params": others, "weight_decay": 0.0}]
    if isinstance(rates, Scratch) and rates.muon_lr:
        # Three of the usual five steps of Newton and Schulz: as good, and a tenth faster here.
        found.append(
            torch.optim.Muon(
                matrices, lr=rates.muon_lr, weight_decay=rates.weight_decay, ns_steps=3
            )
        )
    else:
        groups.insert(0, {"params": matrices, "weight_decay": rates.weight_decay})
    groups = [group for group in groups if group["params"]]
    found.append(torch.optim.AdamW(groups, lr=rates.lr, betas=(0.9, 0.95), fused=True))
    for optimizer in found:
        for group in optimizer.param_groups:
            group["peak_lr"] = group["lr"]
    return found


def rate_factor(share: float, rates: Rates) -> float:
    """What the learning rates are multiplied with when ``share`` of the run, in [0, 1], is done.

    It rises in a line from 0 to 1 until ``rates.warmup``, then falls to 0 at the end, as the power
    ``rates.decay`` of the share that is left.
    """
    if share < rates.warmup:
        return share / rates.warmup
    left = max(0.0, (1 - share) / (1 - rates.warmup))
    return float(left**rates.decay)


def token_budget(phase: Phase, examples: Iterable[Example]) -> float:
    """Tokens after which the run ends; infinite if only time limits it."""
    limits = []
    if phase.max_tokens:
        limits.append(float(phase.max_tokens))
    if phase.epochs:
        limits.append(phase.epochs * sum(example.tokens for example in examples))
    return min(limits, default=math.inf)


def examples_reached(
    plan: Iterable[list[list[int]]], examples: Sequence[Example], budget: float
) -> list[int]:
    """The numbers of the examples that are read before ``budget`` tokens are used up."""
    reached: set[int] = set()
    tokens = 0
    for step in plan:
        if tokens >= budget or len(reached) == len(examples):
            break
        numbers = [i for batch in step for i in batch]
        reached.update(numbers)
        tokens += sum(examples[i].tokens for i in numbers)
    return sorted(reached)


def share_done(run: _Run, phase: Phase, budget: float) -> float:
    """How much of the run is done, by tokens or by time, whichever is further."""
    by_time = run.seconds / phase.max_seconds if phase.max_seconds else 0.0
    return max(run.tokens / budget, by_time)


def write_history(out: Path, history: History) -> None:
    """Write ``history.json``."""
    path = out / "history.json"
    with writing(path):
        out.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.encode(history))


def _state(
    key: str, model: nn.Module, optimizers: Sequence[torch.optim.Optimizer], run: _Run
) -> dict[str, Any]:
    return {
        "key": key,
        "model": {n: p.detach() for n, p in model.named_parameters() if p.requires_grad},
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "random": torch.get_rng_state(),
        "tokens": run.tokens,
        "seconds": run.seconds,
        "steps": msgspec.to_builtins(run.steps),
    }


def _resume(
    out: Path,
    key: str,
    model: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    run: _Run,
) -> bool:
    """Take weights, optimizers and history from the checkpoint; False if there is none for us."""
    state = load_checkpoint(out, key)
    if state is None:
        return False
    model.load_state_dict(state["model"], strict=False)
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    torch.set_rng_state(state["random"])
    run.tokens, run.seconds = state["tokens"], state["seconds"]
    run.steps = msgspec.convert(state["steps"], list[Step])
    return True


def _event(task: str, run: _Run, phase: Phase, budget: float) -> Event:
    recent = run.steps[-20:]
    loss = sum(step.loss for step in recent) / len(recent)
    rate = run.tokens / max(run.seconds, 1e-9)
    total = budget if math.isfinite(budget) else rate * phase.max_seconds
    done = min(share_done(run, phase, budget), 1.0) * total
    note = f"loss {loss:.3f}, {rate / 1000:.1f}k tokens/s"
    return Event(task, round(done), round(total), "tokens", note)


@contextmanager
def _explained(task: str, phase: Phase) -> Iterator[None]:
    """Memory that runs out becomes a line that says what to do."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # The CPU allocator of torch raises a plain RuntimeError.
        known = isinstance(error, torch.OutOfMemoryError | MemoryError)
        if not (known or "can't allocate memory" in str(error)):
            raise
        raise UserError(
            f"{task}: out of memory with tokens_per_batch = {phase.tokens_per_batch}: halve it "
            f"and double accumulate (now {phase.accumulate}), or train with lora_rank"
        ) from error
