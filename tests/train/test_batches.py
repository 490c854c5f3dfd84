"""Examples and batches: the exact tensors, nothing lost, the same for the same seed."""

from itertools import islice

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests.train.makers import random_examples, tokenizer

from metaalign.prompt import encode
from metaalign.schema import Dialogue, MetaPrompt, Turn
from metaalign.train.batches import (
    Example,
    encode_examples,
    keep_fitting,
    make_batch,
    plan_epoch,
    plan_steps,
)


def example(prompt: list[int], *answers: list[int], reference: tuple[float, ...] = ()) -> Example:
    return Example(
        np.array(prompt, np.int32), tuple(np.array(a, np.int32) for a in answers), reference
    )


def test_an_example_is_the_prompt_and_the_response_with_its_end_token() -> None:
    dialogue = Dialogue.ask("What is the egg?", "You help.", "Be brief.")
    [found] = encode_examples([(dialogue, ["An egg.", "Egg"])], tokenizer())
    assert tuple(found.prompt) == encode(dialogue, tokenizer()).ids
    end = tokenizer().convert_tokens_to_ids("<|end|>")
    for answer, text in zip(found.answers, ["An egg.", "Egg"], strict=True):
        assert answer[-1] == end
        assert tokenizer().decode(answer[:-1].tolist()) == text


def test_earlier_responses_are_prompt() -> None:
    turns = (Turn("user", "Hello"), Turn("assistant", "Hi."), Turn("user", "What is the egg?"))
    dialogue = Dialogue(MetaPrompt(), turns)
    [found] = encode_examples([(dialogue, ["An egg."])], tokenizer())
    assert tuple(found.prompt) == encode(dialogue, tokenizer()).ids


def test_an_empty_response_is_its_end_token() -> None:
    [found] = encode_examples([(Dialogue.ask("Hm"), [""])], tokenizer())
    assert found.answers[0].tolist() == [tokenizer().convert_tokens_to_ids("<|end|>")]


def test_a_batch_holds_these_tensors() -> None:
    """Rows are prompt and answer without the last token; column c predicts token c + 1.

    They are padded with zeros to a multiple of 8.
    """
    batch = make_batch(
        [
            example([5, 6], [7, 8], [9], reference=(-1.0, -2.0)),
            example([5], [4, 3, 2], [1, 2], reference=(-3.0, -4.0)),
        ]
    )
    assert batch.input_ids[:, :3].tolist() == [[5, 6, 7], [5, 6, 0], [5, 4, 3], [5, 1, 0]]
    assert batch.input_ids[:, 3:].tolist() == [[0] * 5] * 4
    assert batch.row.tolist() == [0, 0, 1, 2, 2, 2, 3, 3]
    assert batch.column.tolist() == [1, 2, 1, 0, 1, 2, 0, 1]
    assert batch.target.tolist() == [7, 8, 9, 4, 3, 2, 1, 2]
    assert batch.reference.tolist() == [-1.0, -2.0, -3.0, -4.0]
    assert batch.tokens == 3 + 2 + 3 + 2


@given(
    shapes=st.lists(st.tuples(st.integers(1, 60), st.integers(1, 3)), max_size=80),
    budget=st.integers(1, 200),
    seed=st.integers(0, 5),
)
def test_an_epoch_holds_everything_once_within_the_budget(
    shapes: list[tuple[int, int]], budget: int, seed: int
) -> None:
    lengths, rows = [n for n, _ in shapes], [k for _, k in shapes]
    examples = random_examples([(n, (1,) * k) for n, k in shapes])
    plan = plan_epoch(lengths, rows, budget, seed, epoch=0)
    assert sorted(i for batch in plan for i in batch) == list(range(len(shapes)))
    for batch in plan:
        size = make_batch([examples[i] for i in batch]).input_ids.numel()
        assert size <= budget or len(batch) == 1
    assert plan == plan_epoch(lengths, rows, budget, seed, epoch=0)


def test_epochs_and_seeds_differ_in_order() -> None:
    lengths, rows = list(range(1, 200)), [1] * 199
    first = plan_epoch(lengths, rows, 400, 0, 0)
    assert first != plan_epoch(lengths, rows, 400, 0, 1)
    assert first != plan_epoch(lengths, rows, 400, 1, 0)


def test_bucketing_leaves_little_padding() -> None:
    """Lengths between 20 and 200 that are drawn at random would be padded by nearly a half."""
    lengths = np.random.default_rng(0).integers(20, 200, 3000).tolist()
    plan = plan_epoch(lengths, [1] * 3000, 4096, 0, 0)
    examples = random_examples([(n, (1,)) for n in lengths])
    padded = sum(make_batch([examples[i] for i in batch]).input_ids.numel() for batch in plan)
    assert padded < 1.06 * sum(lengths)


def test_few_shapes_occur() -> None:
    """Every new shape costs time and memory on a CPU: nearly all batches of a length are equal."""
    lengths = np.random.default_rng(0).integers(20, 200, 3000).tolist()
    plan = plan_epoch(lengths, [1] * 3000, 2048, 0, 0)
    shapes = {(len(batch), -(-max(lengths[i] for i in batch) // 8)) for batch in plan}
    assert len(plan) > 150
    assert len(shapes) < 50


def test_what_is_too_long_is_counted() -> None:
    """Rows of 3 + 4 - 1 = 6 and 3 + 5 - 1 = 7 tokens; the longest answer decides."""
    kept, left_out = keep_fitting(random_examples([(3, (4,)), (3, (2, 5))]), 6)
    assert [e.length for e in kept] == [6]
    assert left_out == 1


def test_steps_go_on_epoch_after_epoch_and_keep_the_rest() -> None:
    """5 examples of 8 tokens, 2 a batch, 2 batches a step: a full step and a rest an epoch."""
    plan = list(islice(plan_steps(random_examples([(7, (2,))] * 5), 16, 2, seed=0), 4))
    for first, rest in (plan[:2], plan[2:]):
        assert sorted(i for batch in first + rest for i in batch) == [0, 1, 2, 3, 4]
        assert len(first) == 2
        assert len(rest) == 1
