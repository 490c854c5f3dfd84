"""Borders that are added up are those that the tokenizer's own offsets say."""

import copy
import json
from bisect import bisect_right
from itertools import accumulate, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.prompt.families import FAMILIES, SPECS, control_strings, lines
from tests.prompt.hostile import hostile_dialogues
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from metaalign.prompt.plain import PlainText, plain_text
from metaalign.prompt.widths import Widths, widths_of

CONTROLS = sorted({text for name in SPECS for text in control_strings(name)})
TROUBLE = [
    *("user\n", "assistant\n\n", "\n", "\r\n", "\t", " ", "  ", "▁", "▁▁", "\x00", "\ue000"),
    *("e\u0301", "\u0301", "\u0327\u0301", "\u212b", "\u0958", "\u1100\u1161", "\u0374", "\ufb1d"),
    *("<0x0A>", "<unk>", "<b>", "\n\n\n", "你好", "🦉", "é", "𝔘", "12345", "don't", "</user_info>"),
]
pieces = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
    st.sampled_from(CONTROLS),
    st.sampled_from(TROUBLE),
    st.sampled_from([word for line in lines(20) for word in line.split(" ") if word]),
)


def offsets_say(plain: PlainText, text: str, borders: list[int]) -> tuple[list[int], list[int]]:
    """All tokens, and those before each border, by the offsets of the tokenizer."""
    found = plain._backend.encode(text, add_special_tokens=False)
    cuts = []
    for border in borders:
        holders = [i for i, (start, end) in enumerate(found.offsets) if start <= border < end]
        ends = [end for _, end in found.offsets]
        cuts.append(holders[0] if holders else bisect_right(ends, border))
    return found.ids, cuts


def borders_of(parts: list[str]) -> list[int]:
    return list(accumulate(map(len, parts[:-1])))


@pytest.mark.parametrize("family", FAMILIES)
@given(st.lists(pieces, min_size=2, max_size=8))
@settings(max_examples=150, deadline=None)
def test_every_text_has_the_borders_that_its_offsets_say(family: str, parts: list[str]) -> None:
    plain = plain_text(FAMILIES[family]())
    text, borders = "".join(parts), borders_of(parts)
    [found] = plain.encode([text], [borders])
    assert (found.ids, found.cuts) == offsets_say(plain, text, borders)


@pytest.mark.parametrize("family", FAMILIES)
def test_hostile_texts_have_the_borders_that_their_offsets_say(family: str) -> None:
    plain = plain_text(FAMILIES[family]())
    for dialogue in hostile_dialogues(60):
        parts = [*(tier.text for tier in dialogue.meta_prompt.tiers), "user\n"]
        parts = [part for part in (*parts, *(turn.text for turn in dialogue.turns)) if part]
        [found] = plain.encode(["".join(parts)], [borders_of(parts)])
        said = offsets_say(plain, "".join(parts), borders_of(parts))
        assert (found.ids, found.cuts) == said


def widths(tokenizer: Any) -> Widths | None:
    raw = getattr(tokenizer, "backend_tokenizer", tokenizer)
    return widths_of(raw, json.loads(raw.to_str()))


@pytest.mark.parametrize("family", FAMILIES)
def test_no_family_needs_offsets_for_ordinary_text(family: str) -> None:
    plain = plain_text(FAMILIES[family]())
    assert plain._widths is not None
    for start, line in pairwise(lines(40)):
        parts = ["user\n", start, "\n</user_info>\n\n", line]
        ids = plain.encode(["".join(parts)])[0].ids
        assert plain._widths.cuts("".join(parts), ids, borders_of(parts)) is not None


def byte_pairs(*words: str, **more: Any) -> Tokenizer:
    vocab = {word: index for index, word in enumerate(words)}
    return Tokenizer(models.BPE(vocab=vocab, merges=[], **more))


def test_widths_are_bytes_of_what_the_tokenizer_reads() -> None:
    raw = byte_pairs("▁", "a", "é", "<0xF0>", "<0x9F>", "<0xA6>", "<0x89>", byte_fallback=True)
    raw.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    found = widths(raw)
    assert found is not None
    ids = raw.encode("a é🦉a").ids
    assert ids == [0, 1, 0, 2, 3, 4, 5, 6, 1]  # ▁ a ▁ é and the owl's four bytes, a
    assert found.cuts("a é🦉a", ids, [1, 2, 3, 4]) == [2, 3, 4, 8]


