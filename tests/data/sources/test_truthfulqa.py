"""TruthfulQA: nobody is told something wrong, however they want it told."""

import csv
from pathlib import Path

import pytest
from tests.data.families.material import best, settled
from tests.data.makers import real_file
from tests.data.sources.published import truthful_record, write_lines

from metaalign.data.sources import SOURCES, Skipped
from metaalign.schema import Group, UserError

read = SOURCES["truthfulqa"].read


@pytest.fixture
def groups(tmp_path: Path) -> list[Group]:
    return list(read(write_lines(tmp_path / "x.jsonl", map(truthful_record, range(60)))))


def test_true_answers_stand_before_wrong_ones_in_every_view(groups: list[Group]) -> None:
    for number, group in enumerate(groups):
        assert (group.family, group.kind) == ("helpful", "benign")
        detailed = f"Mostly quartz in stone {number}, with a little mica and feldspar."
        true = {detailed, "Quartz."}
        assert true < {c.text for c in group.candidates} and len(group.candidates) == 4
        for view in group.views:
            ranks = {
                c.text: r
                for c, r in zip(group.candidates, view.ranks, strict=True)
                if r is not None
            }
            assert len(ranks) == 4
            wrong = {rank for text, rank in ranks.items() if text not in true}
            assert len(wrong) == 1 and max(ranks[text] for text in true) < min(wrong)
            short = settled(group, view).wanted("length") == ("short",)
            assert best(group, view) == ("Quartz." if short else detailed)
            assert all(text.endswith(".") for text in ranks)


def test_short_and_long_flip_the_true_ones(groups: list[Group]) -> None:
    assert all(group.flips() for group in groups)
    asked = {p.value for g in groups for v in g.views for p in v.preferences}
    assert {"short", "long", "truthfulness"} <= asked


def test_the_table_as_published(tmp_path: Path, groups: list[Group]) -> None:
    path = tmp_path / "TruthfulQA.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(truthful_record(0)))
        writer.writeheader()
        writer.writerows(truthful_record(i) for i in range(60))
    assert list(read(path)) == groups


def test_what_is_left_out_is_counted_and_a_missing_field_named(tmp_path: Path) -> None:
    skipped = Skipped()
    records = [
        truthful_record(1),
        truthful_record(1),
        truthful_record(2, **{"Best Answer": ""}),
        truthful_record(3, **{"Incorrect Answers": " ; "}),
    ]
    path = write_lines(tmp_path / "x.jsonl", records)
    assert len(list(read(path, skipped=skipped))) == 1
    assert skipped == {
        "the same question was there before": 1,
        "the question or its best answer is empty": 1,
        "there is no wrong answer": 1,
    }
    for field in ("Question", "Best Answer", "Correct Answers", "Incorrect Answers"):
        record = {k: v for k, v in truthful_record(2).items() if k != field}
        with pytest.raises(UserError, match=f"line 2: .*`{field}`"):
            list(read(write_lines(path, [truthful_record(1), record])))


def test_the_real_questions() -> None:
    skipped = Skipped()
    groups = list(read(real_file("truthfulqa.jsonl.gz"), skipped=skipped))
    assert len(groups) + skipped.total() == 399
    assert sum(bool(group.flips()) for group in groups) > 0.6 * len(groups)
    # Which stands first tells nothing: 399 fair coins, five standard deviations.
    first = sum(best(g, g.views[0]) == g.candidates[0].text for g in groups)
    expected = sum(1 / len(g.candidates) for g in groups)
    assert abs(first - expected) < 50
