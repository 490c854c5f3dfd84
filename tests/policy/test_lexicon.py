"""Phrases of a lexicon as regular expressions."""

import re

import msgspec
import pytest

from metaalign.policy.lexicon import any_of, expand, plain, read_lexicon


def test_a_space_stands_for_any_white_space() -> None:
    assert any_of(["be brief"], {}).search("please be\n  brief now")


def test_letters_match_in_either_case_between_borders_of_words() -> None:
    pattern = any_of(["formal", "short"], {})
    assert [m[0] for m in pattern.finditer("Formal, informal, in-formal, SHORT, short-lived")] == [
        "Formal",
        "SHORT",
    ]


def test_macros_may_use_macros() -> None:
    macros = {"a": "x|y", "b": "(?:{a})z"}
    assert expand("{b}{2}", macros) == "(?:x|y)z{2}"


def test_an_unknown_macro_is_an_error() -> None:
    with pytest.raises(KeyError, match="nobody"):
        expand("{nobody} here", {})


def test_a_line_break_only_folds_a_phrase() -> None:
    assert expand("\n  (?:a b|\n    c)d", {}) == r"(?:a\s+b|c)d"


def test_the_marks_of_a_clause() -> None:
    pattern = re.compile(expand("^be brief$", {}))
    assert pattern.search("be brief, and smile")
    assert pattern.search("smile, be brief")
    assert not pattern.search("to be brief")
    assert not pattern.search("be briefed")


def test_plain_text_keeps_every_character_in_its_place() -> None:
    text = "Don’t say “moss”‑green."
    assert plain(text) == 'Don\'t say "moss"-green.'
    assert len(plain(text)) == len(text)


class _Other(msgspec.Struct, forbid_unknown_fields=True):
    macros: dict[str, str]


@pytest.mark.parametrize("name", ["preferences", "kinds"])
def test_an_unknown_key_in_a_lexicon_is_an_error(name: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        read_lexicon(name, _Other)
