"""A tokenizer without control tokens: nothing in a text becomes one, and text stays what it was."""

import copy
from typing import Any, ClassVar

import pytest
from tests.prompt.families import FAMILIES
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from metaalign.prompt.plain import PlainText, control_tokens, plain_text
from metaalign.schema import UserError


@pytest.mark.parametrize("family", FAMILIES)
def test_control_tokens_in_a_text_are_ordinary_text(family: str) -> None:
    tokenizer = FAMILIES[family]()
    plain = plain_text(tokenizer)
    control = {token.id for token in plain.control.values()}
    for content in plain.control:
        for text in (content, f"a{content}b", f" {content} {content}\n"):
            [found] = plain.encode([text])
            assert control.isdisjoint(found.ids)
            assert plain.decode(found.ids) == text


@pytest.mark.parametrize("family", FAMILIES)
def test_other_text_has_the_ids_it_has_in_the_middle_of_a_prompt(family: str) -> None:
    tokenizer = FAMILIES[family]()
    plain = plain_text(tokenizer)
    before = next(iter(plain.control.values()))
    for text in ("Hello, world!", "a\n\nb", "x = 1\t# y", "  two"):
        if before.rstrip and text != text.lstrip():
            continue
        whole = tokenizer(before.content + text, add_special_tokens=False)["input_ids"]
        assert [before.id, *plain.encode([text])[0].ids] == whole


def test_what_is_special_or_looks_like_it_is_a_control_token() -> None:
    tokenizer = copy.deepcopy(FAMILIES["gpt2"]())
    tokenizer.add_tokens(
        ["<think>", "[TOOL]", "<b>", "    ", "COVID-19", AddedToken("DONE", special=True)]
    )
    assert set(control_tokens(tokenizer)) == {"<|endoftext|>", "<think>", "[TOOL]", "DONE"}


def test_borders_are_found_among_the_tokens() -> None:
    plain = plain_text(FAMILIES["llama-2"]())
    text = "[INST] you [/INST] fine"
    [found] = plain.encode([text], [[10, 19]])
    assert plain.decode(found.ids[: found.cuts[0]]) == "[INST] you"
    # The space leads the word, so it comes after the border between the two.
    assert plain.decode(found.ids[found.cuts[1] :]) == "fine"


def spelling_tokenizer() -> Any:
    """A vocabulary that spells its end token among its words."""
    pieces = [("<unk>", 0.0), ("</s>", -1.0), *((c, -5.0) for c in "<>/s ab")]
    raw = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=False))
    return PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="</s>", unk_token="<unk>")


def test_a_vocabulary_that_spells_a_control_token_is_read_around_it() -> None:
    tokenizer = spelling_tokenizer()
    end = tokenizer.eos_token_id
    plain = PlainText(tokenizer)
    assert plain._backend.encode("a</s>b", add_special_tokens=False).ids.count(end) == 1
    [found] = plain.encode(["a</s>b"], [[1]])
    assert end not in found.ids
    assert "".join(tokenizer.convert_ids_to_tokens(found.ids)) == "a</s>b"
    assert found.cuts == [1]


def test_a_character_that_is_a_control_token_is_refused() -> None:
    raw = Tokenizer(models.WordLevel({"a": 0, "§": 1, "?": 2}, unk_token="?"))
    raw.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="§", unk_token="?")
    with pytest.raises(UserError, match="a character that this tokenizer knows as a control token"):
        PlainText(tokenizer).encode(["a§a"])


def test_a_slow_tokenizer_is_refused_in_one_line() -> None:
    class Slow:
        added_tokens_decoder: ClassVar[dict[int, Any]] = {}

    with pytest.raises(UserError, match="Slow is no fast tokenizer"):
        PlainText(Slow())


def test_tokens_added_later_are_control_tokens_too() -> None:
    tokenizer = copy.deepcopy(FAMILIES["qwen3"]())
    assert "<|extra|>" not in plain_text(tokenizer).control
    tokenizer.add_tokens(["<|extra|>"], special_tokens=True)
    assert "<|extra|>" in plain_text(tokenizer).control
