"""Groups for the tests of ``data``: small ones by hand, and any at all by Hypothesis."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from metaalign.schema import (
    USER_INFO,
    Candidate,
    Group,
    MetaPrompt,
    Preference,
    TierText,
    Turn,
    View,
)

REAL_DATA = Path(__file__).parents[2].parent / "shared" / "data"


def real_file(name: str) -> Path:
    """A published file; the test that asks for it is skipped where it is absent."""
    path = REAL_DATA / name
    if not path.exists():
        pytest.skip(f"the real data is not here: {path}")
    return path


def make_group(name: str, query: str = "", **changes: Any) -> Group:
    """A group of two candidates and two views that order them oppositely."""
    views = tuple(
        View(
            MetaPrompt.of(system_info="You help.", user_info=f"I like {length} answers."),
            ranks=ranks,
            ordered_by="rule",
            preferences=(Preference(USER_INFO, "length", length, f"I like {length} answers."),),
        )
        for length, ranks in (("short", (0, 1)), ("long", (1, 0)))
    )
    fields = {
        "source": "made",
        "family": "helpful",
        "kind": "benign",
        "turns": (Turn("user", query or f"What is {name}?"),),
        "candidates": (Candidate("Short.", "rule"), Candidate("Rather long.", "rule")),
        "views": views,
    }
    return Group(id=name, **{**fields, **changes})


def make_groups(count: int, prefix: str = "g") -> list[Group]:
    return [make_group(f"{prefix}{i}") for i in range(count)]


_TEXT = st.text(max_size=20)
_TIER = st.sampled_from(["system_info", "team", "user_info"])
_TURN = st.builds(Turn, role=st.sampled_from(["user", "assistant"]), text=_TEXT)
_PREFERENCE = st.builds(
    Preference,
    tier=_TIER,
    dimension=_TEXT,
    value=_TEXT,
    wording=_TEXT,
    explicit=st.booleans(),
    span=st.none() | st.tuples(st.integers(0, 99), st.integers(0, 99)),
)
_META_PROMPT = st.builds(
    MetaPrompt,
    # A tier that says nothing is absent.
    st.lists(
        st.builds(TierText, _TIER, st.text(min_size=1, max_size=20)),
        max_size=3,
        unique_by=lambda t: t.tier,
    ).map(tuple),
)


@st.composite
def groups(draw: st.DrawFn, name: str) -> Group:
    """Any group with the id ``name``: any texts, ties, and candidates that nobody ordered."""
    count = draw(st.integers(1, 4))
    ranks = st.lists(st.none() | st.integers(0, 3), min_size=count, max_size=count).map(tuple)
    view = st.builds(
        View,
        meta_prompt=_META_PROMPT,
        ranks=ranks,
        ordered_by=_TEXT,
        preferences=st.lists(_PREFERENCE, max_size=3).map(tuple),
    )
    return Group(
        id=name,
        source=draw(_TEXT),
        family=draw(st.sampled_from(["priority", "helpful", "consensus", "opinion"])),
        kind=draw(st.sampled_from(["benign", "sounds_harmful", "harmful", "severe", "contested"])),
        turns=tuple(draw(st.lists(_TURN, max_size=3))),
        candidates=tuple(
            draw(st.lists(st.builds(Candidate, _TEXT, _TEXT), min_size=count, max_size=count))
        ),
        views=tuple(draw(st.lists(view, max_size=4))),
        query_id=draw(_TEXT),
    )


@st.composite
def many_groups(draw: st.DrawFn, prefix: str = "g") -> list[Group]:
    count = draw(st.integers(0, 4))
    return [draw(groups(f"{prefix}{i}")) for i in range(count)]
