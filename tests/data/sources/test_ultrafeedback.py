"""UltraFeedback: the mean of the ratings on the whole, and a wish for every respect."""

from pathlib import Path

import pytest
from tests.data.sources.asking import best_by, order_of
from tests.data.sources.published import Fields, write_lines

from metaalign.data.sources import SOURCES, Skipped
from metaalign.schema import Group, UserError

source = SOURCES["ultrafeedback"]
RESPECTS = ("instruction_following", "honesty", "truthfulness", "helpfulness")
RATINGS = {"Alpha says so.": "5133", "Beta says so.": "1544", "Gamma says so.": "3N55"}
"""By answer the ratings in ``RESPECTS``. Means by hand: 3.0, 3.5 and, of three, 4.33."""


def record(number: int, **changes: object) -> Fields:
    return {
        "source": "evol_instruct",
        "instruction": f"Say something about number {number}.",
        "completions": [
            {
                "model": text[:5],
                "response": text,
                "overall_score": 10.0,
                "annotations": {
                    respect: {"Rating": "N/A" if rating == "N" else rating, "Rationale": "Why."}
                    for respect, rating in zip(RESPECTS, ratings, strict=True)
                },
            }
            for text, ratings in RATINGS.items()
        ],
        **changes,
    }


def read(tmp_path: Path, *records: Fields, skipped: Skipped | None = None) -> list[Group]:
    return list(source.read(write_lines(tmp_path / "x.jsonl", records), skipped=skipped))


def test_every_respect_has_its_own_best_answer(tmp_path: Path) -> None:
    best = {
        "instruction_following": "Alpha says so.",
        "honesty": "Beta says so.",
        "truthfulness": "Gamma says so.",
    }
    groups = read(tmp_path, *(record(i) for i in range(60)))
    seen = set()
    for group in groups:
        assert (group.family, group.kind) == ("helpful", "benign")
        for value, answer in best_by(group, "quality").items():
            assert answer == best[value]
            seen.add(value)
        for view in group.views:
            assert view.ordered_by == "teacher"
            if all(p.dimension != "quality" for p in view.preferences):
                assert order_of(group, view) == [
                    f"{n} says so." for n in ("Gamma", "Beta", "Alpha")
                ]
    assert seen == set(best)
    assert sum(bool(group.flips()) for group in groups) > 30


def test_a_rating_that_is_not_there_leaves_the_answer_open(tmp_path: Path) -> None:
    for group in read(tmp_path, *(record(i) for i in range(30))):
        for view in group.views:
            if [p.value for p in view.preferences if p.dimension == "quality"] == ["honesty"]:
                assert "Gamma says so." not in order_of(group, view)


def test_the_binarized_form_is_read(tmp_path: Path) -> None:
    query = {"role": "user", "content": "Say something."}
    chosen, rejected = ({"role": "assistant", "content": c} for c in ("Good.", "Bad."))
    binarized = {
        "prompt": "Say something.",
        "prompt_id": "x",
        "chosen": [query, chosen],
        "rejected": [query, rejected],
        "messages": [query, chosen],
        "score_chosen": 8.0,
        "score_rejected": 5.0,
    }
    (group,) = read(tmp_path, binarized)
    assert all(order_of(group, view) == ["Good.", "Bad."] for view in group.views)


def test_what_is_neither_form_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="line 1: it has neither `instruction`"):
        read(tmp_path, {"prompt": "Say something."})


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    one = record(5)["completions"][:1]  # type: ignore[index]
    records = [record(1), record(1), record(2, source="truthful_qa"), record(5, completions=one)]
    skipped = Skipped()
    assert len(read(tmp_path, *records, skipped=skipped)) == 1
    assert skipped == {
        "the same answers were there before": 1,
        "it is a question of TruthfulQA, which evaluations ask": 1,
        "the instruction is empty, or it has fewer than two different answers": 1,
    }
