"""Multifaceted Collection: each system message puts the answer that was written for it first."""

from pathlib import Path
from typing import Any

from tests.data.sources.asking import order_of
from tests.data.sources.published import write_lines

from metaalign.data.sources import SOURCES, Skipped
from metaalign.schema import SYSTEM_INFO, Preference

read = SOURCES["multifaceted"].read


def line(number: int, style: str, **changes: Any) -> dict[str, Any]:
    return {
        "main_source": "made",
        "original_source": "made",
        "preference_set": [
            {
                "dimension": "style",
                "subdimension": "tone",
                "preference": style,
                "description": f"The answer sounds {style}.",
            }
        ],
        "system": f"You are a gardener who sounds {style}.",
        "prompt": f"Who are you, {number}?",
        "output": f"A {style} gardener of bed {number}.",
        **changes,
    }


def test_every_two_system_messages_flip(tmp_path: Path) -> None:
    styles = ("cheerful", "solemn", "dry")
    lines = [line(i, style) for style in styles for i in range(30)]
    groups = list(read(write_lines(tmp_path / "x.jsonl", lines)))
    assert len(groups) == 30
    places = set()
    for i, group in enumerate(groups):
        assert len(group.views) == len(group.candidates) == 3
        assert {(v, w) for v, w, _, _ in group.flips()} == {(0, 1), (0, 2), (1, 2)}
        for view in group.views:
            (asked,) = view.preferences
            best = f"A {asked.value} gardener of bed {i}."
            assert order_of(group, view)[0] == best and len(set(view.ranks)) == 2
            assert view.meta_prompt.system_info == f"You are a gardener who sounds {asked.value}."
            wording = f"The answer sounds {asked.value}."
            assert asked == Preference(SYSTEM_INFO, "tone", asked.value, wording)
            places.add([c.text for c in group.candidates].index(best))
    assert places == {0, 1, 2}


def test_without_a_preference_set_the_rules_read(tmp_path: Path) -> None:
    lines = [
        line(1, "x", system=f"Keep answers {length}.", output=length, preference_set=None)
        for length in ("short", "long")
    ]
    (group,) = read(write_lines(tmp_path / "x.jsonl", lines))
    asked = {p.value: order_of(group, v)[0] for v in group.views for p in v.preferences}
    assert asked["short"] == "short"


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    lines = [line(1, "dry"), line(2, "dry"), line(2, "odd", output=""), line(3, "dry", prompt=" ")]
    skipped = Skipped()
    assert list(read(write_lines(tmp_path / "x.jsonl", lines), skipped=skipped)) == []
    assert skipped == {
        "there is one answer to the instruction": 2,
        "the prompt, the system message or the answer is empty": 2,
    }
