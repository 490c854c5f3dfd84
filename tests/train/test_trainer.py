"""The training loop: it learns, it resumes exactly, and it ends with advice."""

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.train.makers import SCRATCH, make_rows, phase, random_examples, tiny, tokenizer
from torch import Tensor

from metaalign.schema import SCHEMA_VERSION, Event, UserError, silent
from metaalign.train.batches import Batch, Example, encode_examples
from metaalign.train.recipe import Phase, Pretrained, Scratch
from metaalign.train.sft import sft_objective
from metaalign.train.trainer import (
    History,
    examples_reached,
    fit,
    make_optimizers,
    rate_factor,
    token_budget,
)


def run(
    out: Path, settings: Phase, examples: Sequence[Example] | None = None, **more: Any
) -> tuple[Any, History]:
    model = more.pop("model", None) or tiny()
    if examples is None:
        examples = encode_examples([(d, [a]) for d, a in make_rows()], tokenizer())
    objective, rates = more.pop("objective", sft_objective), more.pop("rates", SCRATCH)
    more.setdefault("key", "k")
    return model, fit(model, examples, objective, settings, rates, out=out, **more)


def losses(history: History) -> list[float]:
    return [step.loss for step in history.steps]


def test_it_learns_by_heart(tmp_path: Path) -> None:
    _, history = run(tmp_path, phase(epochs=40.0))
    assert history.steps[0].loss > 5  # log 320 = 5.8: nothing is known
    assert history.steps[-1].loss < 0.5


def test_the_first_loss_is_the_mean_over_all_response_tokens(tmp_path: Path) -> None:
    """One batch of everything, against the loss that transformers computes from labels."""
    examples = encode_examples([(d, [a]) for d, a in make_rows(6)], tokenizer())
    total, count = 0.0, 0
    for e in examples:
        ids = torch.tensor([[*e.prompt.tolist(), *e.answers[0].tolist()]])
        labels = ids.clone()
        labels[0, : len(e.prompt)] = -100
        with torch.no_grad():
            total += tiny()(input_ids=ids, labels=labels).loss.item() * len(e.answers[0])
        count += len(e.answers[0])
    _, history = run(tmp_path, phase(tokens_per_batch=100_000), examples)
    assert losses(history) == [pytest.approx(total / count, rel=1e-5)]


def test_one_batch_equals_several_accumulated(tmp_path: Path) -> None:
    """Batches of unequal numbers of response tokens: a mean of means would differ."""
    examples = random_examples([(4, (1,)), (4, (2,)), (4, (20,)), (4, (25,))])
    _, h1 = run(tmp_path / "1", phase(tokens_per_batch=1000, epochs=2.0), examples)
    _, h2 = run(tmp_path / "2", phase(tokens_per_batch=28, accumulate=4, epochs=2.0), examples)
    assert len(h1.steps) == len(h2.steps) == 2
    # The second loss is that of the weights after the first step.
    assert losses(h1) == pytest.approx(losses(h2), rel=1e-5)
    norms = [[step.grad_norm for step in history.steps] for history in (h1, h2)]
    assert norms[0] == pytest.approx(norms[1], rel=1e-4)


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.train import test_trainer as t
from tests.train.makers import phase
calls = 0
def objective(batch, logprobs):
    global calls
    calls += 1
    if calls == 8:
        os.kill(os.getpid(), signal.SIGKILL)
    return t.sft_objective(batch, logprobs)
