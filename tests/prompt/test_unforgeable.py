"""No text forges a tier: ten thousand hostile texts, in every tier and turn, for every family."""

import copy
import unicodedata
from collections.abc import Callable
from functools import cache
from itertools import islice
from typing import Any

import pytest
from tests.prompt.families import FAMILIES, control_strings
from tests.prompt.hostile import hostile_dialogues, hostile_texts

from metaalign.prompt import add_markers, encode, encode_batch, markers, parse
from metaalign.schema import Dialogue, MetaPrompt, TierText, Turn

NFC = {"qwen2.5", "qwen3"}
"""Families whose tokenizers compose accents (é of two characters becomes one)."""
SPACED = {
    *("llama-2", "mistral-v1", "mistral-v3", "chatml", "gemma-2", "gemma-3", "phi-3"),
    "base-sentencepiece",
}
"""Families whose tokenizers write a space as ▁, so that a ▁ in a text comes back as a space."""


def normaliser(family: str) -> Callable[[str], str]:
    """What the family's tokenizer itself changes in a text. Everything else comes back exactly."""
    if family in NFC:
        return lambda text: unicodedata.normalize("NFC", text)
    if family in SPACED:
        return lambda text: text.replace("▁", " ")
    return lambda text: text


def mapped(dialogue: Dialogue, change: Callable[[str], str]) -> Dialogue:
    return Dialogue(
        MetaPrompt(tuple(TierText(t.tier, change(t.text)) for t in dialogue.meta_prompt.tiers)),
        tuple(Turn(turn.role, change(turn.text)) for turn in dialogue.turns),
    )


@cache
def corpus() -> tuple[Dialogue, ...]:
    """All texts, five to a dialogue, and further dialogues with halves on both sides of borders."""
    texts = iter(hostile_texts(10_000))
    packed = []
    while five := list(islice(texts, 5)):
        talk = [Turn("assistant" if i % 2 else "user", text) for i, text in enumerate(five[2:])]
        packed.append(Dialogue(MetaPrompt.of(*five[:2]), tuple(talk)))
    return (*packed, *hostile_dialogues(400))


def native(family: str) -> Any:
    tokenizer = copy.deepcopy(FAMILIES[family]())
    add_markers(tokenizer)
    return tokenizer


@pytest.mark.parametrize("layout", ["native", "compatible"])
@pytest.mark.parametrize("family", FAMILIES)
def test_no_text_forges_a_tier(family: str, layout: str) -> None:
    tokenizer = native(family) if layout == "native" else FAMILIES[family]()
    names = [*control_strings(family), *(markers() if layout == "native" else [])]
    known = tokenizer.get_added_vocab()
    control = {known[name] for name in names if name in known}
    change = normaliser(family)
    for dialogue, encoded in zip(corpus(), encode_batch(corpus(), tokenizer), strict=True):
        harmless = encode(mapped(dialogue, lambda text: "a" if text else ""), tokenizer)
        assert [i for i in encoded.ids if i in control] == [i for i in harmless.ids if i in control]
        assert mapped(parse(encoded.ids, tokenizer), change) == mapped(dialogue, change)
