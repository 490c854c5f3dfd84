"""The records: what they refuse, and what they derive."""

import msgspec
import pytest

from metaalign.schema import (
    Candidate,
    Decision,
    Dialogue,
    Group,
    MetaPrompt,
    Resolution,
    TierText,
    Turn,
    Verdict,
    View,
)


def group(*ranks: tuple[int | None, ...]) -> Group:
    candidates = tuple(Candidate(name, "human") for name in "abc"[: len(ranks[0])])
    views = tuple(View(MetaPrompt.of(str(i)), r, "human") for i, r in enumerate(ranks))
    return Group("g", "s", "helpful", "benign", (Turn("user", "q"),), candidates, views)


def test_a_silent_tier_is_absent() -> None:
    assert MetaPrompt.of("", "me") == MetaPrompt((TierText("user_info", "me"),))
    assert MetaPrompt.of("a", "b", team="t").tiers == (
        TierText("system_info", "a"),
        TierText("team", "t"),
        TierText("user_info", "b"),
    )


@pytest.mark.parametrize("tiers", [[{"tier": "a", "text": ""}], [{"tier": "a", "text": "x"}] * 2])
def test_a_file_with_an_empty_or_doubled_tier_is_refused(tiers: list[dict[str, str]]) -> None:
    with pytest.raises(msgspec.ValidationError, match="tier"):
        msgspec.json.decode(msgspec.json.encode({"tiers": tiers}), type=MetaPrompt)


def test_the_query_is_the_last_user_turn() -> None:
    talk = Dialogue.ask("one").answered("two")
    assert talk.query == "one"
    assert Dialogue(MetaPrompt(), ()).query == ""


def test_pairs_leave_out_ties_and_what_nobody_ordered() -> None:
    assert group((0, 1, 1)).views[0].pairs() == [(0, 1), (0, 2)]
    assert group((0, None, 1)).views[0].pairs() == [(0, 2)]


def test_a_flip_is_a_pair_that_two_views_order_oppositely() -> None:
    assert group((0, 1, 2), (1, 0, 2)).flips() == [(0, 1, 0, 1)]
    assert group((0, 1, 2), (0, 1, 2)).flips() == []
    assert group((0, 1), (1, 1)).flips() == []
    assert group((0, 1), (1, 0), (1, 0)).flips() == [(0, 1, 0, 1), (0, 2, 0, 1)]


def test_what_a_behaviour_lifts_is_not_wanted() -> None:
    decisions = (
        Decision("length", "short", "user_info", "lifted", applies=False),
        Decision("include", "moss", "user_info", "unopposed"),
        Decision("include", "fern", "system_info", "unopposed"),
    )
    resolution = Resolution("m", "harmful", "refuse", "cell", decisions=decisions)
    assert resolution.wanted("length") == ()
    assert resolution.wanted("include") == ("moss", "fern")


def test_an_answer_obeys_only_with_everything_in_it() -> None:
    asked = (("length", "short", True), ("tone", "formal", False))
    assert not Verdict(True, True, asked).obeyed
    assert Verdict(True, True, asked).share == 0.75
    assert Verdict(True, True, asked[:1]).obeyed
    assert not Verdict(False, True).obeyed
