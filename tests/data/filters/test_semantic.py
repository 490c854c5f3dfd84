"""Groups that mean the same, by a model and without one."""

import logging
from pathlib import Path

import numpy as np
import pytest
from tests.data.makers import make_group

from metaalign.data.filters import meaning
from metaalign.data.filters.meaning import embedded, load_encoder, same_meaning, weighted
from metaalign.data.filters.semantic import SemanticDuplicates
from metaalign.schema import Group, UserError


def dropped(stage: SemanticDuplicates, made: list[Group]) -> dict[str, str]:
    signed = zip([group.id for group in made], stage.sign(made), strict=True)
    return stage.decide(sorted(signed))


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A model in which cars and autos, and quick and fast, are the same."""
    model2vec = pytest.importorskip("model2vec")
    tokenizers = pytest.importorskip("tokenizers")
    meanings = {"[UNK]": 0, "car": 1, "auto": 1, "quick": 2, "fast": 2, "rain": 3, "[PAD]": 0}
    vocabulary = {word: number for number, word in enumerate(meanings)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    vectors = np.eye(4, dtype=np.float32)[list(meanings.values())]
    model2vec.StaticModel(vectors, tokenizer).save_pretrained(tmp_path / "model")
    return str(tmp_path / "model")


def test_with_a_model_other_words_of_one_meaning_are_found(model: str) -> None:
    texts = {"a": "quick car", "b": "fast auto", "c": "quick rain", "d": ""}
    made = [make_group(name, text or " ") for name, text in texts.items()]
    found = dropped(SemanticDuplicates(model=model), made)
    assert found == {"b": f"same meaning: a, 1.00 by {model}"}


def test_without_a_model_tf_idf_decides_and_the_log_says_why(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    load_encoder.cache_clear()
    missing = str(tmp_path / "no such model")
    made = [
        make_group("a", "How do I mend a broken wooden chair at home?"),
        make_group("b", "At home, how do I mend a broken wooden chair?"),
        make_group("c", "How do I mend a broken heart?"),
    ]
    with caplog.at_level(logging.WARNING):
        found = dropped(SemanticDuplicates(model=missing, threshold=0.7), made)
    assert list(found) == ["b"]
    assert found["b"].startswith("same meaning: a, 0.") and found["b"].endswith("by TF-IDF")
    assert len(caplog.records) == 1
    assert missing in caplog.text and "TF-IDF is used" in caplog.text


def test_the_name_tf_idf_asks_for_no_model(caplog: pytest.LogCaptureFixture) -> None:
    made = [make_group("a", "One question"), make_group("b", "one question!")]
    assert list(dropped(SemanticDuplicates(model="tf-idf"), made)) == ["b"]
    assert not caplog.records


def test_processes_that_do_not_all_have_the_model_are_told(model: str) -> None:
    made = [make_group("a"), make_group("b")]
    some, _ = SemanticDuplicates(model=model).sign(made)
    _, other = SemanticDuplicates(model="tf-idf").sign(made)
    with pytest.raises(UserError, match="could be loaded by some processes"):
        SemanticDuplicates(model=model).decide([("a", some), ("b", other)])


def test_cosines_are_those_of_the_texts() -> None:
    """By hand: of four texts two hold rain, so its idf is ln(5/3) + 1, and one holds the others."""
    rows = weighted(["rain", "rain", "snow", "wind sun"])
    cosines = (rows @ rows.T).toarray()
    assert cosines == pytest.approx(
        np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    )
    rain, snow = np.log(5 / 3) + 1, np.log(5 / 2) + 1
    mixed = weighted(["rain snow", "rain", "sun", "moon"])
    pair = snow  # "rain snow" as a pair of words is in one text of four as well
    expected = rain / np.sqrt(rain**2 + snow**2 + pair**2)
    assert (mixed @ mixed.T).toarray()[0, 1] == pytest.approx(expected, abs=1e-5)


def test_every_dropped_row_is_near_a_kept_one_and_no_two_kept_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(meaning, "_BLOCK", 16)
    monkeypatch.setattr(meaning, "_OTHERS", 8)
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(200, 6))
    rows = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    found = {row: (kept, alike) for row, kept, alike in same_meaning(rows, 0.9)}
    exact = rows.astype(np.float64) @ rows.astype(np.float64).T
    for row, (kept, alike) in found.items():
        assert kept not in found and kept < row
        assert exact[row, kept] == pytest.approx(alike, abs=1e-3)
    left = [row for row in range(200) if row not in found]
    between = exact[np.ix_(left, left)] - np.eye(len(left))
    assert len(found) > 20 and between.max() < 0.9 + 1e-3


@pytest.mark.parametrize("sparse", [False, True])
def test_cells_keep_what_is_the_same_together(
    monkeypatch: pytest.MonkeyPatch, sparse: bool
) -> None:
    monkeypatch.setattr(meaning, "_ALL", 100)
    monkeypatch.setattr(meaning, "_CELL", 50)
    draw = np.random.default_rng(0)
    if sparse:
        words = ["".join(draw.choice(list("abcdefgh"), 6)) for _ in range(300)]
        rows = weighted([" ".join(draw.choice(words, 12)) for _ in range(200)] * 2)
    else:
        vectors = draw.normal(size=(200, 16))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        rows = np.concatenate([vectors, vectors]).astype(np.float16)
    found = {row: kept for row, kept, _ in same_meaning(rows, 0.6)}
    assert set(range(200, 400)) <= found.keys()
    assert list(same_meaning(rows, 0.6)) == list(same_meaning(rows, 0.6))


def test_embeddings_have_length_one_or_none(model: str) -> None:
    vectors = embedded(load_encoder(model), ["quick car", "rain", ""])
    assert np.linalg.norm(vectors.astype(float), axis=1) == pytest.approx([1, 1, 0], abs=1e-3)
