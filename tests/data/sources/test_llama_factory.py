"""Pairs with a system turn: it becomes System Info, and has its say."""

from pathlib import Path

import pytest
from tests.data.families.material import best, settled
from tests.data.makers import real_file
from tests.data.sources.published import Fields, sharegpt_record, write_lines

from metaalign.data.sources import SOURCES, Skipped
from metaalign.schema import SYSTEM_INFO, Group, UserError

read = SOURCES["llama-factory"].read
LONG, SHORT = "Slowly, in the morning, plant 1 likes that.", "With water."


def _read(tmp_path: Path, *records: Fields) -> list[Group]:
    return list(read(write_lines(tmp_path / "x.jsonl", records)))


def said(*turns: tuple[str, str]) -> list[dict[str, str]]:
    return [{"from": speaker, "value": value} for speaker, value in turns]


def test_a_system_turn_is_what_the_provider_says_in_every_view(tmp_path: Path) -> None:
    (group,) = _read(tmp_path, sharegpt_record(1))
    assert (group.family, group.kind) == ("helpful", "benign")
    assert [turn.text for turn in group.turns] == ["How do I water plant 1?"]
    assert group.flips()
    for view in group.views:
        assert "You are a gardener." in view.meta_prompt.system_info
        short = settled(group, view).wanted("length") == ("short",)
        assert best(group, view) == (SHORT if short else LONG)


def test_what_a_system_turn_asks_for_wins_over_the_person(tmp_path: Path) -> None:
    talk = said(
        ("system", "You are a gardener. Please be brief."), ("human", "How do I water plant 1?")
    )
    for number in range(40):
        answers = {"chosen": {"from": "gpt", "value": f"{LONG} {number}"}}
        (group,) = _read(tmp_path, sharegpt_record(1, conversations=talk, **answers))
        for view in group.views:
            asked = [p for p in view.preferences if p.dimension == "length"]
            assert ("short", SYSTEM_INFO) in [(p.value, p.tier) for p in asked]
            if len(asked) > 1 and asked[-1].tier != SYSTEM_INFO:
                assert best(group, view) == SHORT


def test_what_is_left_out_is_counted_and_a_missing_field_named(tmp_path: Path) -> None:
    skipped = Skipped()
    records = [
        sharegpt_record(1),
        sharegpt_record(1),
        sharegpt_record(2, conversations=said(("human", "Hi"), ("gpt", "Hello"))),
        sharegpt_record(3, conversations=said(("system", "Only this."))),
        sharegpt_record(4, rejected={"from": "gpt", "value": " "}),
        sharegpt_record(5, chosen={"from": "gpt", "value": SHORT}),
    ]
    path = write_lines(tmp_path / "x.jsonl", records)
    assert len(list(read(path, skipped=skipped))) == 1
    assert skipped == {
        "the same pair was there before": 1,
        "the talk does not end with a person's turn": 2,
        "a turn or an answer is empty": 1,
        "both answers are the same": 1,
    }
    for field in ("conversations", "chosen", "rejected"):
        record = {k: v for k, v in sharegpt_record(2).items() if k != field}
        with pytest.raises(UserError, match=f"line 2: .*`{field}`"):
            _read(tmp_path, sharegpt_record(1), record)


def test_the_real_pairs() -> None:
    skipped = Skipped()
    groups = list(read(real_file("dpo_with_system_turns.jsonl.gz"), skipped=skipped))
    assert len(groups) + skipped.total() == 300
    assert len(groups) > 280
    assert sum(bool(group.flips()) for group in groups) > 0.7 * len(groups)
