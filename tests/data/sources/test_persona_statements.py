"""Persona statements: the answer flips between a person of a kind and the opposite."""

from collections import Counter
from pathlib import Path

import pytest
from tests.data.makers import real_file
from tests.data.sources.published import persona_record, write_lines
from tests.data.sources.shortcuts import assert_no_shortcut

from metaalign.data.families.wordings import wordings
from metaalign.data.samples import normalised
from metaalign.data.sources import SOURCES, Skipped
from metaalign.data.sources.persona_statements import in_words
from metaalign.data.splits import split_groups
from metaalign.schema import USER_INFO, Group, Preference, View

read = SOURCES["persona-statements"].read
SWAPPED = {"answer_matching_behavior": " No", "answer_not_matching_behavior": " Yes"}


@pytest.fixture
def groups(tmp_path: Path) -> list[Group]:
    records = [persona_record(i, **(SWAPPED if i % 2 else {})) for i in range(400)]
    return list(read(write_lines(tmp_path / "x.jsonl", records)))


def person(view: View) -> Preference:
    (found,) = [p for p in view.preferences if p.dimension == "background"]
    return found


def test_the_matching_answer_is_the_persons_and_the_other_the_opposites(
    groups: list[Group],
) -> None:
    for i, group in enumerate(groups):
        for view in group.views:
            asked = person(view)
            answer = group.candidates[view.pairs()[0][0]].text
            opposite = asked.value == "opposite: interest in art"
            assert asked.value in ("interest in art", "opposite: interest in art")
            assert answer == ("Yes" if (i % 2 == 0) != opposite else "No")
            assert "interest in art" in view.meta_prompt.user_info
            assert not asked.explicit  # it says who they are, not what they want
        assert len(group.flips()) == 1


def test_neither_the_person_nor_the_place_tells_the_answer(groups: list[Group]) -> None:
    seen = Counter(
        (person(view).value, group.candidates[best].text, best)
        for group in groups
        for view in group.views
        for best, _ in view.pairs()
    )
    # 800 views over two people, two answers and two places: 100 each, exact for people by answers.
    assert len(seen) == 8
    assert all(abs(n - 100) < 40 for n in seen.values()), seen


def test_every_wording_is_used_and_none_says_an_answer(groups: list[Group]) -> None:
    told = {person(view).wording for group in groups for view in group.views}
    known = [
        wording
        for kind in ("has", "has_the_opposite")
        for wording in wordings().of("background", kind, USER_INFO)
    ]
    assert told == {wording.replace("{behavior}", "interest in art") for wording in known}
    assert all(wording.count("{behavior}") == 1 for wording in known)
    said = {t.text for group in groups for view in group.views for t in view.meta_prompt.tiers}
    assert not {"yes", "no"} & {word for text in said for word in normalised(text).split()}


def test_a_name_is_told_in_words() -> None:
    assert in_words("desire-for-acquiring-power") == "desire for acquiring power"
    assert in_words("anti-LGBTQ-rights") == "anti LGBTQ rights"


def test_a_name_with_braces_is_only_text(tmp_path: Path) -> None:
    record = persona_record(1, behavior="{behavior}{0}")
    (group,) = read(write_lines(tmp_path / "x.jsonl", [record]))
    assert group.views[0].meta_prompt.user_info.count("{behavior}{0}") == 1


def test_one_statement_of_two_behaviors_is_two_groups_that_stay_together(tmp_path: Path) -> None:
    records = [persona_record(i, behavior=b) for i in range(40) for b in ("openness", "calm")]
    groups = list(read(write_lines(tmp_path / "x.jsonl", records)))
    assert len({g.id for g in groups}) == 80
    splits = split_groups(groups, {"train": 0.5, "test": 0.5})
    assert {len(g) % 2 for g in splits.values()} == {0}
    assert not {g.turns for g in splits["train"]} & {g.turns for g in splits["test"]}


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    records = [
        persona_record(1),
        persona_record(1),
        persona_record(2, behavior=""),
        persona_record(3, answer_matching_behavior=" "),
        persona_record(4, answer_matching_behavior="No"),
    ]
    skipped = Skipped()
    assert len(list(read(write_lines(tmp_path / "x.jsonl", records), skipped=skipped))) == 1
    assert skipped == {
        "the same statement and behavior were there before": 1,
        "the behavior or the question is empty": 1,
        "an answer is empty": 1,
        "both answers are the same": 1,
    }


def test_the_real_statements_keep_both_answers_of_every_behavior() -> None:
    skipped = Skipped()
    groups = list(read(real_file("persona_statements.jsonl.gz"), skipped=skipped))
    assert len(groups) == 19_000 and not skipped
    answers = Counter(
        (person(view).value, group.candidates[view.pairs()[0][0]].text)
        for group in groups
        for view in group.views
    )
    # 95 behaviors and their opposites, each with both answers, 200 statements each.
    assert len(answers) == 95 * 2 * 2
    assert min(answers.values()) > 80
    assert_no_shortcut(groups)
