"""OpenAssistant trees: every ranked choice of replies is a group, with the talk up to there."""

from pathlib import Path

import pytest
from tests.data.families.material import best, settled
from tests.data.makers import real_file
from tests.data.sources.published import tree_message, tree_record, write_lines

from metaalign.data.sources import SOURCES, Skipped
from metaalign.data.splits import split_groups
from metaalign.schema import Group, UserError

read = SOURCES["oasst"].read


@pytest.fixture
def groups(tmp_path: Path) -> list[Group]:
    return list(read(write_lines(tmp_path / "x.jsonl", map(tree_record, range(40)))))


def test_every_ranked_choice_is_a_group_with_its_talk(groups: list[Group]) -> None:
    assert len(groups) == 80
    top, below = groups[:2]
    assert (top.id, below.id) == ("oasst:p0", "oasst:q0")
    assert [t.text for t in below.turns] == ["Text of p0.", "Text of a0.", "Text of q0."]
    assert [t.role for t in below.turns] == ["user", "assistant", "user"]
    assert len(top.candidates) == 3 and len(below.candidates) == 2
    assert (top.family, top.kind) == ("helpful", "benign")


def test_people_ranked_and_the_rule_measures_length(groups: list[Group]) -> None:
    for group in groups:
        for view in group.views:
            short = settled(group, view).wanted("length") == ("short",)
            assert (len(best(group, view)) < 50) == short
            if view.ordered_by == "human" and group.id.startswith("oasst:p"):
                ranked = {view.ranks[i]: c.text for i, c in enumerate(group.candidates)}
                assert ranked[0].startswith("Rather long.")
                assert (ranked[1][:9], ranked[2][:9]) == ("Text of c", "Text of a")


def test_a_tree_is_never_split(groups: list[Group]) -> None:
    for split in split_groups(groups, {"train": 0.5, "test": 0.5}).values():
        names = [group.query_id for group in split]
        assert all(names.count(name) == 2 for name in names)


def test_what_cannot_be_ordered_is_counted(tmp_path: Path) -> None:
    def asked(name: str, *replies: object, **changes: object) -> dict[str, object]:
        prompt = tree_message(name, "prompter", *replies, **changes)  # type: ignore[arg-type]
        return {"message_tree_id": name, "prompt": prompt}

    one = tree_message("a", "assistant", rank=0)
    records = [
        asked("p1", one, tree_message("b", "assistant")),
        asked("p2", one, tree_message("b", "assistant", rank=1, deleted=True)),
        asked("p3", one, tree_message("b", "assistant", rank=1, review_result=False)),
        asked("p4", one, tree_message("b", "assistant", rank=1), text=" "),
        asked("p5", one, tree_message("b", "assistant", rank=0)),
        asked("p6", one, tree_message("b", "assistant", rank=1)),
        asked("p6", one, tree_message("b", "assistant", rank=1)),
    ]
    skipped = Skipped()
    path = write_lines(tmp_path / "x.jsonl", records)
    assert [group.id for group in read(path, skipped=skipped)] == ["oasst:p6"]
    assert skipped == {
        "fewer than two replies are ranked": 3,
        "a turn of the talk is empty": 1,
        "all replies have the same rank": 1,
        "the same message was there before": 1,
    }
    with pytest.raises(UserError, match=r"line 1: .*`text`.*prompt"):
        list(
            read(
                write_lines(
                    path,
                    [{"message_tree_id": "x", "prompt": {"message_id": "p", "role": "prompter"}}],
                )
            )
        )


def test_the_real_trees_have_many_candidates() -> None:
    groups = list(read(real_file("oasst_ranked_trees.jsonl.gz")))
    assert len(groups) > 200
    assert sum(len(group.candidates) > 2 for group in groups) > 150
    assert sum(bool(group.flips()) for group in groups) > 0.8 * len(groups)