def test_a_token_across_a_border_comes_after_it() -> None:
    vocab = {"a": 0, "b": 1, "ab": 2}
    raw = Tokenizer(models.BPE(vocab=vocab, merges=[("a", "b")]))
    found = widths(raw)
    assert found is not None
    assert found.cuts("bab", raw.encode("bab").ids, [1, 2]) == [1, 1]


def test_what_does_not_add_up_has_no_answer() -> None:
    raw = byte_pairs("a", "?", unk_token="?")
    found = widths(raw)
    assert found is not None
    assert found.cuts("aa", [0, 0], [1]) == [1]
    assert found.cuts("aé", raw.encode("aé").ids, [1]) is None  # the unknown token
    assert found.cuts("a?", raw.encode("a?").ids, [1]) is None
    lossy = byte_pairs("a")
    lost = widths(lossy)
    assert lost is not None
    assert lost.cuts("béa", lossy.encode("béa").ids, [1]) is None
    assert lost.cuts("bé", lossy.encode("bé").ids, [1]) is None


def test_text_that_the_tokenizer_composes_has_no_answer() -> None:
    plain = plain_text(FAMILIES["qwen3"]())
    assert plain._widths is not None
    for text, known in (("cafe\u0301 b", False), ("café b", True), ("cafe b", True)):
        ids = plain.encode([text])[0].ids
        assert (plain._widths.cuts(text, ids, [3]) is not None) == known


def test_an_added_token_after_which_a_space_is_put_has_no_answer() -> None:
    tokenizer = copy.deepcopy(FAMILIES["llama-2"]())
    tokenizer.add_tokens([AddedToken("COVID-19", normalized=False)])
    plain = PlainText(tokenizer)
    parts = ["the ", "COVID-19", "the ", "word"]
    [found] = plain.encode(["".join(parts)], [borders_of(parts)])
    assert plain._widths is not None
    assert plain._widths.cuts("".join(parts), found.ids, borders_of(parts)) is None
    assert (found.ids, found.cuts) == offsets_say(plain, "".join(parts), borders_of(parts))


def test_what_adds_up_by_chance_has_no_answer() -> None:
    raw = byte_pairs("▁", "a")
    raw.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    raw.add_tokens([AddedToken("X", normalized=False)])
    found = widths(raw)
    assert found is not None
    encoding = raw.encode("aX你a")
    # The three bytes of 你 are lost, and a ▁ of three bytes is put after the added token.
    assert encoding.tokens == ["▁", "a", "X", "▁", "a"]
    assert found.cuts("aX你a", encoding.ids, [3]) is None


@pytest.mark.parametrize(
    "change",
    [
        {"model": models.Unigram([("a", 0.0)], unk_id=0)},
        {"model": models.WordLevel({"a": 0}, unk_token="a")},
        {"model": models.BPE(vocab={"a": 0}, merges=[], dropout=0.5)},
        {"model": models.BPE(vocab={"a": 0}, merges=[], end_of_word_suffix="</w>")},
        {"normalizer": normalizers.Lowercase()},
        {"normalizer": normalizers.Sequence([normalizers.Prepend("▁"), normalizers.NFKC()])},
        {"pre_tokenizer": pre_tokenizers.Metaspace()},
        {"pre_tokenizer": pre_tokenizers.ByteLevel(add_prefix_space=True)},
        {"pre_tokenizer": pre_tokenizers.Whitespace()},
    ],
    ids=str,
)
def test_a_tokenizer_of_another_kind_keeps_its_offsets(change: dict[str, Any]) -> None:
    raw = byte_pairs("a")
    assert widths(raw) is not None
    for part, new in change.items():
        setattr(raw, part, new)
    assert widths(raw) is None


def test_a_tokenizer_without_widths_has_borders_all_the_same() -> None:
    raw = Tokenizer(
        models.Unigram([("<unk>", 0.0), ("▁a", -1.0), ("▁", -1.5), ("b", -1.0)], unk_id=0)
    )
    raw.pre_tokenizer = pre_tokenizers.Metaspace()
    raw.decoder = decoders.Metaspace()
    plain = PlainText(PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="<unk>"))
    assert plain._widths is None
    [first, second] = plain.encode(["abb", "b a"], [[1, 2], [1]])
    assert (first.cuts, second.cuts) == ([1, 2], offsets_say(plain, "b a", [1])[1])
