"""MinHash against exact similarities."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.filters.exactly import jaccard

from metaalign.data.filters.minhash import (
    Index,
    band_rows,
    connected,
    estimate,
    sketches,
)
from metaalign.data.filters.signed import Signed, first_equals


def sentence(draw: random.Random, words: int) -> str:
    letters = "abcdefghijklmnopqrstuvwxyz"
    return " ".join("".join(draw.choices(letters, k=draw.randint(2, 8))) for _ in range(words))


@pytest.mark.parametrize("kept", [0.5, 0.8, 0.95])
def test_the_estimate_is_the_jaccard_similarity_but_for_its_error(kept: float) -> None:
    draw = random.Random(kept)
    errors = []
    for _ in range(300):
        some = sentence(draw, 20)
        words = [w if draw.random() < kept else sentence(draw, 1) for w in some.split()]
        other = " ".join(words)
        one, two = sketches([some, other], 128, 5)
        errors.append(float(estimate(one, two)) - jaccard(some, other))
    # The standard error of one estimate is at most sqrt(0.25 / 128) = 0.044.
    assert abs(np.mean(errors)) < 0.01
    assert np.std(errors) < 0.05


def test_texts_with_nothing_in_common_are_not_alike() -> None:
    one, two = sketches(["abcdefgh ijklmno", "ABCDEFGH IJKLMNO"], 128, 5)
    assert estimate(one, two) < 0.05


@given(texts=st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=8))
def test_a_sketch_does_not_depend_on_the_texts_beside_it(texts: list[str]) -> None:
    together = sketches(texts, 32, 5)
    for text, sketch in zip(texts, together, strict=True):
        assert (sketches([text], 32, 5)[0] == sketch).all()


@pytest.mark.parametrize("size", range(1, 9))
def test_any_script_and_any_size_of_shingle(size: int) -> None:
    texts = [
        "我想要一个简短的答案,谢谢你的帮助",
        "我想要一个简短的答案,谢谢你的帮忙",
        "чужой язык и слова",
    ]
    one, near, far = sketches(texts, 128, size)
    assert abs(float(estimate(one, near)) - jaccard(texts[0], texts[1], size)) < 0.15
    assert estimate(one, far) < 0.2


def test_salts_keep_equal_texts_apart() -> None:
    salts = np.array([1, 1, 2], dtype=np.uint64)
    one, same, other = sketches(["the same words"] * 3, 64, 5, salts)
    assert estimate(one, same) == 1
    assert estimate(one, other) < 0.1


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 0.9, 1.0])
def test_bands_find_the_pairs_at_the_threshold(threshold: float) -> None:
    rows = band_rows(threshold, 128)
    assert 1 <= rows <= 8
    assert 1 - (1 - threshold**rows) ** (128 // rows) >= 0.95


def test_a_chain_is_one_set_led_by_its_first() -> None:
    rows = np.zeros((4, 128), dtype=np.uint8)
    rows[1, :16] = 1  # each differs from the one before in an eighth, and from the first in more
    rows[2, :32] = 1
    rows[3] = 255
    assert connected(rows, 0.85).tolist() == [0, 0, 0, 3]


def test_first_equals_finds_the_first_of_each_kind() -> None:
    rows = np.array([[1] * 16, [2] * 16, [1] * 16, [3] * 16, [2] * 16, [1] * 16], dtype=np.uint8)
    assert first_equals(rows).tolist() == [0, 1, 0, 3, 1, 0]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_index_finds_the_most_alike(seed: int) -> None:
    draw = random.Random(seed)
    items = [sentence(draw, 12) for _ in range(20)]
    index = Index(sketches(items, 128, 5), 0.6)
    asked = [items[7], items[3] + " more", sentence(draw, 12)]
    same, near, none = index.nearest(sketches(asked, 128, 5))
    assert same == (7, 1.0)
    assert near is not None and near[0] == 3
    assert none is None


def test_who_has_nothing_to_compare_is_left_out() -> None:
    found = Signed([("a", b""), ("ü", b"12345678"), ("c", b"abcdefgh")], 8)
    assert [found.id(index) for index in range(len(found))] == ["ü", "c"]
    assert found.rows().tobytes() == b"12345678abcdefgh"
