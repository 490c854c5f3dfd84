"""Which words a phrase cannot do without."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaalign.policy.lexicon import between_borders, expand, lower
from metaalign.policy.rules import rules
from metaalign.policy.triggers import NUMBER, QUOTE, beginnings, triggers


def first(phrase: str) -> set[str] | None:
    found = triggers(expand(phrase, {})).first
    return None if found is None else set(found)


def needed(phrase: str) -> set[frozenset[str]]:
    return set(triggers(expand(phrase, {})).needed)


def test_what_words_begin_with() -> None:
    assert [b for _, b in beginnings("don't answer 3 \"sure\" it's")] == [
        "don", "t", "answe", NUMBER, QUOTE, "sure", QUOTE, "it", "s",
    ]  # fmt: skip
    assert list(beginnings("so be it")) == [(0, "so"), (3, "be"), (6, "it")]


def test_a_phrase_begins_with_one_of_its_first_words() -> None:
    assert first("(?:be|stay) brief") == {"be", "stay"}
    assert first("(?:please )?(?:answer|reply)") == {"pleas", "answe", "reply"}
    assert first("formal(?:ly|ity)?") == {"forma"}
    assert first(r"\d+ words") == {NUMBER}
    assert first('"moss"|moss') == {QUOTE, "moss"}


def test_a_phrase_may_begin_anyhow() -> None:
    assert first(r"\w+ words") is None
    assert first("(?:please )?") is None


def test_a_phrase_needs_a_word_of_each_of_its_places() -> None:
    assert needed(r"keep(?: \w+){0,3} (?:short|brief)") == {frozenset({"short", "brief"})}
    assert needed("(?:be brief|be short)") == {frozenset({"brief", "short"})}
    assert needed(r"(?:the )?metric") == {frozenset({"metri"})}
    assert needed(r"(?:very )*") == set()


def test_an_open_bracket_is_an_error() -> None:
    with pytest.raises(ValueError, match="not closed"):
        triggers("(?:be brief")


# Phrases with a dash or the like are left out: the texts below are of Western letters.
PHRASES = [
    (expanded, phrase.lowered)
    for phrase in rules().table.phrases
    if max(expanded := expand(phrase.source, rules().table.macros)) < "\u0100"
]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_whatever_a_phrase_matches_holds_its_triggers(data: st.DataObject) -> None:
    expanded, lowered = PHRASES[data.draw(st.integers(0, len(PHRASES) - 1))]
    pattern = between_borders(expanded, lowered=lowered)
    text = data.draw(st.from_regex(pattern, alphabet=st.characters(max_codepoint=0xFF)))
    words = list(beginnings(lower(text)))
    match = pattern.search(text)
    assert match
    first, needed = triggers(expanded)
    assert all(not needs.isdisjoint({word for _, word in words}) for needs in needed)
    if first is not None:
        assert any(at == match.start() and word in first for at, word in words)
