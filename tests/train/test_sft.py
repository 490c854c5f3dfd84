"""Supervised fine-tuning on dialogues."""

import math
from pathlib import Path

import pytest
from tests.train.makers import SCRATCH, make_rows, phase, tiny, tokenizer

from metaalign.schema import Dialogue, MetaPrompt
from metaalign.train.batches import encode_examples
from metaalign.train.recipe import Reads
from metaalign.train.scoring import AnswerModel, answer_logprobs
from metaalign.train.sft import sft, shown


def test_a_model_that_reads_the_query_is_not_shown_the_meta_prompt() -> None:
    dialogue = Dialogue.ask("What is the egg?", "You help.", "Be brief.")
    assert shown(dialogue, "meta_prompt") == dialogue
    assert shown(dialogue, "query") == Dialogue(MetaPrompt(), dialogue.turns)


@pytest.mark.parametrize("reads", ["meta_prompt", "query"])
def test_only_what_is_shown_can_be_learned(tmp_path: Path, reads: Reads) -> None:
    """Each query has two answers, equally often; only the Meta-Prompt tells which one is wanted.

    Without it a model gives them p and q with p + q <= 1, so the mean of -log p and -log q is never
    under log 2.
    """
    model = tiny()
    rows = make_rows()
    sft(
        model,
        tokenizer(),
        rows,
        phase(epochs=50.0),
        SCRATCH,
        out=tmp_path,
        key="k",
        reads=reads,
    )
    examples = encode_examples([(shown(d, reads), [a]) for d, a in rows], tokenizer())
    found = answer_logprobs(
        AnswerModel(model, "fp32"), examples, device=model.device, tokens_per_batch=4096
    )
    loss = -sum(value for [value] in found) / len(found)
    if reads == "meta_prompt":
        assert loss < 0.9 * math.log(2)
    else:
        assert loss >= math.log(2)
