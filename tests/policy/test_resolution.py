"""Who wins: one outcome for every set of preferences, whatever their order."""

import re
import timeit
from itertools import product
from pathlib import Path
from random import Random
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaalign.policy import load_matrix, resolve, resolve_dialogue
from metaalign.schema import (
    SYSTEM_INFO,
    USER_INFO,
    Decision,
    Dialogue,
    Kind,
    MetaPrompt,
    Preference,
    Resolution,
    TierText,
    Turn,
    UserError,
)

MATRIX = load_matrix()
DEFAULT = Path(__file__).parents[2] / "src/metaalign/policy/matrices/default.toml"
STYLES = [name for name in MATRIX.dimensions if name != "background"]
OPEN_VALUES = ["moss", "Moss", "lamp", "Ada"]


def system(dimension: str, value: str) -> Preference:
    return Preference(SYSTEM_INFO, dimension, value)


def user(dimension: str, value: str) -> Preference:
    return Preference(USER_INFO, dimension, value)


def decision(resolution: Resolution, dimension: str) -> Decision:
    (found,) = [d for d in resolution.decisions if d.dimension == dimension]
    return found


def _values(dimension: str) -> list[str]:
    if dimension == "priority":
        return list(MATRIX.priorities)
    return list(MATRIX.dimensions[dimension].values) or OPEN_VALUES


def preferences(tiers: tuple[str, ...] = MATRIX.tiers) -> st.SearchStrategy[list[Preference]]:
    """Any set of preferences, with wordings and spans as extraction gives them."""
    pairs = [(d, v) for d in ("priority", *MATRIX.dimensions) for v in _values(d)]
    one = st.builds(
        lambda tier, pair, wording, span: Preference(tier, pair[0], pair[1], wording, True, span),
        st.sampled_from(tiers),
        st.sampled_from(pairs),
        st.sampled_from(["", "a", "b"]),
        st.sampled_from([None, (0, 1), (2, 5)]),
    )
    return st.lists(one, max_size=12)


KINDS = st.sampled_from(get_args(Kind))
RULES = st.sampled_from(["system_first", "safety_first", "user_first"])


# ---- the behaviour -------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["system_first", "safety_first", "user_first"])
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
    )
    resolution = resolve(asked, "harmful", load_matrix(rule="user_first"))
    assert decision(resolution, "priority") == Decision(
        "priority",
        "helpfulness",
        USER_INFO,
        "harmful[safety, helpfulness]/user_first",
        (asked[0],),
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
    resolution = resolve([user("priority", "helpfulness")], "severe", MATRIX)
    assert resolution.behaviour == "refuse"
    assert decision(resolution, "priority") == Decision(
        "priority", "helpfulness", USER_INFO, "floor", (), False
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
    resolution = resolve([user("background", "town")], kind, MATRIX)
    assert decision(resolution, "background") == Decision(
        "background", "town", USER_INFO, "not-asked", (), False
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
    asked += [user(name, _values(name)[0]) for name in STYLES if name != "avoid"]
    resolution = resolve(asked, kind, MATRIX)
    styles = [d for d in resolution.decisions if d.dimension in STYLES]
    assert {d.dimension for d in styles if not d.applies} == lifted
    assert all(d.rule.startswith("lifted-by-") for d in styles if not d.applies)


def test_a_refusal_names_its_rule() -> None:
    resolution = resolve([user("length", "short")], "severe", MATRIX)
    assert decision(resolution, "length").rule == "lifted-by-refusal"


# ---- the other dimensions ------------------------------------------------------------------------


def test_the_higher_tier_wins_and_tells_over_whom() -> None:
    lost = user("length", "long")
    found = decision(resolve([lost, system("length", "short")], "benign", MATRIX), "length")
    assert found == Decision("length", "short", SYSTEM_INFO, "higher-tier", (lost,))


def test_who_agrees_is_not_overridden() -> None:
    asked = [user("length", "short"), system("length", "short")]
    found = decision(resolve(asked, "benign", MATRIX), "length")
    assert found == Decision("length", "short", SYSTEM_INFO, "unopposed")


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
    lost = user("avoid", "moss")
    resolution = resolve([lost, user("include", "moss")], "benign", MATRIX)
    assert decision(resolution, "include") == Decision(
        "include", "moss", USER_INFO, "within-tier", (lost,)
    )
    assert resolution.wanted("avoid") == ()


@settings(max_examples=300, deadline=None)
@given(preferences(), KINDS, RULES, st.randoms())
def test_the_order_of_the_preferences_never_matters(
    asked: list[Preference], kind: Kind, rule: str, random: Random
) -> None:
    matrix = load_matrix(rule=rule)
    shuffled = list(asked)
    random.shuffle(shuffled)
    resolution = resolve(asked, kind, matrix)
    assert resolve(shuffled, kind, matrix) == resolution
    order = ["priority", *matrix.dimensions]
    places = [order.index(d.dimension) for d in resolution.decisions]
    assert places == sorted(places)


@settings(max_examples=300, deadline=None)
@given(preferences((SYSTEM_INFO,)), preferences((USER_INFO,)))
def test_a_lower_tier_changes_nothing_that_a_higher_one_decided(
    higher: list[Preference], lower: list[Preference]
) -> None:
    alone = resolve(higher, "benign", MATRIX).decisions
    both = resolve([*higher, *lower], "benign", MATRIX).decisions
    decided = [(d.dimension, d.value, d.tier, d.applies) for d in both]
    for found in alone:
        assert (found.dimension, found.value, found.tier, found.applies) in decided


@settings(max_examples=300, deadline=None)
@given(preferences(), RULES)
def test_nothing_lowers_the_floor(asked: list[Preference], rule: str) -> None:
    assert resolve(asked, "severe", load_matrix(rule=rule)).behaviour == "refuse"


@settings(max_examples=300, deadline=None)
@given(preferences(), KINDS)
def test_every_preference_is_accounted_for(asked: list[Preference], kind: Kind) -> None:
    """Each holds, or is lifted, or agrees with one that is, or stands among the overridden."""
    resolution = resolve(asked, kind, MATRIX)
    told = {(d.dimension, d.value.casefold()) for d in resolution.decisions}
    told |= {(p.dimension, p.value.casefold()) for d in resolution.decisions for p in d.overridden}
    assert {(p.dimension, p.value.casefold()) for p in asked} == told


# ---- more tiers ----------------------------------------------------------------------------------


@pytest.fixture
def three_tiers(tmp_path: Path) -> Path:
    path = tmp_path / "three.toml"
    text = DEFAULT.read_text(encoding="utf-8")
    tiers = 'tiers = ["system_info", "team_info", "user_info"]'
    path.write_text(text.replace('tiers = ["system_info", "user_info"]', tiers), encoding="utf-8")
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


# ---- speed ---------------------------------------------------------------------------------------


def test_eight_preferences_take_some_microseconds() -> None:
    asked = [
        *(system(d, v) for d, v in [("priority", "safety"), ("length", "short")]),
        *(system(d, v) for d, v in [("tone", "formal"), ("include", "moss")]),
        *(user(d, v) for d, v in [("priority", "helpfulness"), ("length", "long")]),
        *(user(d, v) for d, v in [("sign_off", "Tim"), ("avoid", "moss")]),
    ]
    runs = timeit.repeat(lambda: resolve(asked, "harmful", MATRIX), number=500, repeat=7)
    # 9 microseconds where it was written; the aim is 20, the rest is room for a busy machine.
    assert min(runs) / 500 < 60e-6
