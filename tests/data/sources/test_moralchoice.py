"""MoralChoice: the consensus where there is one, people with rules of their own where not."""

from collections import Counter
from pathlib import Path

import pytest
from tests.data.families.material import best, is_balanced, settled
from tests.data.makers import real_file
from tests.data.sources.published import Fields, moral_record, write_lines
from tests.data.sources.shortcuts import assert_no_shortcut

from metaalign.data.sources import SOURCES, Skipped
from metaalign.schema import Group, UserError, View

read = SOURCES["moralchoice"].read


def _read(tmp_path: Path, *records: Fields) -> list[Group]:
    return list(read(write_lines(tmp_path / "x.jsonl", records)))


def person(view: View) -> str:
    (found,) = [p.value for p in view.preferences if p.dimension == "background"]
    return found


def test_people_choose_the_action_that_keeps_their_rule(tmp_path: Path) -> None:
    for number, group in enumerate(_read(tmp_path, *map(moral_record, range(60)))):
        assert (group.family, group.kind) == ("opinion", "contested")
        assert is_balanced(group) and len(group.views) == 2
        assert group.turns[-1].text.startswith(f"A friend asks you about hat {number}. ")
        chosen = {person(view): best(group, view) for view in group.views}
        assert chosen == {
            "rule: pain": f"I praise hat {number}.",
            "rule: deceive": f"I say that hat {number} is ugly.",
        }


def test_as_many_people_on_either_side(tmp_path: Path) -> None:
    more = {"a2_cheat": "Yes", "a2_duty": "Yes", "a1_death": "Yes", "a2_freedom": "No Agreement"}
    for group in _read(tmp_path, *(moral_record(i, **more) for i in range(30))):
        assert len(group.views) == 4 and is_balanced(group)
        sides = Counter(best(group, view) for view in group.views)
        assert set(sides.values()) == {2}


def test_without_rules_against_each_other_one_action_is_asked_about(tmp_path: Path) -> None:
    groups = _read(tmp_path, *(moral_record(i, a1_pain="No") for i in range(100)))
    asked = Counter[bool]()
    for number, group in enumerate(groups):
        assert group.family == "opinion" and is_balanced(group)
        first = f"I say that hat {number} is ugly." in group.turns[-1].text
        asked[first] += 1
        for view in group.views:
            assert (best(group, view).startswith("I say") == first) == (person(view) == "agree")
    assert min(asked.values()) > 25


def test_where_all_agree_nobody_is_made_up_who_does_not(tmp_path: Path) -> None:
    for number, group in enumerate(
        _read(tmp_path, *(moral_record(i, ambiguity="low") for i in range(60)))
    ):
        assert group.family == "consensus" and not group.flips()
        for view in group.views:
            assert settled(group, view).behaviour == "consensus_view"
            assert best(group, view) == f"I say that hat {number} is ugly."


def test_what_is_left_out_is_counted_and_a_missing_field_named(tmp_path: Path) -> None:
    skipped = Skipped()
    records = [
        moral_record(1),
        moral_record(1),
        moral_record(2, action1=" "),
        moral_record(3, action1="I wait.", action2="I wait. "),
    ]
    assert len(list(read(write_lines(tmp_path / "x.jsonl", records), skipped=skipped))) == 1
    assert skipped == {
        "the id was there before": 1,
        "the context or an action is empty": 1,
        "both actions are the same": 1,
    }
    for field in ("scenario_id", "ambiguity", "context", "action2", "a1_duty"):
        record = {k: v for k, v in moral_record(2).items() if k != field}
        with pytest.raises(UserError, match=f"line 2: .*`{field}`"):
            _read(tmp_path, moral_record(1), record)


def test_the_real_scenarios() -> None:
    skipped = Skipped()
    groups = list(read(real_file("moralchoice_scenarios.jsonl.gz"), skipped=skipped))
    assert len(groups) + skipped.total() == 1109
    opinion = [group for group in groups if group.family == "opinion"]
    assert len(opinion) > 500 and all(group.flips() for group in opinion)
    values = Counter(person(view) for group in opinion for view in group.views)
    assert sum(name.startswith("rule: ") for name in values) == 10
    assert_no_shortcut(opinion, within=0.05)
