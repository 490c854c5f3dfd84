"""Models as they are: their own chat templates carry the tiers, and nothing forges them."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.prompt.families import FAMILIES

from metaalign.prompt import encode, encode_batch, end_token_id, parse, to_messages
from metaalign.schema import Dialogue, MetaPrompt, TierText, Turn, UserError

TALK = (
    Turn("user", "Hello there"),
    Turn("assistant", "I am fine."),
    Turn("user", "And you?"),
)
ANSWERED = (*TALK, Turn("assistant", "Good."))
TEMPLATES = [name for name in FAMILIES if name not in ("gpt2", "base-sentencepiece")]
ALONE = {"gemma-2", "gemma-3", "mistral-v1", "mistral-v3"}
"""Families whose templates refuse a system message, or put it before the query without a mark."""
OWN_SYSTEM = {"qwen2.5", "smollm2"}
"""Families whose templates put a system message of their own where nobody gave one."""

THINKING = {"deepseek-v3", "deepseek-r1"}
"""Families whose templates open a thought where an answer is to come."""


def own_ids(tokenizer: Any, dialogue: Dialogue) -> list[int]:
    return list(
        tokenizer.apply_chat_template(
            to_messages(dialogue),
            add_generation_prompt=dialogue.turns[-1].role == "user",
            date_string="26 Jul 2024",
        )["input_ids"]
    )


@pytest.mark.parametrize("family", TEMPLATES)
def test_harmless_talk_has_the_ids_of_the_models_own_template(family: str) -> None:
    tokenizer = FAMILIES[family]()
    for turns in (TALK[:1], TALK[:2], TALK, ANSWERED):
        dialogue = Dialogue(MetaPrompt(), turns)
        assert list(encode(dialogue, tokenizer).ids) == own_ids(tokenizer, dialogue)


@pytest.mark.parametrize("family", sorted(set(TEMPLATES) - ALONE))
def test_system_info_is_the_system_message(family: str) -> None:
    tokenizer = FAMILIES[family]()
    dialogue = Dialogue(MetaPrompt.of("Be brief."), ANSWERED)
    assert list(encode(dialogue, tokenizer).ids) == own_ids(tokenizer, dialogue)


@pytest.mark.parametrize("family", sorted(ALONE))
def test_without_a_system_message_system_info_has_a_fence_above_the_query(family: str) -> None:
    tokenizer = FAMILIES[family]()
    dialogue = Dialogue(MetaPrompt.of("Be brief.", "I keep bees."), TALK[:1])
    fenced = (
        "<system_info>\nBe brief.\n</system_info>\n\n"
        "<user_info>\nI keep bees.\n</user_info>\n\nHello there"
    )
    assert list(encode(dialogue, tokenizer).ids) == own_ids(tokenizer, Dialogue.ask(fenced))


@pytest.mark.parametrize("family", sorted(set(TEMPLATES) - ALONE))
def test_user_info_never_speaks_in_the_system_message(family: str) -> None:
    tokenizer = FAMILIES[family]()
    dialogue = Dialogue(MetaPrompt.of("Be brief.", "I keep bees."), TALK[:1])
    fenced = "<user_info>\nI keep bees.\n</user_info>\n\nHello there"
    assert list(encode(dialogue, tokenizer).ids) == own_ids(
        tokenizer, Dialogue.ask(fenced, "Be brief.")
    )


@pytest.mark.parametrize("family", ["llama-3", "mistral-v3", "gpt2"])
def test_tiers_between_provider_and_person_stand_with_the_provider(family: str) -> None:
    tokenizer = FAMILIES[family]()
    tiers = ("system_info", "team", "user_info")
    said = (TierText("system_info", "s"), TierText("team", "t\n"), TierText("user_info", "u"))
    for chosen in (said, said[1:], said[1:2]):
        dialogue = Dialogue(MetaPrompt(chosen), ANSWERED)
        assert parse(encode(dialogue, tokenizer, tiers).ids, tokenizer, tiers) == dialogue
    with pytest.raises(UserError, match="the tier 'team' is not declared"):
        encode(Dialogue(MetaPrompt(said), TALK), tokenizer)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_sees_the_responses_and_what_ends_them(family: str) -> None:
    tokenizer = FAMILIES[family]()
    encoded = encode(Dialogue(MetaPrompt.of("Be brief.", "A cat."), ANSWERED), tokenizer)
    end = end_token_id(tokenizer)
    answers: list[list[int]] = [[]]
    for index, seen in zip(encoded.ids, encoded.loss_mask, strict=True):
        if seen:
            answers[-1].append(index)
            if index == end:
                answers.append([])
    assert answers.pop() == []
    shown = [str(tokenizer.decode(answer, skip_special_tokens=False)) for answer in answers]
    ending = str(tokenizer.convert_ids_to_tokens(end))
    assert [text.removesuffix(ending).strip() for text in shown] == ["I am fine.", "Good."]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_token_knows_who_speaks(family: str) -> None:
    tokenizer = FAMILIES[family]()
    encoded = encode(Dialogue(MetaPrompt.of("Moss", "Wren"), ANSWERED), tokenizer)
    said: dict[str, str] = {}
    for index, tier in zip(encoded.ids, encoded.tiers, strict=True):
        said[tier] = f"{said.get(tier, '')} {tokenizer.decode([index])}"
    squeezed = {tier: text.replace(" ", "") for tier, text in said.items()}
    for tier, word in {
        "system_info": "Moss",
        "user_info": "Wren",
        "user": "Hellothere",
        "assistant": "Iamfine.",
    }.items():
        assert [t for t, text in squeezed.items() if word in text] == [tier]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_prompt_is_the_beginning_of_the_answered_talk(family: str) -> None:
    """But for the thought that some templates open before an answer, and leave out after it."""
    tokenizer = FAMILIES[family]()
    for turns in (TALK[:1], TALK):
        for answer in ("Good.", "7", "你好", "<think>\nWell.\n</think>\n\nGood."):
            asked = Dialogue(MetaPrompt.of("Be brief.", "I keep bees."), turns)
            prompt = encode(asked, tokenizer).ids
            answered = encode(asked.answered(answer), tokenizer).ids
            if family in THINKING:
                opened = prompt.index(tokenizer.convert_tokens_to_ids("<think>"))
                assert tokenizer.decode(list(prompt[opened:])) == "<think>\n"
                prompt = prompt[:opened]
            assert answered[: len(prompt)] == prompt


@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_is_its_dialogues_one_by_one(family: str) -> None:
    tokenizer = FAMILIES[family]()
    batch = [Dialogue.ask("a"), Dialogue.ask("b", "s").answered("c"), Dialogue.ask("d", "", "u")]
    assert encode_batch(batch, tokenizer) == [encode(d, tokenizer) for d in batch]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_long_talk_is_read_back(family: str) -> None:
    tokenizer = FAMILIES[family]()
    turns = tuple(Turn("assistant" if i % 2 else "user", f"turn {i}") for i in range(41))
    for talk in (turns, turns[:-1]):
        dialogue = Dialogue(MetaPrompt.of("s", "u"), talk)
        assert parse(encode(dialogue, tokenizer).ids, tokenizer) == dialogue


PLAIN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁"), max_size=12)
"""Without what these tokenizers read as a space."""


@given(st.lists(PLAIN, min_size=3))
@settings(max_examples=60, deadline=None)
def test_a_template_family_by_text_markers_reads_every_text_back(texts: list[str]) -> None:
    """Llama 2 and base models tell who speaks by ordinary text: the hardest to keep apart."""
    system, user, *talk = [f"{text}[INST]"[i % 2 :] for i, text in enumerate(texts)]
    turns = tuple(Turn("assistant" if i % 2 else "user", text) for i, text in enumerate(talk))
    dialogue = Dialogue(MetaPrompt.of(system, user), turns)
    for family in ("llama-2", "base-sentencepiece"):
        tokenizer = FAMILIES[family]()
        assert parse(encode(dialogue, tokenizer).ids, tokenizer) == dialogue


def test_turns_that_do_not_alternate_are_refused_in_one_line() -> None:
    tokenizer = FAMILIES["qwen3"]()
    with pytest.raises(UserError, match="turn 2 is the user's: a chat template takes turns that"):
        encode(Dialogue(MetaPrompt(), (Turn("user", "a"), Turn("user", "b"))), tokenizer)
    with pytest.raises(UserError, match="turn 1 is the assistant's"):
        encode(Dialogue(MetaPrompt(), (Turn("assistant", "a"),)), tokenizer)


def test_ids_of_something_else_are_refused() -> None:
    tokenizer = FAMILIES["qwen3"]()
    with pytest.raises(UserError, match="no dialogue that this chat template renders"):
        parse(tokenizer("Hello")["input_ids"], tokenizer)


def test_a_template_that_shows_nothing_is_refused_in_one_line() -> None:
    tokenizer = copy.deepcopy(FAMILIES["qwen3"]())
    tokenizer.chat_template = "{{ messages[0]['content'] }}"
    with pytest.raises(UserError, match="takes no plain talk: it does not show every message once"):
        encode(Dialogue.ask("a"), tokenizer)
    tokenizer.chat_template = "{{ raise_exception('not today') }}"
    with pytest.raises(UserError, match="takes no plain talk: not today"):
        encode(Dialogue.ask("a"), tokenizer)


def test_a_changed_template_is_seen() -> None:
    tokenizer = copy.deepcopy(FAMILIES["chatml"]())
    before = encode(Dialogue.ask("a"), tokenizer).ids
    tokenizer.chat_template = FAMILIES["qwen2.5"]().chat_template
    assert encode(Dialogue.ask("a"), tokenizer).ids != before
