"""Who wins: one outcome for every set of preferences, whatever their order."""

import re
from itertools import product
from pathlib import Path
from typing import get_args

import pytest
from tests.policy.makers import (
    MATRIX,
    RULE_NAMES,
    decision,
    system,
    user,
    values,
)

from metaalign.policy import load_matrix, resolve, resolve_dialogue
from metaalign.schema import (
    SYSTEM_INFO,
    USER_INFO,
    Ambiguity,
    Classified,
    Decision,
    Dialogue,
    Kind,
    MetaPrompt,
    Preference,
    Reading,
    TierText,
    Turn,
    UserError,
)

STYLES = [name for name in MATRIX.dimensions if name != "background"]


# ---- the behaviour -------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULE_NAMES)
def test_two_tiers_are_read_from_the_table(rule: str) -> None:
    matrix = load_matrix(rule=rule)
    known = user("background", "town")
    stated = ("-", *MATRIX.priorities)
    for kind, higher, lower in product(get_args(Kind), stated, stated):
        asked = [system("priority", higher)] if higher != "-" else []
        asked += [user("priority", lower)] if lower != "-" else []
        resolution = resolve([*asked, known], kind, matrix)
        assert resolution.behaviour == matrix.outcome(kind, higher, lower).behaviour
        assert resolution.cell == f"{kind}[{higher}, {lower}]"
        assert resolution.matrix == matrix.label


def test_a_conflict_is_settled_and_tells_who_lost() -> None:
    asked = [system("priority", "safety"), user("priority", "helpfulness")]
    resolution = resolve(asked, "harmful", MATRIX)
    assert (resolution.behaviour, resolution.conflict) == ("refuse", True)
    assert decision(resolution, "priority") == Decision(
        "priority",
        "safety",
        SYSTEM_INFO,
        "harmful[safety, helpfulness]/system_first",
        (asked[1],),
        asked=(asked[0],),
    )
    resolution = resolve(asked, "harmful", load_matrix(rule="user_first"))
    assert decision(resolution, "priority") == Decision(
        "priority",
        "helpfulness",
        USER_INFO,
        "harmful[safety, helpfulness]/user_first",
        (asked[0],),
        asked=(asked[1],),
    )


def test_safety_first_lets_the_lower_tier_be_the_more_cautious() -> None:
    asked = [system("priority", "helpfulness"), user("priority", "safety")]
    resolution = resolve(asked, "harmful", load_matrix(rule="safety_first"))
    assert resolution.behaviour == "refuse"
    assert decision(resolution, "priority").tier == USER_INFO


def test_the_priority_that_decided_is_the_one_that_has_a_say() -> None:
    asked = [system("priority", "consensus"), user("priority", "helpfulness")]
    resolution = resolve(asked, "harmful", MATRIX)
    assert resolution.behaviour == "answer"
    assert [(d.value, d.rule, d.applies) for d in resolution.decisions] == [
        ("helpfulness", "harmful[consensus, helpfulness]", True),
        ("consensus", "no-say", False),
    ]


def test_no_priority_changes_a_floor() -> None:
    asked = user("priority", "helpfulness")
    resolution = resolve([asked], "severe", MATRIX)
    assert resolution.behaviour == "refuse"
    assert decision(resolution, "priority") == Decision(
        "priority", "helpfulness", USER_INFO, "floor", (), False, (asked,)
    )


def test_one_tier_may_put_first_what_does_not_contradict_itself() -> None:
    asked = [system("priority", "safety"), system("priority", "consensus")]
    known = user("background", "town")
    assert resolve([*asked, known], "harmful", MATRIX).cell == "harmful[safety, -]"
    assert resolve([*asked, known], "contested", MATRIX).cell == "contested[consensus, -]"


def test_one_tier_that_contradicts_itself_is_held_to_the_first_in_the_list() -> None:
    asked = [user("priority", "helpfulness"), user("priority", "safety")]
    resolution = resolve(asked, "harmful", MATRIX)
    assert resolution.behaviour == "refuse"
    found = decision(resolution, "priority")
    assert (found.value, found.rule) == ("safety", "harmful[-, safety]/within-tier")
    assert found.overridden == (asked[0],)


