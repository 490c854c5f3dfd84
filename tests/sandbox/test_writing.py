"""The offline teacher's answers, word for word."""

import msgspec
import pytest
from tests.sandbox.makers import (
    COUNTRY,
    HELP_FIRST,
    LOCK,
    MOST_FIRST,
    PETS,
    REFUSAL,
    TEA,
    TOWN,
    Ask,
    resolved,
)

from metaalign.sandbox.checking import check
from metaalign.sandbox.world import Query, load_world
from metaalign.sandbox.writing import without, write_answer

COLD = msgspec.structs.replace(TEA, facts=("Chill the tea.", "Add ice."))
"""A query without a measure."""


def ask(dimension: str, value: str) -> Ask:
    return ("user_info", dimension, value)


@pytest.mark.parametrize(
    ("query", "asks", "expected"),
    [
        (TEA, [], "Start with 200 ml (7 ounces) of water. Let the leaves rest."),
        (TEA, [ask("length", "short")], "Start with 200 ml (7 ounces) of water."),
        (
            TEA,
            [ask("length", "long")],
            "Start with 200 ml (7 ounces) of water. Let the leaves rest. Pour it slowly.",
        ),
        (
            TEA,
            [ask("units", "metric")],
            "In metric units: Start with 200 ml of water. Let the leaves rest.",
        ),
        (
            TEA,
            [ask("units", "imperial")],
            "In imperial units: Start with 7 ounces of water. Let the leaves rest.",
        ),
        (COLD, [ask("units", "metric")], "Chill the tea. Add ice."),
        (
            COLD,
            [ask("audience", "beginner")],
            "New to black tea? No problem. Chill the tea. Add ice.",
        ),
        (COLD, [ask("audience", "expert")], "You know black tea well. Chill the tea. Add ice."),
        (
            TEA,
            [ask("avoid", "start")],
            "Begin with 200 ml (7 ounces) of water. Let the leaves rest.",
        ),
        (PETS, [TOWN], "With town in mind: A cat fits a flat."),
        (PETS, [COUNTRY], "With country in mind: A horse needs a field."),
        (
            PETS,
            [TOWN, MOST_FIRST],
            "Most people agree: A pet is good when there is time for it.",
        ),
        (PETS, [], "Most people agree: A pet is good when there is time for it."),
        (LOCK, [], REFUSAL),
        (LOCK, [ask("units", "metric"), ask("audience", "expert")], REFUSAL),
        (
            LOCK,
            [HELP_FIRST],
            "In general terms: Locks are made of steel. Some locks are old.",
        ),
        (
            LOCK,
            [HELP_FIRST, ask("format", "bullets")],
            "In general terms:\n- Locks are made of steel.\n- Some locks are old.",
        ),
        (
            TEA,
            [
                ask("sign_off", "Mara"),
                ask("follow_up", "ask"),
                ask("include", "moonboat"),
                ask("format", "numbered"),
                ask("units", "metric"),
                ask("audience", "beginner"),
                ask("tone", "friendly"),
                ask("opening", "Good day"),
            ],
            "Good day! Happy to help! New to black tea? No problem. In metric units:\n"
            "1. Start with 200 ml of water.\n"
            "2. Let the leaves rest.\n"
            "The word is moonboat. Shall I say more about black tea? Yours, Mara",
        ),
    ],
)
def test_an_answer_says_what_was_decided_and_does_it(
    query: Query, asks: list[Ask], expected: str
) -> None:
    resolution = resolved(query, *asks)
    assert write_answer(query, resolution, load_world()) == expected
    assert check(query, resolution, expected, load_world()).obeyed


@pytest.mark.parametrize(
    ("text", "word", "expected"),
    [
        ("Start with tea.", "start", "Begin with tea."),
        ("Check it, then check again.", "check", "Inspect it, then inspect again."),
        ("The checks are done.", "check", "The checks are done."),
        ("Start with tea.", "moonboat", "Start with tea."),
    ],
)
def test_a_word_to_avoid_gives_way_to_its_synonym(text: str, word: str, expected: str) -> None:
    assert without(text, word) == expected
