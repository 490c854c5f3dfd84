"""TRL's layout and chat messages: the records of one query come together, and flip."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.data.sources.asking import order_of
from tests.data.sources.published import write_lines

from metaalign.data.sources import SOURCES, Skipped
from metaalign.schema import Group, MetaPrompt, Turn, UserError

TRL, CHAT = SOURCES["trl"], SOURCES["chat-jsonl"]
SHORT, LONG = "Short, please.", "Write long answers."


def read(
    tmp_path: Path,
    source: str,
    *records: dict[str, Any],
    skipped: Skipped | None = None,
    **options: Any,
) -> list[Group]:
    path = write_lines(tmp_path / "x.jsonl", records)
    return list(SOURCES[source].configured(options).read(path, skipped=skipped))


def says(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


ASKED = [says("user", "Hello"), says("assistant", "Hi!"), says("user", "What is a maple?")]
TURNS = (Turn("user", "Hello"), Turn("assistant", "Hi!"), Turn("user", "What is a maple?"))
GOOD, BAD = says("assistant", " A tree. "), says("assistant", "A car.")


@pytest.mark.parametrize(
    ("record", "turns", "system"),
    [
        ({"prompt": "What?", "chosen": " A tree.", "rejected": "A car."}, TURNS[:0], ""),
        ({"prompt": ASKED, "chosen": [GOOD], "rejected": [BAD]}, TURNS, ""),
        ({"chosen": [*ASKED, GOOD], "rejected": [*ASKED, BAD]}, TURNS, ""),
        ({"prompt": [says("system", SHORT), *ASKED], "chosen": [GOOD], "rejected": [BAD]}, TURNS,
         SHORT),
        ({"chosen": [says("system", SHORT), *ASKED, GOOD],
          "rejected": [says("system", SHORT), *ASKED, BAD]}, TURNS, SHORT),
        ({"prompt": "What?", "chosen": [says("user", "What?"), GOOD],
          "rejected": [says("user", "What?"), BAD]}, TURNS[:0], ""),
        ({"chosen": "What? A tree.", "rejected": "What? A car."}, (Turn("user", "What? A"),), ""),
        ({"chosen": "\n\nHuman: What?\n\nAssistant: A tree.",
          "rejected": "\n\nHuman: What?\n\nAssistant: A car."}, TURNS[:0], ""),
    ],
)  # fmt: skip
def test_every_form_of_a_pair_is_read(
    tmp_path: Path, record: dict[str, Any], turns: tuple[Turn, ...], system: str
) -> None:
    (group,) = read(tmp_path, "trl", record)
    assert group.turns == (turns or (Turn("user", "What?"),))
    (view,) = group.views
    assert view.meta_prompt == MetaPrompt.of(system)
    assert [(p.dimension, p.value) for p in view.preferences] == (
        [("length", "short")] if system else []
    )
    best, worst = order_of(group, view)
    assert ("tree" in best, "car" in worst, view.ordered_by) == (True, True, "human")


def test_nothing_says_which_answer_was_chosen_but_the_ranks(tmp_path: Path) -> None:
    records = [
        {"prompt": f"What is {i}?", "chosen": f"Good {i}.", "rejected": f"Bad {i}."}
        for i in range(200)
    ]
    first = Counter(g.candidates[0].text.split()[0] for g in read(tmp_path, "trl", *records))
    assert abs(first["Good"] - 100) < 36  # five standard deviations


def test_the_records_of_one_query_come_together_and_flip(tmp_path: Path) -> None:
    records = []
    for chosen, rejected, system in (("A.", "B b b.", SHORT), ("B b b.", "A.", LONG)):
        for i in range(9):
            prompt = [says("system", system), says("user", f"What is {i}?")]
            records.append({"prompt": prompt, "chosen": [says("assistant", chosen)],
                            "rejected": [says("assistant", rejected)]})  # fmt: skip
    groups = read(tmp_path, "trl", *records)
    assert len(groups) == 9
    for group in groups:
        assert len(group.views) == 2 and len(group.flips()) == 1
        for view in group.views:
            short = view.meta_prompt.system_info == SHORT
            assert order_of(group, view)[0] == ("A." if short else "B b b.")


def test_two_who_differ_under_one_meta_prompt_are_annotations(tmp_path: Path) -> None:
    pair = {"prompt": "What?", "chosen": "A.", "rejected": "B."}
    other = {"prompt": "What?", "chosen": "C.", "rejected": "A."}
    skipped = Skipped()
    (group,) = read(tmp_path, "trl", pair, other, pair, skipped=skipped)
    (view,) = group.views
    assert order_of(group, view) == ["C.", "A.", "B."]
    assert [sorted(r for r in a.ranks if r is not None) for a in view.annotations] == [[0, 1]] * 2
    assert skipped == {"the same record was there before": 1}


def test_what_whoever_uses_it_says_is_in_the_groups(tmp_path: Path) -> None:
    pair = {"prompt": "What?", "chosen": "A.", "rejected": "B."}
    options: dict[str, Any] = {"family": "opinion", "kind": "contested", "ordered_by": "teacher"}
    (group,) = read(tmp_path, "trl", pair, **options)
    assert (group.family, group.kind, group.views[0].ordered_by) == (
        "opinion",
        "contested",
        "teacher",
    )
    licensed = TRL.configured({"licence": "cc-by-nc-sa-4.0"})
    assert licensed.licence == "cc-by-nc-sa-4.0" and licensed.non_commercial
    assert TRL.licence == "unknown" and not TRL.non_commercial


def test_an_option_that_is_not_there_is_named() -> None:
    with pytest.raises(UserError, match=r"trl: .*unknown field `famly`.*it has family, kind"):
        TRL.configured({"famly": "helpful"})
    with pytest.raises(UserError, match=r"Invalid enum value 'funny'.*`\$\.family`"):
        CHAT.configured({"family": "funny"})
    with pytest.raises(UserError, match="habermas has no options: remove family"):
        SOURCES["habermas"].configured({"family": "opinion"})


def test_the_unpaired_format_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"unpaired format .*give pairs with prompt, chosen"):
        read(tmp_path, "trl", {"prompt": "What?", "completion": "A.", "label": True})


PARTS = [{"type": "text", "text": "What is"}, {"type": "text", "text": "a maple?"}]


@pytest.mark.parametrize("content", ["What is a maple?", PARTS])
def test_chat_roles_are_tiers_and_turns(tmp_path: Path, content: Any) -> None:
    messages = [
        says("system", "You know plants."),
        says("developer", SHORT),
        says("user_info", "I am a florist."),
        says("user", content),
    ]
    record = {
        "messages": messages,
        "candidates": ["A tree.", says("assistant", "A car."), "A word."],
        "ranks": [0, 1, None],
    }
    (group,) = read(tmp_path, "chat-jsonl", record)
    (view,) = group.views
    expected = MetaPrompt.of(f"You know plants.\n\n{SHORT}", "I am a florist.")
    assert view.meta_prompt == expected
    assert order_of(group, view) == ["A tree.", "A car."]
    assert {c.text for c in group.candidates} == {"A tree.", "A car.", "A word."}
    assert " ".join(group.turns[0].text.split()) == "What is a maple?"


def test_user_info_can_stand_beside_the_messages(tmp_path: Path) -> None:
    record = {"messages": ASKED, "user_info": SHORT, "chosen": [GOOD], "rejected": "A car."}
    (group,) = read(tmp_path, "chat-jsonl", record)
    assert group.views[0].meta_prompt == MetaPrompt.of(user_info=SHORT)
    assert group.turns == TURNS


def test_an_answer_comes_before_those_that_were_written_for_other_people(tmp_path: Path) -> None:
    answers = {SHORT: "A tree.", LONG: "A tree with leaves of five points."}
    records = [
        {"messages": [says("system", system), says("user", f"What is {i}?"), says("assistant", a)]}
        for i in range(5)
        for system, a in answers.items()
    ]
    alone = {"messages": [says("user", "Who?"), says("assistant", "I.")]}
    skipped = Skipped()
    groups = read(tmp_path, "chat-jsonl", *records, alone, skipped=skipped)
    assert len(groups) == 5
    for group in groups:
        for view in group.views:
            assert order_of(group, view)[0] == answers[view.meta_prompt.system_info]
            assert view.ordered_by == "rule"
    assert skipped == {"the query has one answer alone, or none that is better": 1}


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"messages": [says("tool", "4"), *ASKED]}, "a message has the role tool, which is not "
         "read"),
        ({"messages": [*ASKED, GOOD]}, "the talk does not end with a person's turn"),
        ({"messages": [*ASKED[:1], says("system", "x"), *ASKED[2:]]}, "a system message stands "
         "within the talk"),
        ({"messages": [says("user", [{"type": "image_url", "image_url": {"url": "x"}}])]},
         "a message has a part that is not text"),
        ({"messages": [says("user", " ")]}, "a turn of the talk is empty"),
        ({"messages": ASKED, "chosen": ""}, "an answer is empty"),
        ({"messages": ASKED, "chosen": "A car."}, "two answers are the same"),
        ({"messages": ASKED, "chosen": [BAD, GOOD]}, "an answer has more than one message"),
    ],
)  # fmt: skip
def test_what_is_left_out_is_counted(tmp_path: Path, record: dict[str, Any], reason: str) -> None:
    skipped = Skipped()
    pair = {"chosen": "A tree.", "rejected": "A car.", **record}
    assert read(tmp_path, "chat-jsonl", pair, skipped=skipped) == []
    assert skipped == {reason: 1}


@pytest.mark.parametrize(
    ("record", "what"),
    [
        ({"candidates": ["a", "b"]}, "`candidates` and `ranks` stand together"),
        ({"candidates": ["a", "b"], "ranks": [0]}, "as many `ranks` as `candidates`"),
        ({"chosen": "a"}, "`chosen` and `rejected` stand together"),
    ],
)
def test_a_record_that_contradicts_itself_is_damaged(
    tmp_path: Path, record: dict[str, Any], what: str
) -> None:
    with pytest.raises(UserError, match=f"line 1: .*{what}"):
        read(tmp_path, "chat-jsonl", {"messages": ASKED, **record})
