"""What comes first: in sentences made for these tests, that no list of phrases foresees."""

import pytest

from metaalign.policy.extraction import read_text
from metaalign.policy.priorities import Named, Order, mask, ordered, priorities
from metaalign.policy.table import Table
from metaalign.schema import SYSTEM_INFO, USER_INFO

ORDERED = {
    "safety": [
        "No discount is worth a broken leg or an injured child.",
        "We would rather lose a client than see a reader hurt.",
        "An answer that helps is fine, but never at the expense of safety.",
        "If speed of service and caution part ways, caution wins.",
        "Where helping and protecting are at odds, helping yields.",
        "Never let a guest's wish override their safety.",
        "Ranking of aims: 1. safety 2. usefulness 3. style.",
        "Sacrifice usefulness before you sacrifice safety.",
    ],
    "helpfulness": [
        "Better a risky tip than a useless one.",
        "Never put caution above helping the caller.",
        "Don't deny anyone help for the sake of safety.",
        "A refusal is worse than a mistake.",
        "Useful beats cautious in this shop.",
        "When weighing a cautious reply against a helpful one, choose the helpful one.",
    ],
    "consensus": [
        "Let what most people hold outweigh the user's own outlook.",
        "Put the public's view ahead of mine.",
        "I don't care about my own beliefs, the majority decides.",
    ],
    "background": [
        "My faith trumps whatever the majority thinks.",
        "Never at the expense of the user's own values.",
        "General advice comes second to where I come from.",
    ],
}


TWO_SENTENCES = {
    "safety": [
        "We think of the safety of the crew. That comes first.",
        "Caution is in our charter. It outranks speed and comfort.",
        "Protecting minors is our promise. Nothing outranks that.",
        "You keep people from harm. Everything else is secondary.",
        "Harm avoidance matters here. The rest comes later.",
        "Being of use and being safe may clash. Choose the latter.",
    ],
    "helpfulness": [
        "Customers want a usable answer. That takes precedence over all other aims.",
        "We promise practical help. Everything else is nice to have.",
        "Helpfulness and caution can collide. The former wins.",
    ],
    "consensus": [
        "Report the majority view. That outranks everything.",
        "We ask what most residents can live with. This comes before any single taste.",
    ],
    "background": [
        "The client's faith is known to you. It comes before general advice.",
    ],
}
STRUCTURES = {
    "safety": [
        "We cannot accept a broken bone.",
        "We would rather lose a customer's goodwill than print a dose we cannot verify.",
        "Getting walkers home in one piece matters more than their questions.",
        "Our mission is to keep swimmers out of danger.",
        "An injury is never acceptable.",
        "Duty of care first.",
        "Never may the wish to help outrank the duty to protect.",
        "Rule number one: nobody gets hurt.",
        "In a trade-off the safer reply is to be selected.",
        "Don't let the urge to please get the better of you.",
        "Useful second, safety first.",
        "Success is measured in accidents that never happened.",
        "Safety is the hill we die on.",
    ],
    "helpfulness": [
        "Nobody should leave empty-handed, a refusal is never acceptable.",
        "A usable answer matters more to us than any other goal.",
        "Our mission is to get people unstuck.",
        "We are judged on solved tickets.",
        "Don't let risk aversion get the better of you.",
        "Useful first, cautious later.",
        "We prize a helping hand above all.",
        "When they clash, the more useful reply is to be chosen.",
    ],
    "consensus": [
        "When views differ, represent the view on which most citizens agree.",
        "The national consensus is given the greatest weight.",
        "Subordinate individual taste to what most people accept.",
        "What the whole village could live with comes first.",
        "Society's shared sense of right and wrong goes on top of the list.",
        "Give priority to the position commanding general assent.",
    ],
    "background": [
        "What an elder believes and has lived through stands above guidelines.",
        "Who the user is (age, health, faith) prevails over general advice.",
        "The client's life circumstances are given the greatest weight.",
        "We would sooner depart from the textbook than ignore where somebody comes from.",
        "Their faith is given priority.",
    ],
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (text, value)
        for sentences in (TWO_SENTENCES, STRUCTURES)
        for value, texts in sentences.items()
        for text in texts
    ],
)
def test_missions_consequences_and_pronouns_tell_what_comes_first(text: str, value: str) -> None:
    found = {(p.dimension, p.value) for p in read_text(text, SYSTEM_INFO).preferences}
    assert {v for d, v in found if d == "priority"} == {value}


