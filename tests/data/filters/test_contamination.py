"""Groups that give away evaluation sets."""

import gzip
import json
from pathlib import Path

import pytest
from tests.data.makers import make_group, real_file

from metaalign.data.filters.contamination import Contamination
from metaalign.schema import Candidate, MetaPrompt, UserError, View

QUESTION = "how many cups of tea does a lighthouse keeper drink on a day without any ships"
OTHER = "name the river that flows through the largest number of capital cities in europe"


@pytest.fixture
def lines(tmp_path: Path) -> str:
    path = tmp_path / "questions.txt"
    path.write_text(f"{OTHER}\n\n{QUESTION}\nIs the moon made of cheese?\n")
    return str(path)


def reason(stage: Contamination, query: str = "Who?", **changes: object) -> str:
    return stage.reasons([make_group("g", query, **changes)])[0]


def test_an_item_is_found_wherever_it_stands(lines: str) -> None:
    stage = Contamination(sets=(lines,))
    said = f"Somebody asked: {QUESTION.upper()}! And then went home."
    view = View(MetaPrompt.of(system_info=said), (0, 1), "rule")
    assert reason(stage, said) == "contamination: questions.txt item 2, 100% of its 8-grams"
    assert reason(stage, candidates=(Candidate(said, "rule"),)) == reason(stage, said)
    assert reason(stage, views=(view,)) == reason(stage, said)
    assert reason(stage) == ""


def test_the_share_is_of_the_items_own_runs_of_words(lines: str) -> None:
    """The question has 16 words and so 9 runs of 8; its first 12 words hold 5 of them."""
    words = QUESTION.split()
    assert len(words) == 16
    half = "A poem: " + " ".join(words[:12]) + " and so on and so forth it went for many more lines"
    assert reason(Contamination(sets=(lines,)), half) == ""
    assert reason(Contamination(sets=(lines,), share=0.55), half).endswith("56% of its 8-grams")
    assert reason(Contamination(sets=(lines,), share=0.56), half) == ""


def test_short_and_slightly_changed_items_are_found_by_likeness(lines: str) -> None:
    stage = Contamination(sets=(lines,))
    found = reason(stage, "Is the moon made of  cheeses?")
    assert found.startswith("contamination: questions.txt item 3, 0.") and "alike" in found
    assert reason(stage, "Is the sun made of plasma?") == ""


def test_fields_of_records_are_items(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text(json.dumps({"q": OTHER, "a": QUESTION, "n": 1}) + "\n")
    stage = Contamination(sets=(str(path),), fields=("q", "a"))
    assert reason(stage, QUESTION).startswith("contamination: set.jsonl item 2")
    assert reason(Contamination(sets=(str(path),), fields=("q",)), QUESTION) == ""


@pytest.mark.parametrize(
    ("content", "fields", "said"),
    [
        ('{"q": "x"}\n', ("question",), "question"),
        ("\n \n", (), "holds no text"),
        (None, (), "No such file"),
    ],
)
def test_a_set_that_cannot_be_read_is_named(
    tmp_path: Path, content: str | None, fields: tuple[str, ...], said: str
) -> None:
    path = tmp_path / "set.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=said) as raised:
        reason(Contamination(sets=(str(path),), fields=fields))
    assert "set.jsonl" in str(raised.value)


def test_a_published_set_finds_itself_and_hardly_anything_else() -> None:
    path = real_file("truthfulqa.jsonl.gz")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        first = json.loads(next(lines))["Question"]
    stage = Contamination(sets=(str(path),), fields=("Question",))
    own, foreign = make_group("a", first), make_group("b", "How do I repot a fern?")
    found, nothing = stage.reasons([own, foreign])
    assert found.startswith("contamination: truthfulqa.jsonl.gz item 1,")
    assert nothing == ""
