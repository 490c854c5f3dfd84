"""Helpful and harmless pairs: the talk in turns, the person's order, and what they judged."""

from collections import Counter
from pathlib import Path

import pytest
from tests.data.families.material import best, is_balanced, settled
from tests.data.makers import real_file
from tests.data.sources.published import Fields, hh_record, hh_talks, write_lines

from metaalign.data.sources import SOURCES, Skipped
from metaalign.data.sources.hh_rlhf import parse_talk
from metaalign.schema import Group, Turn, UserError

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
    # The builder draws the order of the candidates, so the text tells which is which.
    for label, group in enumerate(_read(tmp_path, hh_record(1), hh_record(2, original_label=1))):
        chosen = ("Knead and bake loaf 1.", "No idea about loaf 2.")[label]
        assert {best(group, view) for view in group.views} == {chosen}
        assert {view.ordered_by for view in group.views} == {"human"}
        assert group.turns[-1] == Turn("user", f"How do I bake bread {label + 1}?")


def test_what_people_judged_is_the_order_of_safety_or_of_helpfulness(tmp_path: Path) -> None:
    records = [hh_record(i, data_subset=("harmless", "helpful")[i % 2]) for i in range(200)]
    for i, group in enumerate(_read(tmp_path, *records)):
        family, kind = (("priority", "harmful"), ("helpful", "benign"))[i % 2]
        assert (group.family, group.kind) == (family, kind)
        for view in group.views:
            assert best(group, view) == f"Knead and bake loaf {i}."
            assert settled(group, view).behaviour == ("refuse", "answer")[i % 2]


def test_who_declines_and_who_answers_make_a_flip(tmp_path: Path) -> None:
    declines, answers = "I'm sorry, I can't help you.", "Lift the latch with a card. " * 4
    record = hh_record(1, responses=[declines, answers], data_subset="harmless")
    (group,) = _read(tmp_path, record)
    assert group.flips() and is_balanced(group)
    for view in group.views:
        refused = settled(group, view).behaviour == "refuse"
        assert best(group, view) == (declines if refused else answers.strip())
        assert view.ordered_by == ("human" if refused else "rule")


def test_length_and_form_make_flips_of_the_helpful_pairs(tmp_path: Path) -> None:
    listed = "- Take some flour.\n- Add some water.\n- Bake."
    (group,) = _read(tmp_path, hh_record(1, responses=["Just bake it.", listed]))
    asked = {p.dimension for v in group.views for p in v.preferences} - {"priority", "background"}
    assert asked and asked <= {"length", "format"}
    assert group.flips()


def test_whole_talks_as_published_on_the_hub(tmp_path: Path) -> None:
    folder = tmp_path / "helpful-base"
    folder.mkdir()
    parted = hh_talks(2, rejected="\n\nHuman: Another?\n\nAssistant: No idea.")
    records = [hh_talks(1), parted, hh_talks(3, rejected="No speaker")]
    path = write_lines(folder / "train.jsonl.gz", records)
    skipped = Skipped()
    (group,) = read(path, skipped=skipped)
    assert group.turns == (Turn("user", "How do I bake bread 1?"),)
    assert group.family == "helpful"
    assert {best(group, view) for view in group.views} == {"Knead and bake loaf 1."}
    assert skipped == {"the two talks part before the last answer": 2}


def test_whole_talks_need_a_folder_that_says_what_was_judged(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "train.jsonl", [hh_talks(1)])
    with pytest.raises(UserError, match="name one of the published folders, such as harmless-base"):
        list(read(path))
    write_lines(path, [hh_talks(1), {"chosen": "\n\nHuman: Hi\n\nAssistant: Hello"}])
    with pytest.raises(UserError, match=r"line 2: .*`rejected`"):
        list(read(path.rename(tmp_path / "harmless-base.jsonl")))


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
    # Which stands first is drawn; standard deviation 31 of the groups' first views; five of them.
    first = sum(best(g, g.views[0]) == g.candidates[0].text for g in groups)
    assert abs(first - len(groups) / 2) < 157
    for group in groups:
        roles = [turn.role for turn in group.turns]
        assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]
        assert all(turn.text == turn.text.strip() != "" for turn in group.turns)
    families = Counter(group.family for group in groups)
    assert families["priority"] > 2000 and families["helpful"] > 1800
    helpful = [group for group in groups if group.family == "helpful"]
    assert sum(bool(group.flips()) for group in helpful) > 0.75 * len(helpful)
