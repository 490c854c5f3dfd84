"""DPO: the reference is the policy as it came in."""

import math
from pathlib import Path

import pytest
from tests.train.makers import dpo_phase, make_group, tiny, tokenizer

from metaalign.train.dpo import dpo
from metaalign.train.models import add_lora
from metaalign.train.pairs import PairRow
from metaalign.train.recipe import Pretrained
from metaalign.train.trainer import History


def pairs(count: int = 12) -> list[PairRow]:
    found = []
    for group in map(make_group, range(count // 2)):
        for index, view in enumerate(group.views):
            best = view.ranks.index(0)
            found.append(
                PairRow(
                    group.id,
                    index,
                    view.meta_prompt,
                    group.turns,
                    chosen=group.candidates[best].text,
                    rejected=group.candidates[1 - best].text,
                    chosen_from="candidate",
                    rejected_from="flip",
                )
            )
    return found


def run(out: Path, rank: int = 0, lr: float = 0.003, **changes: float) -> History:
    model = tiny()
    if rank:
        model = add_lora(model, tokenizer(), rank)
    settings = dpo_phase(**{"epochs": 10.0, "tokens_per_batch": 4096} | changes)
    return dpo(model, tokenizer(), pairs(), settings, Pretrained(lr=lr), out=out, key="k")


@pytest.mark.parametrize("rank", [0, 4])
def test_the_first_loss_is_log_two(tmp_path: Path, rank: int) -> None:
    """Policy and reference are the same function before the first step, with adapters too."""
    history = run(tmp_path, rank, epochs=1.0)
    assert history.steps[0].loss == pytest.approx(math.log(2), abs=1e-5)
    assert history.steps[0].measured["margin"] == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("rank", [0, 4])
def test_both_orders_of_a_flip_are_learned(tmp_path: Path, rank: int) -> None:
    """Every pair comes in both orders, so no margin can grow without reading the Meta-Prompt."""
    last = run(tmp_path, rank, epochs=60.0, lr=0.01 if rank else 0.005).steps[-1].measured
    assert last["accuracy"] == 1
    assert last["margin"] > 0.5


def test_the_likelihood_of_chosen_answers_is_kept_by_its_weight(tmp_path: Path) -> None:
    """The loss starts at log 2 plus the mean negative log-likelihood per token, about log 320."""
    history = run(tmp_path, epochs=1.0, sft_weight=1.0)
    assert history.steps[0].loss == pytest.approx(math.log(2) + math.log(320), rel=0.02)


def test_a_resumed_run_keeps_the_reference_of_the_first(tmp_path: Path) -> None:
    """The reference is taken before the checkpoint is loaded, so the courses are equal."""
    model = tiny()

    def stop(event: object) -> None:
        if getattr(event, "task", "") == "DPO" and getattr(event, "done", 0) > 2000:
            raise KeyboardInterrupt

    settings = dpo_phase(epochs=6.0, tokens_per_batch=256)
    rates = Pretrained(lr=0.003)
    with pytest.raises(KeyboardInterrupt):
        dpo(
            model,
            tokenizer(),
            pairs(),
            settings,
            rates,
            out=tmp_path / "a",
            key="k",
            checkpoint_seconds=0.0,
            progress=stop,
        )
    resumed = dpo(tiny(), tokenizer(), pairs(), settings, rates, out=tmp_path / "a", key="k")
    whole = dpo(tiny(), tokenizer(), pairs(), settings, rates, out=tmp_path / "b", key="k")
    assert resumed.steps == whole.steps
