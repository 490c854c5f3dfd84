"""What is left out when a talk is too long: the oldest turns, told; never a word of the tiers."""

import copy

import pytest
from tests.prompt.families import FAMILIES

from metaalign.prompt import Fitted, TooLong, add_markers, encode, fit
from metaalign.schema import Dialogue, MetaPrompt, Turn

TOKENIZER = copy.deepcopy(FAMILIES["qwen3"]())
add_markers(TOKENIZER)
TURNS = tuple(Turn("assistant" if i % 2 else "user", f"turn number {i}") for i in range(9))
DIALOGUE = Dialogue(MetaPrompt.of("Be brief.", "I keep bees."), TURNS)


def length(turns: tuple[Turn, ...]) -> int:
    return len(encode(Dialogue(DIALOGUE.meta_prompt, turns), TOKENIZER).ids)


@pytest.mark.parametrize("family", ["native", "qwen3", "llama-2", "gemma-2"])
def test_as_few_of_the_oldest_exchanges_go_as_must(family: str) -> None:
    tokenizer = TOKENIZER if family == "native" else FAMILIES[family]()
    lengths = {
        gone: len(encode(Dialogue(DIALOGUE.meta_prompt, TURNS[gone:]), tokenizer).ids)
        for gone in range(0, 9, 2)
    }
    for gone, tokens in lengths.items():
        found = fit(DIALOGUE, tokenizer, tokens)
        assert found.dropped == TURNS[:gone]
        assert found.dialogue == Dialogue(DIALOGUE.meta_prompt, TURNS[gone:])
        assert found.encoded == encode(found.dialogue, tokenizer)


def test_what_fits_is_left_as_it_is() -> None:
    assert fit(DIALOGUE, TOKENIZER, 10_000) == Fitted(DIALOGUE, encode(DIALOGUE, TOKENIZER), ())


def test_room_for_the_answer_is_kept_free() -> None:
    whole = length(TURNS)
    assert fit(DIALOGUE, TOKENIZER, whole + 5, reserve=5).dropped == ()
    assert fit(DIALOGUE, TOKENIZER, whole + 5, reserve=6).dropped == TURNS[:2]


def test_an_answered_query_keeps_its_answer() -> None:
    answered = Dialogue(DIALOGUE.meta_prompt, TURNS[:8])
    assert fit(answered, TOKENIZER, length(TURNS[6:8])).dialogue.turns == TURNS[6:8]


def test_what_cannot_fit_says_by_how_many_tokens() -> None:
    least = length(TURNS[8:])
    with pytest.raises(TooLong, match=rf"take {least} tokens: 3 more than the {least - 3} that"):
        fit(DIALOGUE, TOKENIZER, least - 3)
    with pytest.raises(TooLong, match=rf"take {least} tokens and 4 for the answer: 4 more than"):
        fit(DIALOGUE, TOKENIZER, least, reserve=4)