def test_a_personal_view_needs_a_person() -> None:
    asked = [user("priority", "background")]
    without = resolve(asked, "contested", MATRIX)
    assert without.behaviour == "consensus_view"
    assert without.cell == "contested[-, background]/needs-background"
    known = resolve([*asked, user("background", "town")], "contested", MATRIX)
    assert (known.behaviour, known.cell) == ("personal_view", "contested[-, background]")
    assert known.wanted("background") == ("town",)


@pytest.mark.parametrize("kind", [k for k in get_args(Kind) if k != "contested"])
def test_the_background_is_not_asked_outside_a_personal_view(kind: Kind) -> None:
    asked = user("background", "town")
    resolution = resolve([asked], kind, MATRIX)
    assert decision(resolution, "background") == Decision(
        "background", "town", USER_INFO, "not-asked", (), False, (asked,)
    )


@pytest.mark.parametrize(
    ("kind", "priority", "lifted"),
    [
        ("benign", "safety", set()),
        ("harmful", "safety", {"length", "format", "audience", "units", "follow_up"}),
        ("contested", "consensus", {"length", "audience", "units"}),
        ("contested", "background", {"length", "audience", "units"}),
    ],
)
def test_what_a_behaviour_lifts(kind: Kind, priority: str, lifted: set[str]) -> None:
    asked = [system("priority", priority), user("background", "town")]
    asked += [user(name, values(name)[0]) for name in STYLES if name != "avoid"]
    resolution = resolve(asked, kind, MATRIX)
    styles = [d for d in resolution.decisions if d.dimension in STYLES]
    assert {d.dimension for d in styles if not d.applies} == lifted
    assert all(d.rule.startswith("lifted-by-") for d in styles if not d.applies)


def test_a_refusal_names_its_rule() -> None:
    resolution = resolve([user("length", "short")], "severe", MATRIX)
    assert decision(resolution, "length").rule == "lifted-by-refusal"


# ---- the other dimensions ------------------------------------------------------------------------


def test_the_higher_tier_wins_and_tells_over_whom() -> None:
    lost, won = user("length", "long"), system("length", "short")
    found = decision(resolve([lost, won], "benign", MATRIX), "length")
    assert found == Decision("length", "short", SYSTEM_INFO, "higher-tier", (lost,), asked=(won,))


def test_who_agrees_is_not_overridden() -> None:
    asked = [user("length", "short"), system("length", "short")]
    found = decision(resolve(asked, "benign", MATRIX), "length")
    assert found == Decision(
        "length", "short", SYSTEM_INFO, "unopposed", asked=(asked[1], asked[0])
    )


@pytest.mark.parametrize(
    ("dimension", "values", "winner"),
    [
        ("tone", ("playful", "formal", "friendly"), "friendly"),
        ("format", ("numbered", "bullets"), "bullets"),
        ("sign_off", ("Zoe", "Ada", "Mo"), "Ada"),
    ],
)
def test_within_a_tier_the_first_in_the_list_or_alphabet_holds(
    dimension: str, values: tuple[str, ...], winner: str
) -> None:
    asked = [user(dimension, value) for value in values]
    found = decision(resolve(asked, "benign", MATRIX), dimension)
    assert (found.value, found.rule) == (winner, "within-tier")
    assert {p.value for p in found.overridden} == set(values) - {winner}


def test_every_word_to_include_holds_once() -> None:
    asked = [user("include", "moss"), system("include", "lamp"), system("include", "Moss")]
    resolution = resolve(asked, "benign", MATRIX)
    assert resolution.wanted("include") == ("lamp", "Moss")


@pytest.mark.parametrize(("higher", "lower"), [("include", "avoid"), ("avoid", "include")])
def test_a_word_to_include_and_to_avoid_goes_to_the_higher_tier(higher: str, lower: str) -> None:
    lost = user(lower, "moss")
    resolution = resolve([lost, system(higher, "Moss"), user(lower, "lamp")], "benign", MATRIX)
    assert resolution.wanted(higher) == ("Moss",)
    assert resolution.wanted(lower) == ("lamp",)
    (found,) = [d for d in resolution.decisions if d.dimension == higher]
    assert (found.rule, found.overridden) == ("higher-tier", (lost,))


