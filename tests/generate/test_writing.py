"""The pieces of a streamed answer: together the answer, never half a character."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.generate.makers import make_tokenizer
from tokenizers import Tokenizer, decoders, models

from metaalign.generate.writing import UNFINISHED, Writer

BYTES = st.lists(st.integers(0, 255), max_size=40)
TEXT = st.text(st.sampled_from("ab é🥚\u2028\ufffd\0"), max_size=20)
STOPS = st.lists(st.text(st.sampled_from("abé🥚"), min_size=1, max_size=3), max_size=3)


@lru_cache
def byte_tokens() -> tuple[Any, list[int]]:
    """The tokenizer, and the id of the token of every byte."""
    tokenizer = make_tokenizer()
    # GPT-2's alphabet: a byte that can be printed stands for itself, the others follow from 256 on.
    printed = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    names = [chr(byte if byte in printed else next(others)) for byte in range(256)]
    vocabulary = tokenizer.get_vocab()
    return tokenizer, [vocabulary[name] for name in names]


def write(ids: Sequence[int], stop: Sequence[str] = ()) -> tuple[list[str], Writer]:
    tokenizer, _ = byte_tokens()
    writer = Writer(tokenizer.decode, tokenizer.convert_ids_to_tokens, stop)
    pieces = []
    for token in ids:
        pieces.append(writer.push(token))
        if writer.stopped:
            break
    return [*pieces, writer.close()], writer


def ids_of(data: bytes) -> list[int]:
    _, table = byte_tokens()
    return [table[byte] for byte in data]


@given(BYTES)
@settings(deadline=None)
def test_pieces_of_any_bytes_are_the_decoded_whole(data: list[int]) -> None:
    pieces, writer = write(ids_of(bytes(data)))
    assert "".join(pieces) == bytes(data).decode(errors="replace") == writer.text


@given(TEXT)
@settings(deadline=None)
def test_no_piece_holds_half_a_character(text: str) -> None:
    pieces, _ = write(ids_of(text.encode()))
    assert "".join(pieces) == text
    # Byte by byte, a replacement character appears only where the text itself has one.
    assert "".join(pieces).count(UNFINISHED) == text.count(UNFINISHED)


def test_an_emoji_of_four_tokens_comes_in_one_piece() -> None:
    pieces, _ = write(ids_of("a🥚b".encode()))
    assert pieces == ["a", "", "", "", "🥚", "b", ""]


@given(TEXT, STOPS)
@settings(deadline=None, max_examples=300)
def test_nothing_from_the_first_stop_string_on_is_shown(text: str, stops: list[str]) -> None:
    pieces, writer = write(ids_of(text.encode()), stops)
    # The stop string that is complete first ends the answer; two that end together, the longer.
    ends = [(text.find(s) + len(s), text.find(s)) for s in stops if s in text]
    expected = text[: min(ends)[1]] if ends else text
    assert "".join(pieces) == expected == writer.text
    assert writer.stopped == bool(ends)


def test_what_may_begin_a_stop_string_waits() -> None:
    pieces, writer = write(ids_of(b"one E two END three"), ["END"])
    assert pieces[4:6] == ["", "E "]
    assert writer.text == "one E two "


def test_a_run_of_byte_tokens_is_decoded_as_a_whole() -> None:
    """Llama's byte fallback: a run with one bad byte is bad as a whole, so nothing may go ahead."""
    vocabulary = {f"<0x{i:02X}>": i for i in range(256)} | {"a": 256, "<unk>": 257}
    fallback = Tokenizer(models.BPE(vocabulary, [], byte_fallback=True, unk_token="<unk>"))
    fallback.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    for ids in ([256, 0xC3, 0xA9, 256], [256, 0xC3, 0xA9, 0xFF, 256], [0xC3, 0xA9], [0xC3]):
        writer = Writer(fallback.decode, lambda i: fallback.id_to_token(i) or "")
        pieces = [*map(writer.push, ids), writer.close()]
        assert "".join(pieces) == fallback.decode(ids)
