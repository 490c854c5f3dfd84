"""Pairs: chosen and rejected by the rules, every case counted."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from tests.train.makers import make_group

from metaalign.schema import Dialogue, Group, Progress, UserError, Verdict, View, silent
from metaalign.train.pairs import PairRow, make_pairs, read_pairs, write_pairs
from metaalign.train.recipe import Pairs

BRIEF, LONG = "A egg.", "The egg is a thing that most people know well."


class Answers:
    """Gives the same texts to every dialogue and remembers how it was asked."""

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)
        self.asked: list[Dialogue] = []
        self.how: dict[str, float] = {}

    def __call__(
        self,
        dialogues: Sequence[Dialogue],
        *,
        samples: int,
        temperature: float,
        max_new_tokens: int,
        seed: int,
        progress: Progress = silent,
    ) -> list[list[str]]:
        self.asked = list(dialogues)
        self.how = {"samples": samples, "temperature": temperature, "max": max_new_tokens}
        return [self.texts for _ in dialogues]


def judge(group: Group, view: View, answer: str) -> Verdict:
    """Answers that say "good" obey."""
    return Verdict(content="good" in answer, behaviour=True)


def ends(rows: list[PairRow]) -> list[tuple[str, str]]:
    return [(row.chosen, row.rejected) for row in rows]


def test_without_a_judge_pairs_come_from_the_candidates() -> None:
    """Each view prefers what the other one rejects: both pairs are flips."""
    rows, counts = make_pairs([make_group(0)], Pairs())
    assert ends(rows) == [(BRIEF, LONG), (LONG, BRIEF)]
    assert {row.rejected_from for row in rows} == {"flip"}
    assert rows[1].dialogue == make_group(0).dialogue(make_group(0).views[1])
    assert counts == {
        "chosen.candidate": 2,
        "pairs.flip": 2,
        "skipped.not_drawn": 0,
        "skipped.unordered": 0,
    }


def test_a_worse_candidate_that_no_view_prefers_is_ranked() -> None:
    group = msgspec.structs.replace(make_group(0), views=make_group(0).views[:1])
    [row], counts = make_pairs([group], Pairs())
    assert row.rejected_from == "ranked"
    assert counts["pairs.ranked"] == 1


def test_a_view_that_orders_nothing_is_counted() -> None:
    group = make_group(0)
    unordered = msgspec.structs.replace(group.views[1], ranks=(None, None))
    group = msgspec.structs.replace(group, views=(group.views[0], unordered))
    rows, counts = make_pairs([group], Pairs())
    assert len(rows) == 1
    assert counts["skipped.unordered"] == 1


def test_a_sampled_answer_that_fails_is_rejected() -> None:
    answers = Answers("good", "bad", "worse")
    rows, counts = make_pairs([make_group(0)], Pairs(samples=3), answer=answers, judge=judge)
    assert ends(rows) == [(BRIEF, "bad"), (LONG, "bad")]
    assert counts["answers.obeyed"] == 2
    assert counts["answers.failed"] == 4
    assert counts["pairs.sampled"] == 2
    assert answers.how == {"samples": 3, "temperature": 1.0, "max": 128}


def test_where_no_sampled_answer_fails_the_candidates_decide() -> None:
    rows, _ = make_pairs([make_group(0)], Pairs(), answer=Answers("good"), judge=judge)
    assert ends(rows) == [(BRIEF, LONG), (LONG, BRIEF)]


def test_a_sampled_answer_that_obeys_can_be_chosen() -> None:
    settings = Pairs(chosen="sampled")
    rows, counts = make_pairs([make_group(0)], settings, answer=Answers("bad", "good"), judge=judge)
    assert ends(rows) == [("good", "bad")] * 2
    assert counts["chosen.sampled"] == 2


def test_flips_can_be_added_to_sampled_pairs() -> None:
    settings = Pairs(flips="always")
    rows, _ = make_pairs([make_group(0)], settings, answer=Answers("bad"), judge=judge)
    assert ends(rows) == [(BRIEF, "bad"), (BRIEF, LONG), (LONG, "bad"), (LONG, BRIEF)]


def test_an_answer_equal_to_the_chosen_candidate_is_never_rejected() -> None:
    """A judge may fail what a person has put first."""
    rows, _ = make_pairs([make_group(0)], Pairs(), answer=Answers(BRIEF), judge=judge)
    assert ends(rows) == [(BRIEF, LONG), (LONG, BRIEF)]


def test_answers_can_be_sampled_for_a_part_drawn_by_seed() -> None:
    groups = [make_group(i) for i in range(20)]
    settings = Pairs(sampled_dialogues=7)
    drawn = {}
    for name, seed in (("a", 0), ("again", 0), ("b", 1)):
        answers = Answers("bad")
        rows, counts = make_pairs(groups, settings, seed=seed, answer=answers, judge=judge)
        assert len(rows) == 40
        assert (counts["dialogues.sampled"], counts["pairs.sampled"]) == (7, 7)
        drawn[name] = answers.asked
    assert drawn["a"] == drawn["again"] != drawn["b"]


def test_pairs_can_be_made_for_a_part_drawn_by_seed() -> None:
    groups = [make_group(i) for i in range(20)]
    answers = Answers("bad")
    settings = Pairs(dialogues=9, sampled_dialogues=4)
    rows, counts = make_pairs(groups, settings, answer=answers, judge=judge)
    assert len(rows) == 9
    assert len(answers.asked) == 4
    assert (counts["skipped.not_drawn"], counts["pairs.sampled"]) == (31, 4)
    others, _ = make_pairs(groups, settings, seed=1, answer=answers, judge=judge)
    assert [(r.group_id, r.view) for r in rows] != [(r.group_id, r.view) for r in others]


def test_no_samples_asks_for_no_answers() -> None:
    answers = Answers("bad")
    make_pairs([make_group(0)], Pairs(samples=0), answer=answers, judge=judge)
    assert answers.asked == []


def test_pairs_come_back_from_their_file(tmp_path: Path) -> None:
    rows, _ = make_pairs([make_group(i) for i in range(3)], Pairs())
    write_pairs(tmp_path, rows)
    assert read_pairs(tmp_path) == rows


def test_a_damaged_file_names_its_line(tmp_path: Path) -> None:
    rows, _ = make_pairs([make_group(0)], Pairs())
    write_pairs(tmp_path, rows)
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"pairs\.jsonl, line 2 is damaged"):
        read_pairs(tmp_path)
    with pytest.raises(UserError, match="cannot read"):
        read_pairs(tmp_path / "nowhere")
