"""The test tokenizers behave as the families do that they stand for."""

from typing import Any

import pytest
from tests.prompt.families import CHAT, FAMILIES, SPECS, control_strings

NAMES = list(FAMILIES)
TALK = [
    {"role": "user", "content": "what is it"},
    {"role": "assistant", "content": "a word"},
    {"role": "user", "content": "and the other"},
]
TURN_MARKS = {
    "llama-3": ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
    "llama-3.2": ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
    "llama-2": ["<s>", "</s>"],
    "mistral-v1": ["<s>", "</s>"],
    "mistral-v3": ["<s>", "[INST]", "[/INST]", "</s>"],
    "qwen2.5": ["<|im_start|>", "<|im_end|>"],
    "qwen3": ["<|im_start|>", "<|im_end|>"],
    "chatml": ["<|im_start|>", "<|im_end|>"],
    "smollm2": ["<|im_start|>", "<|im_end|>"],
    "gemma-2": ["<bos>", "<start_of_turn>", "<end_of_turn>"],
    "gemma-3": ["<bos>", "<start_of_turn>", "<end_of_turn>"],
    "phi-3": ["<|user|>", "<|end|>", "<|assistant|>"],
    "phi-4": ["<|im_start|>", "<|im_sep|>", "<|im_end|>"],
    "deepseek-v3": [
        "<｜begin▁of▁sentence｜>",
        "<｜User｜>",
        "<｜Assistant｜>",
        "<｜end▁of▁sentence｜>",
    ],
    "deepseek-r1": [
        "<｜begin▁of▁sentence｜>",
        "<｜User｜>",
        "<｜Assistant｜>",
        "<｜end▁of▁sentence｜>",
    ],
}


def rendered(tokenizer: Any, messages: list[dict[str, str]]) -> list[int]:
    ids: list[int] = tokenizer.apply_chat_template(messages, add_generation_prompt=True)[
        "input_ids"
    ]
    return ids


@pytest.mark.parametrize("name", NAMES)
def test_the_vocabulary_is_small_and_every_id_is_a_token(name: str) -> None:
    tokenizer = FAMILIES[name]()
    assert 600 <= len(tokenizer) <= 1100
    assert sorted(tokenizer.get_vocab().values()) == list(range(len(tokenizer)))


@pytest.mark.parametrize("name", NAMES)
def test_added_tokens_keep_the_flags_of_the_specification(name: str) -> None:
    spec = SPECS[name]
    added = {token.content: token for token in FAMILIES[name]().added_tokens_decoder.values()}
    assert added.keys() == {control.text for control in (*spec.controls, *spec.pieces)}
    for control in (*spec.controls, *spec.pieces):
        token = added[control.text]
        flags = (token.special, token.lstrip, token.rstrip, token.normalized)
        assert flags == control[1:], control.text


@pytest.mark.parametrize("name", NAMES)
def test_a_control_token_in_a_text_becomes_one_id(name: str) -> None:
    tokenizer = FAMILIES[name]()
    for control in SPECS[name].controls:
        ids = tokenizer(f"word{control.text}word", add_special_tokens=False)["input_ids"]
        assert ids.count(tokenizer.convert_tokens_to_ids(control.text)) == 1, control.text


@pytest.mark.parametrize("name", NAMES)
def test_ordinary_text_is_read_back(name: str) -> None:
    tokenizer = FAMILIES[name]()
    for text in ("Hello, wörld! 12345", "a\n\n  b", "你好 🦉", "x = [1,\t2]"):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert tokenizer.decode(ids) == text


@pytest.mark.parametrize("name", NAMES)
def test_the_start_token_comes_first_where_the_family_puts_one(name: str) -> None:
    tokenizer = FAMILIES[name]()
    first = tokenizer("word")["input_ids"][0]
    silent = ("qwen2.5", "qwen3", "phi-3", "phi-4", "smollm2", "gpt2")
    assert (first == tokenizer.bos_token_id) == (name not in silent)


@pytest.mark.parametrize("name", CHAT)
def test_the_template_renders_a_talk_with_its_control_tokens_as_single_ids(name: str) -> None:
    tokenizer = FAMILIES[name]()
    found: Any = tokenizer.convert_ids_to_tokens(rendered(tokenizer, TALK))
    tokens: list[str] = list(found)
    assert set(TURN_MARKS[name]) <= set(tokens)
    text = str(tokenizer.apply_chat_template(TALK, tokenize=False, add_generation_prompt=True))
    for mark in TURN_MARKS[name]:
        assert tokens.count(mark) == text.count(mark), mark
    for message in TALK:
        assert message["content"] in text


def test_every_chat_family_is_tried_and_the_bases_have_no_template() -> None:
    assert set(TURN_MARKS) == set(CHAT) == set(NAMES) - {"gpt2", "base-sentencepiece"}
    for name in ("gpt2", "base-sentencepiece"):
        assert FAMILIES[name]().chat_template is None


def test_templates_written_here_put_out_what_the_model_cards_show() -> None:
    expected = {
        "llama-2": "<s>[INST] <<SYS>>\nbe brief\n<</SYS>>\n\nhi [/INST] yes </s>"
        "<s>[INST] more [/INST]",
        "mistral-v1": "<s> [INST] be brief\n\nhi [/INST] yes</s> [INST] more [/INST]",
        "mistral-v3": "<s>[INST] hi[/INST] yes</s>[INST] be brief\n\nmore[/INST]",
        "phi-4": "<|im_start|>system<|im_sep|>be brief<|im_end|>"
        "<|im_start|>user<|im_sep|>hi<|im_end|><|im_start|>assistant<|im_sep|>yes<|im_end|><|im_start|>user<|im_sep|>more<|im_end|>"
        "<|im_start|>assistant<|im_sep|>",
        "smollm2": "<|im_start|>system\nbe brief<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n"
        "<|im_start|>assistant\nyes<|im_end|>\n<|im_start|>user\nmore<|im_end|>\n"
        "<|im_start|>assistant\n",
    }
    talk = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "yes"},
        {"role": "user", "content": "more"},
    ]
    for name, text in expected.items():
        tokenizer = FAMILIES[name]()
        assert (
            tokenizer.apply_chat_template(talk, tokenize=False, add_generation_prompt=True) == text
        )


def test_a_white_space_behind_a_control_token_of_phi_3_is_swallowed() -> None:
    tokenizer = FAMILIES["phi-3"]()
    near, far = (tokenizer(text)["input_ids"] for text in ("<|user|>word", "<|user|>\n\n  word"))
    assert near == far


def test_control_strings_hold_the_markers_that_are_plain_text_and_no_mere_pieces() -> None:
    assert control_strings("mistral-v1") == ("<unk>", "<s>", "</s>", "[INST]", "[/INST]")
    assert "\n\n" not in control_strings("gemma-2")
    assert "<start_of_turn>" in control_strings("gemma-2")
