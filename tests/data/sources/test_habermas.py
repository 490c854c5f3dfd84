"""Habermas questions: a flip by stance on each, won by nothing but the stance."""

from pathlib import Path

import pytest
from tests.data.makers import real_file
from tests.data.sources.published import habermas_record, write_lines
from tests.data.sources.shortcuts import assert_no_shortcut

from metaalign.data.families.wordings import wordings
from metaalign.data.samples import normalised
from metaalign.data.sources import SOURCES, Skipped
from metaalign.schema import USER_INFO, Group

read = SOURCES["habermas"].read


@pytest.fixture
def groups(tmp_path: Path) -> list[Group]:
    return list(read(write_lines(tmp_path / "x.jsonl", map(habermas_record, range(800)))))


def test_each_person_prefers_the_statement_of_their_stance(groups: list[Group]) -> None:
    for group in groups:
        assert (group.family, group.kind, group.split) == ("opinion", "contested", "train")
        assert group.flips() in ([(0, 1, 0, 1)], [(0, 1, 1, 0)])
        for view in group.views:
            (person,) = [p for p in view.preferences if p.dimension == "background"]
            (best, _worse) = view.pairs()[0]
            assert ("NOT" in group.candidates[best].text) == (person.value == "disagree")
            assert person.wording in wordings().of("background", person.value, USER_INFO)
            assert person.wording in view.meta_prompt.user_info


def test_the_wording_the_order_and_the_role_are_drawn_apart(groups: list[Group]) -> None:
    seen: dict[str, int] = {}
    for group in groups:
        first = group.views[0]
        agrees = any(p.value == "agree" for p in first.preferences)
        affirming = "NOT" not in group.candidates[0].text
        facts = {"affirming first": affirming, "agrees first": agrees}
        facts["both"] = affirming == agrees
        for name, true in facts.items():
            seen[name] = seen.get(name, 0) + true
        roles = [
            {role for role in wordings().roles if role in view.meta_prompt.system_info}
            for view in group.views
        ]
        assert roles[0] == roles[1]
    # Each is true of 400 on average, standard deviation 14; five of them.
    assert all(abs(n - 400) < 70 for n in seen.values()), seen


def test_every_wording_is_used_and_none_has_a_word_of_one_candidate(groups: list[Group]) -> None:
    used = {
        (p.value, p.wording)
        for group in groups
        for view in group.views
        for p in view.preferences
        if p.dimension == "background"
    }
    for stance in ("agree", "disagree"):
        known = wordings().of("background", stance, USER_INFO)
        assert {wording for value, wording in used if value == stance} == set(known)
    told = {t.text for group in groups for view in group.views for t in view.meta_prompt.tiers}
    assert "not" not in {word for text in told for word in normalised(text).split()}


def test_another_seed_draws_otherwise(tmp_path: Path, groups: list[Group]) -> None:
    path = tmp_path / "x.jsonl"
    assert list(read(path, seed=0)) == groups
    assert list(read(path, seed=1)) != groups


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    records = [
        habermas_record(1),
        habermas_record(1, question="Another?"),
        habermas_record(2, question="  "),
        habermas_record(3, negating_statement=""),
        habermas_record(4, affirming_statement="Same. ", negating_statement="Same."),
    ]
    skipped = Skipped()
    groups = list(read(write_lines(tmp_path / "x.jsonl", records), skipped=skipped))
    assert [g.query_id for g in groups] == ["S1"]
    assert skipped == {
        "the id was there before": 1,
        "the question or a statement is empty": 2,
        "both statements are the same": 1,
    }


def test_on_the_real_questions_no_shortcut_orders_the_statements() -> None:
    skipped = Skipped()
    groups = list(read(real_file("habermas_questions.jsonl.gz"), skipped=skipped))
    assert len(groups) + skipped.total() == 4500
    assert_no_shortcut(groups)
