"""The chat template of an exported folder gives the ids of the renderer, in other engines too."""

import copy
import json
from typing import Any

import jinja2
import jinja2.nodes
import minijinja
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.prompt.families import FAMILIES

from metaalign.prompt import (
    add_markers,
    chat_template,
    encode,
    from_messages,
    parse,
    to_messages,
)
from metaalign.prompt.plain import control_tokens
from metaalign.schema import Dialogue, MetaPrompt, TierText, Turn

TEAM = ("system_info", "team", "user_info")


def exported(family: str, tiers: tuple[str, ...] = TEAM) -> Any:
    """The tokenizer of a folder that metaalign saves after training such a model."""
    tokenizer = copy.deepcopy(FAMILIES[family]())
    add_markers(tokenizer, tiers)
    begins = encode(Dialogue.ask("a"), tokenizer).tiers[0] == "start"
    tokenizer.chat_template = chat_template(tokenizer.bos_token if begins else "", tiers)
    return tokenizer


EXPORTED = {family: exported(family) for family in FAMILIES}
text = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.lists(st.sampled_from([" ", "\n", "  ", "a", "Zoë", "(x)", "\t", "<b>"]), max_size=5).map(
        "".join
    ),
)
talks = st.lists(
    st.builds(Turn, st.sampled_from(["user", "assistant"]), text), min_size=1, max_size=4
)


def dialogue_of(texts: list[str], turns: list[Turn]) -> Dialogue:
    said = [TierText(tier, words) for tier, words in zip(TEAM, texts, strict=True) if words]
    return Dialogue(MetaPrompt(tuple(said)), tuple(turns))


@given(st.builds(dialogue_of, st.lists(text, min_size=3, max_size=3), talks))
@settings(max_examples=80, deadline=None)
def test_every_family_gives_the_ids_of_the_renderer(dialogue: Dialogue) -> None:
    said = [tier.text for tier in dialogue.meta_prompt.tiers] + [t.text for t in dialogue.turns]
    for tokenizer in EXPORTED.values():
        if any(control in words for control in control_tokens(tokenizer) for words in said):
            continue
        ids = tokenizer.apply_chat_template(
            to_messages(dialogue), add_generation_prompt=dialogue.turns[-1].role == "user"
        )["input_ids"]
        assert tuple(ids) == encode(dialogue, tokenizer, TEAM).ids


@pytest.mark.parametrize("family", FAMILIES)
def test_a_rendered_text_is_read_back(family: str) -> None:
    tokenizer = EXPORTED[family]
    dialogue = Dialogue.ask(" why? ", "Be brief.\n", "A cat").answered("So.")
    rendered = tokenizer.apply_chat_template(to_messages(dialogue), tokenize=False)
    assert parse(rendered, tokenizer, TEAM) == dialogue


MESSAGES: list[dict[str, Any]] = [
    {"role": "developer", "content": "one"},
    {"role": "user", "content": [{"type": "text", "text": "hi "}, {"type": "text", "text": "you"}]},
    {"role": "user_info", "content": "a cat"},
    {"role": "system", "content": "two"},
    {"role": "assistant", "content": ""},
    {"role": "user_info", "content": ""},
    {"role": "user", "content": "well?"},
]


def test_messages_in_any_order_and_in_parts_are_read_as_from_messages_does() -> None:
    tokenizer = EXPORTED["llama-3"]
    ids = tokenizer.apply_chat_template(MESSAGES, add_generation_prompt=True)["input_ids"]
    assert tuple(ids) == encode(from_messages(MESSAGES), tokenizer).ids


@pytest.mark.parametrize("messages", [MESSAGES, [{"role": "user", "content": "hi"}]])
@pytest.mark.parametrize("user_info", ["I keep bees.", ""])
def test_user_info_may_come_beside_the_messages(
    messages: list[dict[str, Any]], user_info: str
) -> None:
    """SGLang refuses messages of the role user_info, but hands ``chat_template_kwargs`` on."""
    tokenizer = EXPORTED["llama-3"]
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, user_info=user_info)
    assert tuple(ids["input_ids"]) == encode(from_messages(messages, user_info), tokenizer).ids


def test_system_info_comes_in_messages_only() -> None:
    tokenizer, messages = EXPORTED["llama-3"], [{"role": "user", "content": "hi"}]
    assert tokenizer.apply_chat_template(
        messages, system_info="obey", system="obey", tokenize=False
    ) == tokenizer.apply_chat_template(messages, tokenize=False)


def test_a_tier_may_have_a_name_that_no_variable_can_have() -> None:
    tokenizer = exported("llama-3", ("system_info", "our team", "user_info"))
    messages = [{"role": "our team", "content": "Be kind."}, {"role": "user", "content": "hi"}]
    assert tokenizer.apply_chat_template(messages, tokenize=False, user_info="A cat.") == (
        "<|begin_of_text|><|our team|>Be kind.<|user_info|>A cat.<|user|>hi"
    )


def test_servers_see_that_the_template_reads_parts() -> None:
    """vLLM and SGLang look for such a loop, SGLang by the name of its variable; without one they
    join the parts of a content by line breaks or spaces before the template sees them."""
    loops = jinja2.Environment().parse(chat_template()).find_all(jinja2.nodes.For)
    read = [loop.iter for loop in loops if isinstance(loop.iter, jinja2.nodes.Getitem)]
    assert read
    for content in read:
        assert isinstance(content.node, jinja2.nodes.Name)
        assert isinstance(content.arg, jinja2.nodes.Const)
        assert (content.node.name, content.arg.value) == ("m", "content")


@pytest.mark.parametrize("parts", [False, True])
@pytest.mark.parametrize("more", [{}, {"user_info": "I keep bees."}])
def test_another_engine_renders_the_same(parts: bool, more: dict[str, str]) -> None:
    """minijinja shares no code with Jinja: what both read is a small subset of the language."""
    tokenizer = EXPORTED["llama-3"]
    messages: Any = MESSAGES if parts else to_messages(from_messages(MESSAGES))
    env = minijinja.Environment(templates={"chat": tokenizer.chat_template})
    other = env.render_template("chat", messages=messages, add_generation_prompt=True, **more)
    assert other == tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, tokenize=False, **more
    )


def test_a_role_that_nobody_declared_is_an_error() -> None:
    with pytest.raises(Exception, match="role tool is none of system, developer, team"):
        EXPORTED["qwen3"].apply_chat_template([{"role": "tool", "content": "x"}])


def test_the_template_travels_with_the_folder(tmp_path: Any) -> None:
    from transformers import AutoTokenizer

    tokenizer = EXPORTED["phi-3"]
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    dialogue = Dialogue.ask("\n why?", " s", "u")
    assert loaded.chat_template == tokenizer.chat_template
    assert encode(dialogue, loaded, TEAM) == encode(dialogue, tokenizer, TEAM)
    assert json.loads((tmp_path / "tokenizer_config.json").read_text())
