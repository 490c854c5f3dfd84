"""HelpSteer: five attributes as wishes, and every person's comparison kept."""

from pathlib import Path
from typing import Any

import pytest
from tests.data.sources.asking import best_by, order_of
from tests.data.sources.published import write_lines

from metaalign.data.families import agreement
from metaalign.data.sources import SOURCES, Skipped
from metaalign.data.sources.helpsteer2 import comparisons, parse_turns
from metaalign.schema import Annotation, Turn

two, three = SOURCES["helpsteer2"], SOURCES["helpsteer3"]
PLAIN, DEEP = "It is a tree.", "It is a pinnate dicot, family Sapindaceae."


def rated(prompt: str, response: str, ratings: str) -> dict[str, Any]:
    names = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")
    found = dict(zip(names, map(int, ratings), strict=True))
    return {"prompt": prompt, "response": response, **found}


def compared(*strengths: int, **changes: Any) -> dict[str, Any]:
    return {
        "split": "val",
        "prompt": "What is a maple?",
        "response_1": PLAIN,
        "response_2": DEEP,
        "preference_strength": 1,
        "preference_statement": "Because.",
        "all_preferences_unprocessed": [
            {"strength": s, "justification": "So.", "elaboration": ""} for s in strengths
        ],
        **changes,
    }


def test_attributes_are_what_somebody_asks_for(tmp_path: Path) -> None:
    lines = []
    for i in range(80):
        prompt = f"What is tree {i}?"
        lines += [rated(prompt, PLAIN, "43400"), rated(prompt, DEEP, "24444")]
    best = {
        ("length", "short"): PLAIN,
        ("length", "long"): DEEP,
        ("audience", "beginner"): PLAIN,
        ("audience", "expert"): DEEP,
        ("quality", "truthfulness"): DEEP,
    }
    seen, overall = set(), 0
    for group in two.read(write_lines(tmp_path / "x.jsonl.gz", lines)):
        for dimension in ("length", "audience", "quality"):
            for value, answer in best_by(group, dimension).items():
                # Where the tiers contradict each other the Matrix decides: two values, not here.
                assert answer == best[dimension, value]
                seen.add((dimension, value))
        for view in group.views:
            if not {p.dimension for p in view.preferences} & {"length", "audience", "quality"}:
                assert order_of(group, view) == [PLAIN, DEEP]
                overall += 1
    # Coherence is the same for both: nothing to ask for.
    assert seen == set(best) and overall > 60


def test_several_turns_are_parted() -> None:
    prompt = "Hello\n<extra_id_1>Assistant\nHi!\n<extra_id_1>User\nWhat is\n\na maple?"
    assert parse_turns(prompt) == (
        Turn("user", "Hello"),
        Turn("assistant", "Hi!"),
        Turn("user", "What is\n\na maple?"),
    )


def test_strengths_are_orders_and_neither_is_none() -> None:
    assert comparisons([-2, 0, 3, -100]) == (
        Annotation("human:1", (0, 1)),
        Annotation("human:2", (0, 0)),
        Annotation("human:3", (1, 0)),
    )
    assert comparisons([2]) == (Annotation("human", (1, 0)),)
    assert comparisons([-100]) == ()


def test_every_persons_comparison_is_kept(tmp_path: Path) -> None:
    (group,) = two.read(write_lines(tmp_path / "x.jsonl", [compared(1, 2, -1)]))
    assert group.split == "val"
    views = [view for view in group.views if view.annotations]
    assert views
    for view in views:
        assert order_of(group, view) == [DEEP, PLAIN]  # two of three
        better = [group.candidates[a.ranks.index(0)].text for a in view.annotations]
        assert better == [DEEP, DEEP, PLAIN]
    # Krippendorff's ordinal alpha of two units by three raters, ranks (1,1,0) and (0,0,1), by
    # hand: with two values it is the nominal one, 1 - Do/De = 1 - (2/3) / (3/5) = -1/9.
    assert agreement(views[:1]) == pytest.approx(-1 / 9)


def test_helpsteer3_keeps_the_talk_and_the_people(tmp_path: Path) -> None:
    line = {
        "domain": "general",
        "language": "english",
        "context": [
            {"role": "system", "content": "You know plants."},
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hi!"},
            {"role": "user", "content": "What is a maple?"},
        ],
        "response1": PLAIN,
        "response2": DEEP,
        "overall_preference": -1,
        "individual_preference": [
            {"score": s, "reasoning": "So.", "feedback1": "", "feedback2": ""} for s in (-2, -1, 1)
        ],
    }
    tie = {**line, "response1": "Wood.", "overall_preference": 0, "individual_preference": []}
    skipped = Skipped()
    path = write_lines(tmp_path / "x.jsonl", [line, line, tie, {**line, "response2": None}])
    group, other = three.read(path, skipped=skipped)
    assert group.turns[1:] == (Turn("assistant", "Hi!"), Turn("user", "What is a maple?"))
    assert all("You know plants." in view.meta_prompt.system_info for view in group.views)
    counted = [view for view in group.views if view.ordered_by == "human"]
    assert counted and all(order_of(group, v) == [PLAIN, DEEP] for v in counted)
    assert all(len(view.annotations) == 3 for view in counted)
    assert {view.ordered_by for view in other.views} == {"rule"}  # a tie: by length alone
    assert skipped == {
        "the same pair was there before": 1,
        "an answer is empty, or both are the same": 1,
    }
