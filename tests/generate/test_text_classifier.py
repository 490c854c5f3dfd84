"""The kind of a query by a classifier: tiny random ones, made here, whose heads are set by hand."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from metaalign.generate import TextClassifier
from metaalign.policy import load_matrix, resolve_dialogue
from metaalign.schema import Classified, Dialogue, Kind, UserError

MARKS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
WORDS = [*MARKS, "how", "do", "i", "bake", "steal", "a", "cake", "car"]
TINY: dict[str, Any] = {
    "vocab_size": len(WORDS),
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 16,
    "pad_token_id": 0,
    # The usual 0.02 is so near to zero that every query would get the same answer.
    "initializer_range": 0.7,
}
QUERIES = ["how do i bake a cake", "car", "how do i steal a car", "cake cake", "", "a " * 40]


def tokenizer(**more: Any) -> PreTrainedTokenizerFast:
    words = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = Whitespace()
    words.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    marks = {"unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return PreTrainedTokenizerFast(tokenizer_object=words, **marks, **more)


def save(
    folder: Path,
    labels: Sequence[str],
    logits: Sequence[float] | None = None,
    config: Mapping[str, Any] = {},
    pad: bool = True,
) -> Path:
    """A classifier in ``folder``; with ``logits`` its head gives these for whatever it reads."""
    torch.manual_seed(0)
    named = dict(enumerate(labels))
    model = BertForSequenceClassification(
        BertConfig(**TINY, id2label=named, label2id={v: k for k, v in named.items()}, **config)
    )
    if logits is not None:
        torch.nn.init.zeros_(model.classifier.weight)
        model.classifier.bias.data = torch.tensor(logits)
    model.save_pretrained(folder)
    tokenizer(**({"pad_token": "[PAD]"} if pad else {})).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("made") / "tiny", ["benign", "Sounds-Harmful", "harmful"])


def test_labels_called_like_kinds_map_by_themselves(tmp_path: Path) -> None:
    # softmax(0, 2, 0) = (0.11, 0.79, 0.11)
    save(tmp_path / "c", ["benign", "Sounds harmful", "SEVERE"], [0.0, 2.0, 0.0])
    found = TextClassifier.load(tmp_path / "c").classify("how do i bake a cake")
    assert found == Classified("sounds_harmful", "c (0.79)")


def test_labels_of_one_kind_add_up(tmp_path: Path) -> None:
    # softmax(1, 0.8, 0.8) = (0.38, 0.31, 0.31): no label has half of it, but harmful has.
    save(tmp_path / "c", ["benign", "theft", "fraud"], [1.0, 0.8, 0.8])
    labels: dict[str, Kind] = {"theft": "harmful", "fraud": "harmful"}
    found = TextClassifier.load(tmp_path / "c", labels).classify("car")
    assert found == Classified("harmful", "c (0.62)")


def test_below_the_threshold_nobody_knows(tmp_path: Path) -> None:
    save(tmp_path / "c", ["benign", "harmful"], [0.0, 0.4])  # 0.40, 0.60
    assert TextClassifier.load(tmp_path / "c", threshold=0.6).classify("car").kind == "unknown"
    found = TextClassifier.load(tmp_path / "c", threshold=0.59).classify("car")
    assert found == Classified("harmful", "c (0.60)")
    low = TextClassifier.load(tmp_path / "c", threshold=0.7).classify("car")
    assert low == Classified("unknown", "c (harmful only 0.60)")


def test_labels_that_do_not_exclude_each_other(tmp_path: Path) -> None:
    # sigmoid(-3, -1, -2) = (0.05, 0.27, 0.12): none of them, although one is the likeliest.
    config = {"problem_type": "multi_label_classification"}
    save(tmp_path / "c", ["severe", "harmful", "insult"], [-3.0, -1.0, -2.0], config)
    classifier = TextClassifier.load(tmp_path / "c", {"insult": "harmful"})
    assert classifier.classify("car") == Classified("unknown", "c (harmful only 0.27)")


def test_a_single_label_holds_or_not(tmp_path: Path) -> None:
    save(tmp_path / "c", ["toxic"], [2.0])  # sigmoid(2) = 0.88
    classifier = TextClassifier.load(tmp_path / "c", {"toxic": "harmful"})
    assert classifier.classify("car") == Classified("harmful", "c (0.88)")


@pytest.mark.parametrize("pad", [True, False])
@pytest.mark.parametrize("size", [1, 2, 32])
def test_batches_give_what_one_at_a_time_gives(tmp_path: Path, size: int, pad: bool) -> None:
    save(tmp_path / "c", ["benign", "harmful", "severe"], pad=pad)
    classifier = TextClassifier.load(tmp_path / "c", threshold=0.0)
    alone = [classifier.classify(query) for query in QUERIES]
    assert classifier.classify_all(iter(QUERIES), batch_size=size) == alone
    assert len({answer.by for answer in alone}) > 3
    assert classifier.classify_all([]) == []


def test_it_says_what_transformers_says(folder: Path) -> None:
    classifier = TextClassifier.load(folder, threshold=0.0)
    model = BertForSequenceClassification.from_pretrained(folder).eval()
    inputs = tokenizer()("how do i steal a car", return_tensors="pt", return_token_type_ids=False)
    with torch.no_grad():
        shares = model(**inputs).logits.softmax(-1)[0]
    kinds = ["benign", "sounds_harmful", "harmful"]
    best = int(shares.argmax())
    expected = Classified(kinds[best], f"tiny ({shares[best]:.2f})")  # type: ignore[arg-type]
    assert classifier.classify("how do i steal a car") == expected


def test_a_query_that_is_too_long_is_judged_by_its_beginning(folder: Path) -> None:
    classifier = TextClassifier.load(folder, threshold=0.0)
    assert "tokens" not in classifier.classify("a " * 14).by  # with [CLS] and [SEP] the 16 it reads
    cut = classifier.classify("a " * 15)
    assert cut.by.endswith(", first 16 tokens)")
    assert cut == classifier.classify("a " * 15 + "steal " * 50)


def test_the_positions_of_roberta_begin_after_padding(tmp_path: Path) -> None:
    config = RobertaConfig(**{**TINY, "pad_token_id": 1}, id2label={0: "benign", 1: "harmful"})
    RobertaForSequenceClassification(config).save_pretrained(tmp_path / "c")
    tokenizer(pad_token="[UNK]").save_pretrained(tmp_path / "c")
    found = TextClassifier.load(tmp_path / "c", threshold=0.0).classify("a " * 40)
    assert found.by.endswith(", first 14 tokens)")


@pytest.mark.parametrize("query", ["", " \n"])
def test_there_is_nothing_to_read_in_nothing(folder: Path, query: str) -> None:
    found = TextClassifier.load(folder, threshold=0.0).classify(query)
    assert found == Classified("unknown", "tiny (nothing to read)")


def test_it_fits_into_the_resolution(tmp_path: Path) -> None:
    save(tmp_path / "c", ["benign", "severe"], [0.0, 5.0])
    classify = TextClassifier.load(tmp_path / "c").classify
    resolution = resolve_dialogue(Dialogue.ask("car"), load_matrix(), classify=classify)
    assert (resolution.kind, resolution.kind_by) == ("severe", "c (0.99)")
    assert resolution.behaviour == "refuse"


@pytest.mark.parametrize(
    ("labels", "threshold", "line"),
    [
        ({}, 0.5, "called like no kind: LABEL_1, LABEL_2; map each, as in --label LABEL_1=harmful"),
        ({"LABEL_1": "severe"}, 0.5, "called like no kind: LABEL_2; map each"),
        ({"LABEL_9": "severe"}, 0.5, "has no label 'LABEL_9': its labels are benign, LABEL_1"),
        ({"LABEL_1": "evil", "LABEL_2": "benign"}, 0.5, "no kind of query is called 'evil'"),
        ({"LABEL_1": "severe", "LABEL_2": "benign"}, 1.5, "the threshold 1.5 is no probability"),
    ],
)
def test_labels_that_mean_nothing(
    tmp_path: Path, labels: dict[str, Kind], threshold: float, line: str
) -> None:
    save(tmp_path / "c", ["benign", "LABEL_1", "LABEL_2"])
    with pytest.raises(UserError) as caught:
        TextClassifier.load(tmp_path / "c", labels, threshold)
    assert line in str(caught.value)


def test_a_model_of_another_sort_is_no_classifier(tmp_path: Path) -> None:
    BertForMaskedLM(BertConfig(**TINY)).save_pretrained(tmp_path / "c")
    tokenizer().save_pretrained(tmp_path / "c")
    with pytest.raises(UserError, match="has no usable weights for"):
        TextClassifier.load(tmp_path / "c")


def test_what_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    for name, line in [
        (tmp_path / "none", "there is no model folder"),
        (tmp_path / "file", "is a file"),
        (tmp_path / "empty", "is the folder complete"),
    ]:
        with pytest.raises(UserError, match=line) as caught:
            TextClassifier.load(name)
        assert "\n" not in str(caught.value)
