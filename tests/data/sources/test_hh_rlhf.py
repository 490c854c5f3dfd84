"""Helpful and harmless pairs: the talk in turns, the person's order, and what they judged."""

from pathlib import Path

from tests.data.makers import real_file
from tests.data.sources.published import Fields, hh_record, write_lines

from metaalign.data.sources import SOURCES, Skipped
from metaalign.data.sources.hh_rlhf import parse_talk
from metaalign.data.sources.wordings import wordings
from metaalign.schema import SYSTEM_INFO, USER_INFO, Group, Turn

read = SOURCES["hh-rlhf"].read


def _read(tmp_path: Path, *records: Fields) -> list[Group]:
    return list(read(write_lines(tmp_path / "x.jsonl", records)))


def test_a_talk_is_cut_where_a_speaker_opens_a_paragraph() -> None:
    prompt = "Human: One\n\ntwo Human: three\n\nAssistant:  Four\nAssistant: five\n\nHuman: Six"
    assert parse_talk(prompt) == (
        Turn("user", "One\n\ntwo Human: three"),
        Turn("assistant", "Four\nAssistant: five"),
        Turn("user", "Six"),
    )
    assert parse_talk("\n\nHuman: Published with blank lines before it") == (
        Turn("user", "Published with blank lines before it"),
    )


def test_a_speaker_named_twice_goes_on_speaking() -> None:
    assert parse_talk("Human: One\n\nHuman: two") == (Turn("user", "One\n\ntwo"),)


def test_a_text_without_a_speaker_is_no_talk() -> None:
    assert parse_talk("Just a text.\n\nHuman: Hi") == ()
    assert parse_talk("") == ()


def test_the_preferred_response_is_the_labelled_one(tmp_path: Path) -> None:
    first, second = _read(tmp_path, hh_record(1), hh_record(2, original_label=1))
    assert first.views[0].pairs() == [(0, 1)]
    assert second.views[0].pairs() == [(1, 0)]
    assert [c.text for c in second.candidates] == [
        "Knead and bake loaf 2.",
        "No idea about loaf 2.",
    ]
    assert first.turns[-1] == Turn("user", "How do I bake bread 1?")
    assert first.views[0].ordered_by == "human"


def test_what_was_judged_comes_first_in_either_tier(tmp_path: Path) -> None:
    records = [hh_record(i, data_subset=("harmless", "helpful")[i % 2]) for i in range(400)]
    places = set()
    for i, group in enumerate(_read(tmp_path, *records)):
        (view,) = group.views
        (asked,) = view.preferences
        (said,) = view.meta_prompt.tiers
        assert said.text == asked.wording and said.tier == asked.tier
        assert asked.dimension == "priority"
        if i % 2 == 0:
            assert (group.family, group.kind, asked.value) == ("priority", "harmful", "safety")
        else:
            assert (group.family, group.kind, asked.value) == ("helpful", "benign", "helpfulness")
        assert asked.wording in getattr(getattr(wordings().hh_rlhf, asked.value), asked.tier)
        places.add((asked.value, asked.tier, asked.wording))
    # Two priorities in two tiers, four wordings each, all used.
    assert len(places) == 16
    assert {tier for _, tier, _ in places} == {SYSTEM_INFO, USER_INFO}


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    records = [
        hh_record(1),
        hh_record(1),
        hh_record(2, prompt="No speaker"),
        hh_record(3, prompt="Human: \n\nAssistant: Hm?\n\nHuman: Hi"),
        hh_record(4, prompt="Human: Hi\n\nAssistant: Hello"),
        hh_record(5, responses=["", "x"]),
        hh_record(6, responses=["x", " x"]),
    ]
    skipped = Skipped()
    groups = list(read(write_lines(tmp_path / "x.jsonl", records), skipped=skipped))
    assert len(groups) == 1
    assert sorted(skipped.items()) == [
        ("a response is empty", 1),
        ("a turn of the talk is empty", 1),
        ("both responses are the same", 1),
        ("the prompt does not open with a speaker", 1),
        ("the same pair was there before", 1),
        ("the talk does not end with a person's turn", 1),
    ]


def test_pairs_of_one_talk_have_one_query(tmp_path: Path) -> None:
    first, second = _read(tmp_path, hh_record(1), hh_record(1, responses=["a", "b"]))
    assert first.query_id == second.query_id
    assert first.id != second.id


def test_the_real_pairs() -> None:
    skipped = Skipped()
    groups = list(read(real_file("hh_rlhf_pairs.jsonl.gz"), skipped=skipped))
    assert len(groups) + skipped.total() == 3922
    assert skipped.total() < 40  # under 1 %
    assert len({g.id for g in groups}) == len(groups)
    # The label is drawn in the published file: standard deviation 31; five of them.
    assert abs(sum(g.views[0].ranks[0] == 0 for g in groups) - len(groups) / 2) < 157
    for group in groups:
        roles = [turn.role for turn in group.turns]
        assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]
        assert all(turn.text == turn.text.strip() != "" for turn in group.turns)
