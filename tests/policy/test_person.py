"""Who somebody is: facts about themselves count, asides about others and passing states do not."""

import pytest

from metaalign.policy.extraction import read_text
from metaalign.schema import SYSTEM_INFO, USER_INFO

FACTS = [
    "I'm a night porter.",
    "I'm 67 and a bit slow with screens.",
    "Sixty-two, divorced, two cats.",
    "Fifty-nine years old and still on the boats.",
    "I drive a school bus.",
    "I teach woodwork to teenagers.",
    "I work as a notary.",
    "I work in a sawmill and like things short.",
    "I run a small bakery and every hour counts.",
    "I live in a lighthouse.",
    "I moved from Quito to Oslo last year.",
    "I grew up on a dairy farm.",
    "I was raised by my aunt.",
    "I care for my father.",
    "We keep kosher.",
    "We're Quakers.",
    "Devout Sikh, so mind how you speak of faith.",
    "Retired welder.",
    "Former postman here.",
    "Single mother of three.",
    "Second-year law student.",
    "Ex-army, not easily shocked.",
    "Self-employed since 2011.",
    "Bedridden for months now.",
    "Recovering from a stroke.",
    "Am a trainee nurse.",
    "Got two toddlers and no time.",
    "I've got coeliac disease, so safety before everything.",
    "I have three kids.",
    "My epilepsy rules out night shifts.",
    "My husband and I adopted twins.",
    "Thirty years in the fishing trade.",
    "Portuguese is my mother tongue.",
    "As a beekeeper I know about stings.",
    "Being a widow, I cook for one.",
    "Because I'm blind, read the list out in full sentences.",
    "You're talking to a retired miner.",
    "Just lost my wife.",
    "Born in Tromsø, living in Rome.",
    "Hindu household, no beef.",
]
NO_FACTS = [
    "I'm in a rush.",
    "I'm a bit nervous about all this.",
    "My neighbour is a nurse.",
    "A nurse told me so.",
    "I met a retired pilot yesterday.",
    "Explain it as a doctor would.",
    "Act like a judge.",
    "Write to the teacher of my son.",
    "I have a question about my son.",
    "I'm reading a book about monks.",
    "I'm not a lawyer.",
    "Finish with a question so we keep talking.",
    "I value honesty above all.",
    "I lost a glove.",
    "Ask a pharmacist first.",
    "Twenty lines at most.",
    "Fifty words, no more.",
    "I grew up with miles, so use those.",
    "I'm allergic to 'synergy'.",
    "Our trains are late.",
]


@pytest.mark.parametrize("text", FACTS)
def test_what_somebody_says_of_themselves_is_background(text: str) -> None:
    assert "background" in {p.dimension for p in read_text(text, USER_INFO).preferences}


@pytest.mark.parametrize("text", NO_FACTS)
def test_asides_and_passing_states_are_no_background(text: str) -> None:
    assert "background" not in {p.dimension for p in read_text(text, USER_INFO).preferences}


def test_the_operator_has_no_background() -> None:
    assert read_text("We are a family of bakers.", SYSTEM_INFO).preferences == ()


def test_a_fact_ends_where_the_wish_begins() -> None:
    found = {
        p.dimension: p.value for p in read_text("I'm a nurse, be brief.", USER_INFO).preferences
    }
    assert found == {"background": "I'm a nurse", "length": "short"}