def test_what_somebody_told_of_themselves_is_what_a_pronoun_means() -> None:
    found = read_text("I'm Amish. That outranks what everybody else does.", USER_INFO)
    assert ("priority", "background") in {(p.dimension, p.value) for p in found.preferences}


@pytest.mark.parametrize(
    "text",
    [
        "Safety and helpfulness matter. That comes first.",
        "The porter is tall. That comes first.",
        "Consensus, help and safety may clash. Choose the latter.",
    ],
)
def test_where_it_is_not_plain_what_a_pronoun_means_nothing_is_guessed(text: str) -> None:
    assert read_text(text, SYSTEM_INFO).preferences == ()


def test_two_that_are_level_stay_open() -> None:
    found = read_text("Safety and usefulness are equally important.", SYSTEM_INFO)
    assert found.preferences == ()
    assert [a.dimension for a in found.ambiguous] == ["priority"]


@pytest.mark.parametrize(
    ("text", "value"), [(text, value) for value, texts in ORDERED.items() for text in texts]
)
def test_a_comparison_tells_what_comes_first(text: str, value: str) -> None:
    found = read_text(text, SYSTEM_INFO)
    assert [(p.dimension, p.value) for p in found.preferences] == [("priority", value)]
    assert found.ambiguous == ()


@pytest.mark.parametrize(
    "text",
    [
        "The helpful porter came first in the race.",
        "Most experts agree that the bridge is old.",
        "The safety committee outranks the tea committee.",
        "Never put safety first.",
    ],
)
def test_nothing_is_put_first(text: str) -> None:
    assert read_text(text, SYSTEM_INFO).preferences == ()


def test_what_is_only_named_beside_it_is_not_asked_for() -> None:
    """No full answers, no experts as readers: they are what comes second."""
    found = read_text("Rank safety above a full answer and expert consensus.", SYSTEM_INFO)
    assert [(p.dimension, p.value) for p in found.preferences] == [("priority", "safety")]


NAMES = {
    "work": Named(kept=("working", "work"), broken=("idleness",), against="rest"),
    "rest": Named(kept=("sleep", "long sleep"), broken=("fatigue",), against="work"),
}
ORDER = Order(
    first=("{first} over {any}", "better {broken} never"), settled=("forget {lost}",), fallback=()
)
KNOWN = priorities(NAMES, ORDER)
TABLE = Table({"named": KNOWN.named, "order": KNOWN.order}, KNOWN.macros)


def values(text: str) -> list[str]:
    candidates = TABLE.candidates(text)
    hits = TABLE.found("named", candidates, text)
    masked = mask(text, hits)
    return [
        h.phrase.value for h in ordered(masked, TABLE.found("order", candidates, masked), KNOWN)
    ]


def test_names_are_masked_in_their_place_the_longest_first() -> None:
    text = "long sleep over working"
    masked = mask(text, TABLE.found("named", TABLE.candidates(text), text))
    assert masked == "CCCCCCCCCC over AAAAAAA"


def test_a_rule_holds_for_every_name() -> None:
    assert values("work over sleep") == ["work"]
    assert values("long sleep over working") == ["rest"]


def test_what_is_broken_speaks_for_what_it_breaks() -> None:
    assert values("better idleness never") == ["work"]


def test_what_gives_way_leaves_the_other_name_or_its_opposite() -> None:
    assert values("forget work") == ["rest"]
    assert values("sleep, and forget work") == ["rest"]
