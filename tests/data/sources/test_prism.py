"""PRISM: a group for every turn, the person in User Info, their ratings as the order."""

from pathlib import Path
from typing import Any

import pytest
from tests.data.sources.asking import order_of
from tests.data.sources.published import write_lines

from metaalign.data.sources import SOURCES, Skipped
from metaalign.schema import Turn, UserError

read = SOURCES["prism"].read


def said(turn: int, role: str, content: str, **more: Any) -> dict[str, Any]:
    return {"turn": turn, "role": role, "content": content, **more}


def model(turn: int, content: str, score: int, chosen: bool = False) -> dict[str, Any]:
    more = {"model_name": "m", "model_provider": "p", "within_turn_id": 0}
    return said(turn, "model", content, score=score, if_chosen=chosen, **more)


def talk(number: int, kind: str, user: str = "user1") -> dict[str, Any]:
    return {
        "conversation_id": f"c{number}",
        "user_id": user,
        "conversation_type": kind,
        "opening_prompt": "…",
        "conversation_history": [
            said(0, "user", f"Is tax {number} fair?"),
            model(0, f"Yes, tax {number} is fair.", 80, chosen=True),
            model(0, f"Tax {number} is theft.", 10),
            model(0, f"Who knows about tax {number}?", 50),
            said(1, "user", "Why?"),
            model(1, "Because all pay.", 30),
            model(1, "Roads need money.", 90, chosen=True),
        ],
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    kinds = ("controversy guided", "unguided")
    write_lines(tmp_path / "conversations.jsonl", [talk(i, kinds[i % 2]) for i in range(40)])
    people = [
        {
            "user_id": "user1",
            "self_description": "I teach at a village school.",
            "system_string": "You know this country.",
            "age": "35-44 years old",
        }
    ]
    write_lines(tmp_path / "survey.jsonl", people)
    return tmp_path


def test_every_turn_is_a_group_ordered_by_the_persons_ratings(folder: Path) -> None:
    groups = list(read(folder))
    first = {g.query_id: g for g in groups if len(g.turns) == 1}
    second = {g.query_id: g for g in groups if len(g.turns) == 3}
    assert set(first) == set(second) == {f"c{i}" for i in range(40)}
    for number in range(40):
        group, next_one = first[f"c{number}"], second[f"c{number}"]
        human = [view for view in group.views if view.ordered_by == "human"]
        for view in human:
            assert order_of(group, view) == [
                f"Yes, tax {number} is fair.",
                f"Who knows about tax {number}?",
                f"Tax {number} is theft.",
            ]
        # The chosen answer goes on, not the best rated one of another turn.
        assert next_one.turns[1:] == (
            Turn("assistant", f"Yes, tax {number} is fair."),
            Turn("user", "Why?"),
        )
        assert {g.family for g in (group, next_one)} == {"helpful" if number % 2 else "opinion"}
        assert group.kind == ("benign" if number % 2 else "contested")


def test_the_person_is_user_info_and_their_instructions_in_half_system_info(folder: Path) -> None:
    groups = list(read(folder))
    views = [view for group in groups for view in group.views]
    assert all("I teach at a village school." in v.meta_prompt.user_info for v in views)
    told = sum("You know this country." in g.views[0].meta_prompt.system_info for g in groups)
    assert 20 < told < 60  # of 80, standard deviation 4.5
    for group in groups:
        if group.family == "opinion":
            (own,) = [p for p in group.views[0].preferences if p.dimension == "background"]
            assert own.value == "user1" and not own.explicit


def test_instructions_that_leave_the_person_no_say_are_left_out(folder: Path) -> None:
    person = {
        "user_id": "user1",
        "self_description": "I teach.",
        "system_string": "Weigh all sides.",
    }
    write_lines(folder / "survey.jsonl", [person])
    opinions = [group for group in read(folder) if group.family == "opinion"]
    assert len(opinions) == 40  # both turns of 20 talks
    assert not any("Weigh" in g.views[0].meta_prompt.system_info for g in opinions)


def test_it_takes_the_folder_with_both_files(folder: Path) -> None:
    with pytest.raises(UserError, match="one file of PRISM: give the folder"):
        list(read(folder / "conversations.jsonl"))
    (folder / "survey.jsonl").unlink()
    with pytest.raises(UserError, match=r"has no file survey\.jsonl"):
        list(read(folder))


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    write_lines(tmp_path / "survey.jsonl", [{"user_id": "user1"}])
    cut = talk(2, "unguided")
    cut["conversation_history"] = [
        said(0, "user", "Fair?"),
        model(0, "Yes.", 50),
        model(0, "No.", 50),
    ]
    empty = {**talk(3, "unguided"), "conversation_history": [said(0, "user", " ")]}
    lines = [talk(1, "unguided", "user2"), cut, empty]
    write_lines(tmp_path / "conversations.jsonl", lines)
    skipped = Skipped()
    assert list(read(tmp_path, skipped=skipped)) == []
    assert skipped == {
        "the survey does not know the person": 1,
        "no answer is rated better than another": 1,
        "the person's turn is empty": 1,
    }
