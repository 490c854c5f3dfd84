"""Who wins where the order counts: of values that demand more or less, and of turns of the talk."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from tests.policy.makers import MATRIX, decision, in_matrix, system, user

from metaalign.policy import PriorityMatrix, load_matrix, resolve, resolve_dialogue
from metaalign.schema import (
    SYSTEM_INFO,
    USER_INFO,
    Decision,
    Dialogue,
    MetaPrompt,
    Preference,
    Turn,
)

# ---- ordered: none > mild > allowed --------------------------------------------------------------


@pytest.mark.parametrize(
    ("above", "below", "held", "tier", "rule"),
    [
        ("none", "allowed", "none", SYSTEM_INFO, "higher-tier"),
        ("mild", "allowed", "mild", SYSTEM_INFO, "higher-tier"),
        ("mild", "none", "none", USER_INFO, "tightened"),
        ("allowed", "mild", "mild", USER_INFO, "tightened"),
        ("mild", "mild", "mild", SYSTEM_INFO, "unopposed"),
    ],
)
def test_a_lower_tier_tightens_and_never_loosens(
    above: str, below: str, held: str, tier: str, rule: str
) -> None:
    asked = [user("profanity", below), system("profanity", above)]
    found = decision(resolve(asked, "benign", MATRIX), "profanity")
    assert (found.value, found.tier, found.rule) == (held, tier, rule)
    assert {p.value for p in found.overridden} == {above, below} - {held}


def test_within_a_tier_the_most_demanding_holds() -> None:
    lost, won = user("profanity", "allowed"), user("profanity", "none")
    found = decision(resolve([lost, won], "benign", MATRIX), "profanity")
    assert found == Decision("profanity", "none", USER_INFO, "within-tier", (lost,), asked=(won,))


def test_a_refusal_has_no_swear_words_either() -> None:
    found = decision(resolve([user("profanity", "none")], "severe", MATRIX), "profanity")
    assert found.applies


def test_of_four_tiers_the_most_demanding_holds_and_who_is_above_is_told() -> None:
    matrix = load_matrix("organisation")
    asked = [
        Preference(tier, "profanity", value)
        for tier, value in zip(matrix.tiers, ("allowed", "mild", "none", "mild"), strict=True)
    ]
    found = decision(resolve(asked, "benign", matrix), "profanity")
    assert (found.value, found.tier, found.rule) == ("none", "team_info", "tightened")


@settings(max_examples=300, deadline=None)
@given(in_matrix())
def test_what_holds_satisfies_every_tier_that_spoke(
    drawn: tuple[PriorityMatrix, list[Preference]],
) -> None:
    """By hand: the last turn in which a tier says anything of it, and there the most demanding."""
    matrix, asked = drawn
    ranks = matrix.dimensions["profanity"].values
    said = [p for p in asked if p.dimension == "profanity"]
    held = resolve(asked, "benign", matrix).wanted("profanity")
    assert len(held) == bool(said)
    for tier in {p.tier for p in said}:
        own = [
            (-1 if p.turn is None else p.turn, ranks.index(p.value)) for p in said if p.tier == tier
        ]
        last = max(turn for turn, _ in own)
        assert ranks.index(held[0]) <= min(rank for turn, rank in own if turn == last)


# ---- the talk ------------------------------------------------------------------------------------


def test_within_a_tier_the_later_turn_holds() -> None:
    first, second, third = (
        user("length", "short"),
        user("length", "long", 0),
        user("length", "short", 4),
    )
    found = decision(resolve([second, first], "benign", MATRIX), "length")
    assert found == Decision("length", "long", USER_INFO, "later-turn", (first,), asked=(second,))
    found = decision(resolve([second, third, first], "benign", MATRIX), "length")
    assert (found.value, found.rule) == ("short", "later-turn")
    assert (found.overridden, found.asked) == ((second,), (third, first))


def test_two_things_asked_for_in_one_turn_are_settled_as_within_a_tier() -> None:
    asked = [user("tone", "formal", 2), user("tone", "playful", 2), user("tone", "friendly")]
    found = decision(resolve(asked, "benign", MATRIX), "tone")
    assert (found.value, found.rule) == ("formal", "within-tier")


def test_no_turn_wins_over_a_higher_tier() -> None:
    asked = [system("length", "short"), user("length", "long", 6)]
    found = decision(resolve(asked, "benign", MATRIX), "length")
    assert (found.value, found.tier, found.rule) == ("short", SYSTEM_INFO, "higher-tier")


@pytest.mark.parametrize(("first", "then"), [("include", "avoid"), ("avoid", "include")])
def test_a_word_follows_the_later_turn(first: str, then: str) -> None:
    lost, won = user(first, "moss"), user(then, "Moss", 2)
    resolution = resolve([won, lost], "benign", MATRIX)
    assert resolution.decisions == (
        Decision(then, "Moss", USER_INFO, "later-turn", (lost,), asked=(won,)),
    )


def test_a_tier_may_loosen_later_what_it_asked_for_itself() -> None:
    asked = [user("profanity", "none"), user("profanity", "allowed", 2)]
    found = decision(resolve(asked, "benign", MATRIX), "profanity")
    assert (found.value, found.rule) == ("allowed", "later-turn")
    found = decision(resolve([*asked, system("profanity", "mild")], "benign", MATRIX), "profanity")
    assert (found.value, found.tier) == ("mild", SYSTEM_INFO)


def test_a_tier_puts_first_what_it_said_last_and_what_has_a_say() -> None:
    asked = [user("priority", "safety"), user("priority", "helpfulness", 2)]
    resolution = resolve(asked, "harmful", MATRIX)
    assert (resolution.behaviour, resolution.cell) == ("answer", "harmful[-, helpfulness]")
    assert decision(resolution, "priority").rule == "harmful[-, helpfulness]/later-turn"
    # What it said last of all has no say in such a query.
    with_more = resolve([*asked, user("priority", "consensus", 4)], "harmful", MATRIX)
    assert with_more.cell == "harmful[-, helpfulness]"


TALK = Dialogue(
    MetaPrompt.of("Be formal.", "Please keep your answers short."),
    (
        Turn("user", "How do I boil an egg?"),
        Turn("assistant", "In water."),
        Turn("user", "From now on, please give me long answers. How do I boil rice?"),
    ),
)


def test_the_talk_is_read_for_the_tier_that_the_matrix_names(tmp_path: Path) -> None:
    found = decision(resolve_dialogue(TALK, MATRIX), "length")
    assert (found.value, found.tier, found.rule) == ("long", USER_INFO, "later-turn")
    path = tmp_path / "quiet.toml"
    path.write_text('extends = "default"\nname = "quiet"\nversion = "1"\ntalk = ""\n')
    quiet = load_matrix(path)
    assert quiet.talk is None
    assert decision(resolve_dialogue(TALK, quiet), "length").value == "short"