settings = phase(epochs=4.0, precision=sys.argv[2])
t.run(Path(sys.argv[1]), settings, objective=objective, checkpoint_seconds=0.0)
"""


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_kill_9_and_resume_gives_the_same_course(tmp_path: Path, precision: str) -> None:
    """Killed within step 8; the rest is done from the checkpoint of step 7, with equal numbers."""
    settings = phase(epochs=4.0, precision=precision)
    whole, expected = run(tmp_path / "whole", settings)
    folder = tmp_path / "killed"
    root = Path(__file__).parents[2]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder), precision],
        cwd=root,
        env=os.environ | {"PYTHONPATH": f"{root / 'src'}:{root}"},
        stderr=subprocess.DEVNULL,
    )
    assert killed.returncode == -signal.SIGKILL
    calls = 0

    def objective(batch: Batch, logprobs: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        nonlocal calls
        calls += 1
        return sft_objective(batch, logprobs)

    resumed, history = run(folder, settings, objective=objective)
    assert history.steps == expected.steps
    assert calls == len(expected.steps) - 7
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("where", ["between steps", "in the update"])
def test_ctrl_c_loses_no_finished_step(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No checkpoint is due; in the update the weights are half new, so none may be written."""
    _, expected = run(tmp_path / "whole", phase())
    steps = 0

    def stop(event: Event) -> None:
        nonlocal steps
        steps += 1
        if steps == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        if where == "in the update":
            patch.setattr(torch.optim.AdamW, "step", lambda *_: stop(Event("", 0, 0, "")))
        run(tmp_path, phase(), progress=stop if where == "between steps" else silent)
    assert (tmp_path / "checkpoint.pt").exists() == (where == "between steps")
    calls: list[Event] = []
    _, resumed = run(tmp_path, phase(), progress=calls.append)
    assert resumed.steps == expected.steps
    assert len(calls) == len(expected.steps) - (5 if where == "between steps" else 0)


def test_a_checkpoint_of_something_else_is_not_used_and_that_is_said(tmp_path: Path) -> None:
    def stop(event: Event) -> None:
        if event.done > 500:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, phase(), progress=stop, checkpoint_seconds=0.0)
    assert (tmp_path / "checkpoint.pt").exists()
    said: list[str] = []
    _, history = run(tmp_path, phase(), key="other", progress=lambda e: said.append(e.note))
    _, expected = run(tmp_path / "new", phase(), key="other")
    assert history.steps == expected.steps
    assert "starting afresh" in said[0]


def test_the_history_is_written(tmp_path: Path) -> None:
    _, history = run(tmp_path, phase())
    written = json.loads((tmp_path / "history.json").read_text())
    assert [step["loss"] for step in written["steps"]] == losses(history)
    assert written["tokens"] == history.tokens == history.steps[-1].tokens
    assert written["schema"] == SCHEMA_VERSION


def test_epochs_count_each_token_of_each_row(tmp_path: Path) -> None:
    """Rows of 4 + 2 - 1 and 6 + 3 - 1 tokens, twice."""
    _, history = run(tmp_path, phase(epochs=2.0), random_examples([(4, (2,)), (6, (3,))]))
    assert history.tokens == 2 * (5 + 8)


def test_max_tokens_ends_the_run_across_epochs(tmp_path: Path) -> None:
    """5 tokens a step; 12 are reached with the third."""
    settings = phase(epochs=0.0, max_tokens=12, tokens_per_batch=5)
    _, history = run(tmp_path, settings, random_examples([(4, (2,)), (4, (2,))]))
    assert [step.tokens for step in history.steps] == [5, 10, 15]


def test_max_seconds_ends_the_run(tmp_path: Path) -> None:
    settings = phase(epochs=0.0, max_seconds=0.3)
    _, history = run(tmp_path, settings)
    assert 0.3 <= history.seconds < 5


def test_the_first_limit_counts() -> None:
    examples = random_examples([(4, (2,))] * 10)
    assert token_budget(phase(epochs=2.0, max_tokens=70), examples) == 70
    assert token_budget(phase(epochs=2.0, max_tokens=1000), examples) == 100


def test_only_what_the_budget_reaches_needs_a_reference() -> None:
    """Steps of 5 tokens: a budget of 12 ends within the third step; one epoch is all there is."""
    examples = random_examples([(4, (2,))] * 5)
    plan = [[[3]], [[0]], [[4]], [[1]], [[2]]] * 2
    assert examples_reached(plan, examples, 12) == [0, 3, 4]
    assert examples_reached(plan, examples, math.inf) == [0, 1, 2, 3, 4]


