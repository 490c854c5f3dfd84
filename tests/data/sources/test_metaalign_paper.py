"""The paper's files: any usual layout is told by its fields, and what was found is reported."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.data.makers import real_file
from tests.data.sources.asking import order_of

from metaalign.data.sources import SOURCES, Place, Quarantine, Skipped
from metaalign.data.sources.layouts import recognise
from metaalign.data.sources.metaalign_paper import compared, notes
from metaalign.schema import Group, MetaPrompt, Turn, UserError

source = SOURCES["metaalign-paper"]
SYSTEM, PERSON = "You run a garden shop.", "I am new to plants."
ASKED, GOOD, BAD = "What is a maple?", "A tree.", "A car."


def says(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def told(speaker: str, value: str) -> dict[str, str]:
    return {"from": speaker, "value": value}


PAIRS: dict[str, dict[str, Any]] = {
    "trl": {"system": SYSTEM, "user_info": PERSON, "prompt": ASKED, "chosen": GOOD,
            "rejected": BAD},
    "names": {"System Info": SYSTEM, "UserInfo": PERSON, "Query": ASKED, "Chosen_Response": GOOD,
              "rejected-response": BAD},
    "alpaca": {"system_prompt": SYSTEM, "user_profile": PERSON, "instruction": "What is",
               "input": "a maple?", "output": [GOOD, BAD]},
    "sharegpt": {"system": SYSTEM, "persona": PERSON, "conversations": [told("human", ASKED)],
                 "chosen": told("gpt", GOOD), "rejected": told("gpt", BAD)},
    "messages": {"messages": [says("system", SYSTEM), says("user_info", PERSON),
                              says("user", ASKED)],
                 "chosen": [says("assistant", GOOD)], "rejected": [says("assistant", BAD)]},
    "ranks": {"system_info": SYSTEM, "background": PERSON, "question": ASKED,
              "responses": [BAD, GOOD], "ranking": [2, 1]},
    "scores": {"system_info": SYSTEM, "profile": PERSON, "prompt": ASKED,
               "completions": [{"model": "a", "response": BAD}, {"text": GOOD}],
               "scores": [0.1, 0.9]},
}  # fmt: skip


def write(path: Path, *records: Any) -> Path:
    path.write_text(json.dumps(list(records), indent=1))
    return path


def read(path: Path, skipped: Skipped | None = None, **options: Any) -> list[Group]:
    return list(source.configured(options).read(path, skipped=skipped))


@pytest.mark.parametrize("layout", PAIRS)
def test_every_layout_says_the_same(tmp_path: Path, layout: str) -> None:
    (group,) = read(write(tmp_path / "x.json", PAIRS[layout]))
    (view,) = group.views
    assert view.meta_prompt == MetaPrompt.of(SYSTEM, PERSON)
    assert " ".join(group.turns[0].text.split()) == ASKED
    assert order_of(group, view) == [GOOD, BAD]
    assert view.ordered_by == "teacher"


@pytest.mark.parametrize(
    "record",
    [
        {"instruction": ASKED, "input": "", "history": [["Hello", "Hi!"]], "output": "{answer}"},
        {"messages": [says("user", "Hello"), says("assistant", "Hi!"), says("user", ASKED),
                      says("assistant", "{answer}")]},
        {"conversations": [told("human", "Hello"), told("gpt", "Hi!"), told("human", ASKED),
                           told("gpt", "{answer}")]},
    ],
)  # fmt: skip
def test_one_answer_for_each_meta_prompt_makes_a_flip(
    tmp_path: Path, record: dict[str, Any]
) -> None:
    answers = {PERSON: GOOD, "I am a botanist.": "An Acer."}
    records = [
        {"user_info": person, **json.loads(json.dumps(record).replace("{answer}", answer))}
        for person, answer in answers.items()
    ]
    (group,) = read(write(tmp_path / "helpful_sft.json", *records))
    assert group.turns == (Turn("user", "Hello"), Turn("assistant", "Hi!"), Turn("user", ASKED))
    assert len(group.flips()) == 1 and group.split == "sft"
    for view in group.views:
        assert order_of(group, view)[0] == answers[view.meta_prompt.user_info]


def test_an_object_or_a_list_in_a_tier_is_put_in_words(tmp_path: Path) -> None:
    record = {**PAIRS["trl"], "user_info": {"age_group": 40, "likes": ["figs", "plums"]}}
    (group,) = read(write(tmp_path / "x.json", record))
    assert group.views[0].meta_prompt.user_info == "age group: 40; likes: figs plums"


def test_family_and_split_are_in_the_name_of_the_file_or_the_record(tmp_path: Path) -> None:
    for name in (
        "Priority_SFT.json",
        "helpfulDPO.json",
        "greatest_consensus.json",
        "opinion_test.json",
    ):
        write(tmp_path / name, PAIRS["trl"])
    write(tmp_path / "all.json", {**PAIRS["trl"], "subset": "Opinion"}, PAIRS["trl"])
    found = {(g.family, g.split) for g in read(tmp_path, family="consensus")}
    assert found == {
        ("priority", "sft"),
        ("helpful", "dpo"),
        ("consensus", ""),
        ("opinion", "test"),
        ("opinion", ""),
    }
    assert len({g.id for g in read(tmp_path)}) == 6


def test_a_file_in_no_known_layout_is_one_line_with_its_fields(tmp_path: Path) -> None:
    path = write(tmp_path / "x.json", {"alpha": 1, "beta": 2})
    with pytest.raises(UserError, match=r"x\.json: its fields alpha, beta are no layout") as error:
        read(path)
    assert "\n" not in str(error.value) and "chosen and rejected" in str(error.value)
    with pytest.raises(UserError, match="fields prompt are no layout"):
        recognise([{"prompt": "What?"}], "x.json")


def test_records_that_are_not_of_the_files_layout_are_counted(tmp_path: Path) -> None:
    odd = [
        {**PAIRS["trl"], "chosen": None},
        {**PAIRS["trl"], "chosen": 3},
        {**PAIRS["trl"], "prompt": ""},
        {**PAIRS["trl"], "rejected": " "},
    ]
    skipped = Skipped()
    assert len(read(write(tmp_path / "x.json", PAIRS["trl"], *odd), skipped)) == 1
    assert skipped == {
        "it is not of the file's layout: Expected `object`, got `null`": 1,
        "it is not of the file's layout: Expected `object`, got `int`": 1,
        "a turn of the talk is empty": 1,
        "an answer is empty": 1,
    }


def test_a_damaged_record_goes_into_quarantine(tmp_path: Path) -> None:
    path = write(tmp_path / "x.json", *[{**PAIRS["trl"], "prompt": str(i)} for i in range(30)], 7)
    quarantine = Quarantine(Skipped())
    assert len(list(source.read(Place(path).quarantined(quarantine)))) == 30
    assert quarantine.skipped == {"damaged: Expected `object`, got `int`": 1}


def test_the_report_says_what_was_found(tmp_path: Path) -> None:
    write(tmp_path / "priority_sft.json", {"instruction": "Hi", "output": "Ho", "system": SYSTEM})
    write(tmp_path / "rest.json", PAIRS["sharegpt"], {**PAIRS["sharegpt"], "chosen": 1})
    assert notes(tmp_path) == (
        "priority_sft.json: 1 samples as instruction with output, tiers in system; family "
        "priority; split sft; 0 records not read",
        "rest.json: 1 samples as messages with chosen and rejected, tiers in system and persona; "
        "family helpful, as its name holds none; split not named; 1 records not read",
        "2 samples: less than the paper's 38.9k",
        "2 different texts of System Info and User Info: less than the paper's more than 12k "
        "preferences",
    )
    assert source.notes is notes


@pytest.mark.parametrize(
    ("samples", "preferences", "words"),
    [
        (38_849, 11_999, ("less than", "less than")),
        (38_850, 12_000, ("as many as", "as many as")),
        (38_949, 12_999, ("as many as", "as many as")),
        (38_950, 13_000, ("more than", "more than")),
    ],
)
def test_numbers_are_compared_as_the_paper_rounds_them(
    samples: int, preferences: int, words: tuple[str, str]
) -> None:
    lines = compared(samples, preferences)
    assert all(f"{word} the paper's" in line for word, line in zip(words, lines, strict=True))


def test_real_files_of_other_people_are_recognised_or_refused(tmp_path: Path) -> None:
    pairs = real_file("dpo_with_system_turns.jsonl.gz")
    assert notes(pairs)[0] == (
        "dpo_with_system_turns.jsonl.gz: 300 samples as messages with chosen and rejected; family "
        "helpful, as its name holds none; split dpo; 0 records not read"
    )
    skipped = Skipped()
    groups = read(pairs, skipped)
    assert sum(len(v.annotations) or 1 for g in groups for v in g.views) == 300 - skipped.total()
    assert sum(bool(v.meta_prompt.system_info) for g in groups for v in g.views) > 70
    answered = notes(real_file("roleplay_instructions.jsonl.gz"))[0]
    assert "3,146 samples as instruction with output" in answered
    with pytest.raises(UserError, match=r"Best Answer.* no layout that is known"):
        read(real_file("truthfulqa.jsonl.gz"))
