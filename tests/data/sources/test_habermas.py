"""Habermas questions: a flip by stance on each, won by nothing but the stance."""

from pathlib import Path

import pytest
from tests.data.makers import real_file
from tests.data.sources.published import habermas_record, write_lines

from metaalign.data.samples import normalised
from metaalign.data.sources import SOURCES, Skipped
from metaalign.data.sources.wordings import wordings
from metaalign.schema import Group

read = SOURCES["habermas"].read


@pytest.fixture
def groups(tmp_path: Path) -> list[Group]:
    return list(read(write_lines(tmp_path / "x.jsonl", map(habermas_record, range(800)))))


def test_each_person_prefers_the_statement_of_their_stance(groups: list[Group]) -> None:
    for group in groups:
        assert (group.family, group.kind) == ("opinion", "contested")
        assert group.flips() in ([(0, 1, 0, 1)], [(0, 1, 1, 0)])
        for view in group.views:
            (asked,) = view.preferences
            (best, _worse) = view.pairs()[0]
            assert ("NOT" in group.candidates[best].text) == (asked.value == "disagree")
            assert asked.span is not None
            assert view.meta_prompt.user_info[slice(*asked.span)] == asked.wording
            assert asked.wording in getattr(wordings().habermas, asked.value)


def test_the_wording_the_order_and_the_role_are_drawn_apart(groups: list[Group]) -> None:
    seen: dict[str, int] = {}
    for group in groups:
        first = group.views[0]
        facts = {
            "affirming first": "NOT" not in group.candidates[0].text,
            "agrees first": first.preferences[0].value == "agree",
            "has role": bool(first.meta_prompt.system_info),
        }
        facts["both"] = facts["affirming first"] == facts["agrees first"]
        facts["role and order"] = facts["affirming first"] == facts["has role"]
        for name, true in facts.items():
            seen[name] = seen.get(name, 0) + true
        assert first.meta_prompt.system_info == group.views[1].meta_prompt.system_info
    # Each is true of 400 on average, standard deviation 14; five of them.
    assert all(abs(n - 400) < 70 for n in seen.values()), seen


def test_every_wording_is_used_and_none_has_a_word_of_one_candidate(groups: list[Group]) -> None:
    used = {v.preferences[0].wording for g in groups for v in g.views}
    texts = wordings().habermas
    assert used == {*texts.agree, *texts.disagree}
    assert len(texts.agree) >= 4 and len(texts.disagree) >= 4
    words = {w for text in (*used, *texts.roles) for w in normalised(text).split()}
    assert "not" not in words


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
    right = {"first": 0, "longer": 0, "more words of the Meta-Prompt": 0.0}
    views = [(g, v) for g in groups for v in g.views]
    for group, view in views:
        (best, worse) = view.pairs()[0]
        chosen, rejected = group.candidates[best].text, group.candidates[worse].text
        right["first"] += best == 0
        right["longer"] += len(chosen) > len(rejected)
        told = set(normalised(" ".join(t.text for t in view.meta_prompt.tiers)).split())
        shares = [len(told & set(normalised(text).split())) for text in (chosen, rejected)]
        right["more words of the Meta-Prompt"] += (
            0.5 if shares[0] == shares[1] else shares[0] > shares[1]
        )
    for name, count in right.items():
        assert abs(count / len(views) - 0.5) < 0.03, (name, count / len(views))