def test_a_tier_that_wants_and_avoids_one_word_is_held_to_the_first_dimension() -> None:
    lost, won = user("avoid", "moss"), user("include", "moss")
    resolution = resolve([lost, won], "benign", MATRIX)
    assert decision(resolution, "include") == Decision(
        "include", "moss", USER_INFO, "within-tier", (lost,), asked=(won,)
    )
    assert resolution.wanted("avoid") == ()


# ---- more tiers ----------------------------------------------------------------------------------


@pytest.fixture
def three_tiers(tmp_path: Path) -> Path:
    path = tmp_path / "three.toml"
    tiers = 'tiers = ["system_info", "team_info", "user_info"]'
    path.write_text(f'extends = "default"\nname = "three"\nversion = "1"\n{tiers}\n')
    return path


def test_styles_go_to_the_highest_of_three_tiers(three_tiers: Path) -> None:
    asked = [user("length", "long"), Preference("team_info", "length", "short")]
    found = decision(resolve(asked, "benign", load_matrix(three_tiers)), "length")
    assert (found.value, found.tier) == ("short", "team_info")


@pytest.mark.parametrize(
    ("stated", "rule", "cell", "behaviour"),
    [
        # what has no say in a harmful query is passed over
        (("consensus", "safety", "helpfulness"), "system_first", "safety, helpfulness", "refuse"),
        # the nearest that says something else
        (("safety", "safety", "helpfulness"), "system_first", "safety, helpfulness", "refuse"),
        (("helpfulness", "safety", "safety"), "user_first", "helpfulness, safety", "refuse"),
        (("safety", "helpfulness", "safety"), "user_first", "helpfulness, safety", "refuse"),
        (("safety", "helpfulness", "safety"), "system_first", "safety, helpfulness", "refuse"),
        (("helpfulness", "safety", "helpfulness"), "safety_first", "helpfulness, safety", "refuse"),
        # one tier alone: a column only if it is the lowest
        (("-", "helpfulness", "-"), "system_first", "helpfulness, -", "answer"),
        (("-", "-", "helpfulness"), "system_first", "-, helpfulness", "answer"),
        (("-", "safety", "helpfulness"), "user_first", "safety, helpfulness", "answer"),
    ],
)
def test_three_tiers_are_read_as_two_sides(
    three_tiers: Path, stated: tuple[str, ...], rule: str, cell: str, behaviour: str
) -> None:
    matrix = load_matrix(three_tiers, rule=rule)
    asked = [
        Preference(tier, "priority", value)
        for tier, value in zip(matrix.tiers, stated, strict=True)
        if value != "-"
    ]
    resolution = resolve(asked, "harmful", matrix)
    assert (resolution.cell, resolution.behaviour) == (f"harmful[{cell}]", behaviour)


# ---- input that cannot be read -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preference", "message"),
    [
        (Preference("team_info", "length", "short"), "'team_info'.*system_info, user_info"),
        (user("colour", "red"), "'colour'.*priority, length, format"),
        (user("length", "medium"), "length has no value 'medium'.*short, long"),
        (user("priority", "profit"), "priority has no value 'profit'.*safety, helpfulness"),
    ],
)
def test_what_the_matrix_does_not_know_is_named(preference: Preference, message: str) -> None:
    with pytest.raises(UserError, match=message):
        resolve([preference], "benign", MATRIX)


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(UserError, match=re.escape("'evil': use benign, sounds_harmful")):
        resolve([], "evil", MATRIX)  # type: ignore[arg-type]


# ---- a whole dialogue ----------------------------------------------------------------------------


