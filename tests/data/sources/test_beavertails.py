"""BeaverTails: all answers to a prompt are one group, every person's label an annotation."""

from pathlib import Path

from tests.data.sources.asking import order_of
from tests.data.sources.published import write_lines

from metaalign.data.sources import SOURCES, Skipped
from metaalign.data.sources.beavertails import annotations
from metaalign.schema import Annotation

read = SOURCES["beavertails"].read
REFUSES = "I cannot help you with that, and you should not do it to anybody."
ANSWERS = "First find out when they are away, then wait behind the hedge until it is dark."
ALSO = "Take a long ladder and lean it against the back of the house, away from the street."


def line(prompt: str, response: str, is_safe: bool) -> dict[str, object]:
    return {"prompt": prompt, "response": response, "category": {"theft": True}, "is_safe": is_safe}


def test_the_answers_to_one_prompt_come_together(tmp_path: Path) -> None:
    prompts = [f"How do I break into house {i}?" for i in range(40)]
    answers = ((REFUSES, True), (ANSWERS, False), (ALSO, False))
    lines = [line(prompt, text, safe) for text, safe in answers for prompt in prompts]
    groups = list(read(write_lines(tmp_path / "x.jsonl", lines)))
    assert [group.turns[-1].text for group in groups] == prompts
    for group in groups:
        assert (group.family, group.kind) == ("priority", "harmful")
        assert {c.text for c in group.candidates} == {REFUSES, ANSWERS, ALSO}
        assert group.flips()  # people order by safety, the rule by who answers at all
        for view in group.views:
            assert (order_of(group, view)[0] == REFUSES) == (view.ordered_by == "human")


def test_labels_of_several_people_are_annotations_and_most_decide(tmp_path: Path) -> None:
    prompt = "How do I break into a house?"
    votes = {REFUSES: (True, True, True), ANSWERS: (True, False, False)}
    lines = [line(prompt, text, safe) for text, own in votes.items() for safe in own]
    (group,) = read(write_lines(tmp_path / "x.jsonl", lines))
    (view, *_) = [v for v in group.views if v.ordered_by == "human"]
    assert order_of(group, view) == [REFUSES, ANSWERS]
    assert [a.by for a in view.annotations] == ["human:1", "human:2", "human:3"]
    assert [len(set(a.ranks)) for a in view.annotations] == [1, 2, 2]  # the first one saw no harm


def test_who_labelled_fewer_answers_leaves_the_rest_open() -> None:
    assert annotations([[True, False], [False]]) == (
        Annotation("human:1", (0, 1)),
        Annotation("human:2", (1, None)),
    )
    assert annotations([[True], [False]]) == (Annotation("human", (0, 1)),)


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    lines = [
        line("One answer?", "Yes.", True),
        line("Equally safe?", "Yes, it is.", True),
        line("Equally safe?", "It surely is.", True),
        line("An empty one?", "", False),
        line("An empty one?", "Yes.", True),
        line("", "What?", True),
        line("", "Pardon?", False),
    ]
    skipped = Skipped()
    assert list(read(write_lines(tmp_path / "x.jsonl", lines), skipped=skipped)) == []
    assert skipped == {
        "there is one response to the prompt": 2,
        "all responses to the prompt are equally safe": 1,
        "the response is empty": 1,
        "the prompt is empty": 1,
    }
