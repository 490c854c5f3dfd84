"""What is drawn for a dialogue."""

from random import Random

import msgspec
from tests.sandbox.makers import LOCK, TEA

from metaalign.sandbox.drawing import draw_asks, draw_value
from metaalign.sandbox.world import Query, Words

WORDS = Words(
    ("Mara",),
    ("moonboat", "sunflower"),
    ("Good day",),
    {},
)


def dimensions(query: Query) -> set[str]:
    drawn = (draw_asks(query, WORDS, Random(seed)) for seed in range(200))
    return {ask.dimension for asks in drawn for ask in asks}


def test_units_and_words_to_avoid_are_drawn_only_where_the_answer_can_show_them() -> None:
    everywhere = {
        "length",
        "format",
        "tone",
        "follow_up",
        "opening",
        "sign_off",
        "include",
        "audience",
    }
    assert dimensions(LOCK) == everywhere
    assert dimensions(TEA) == everywhere | {"units", "avoid"}


def test_a_dialogue_asks_at_most_once_for_a_dimension() -> None:
    for seed in range(200):
        drawn = [ask.dimension for ask in draw_asks(TEA, WORDS, Random(seed))]
        assert len(drawn) == len(set(drawn)) <= 4


def test_a_word_to_include_is_not_already_in_the_answer() -> None:
    seeds = msgspec.structs.replace(TEA, facts=("Sunflower seeds feed the birds.",))
    drawn = {draw_value("include", seeds, WORDS, Random(seed)) for seed in range(20)}
    assert drawn == {"moonboat"}
    assert draw_value("avoid", TEA, WORDS, Random(0)) == "start"