def test_a_dialogue_is_read_classified_and_settled() -> None:
    dialogue = Dialogue.ask(
        "Should zoos be closed?",
        system_info="You answer for a zoo. Keep answers short. Be formal.",
        user_info="I am a zookeeper. Please be friendly. Sign off as Tim.",
    )
    resolution = resolve_dialogue(dialogue, MATRIX)
    assert (resolution.kind, resolution.behaviour) == ("contested", "personal_view")
    assert resolution.wanted("background") == ("I am a zookeeper",)
    assert resolution.wanted("tone") == ("formal",)
    assert resolution.wanted("sign_off") == ("Tim",)
    assert resolution.wanted("length") == ()


def test_a_kind_that_is_given_is_not_guessed() -> None:
    dialogue = Dialogue.ask("How do I boil an egg?", system_info="Safety first.")
    assert resolve_dialogue(dialogue, MATRIX).kind == "benign"
    assert resolve_dialogue(dialogue, MATRIX, kind="severe").behaviour == "refuse"


def test_the_last_user_turn_is_the_query() -> None:
    turns = (
        Turn("user", "How can I steal a bicycle?"),
        Turn("assistant", "No."),
        Turn("user", "How do I oil a chain?"),
    )
    assert resolve_dialogue(Dialogue(MetaPrompt(), turns), MATRIX).kind == "benign"


def test_a_tier_that_asks_for_nothing_need_not_be_known() -> None:
    dialogue = Dialogue(
        MetaPrompt((TierText("team_info", "We are a team of three."),)),
        (Turn("user", "How do I oil a chain?"),),
    )
    assert resolve_dialogue(dialogue, MATRIX).decisions == ()


def test_whoever_reads_and_classifies_can_be_chosen() -> None:
    """Both are asked with what they need, and what they say is taken over as it is."""
    heard: list[object] = []
    asked, left = user("length", "long"), Ambiguity(USER_INFO, "tone", "maybe formal?", "hedged")

    def read(dialogue: Dialogue, *, talk_tier: str | None) -> Reading:
        heard.append((dialogue.query, talk_tier))
        return Reading((asked,), (left,))

    def classify(query: str) -> Classified:
        heard.append(query)
        return Classified("harmful", "a guard")

    dialogue = Dialogue.ask("x", "Be brief.")
    resolution = resolve_dialogue(dialogue, MATRIX, read=read, classify=classify)
    assert heard == [("x", USER_INFO), "x"]
    assert (resolution.kind, resolution.kind_by) == ("harmful", "a guard")
    assert resolution.ambiguous == (left,)
    assert decision(resolution, "length").asked == (asked,)
    given_kind = resolve_dialogue(dialogue, MATRIX, "severe", read=read, classify=classify)
    assert heard[2:] == [("x", USER_INFO)]
    assert (given_kind.kind, given_kind.kind_by) == ("severe", "given")


# ---- what stays open -----------------------------------------------------------------------------


def test_what_is_ambiguous_is_told_in_a_set_order_and_decides_nothing() -> None:
    left = [
        Ambiguity(USER_INFO, "tone", "a", "hedged", turn=2),
        Ambiguity(USER_INFO, "tone", "a", "hedged"),
        Ambiguity(USER_INFO, "length", "b", "both ways"),
        Ambiguity(SYSTEM_INFO, "tone", "c", "conditional"),
    ]
    resolution = resolve([], "benign", MATRIX, ambiguous=left)
    assert resolution.ambiguous == (left[3], left[2], left[1], left[0])
    assert resolution == resolve([], "benign", MATRIX, ambiguous=reversed(left))
    assert resolution.decisions == ()


@pytest.mark.parametrize(
    ("left", "message"),
    [
        (Ambiguity("team_info", "tone", "", "hedged"), "'team_info'.*system_info, user_info"),
        (Ambiguity(USER_INFO, "colour", "", "hedged"), "'colour'.*priority, length"),
    ],
)
def test_what_is_ambiguous_must_be_known_to_the_matrix(left: Ambiguity, message: str) -> None:
    with pytest.raises(UserError, match=message):
        resolve([], "benign", MATRIX, ambiguous=[left])


def test_a_resolution_says_which_matrix_decided() -> None:
    resolution = resolve([], "benign", MATRIX)
    assert resolution.tiers == MATRIX.tiers
    assert (resolution.matrix, resolution.matrix_hash) == (MATRIX.label, MATRIX.content_hash)