def test_what_is_too_long_is_left_out_and_counted(tmp_path: Path) -> None:
    examples = random_examples([(4, (2,)), (40, (2,)), (300, (2,))])
    _, history = run(tmp_path, phase(max_length=10), examples)
    assert (history.examples, history.too_long) == (1, 2)
    _, history = run(tmp_path / "2", phase(), examples)  # the model has 256 positions
    assert (history.examples, history.too_long) == (2, 1)


def test_nothing_to_train_on_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="1 examples are over 10 tokens"):
        run(tmp_path, phase(max_length=10), random_examples([(40, (2,))]))


@pytest.mark.parametrize(("decay", "half_left"), [(1.0, 0.5), (2.0, 0.25)])
def test_rates_rise_then_fall(decay: float, half_left: float) -> None:
    rates = Scratch(lr=1.0, warmup=0.2, decay=decay)
    factors = [rate_factor(share, rates) for share in (0.0, 0.1, 0.2, 0.6, 1.0)]
    assert factors == pytest.approx([0, 0.5, 1, half_left, 0])
    assert rate_factor(0.0, Scratch(lr=1.0, warmup=0.0)) == 1


def test_no_step_has_rate_zero(tmp_path: Path) -> None:
    """Four equal steps, no warmup: the middles of the quarters give 7/8, 5/8, 3/8 and 1/8."""
    settings = phase(tokens_per_batch=5)
    rates = Scratch(lr=0.8, warmup=0.0)
    _, history = run(tmp_path, settings, random_examples([(4, (2,))] * 4), rates=rates)
    assert [step.lr for step in history.steps] == pytest.approx([0.7, 0.5, 0.3, 0.1])


def test_muon_gets_the_matrices_of_the_layers_and_adamw_the_rest() -> None:
    model = tiny(tie_word_embeddings=False)
    muon, adamw = make_optimizers(model, SCRATCH)
    names = {id(p): n for n, p in model.named_parameters()}

    def held(optimizer: torch.optim.Optimizer) -> set[str]:
        return {names[id(p)] for group in optimizer.param_groups for p in group["params"]}

    assert isinstance(muon, torch.optim.Muon)
    assert all(name.endswith("proj.weight") for name in held(muon))
    assert {"model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"} <= held(adamw)
    assert held(muon) | held(adamw) == set(names.values())


def test_adamw_decays_matrices_only() -> None:
    [adamw] = make_optimizers(tiny(), Pretrained(lr=0.1, weight_decay=0.5))
    decayed = [p for g in adamw.param_groups if g["weight_decay"] for p in g["params"]]
    assert {p.ndim for p in decayed} == {2}
    assert len(decayed) == 2 * 7  # layers x matrices


def test_a_loss_that_is_no_number_ends_with_advice(tmp_path: Path) -> None:
    def broken(batch: Batch, logprobs: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return logprobs * float("nan"), {}

    with pytest.raises(UserError, match=r"no number at step 1 .*lower lr"):
        run(tmp_path, phase(), objective=broken)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_memory_that_runs_out_ends_with_advice(tmp_path: Path, error: BaseException) -> None:
    def greedy(batch: Batch, logprobs: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        raise error

    with pytest.raises(UserError, match="out of memory with tokens_per_batch = 256: halve it"):
        run(tmp_path, phase(), objective=greedy)


def test_other_errors_are_not_hidden(tmp_path: Path) -> None:
    def wrong(batch: Batch, logprobs: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        run(tmp_path, phase(), objective=wrong)


def test_progress_tells_tokens_loss_and_speed(tmp_path: Path) -> None:
    events: list[Event] = []
    _, history = run(tmp_path, phase(), task="SFT", progress=events.append)
    last = events[-1]
    assert (last.task, last.unit, last.done) == ("SFT", "tokens", last.total)
    assert last.total == history.tokens
    assert "loss" in last.note
    assert "tokens/s" in last.note
