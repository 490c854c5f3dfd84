"""What comes first: in sentences made for these tests, that no list of phrases foresees."""

import pytest

from metaalign.policy.extraction import read_text
from metaalign.policy.priorities import Named, Order, mask, ordered, priorities
from metaalign.policy.table import Table
from metaalign.schema import SYSTEM_INFO

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
