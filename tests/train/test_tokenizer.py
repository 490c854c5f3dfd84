"""Tokenizers for models from scratch."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.train.makers import tokenizer

from metaalign.prompt import end_token_id, has_markers
from metaalign.schema import UserError
from metaalign.train.tokenizer import train_tokenizer

TEXTS = ["the cat sat on the mat", "the dog sat on the log", "a cat and a dog"] * 20


@given(st.text(max_size=40))
def test_any_text_comes_back_unchanged(text: str) -> None:
    ids = tokenizer()(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert tokenizer().decode(ids, clean_up_tokenization_spaces=False) == text


def test_the_same_texts_in_any_order_give_the_same_tokenizer() -> None:
    shuffled = TEXTS.copy()
    random.Random(1).shuffle(shuffled)
    one, other = train_tokenizer(TEXTS, 300), train_tokenizer(shuffled, 300)
    assert one.backend_tokenizer.to_str() == other.backend_tokenizer.to_str()


def test_the_vocabulary_has_the_size_asked_for() -> None:
    """256 bytes, 5 markers, the pad token and 18 merges."""
    found = train_tokenizer(TEXTS, 280)
    assert len(found) == 280
    assert has_markers(found)
    assert found.eos_token_id == end_token_id(found)
    assert found.pad_token_id != found.eos_token_id


def test_frequent_words_become_one_token() -> None:
    assert len(tokenizer()("What", add_special_tokens=False)["input_ids"]) < len("What")


def test_a_vocabulary_without_room_for_bytes_is_refused() -> None:
    with pytest.raises(UserError, match="a vocabulary of 261 is too small"):
        train_tokenizer(TEXTS, 261)
