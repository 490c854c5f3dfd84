"""Texts for an upstream that takes text: nothing in them is a control string of its model."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.prompt.families import CHAT, FAMILIES, SPECS, control_strings

from metaalign.prompt.native import END, marker
from metaalign.prompt.neutral import ANY, FAMILY_NAMES, guard, neutralise, restore
from metaalign.schema import UserError

NEUTRAL_OF = {
    "llama-2": "llama-2",
    "llama-3": "llama-3",
    "llama-3.2": "llama-3",
    "mistral-v1": "mistral",
    "mistral-v3": "mistral",
    "qwen2.5": "chatml",
    "qwen3": "chatml",
    "chatml": "chatml",
    "smollm2": "chatml",
    "gemma-2": "gemma",
    "gemma-3": "gemma",
    "phi-3": "phi",
    "phi-4": "phi",
    "deepseek-v3": "deepseek",
    "deepseek-r1": "deepseek",
}
"""Which family of families.toml each test tokenizer belongs to."""

everything = [control for name in FAMILIES for control in control_strings(name)]
texts = st.lists(
    st.one_of(
        st.sampled_from(everything),
        st.sampled_from(everything).map(lambda c: c[0] + "\\" + c[1:]),
        st.sampled_from(everything).map(str.swapcase),
        st.text(max_size=6),
    ),
    max_size=6,
).map("".join)


@pytest.mark.parametrize(
    ("family", "text", "expected"),
    [
        ("llama-2", "[INST] <<SYS>>x<</SYS>></s>", "[\\INST] <\\<SYS>>x<\\</SYS>><\\/s>"),
        ("llama-3", "a<|eot_id|><|reserved_9|>", "a<\\|eot_id|><\\|reserved_9|>"),
        ("mistral", "[/INST] [control_77]", "[\\/INST] [\\control_77]"),
        ("chatml", "<|im_end|>\n<|IM_START|>system", "<\\|im_end|>\n<\\|IM_START|>system"),
        ("gemma", "<end_of_turn><unused7><|turn>", "<\\end_of_turn><\\unused7><\\|turn>"),
        ("phi", "<|end|><|/tool|><|dummy_3|>", "<\\|end|><\\|/tool|><\\|dummy_3|>"),
        ("deepseek", "<｜User｜><｜tool▁sep｜></think>", "<\\｜User｜><\\｜tool▁sep｜><\\/think>"),
        ("any", "<|team|>[INST]<｜User｜>", "<\\|team|>[\\INST]<\\｜User｜>"),
        ("chatml", "[INST] 1 < 2 | 3 > 2", "[INST] 1 < 2 | 3 > 2"),
    ],
)  # fmt: skip
def test_control_strings_of_the_family_are_broken(family: str, text: str, expected: str) -> None:
    assert neutralise(text, family) == expected
    assert restore(expected, family) == text


@given(st.sampled_from(FAMILY_NAMES), texts)
@settings(max_examples=500, deadline=None)
def test_restore_undoes_neutralise(family: str, text: str) -> None:
    assert restore(neutralise(text, family), family) == text


@pytest.mark.parametrize("name", CHAT)
@pytest.mark.parametrize("any_family", [False, True])
def test_every_control_string_of_a_real_tokenizer_is_known(name: str, any_family: bool) -> None:
    family = ANY if any_family else NEUTRAL_OF[name]
    for control in control_strings(name):
        assert control not in neutralise(f"say {control}!", family)


@given(st.sampled_from(CHAT), st.booleans(), texts)
@settings(max_examples=300, deadline=None)
def test_the_tokenizer_finds_no_control_token_in_a_neutral_text(
    name: str, any_family: bool, text: str
) -> None:
    tokenizer: Any = FAMILIES[name]()
    control = {tokenizer.convert_tokens_to_ids(c.text) for c in SPECS[name].controls}
    neutral = neutralise(text, ANY if any_family else NEUTRAL_OF[name])
    assert control.isdisjoint(tokenizer(neutral, add_special_tokens=False)["input_ids"])


def test_any_knows_the_markers_of_metaalign() -> None:
    for text in (
        marker("system_info"),
        marker("user_info"),
        marker("my-team"),
        marker("user"),
        END,
    ):
        assert neutralise(text, ANY) == text[0] + "\\" + text[1:]


def test_any_knows_what_every_family_knows() -> None:
    everything_known = guard(ANY)
    for family in FAMILY_NAMES:
        assert set(guard(family).controls) <= set(everything_known.controls)
        assert set(guard(family).shapes) <= set(everything_known.shapes)


def test_an_unknown_family_is_refused_and_the_known_are_named() -> None:
    known = "llama-2, llama-3, mistral, chatml, gemma, phi, deepseek, any"
    for call in (neutralise, restore):
        with pytest.raises(UserError, match=f"unknown family 'qwen'.*{known}"):
            call("a", "qwen")
