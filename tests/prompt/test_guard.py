"""Control strings in a text are broken, visibly, and mended without loss."""

import time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from metaalign.prompt.guard import Guard, Shape
from metaalign.schema import UserError

CHATML = Guard(["<|im_start|>", "<|im_end|>"], [Shape("<|", "|>")])
NESTED = Guard(
    ["<<SYS>>", "<SYS>", "<</SYS>>", "[INST]", "[[INST]]", "<<<", "aa", "aba", "<s>", "<s>x"],
    [Shape("<|", "|>"), Shape("<<", ">>")],
)
GUARDS = [CHATML, NESTED, Guard([]), Guard(["Kk", "ſs", "İi", "<｜User｜>"])]

# Few characters, so that control strings, their halves and their closed forms come up often.
dense = st.text(st.sampled_from("<<>>[]|\\\\\\aAbskKſsIiİN_x▁ \n"), max_size=40)
bits = st.lists(
    st.sampled_from(
        [
            *("<|im_end|>", "<\\|im_end|>", "<|IM_START|>", "<<SYS>>", "<\\<SYS>>", "<<\\SYS>>"),
            *("[[INST]]", "[\\[INST]]", "[INST]", "aba", "a\\ba", "<s>x", "<", "|>"),
            *("\\", "\\\\", "é"),
        ]
    ),
    max_size=8,
).map("".join)
texts = st.one_of(dense, bits, st.text(max_size=40))
guards = st.sampled_from(GUARDS)
controls = st.text(st.sampled_from("<>|aAb[]"), min_size=2, max_size=5)


@pytest.mark.parametrize(
    ("text", "closed"),
    [
        ("a <|im_end|> b", "a <\\|im_end|> b"),
        ("<\\|im_end|>", "<\\\\|im_end|>"),
        ("<\\\\|im_end|>", "<\\\\\\|im_end|>"),
        ("<|IM_End|>", "<\\|IM_End|>"),
        ("<|never_seen_7|>", "<\\|never_seen_7|>"),
        ("<|im_start|><|im_end|>", "<\\|im_start|><\\|im_end|>"),
        ("a < b | c > d \\ e", "a < b | c > d \\ e"),
        ("<| im_end |>", "<| im_end |>"),
        ("", ""),
    ],
)
def test_one_backslash_behind_the_first_character(text: str, closed: str) -> None:
    assert CHATML.close(text) == closed
    assert CHATML.open(closed) == text


def test_a_control_string_inside_another_is_broken_too() -> None:
    guard = Guard(["<<SYS>>", "<SYS>"])
    assert guard.close("<<SYS>>") == "<\\<\\SYS>>"
    assert guard.open("<\\<\\SYS>>") == "<<SYS>>"


def test_a_control_string_that_begins_with_a_letter_is_broken_in_either_case() -> None:
    guard = Guard(["ka"])
    assert guard.close("KA ka \u212aa") == "K\\A k\\a \u212a\\a"
    assert guard.open("K\\A k\\a \u212a\\a") == "KA ka \u212aa"


@given(guards, texts)
@settings(max_examples=400, deadline=None)
def test_open_undoes_close(guard: Guard, text: str) -> None:
    assert guard.open(guard.close(text)) == text


@given(guards, texts)
@settings(max_examples=300, deadline=None)
def test_closing_twice_is_undone_by_opening_twice(guard: Guard, text: str) -> None:
    assert guard.open(guard.open(guard.close(guard.close(text)))) == text


@given(guards, texts)
@settings(max_examples=400, deadline=None)
def test_no_control_string_is_in_a_closed_text(guard: Guard, text: str) -> None:
    closed = guard.close(text).lower()
    assert not guard.holds(closed)
    assert not any(control.lower() in closed for control in guard.controls)


@given(st.lists(controls, max_size=6), dense)
@settings(max_examples=400, deadline=None)
def test_it_holds_for_any_set_of_control_strings(strings: list[str], text: str) -> None:
    guard = Guard(strings)
    closed = guard.close(text)
    assert guard.open(closed) == text
    assert not any(string.lower() in closed.lower() for string in strings)


@given(guards, texts)
@settings(max_examples=300, deadline=None)
def test_a_text_without_control_strings_stays_as_it_is(guard: Guard, text: str) -> None:
    assume("\\" not in text and not guard.holds(text))
    assert guard.close(text) == text
    assert guard.open(text) == text


@given(st.lists(controls, max_size=6), dense, dense)
@settings(max_examples=400, deadline=None)
def test_side_by_side_only_halves_of_the_texts_make_a_control_string(
    strings: list[str], left: str, right: str
) -> None:
    guard = Guard(strings)
    both = (guard.close(left) + guard.close(right)).lower()
    halves = [
        string
        for string in strings
        for cut in range(1, len(string))
        if left.lower().endswith(string[:cut].lower())
        and right.lower().startswith(string[cut:].lower())
    ]
    arisen = [string for string in strings if string.lower() in both]
    assert set(arisen) <= set(halves)
    assert bool(arisen) == (guard.across(guard.close(left), guard.close(right)) is not None)


def test_halves_in_neighbouring_texts_are_found() -> None:
    assert CHATML.across("say <|im_", "end|> now") == "<|im_end|>"
    assert CHATML.across("say <|some", "thing_|> now") == "<|something_|>"
    assert CHATML.across("<|im_end|>", "end|>") is None
    assert CHATML.across("", "<|im_end|>") is None
    assert Guard(["<a>", "<a>b>"]).across("<A>", "B>") == "<A>B>"


@given(
    st.lists(controls, max_size=5),
    st.sampled_from([[], [Shape("<|", "|>")], [Shape("[[", "]]")]]),
    st.text(st.sampled_from("<>|aA[]\n"), max_size=4),
    dense,
    st.text(st.sampled_from("<>|aA[]\n"), max_size=4),
)
@settings(max_examples=300, deadline=None)
def test_nothing_arises_at_a_literal_that_is_not_exposed(
    strings: list[str], shapes: list[Shape], before: str, text: str, after: str
) -> None:
    guard = Guard(strings, shapes)
    assume(not guard.exposed(before, after))
    closed = guard.close(text)
    if text:
        assert guard.across(before, closed + after) is None
    assert guard.across(before + closed, after) is None or not text


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("<|im_start|>user\n", "<|im_end|>\n", ()),
        ("say <|im", "", ("<|im_start|>", "<|im_end|>", "<|…|>")),
        ("", "tart|>", ("<|im_start|>", "<|…|>")),
        ("a <", " b", ("<|im_start|>", "<|im_end|>", "<|…|>")),
        ("<|abc|", "", ("<|…|>",)),
        ("", "|abc|>", ("<|…|>",)),
        ("<|abc", "|>", ("<|im_start|>", "<|im_end|>", "<|…|>")),
        ("", "", ()),
    ],
)
def test_a_literal_that_a_text_could_complete_is_named(
    before: str, after: str, found: tuple[str, ...]
) -> None:
    assert CHATML.exposed(before, after) == found


@pytest.mark.parametrize("refused", ["", "x", "\n", "<\\a>", "\\a"])
def test_what_cannot_be_broken_is_refused(refused: str) -> None:
    with pytest.raises(UserError, match="cannot break"):
        Guard(["<ok>", refused])


@pytest.mark.parametrize(("begin", "end"), [("", ">"), ("<", ""), ("<", "a>"), ("\\", ">")])
def test_a_shape_whose_name_has_no_end_is_refused(begin: str, end: str) -> None:
    with pytest.raises(UserError, match="cannot break"):
        Guard([], [Shape(begin, end)])


def test_a_shape_may_have_one_character_on_each_side() -> None:
    guard = Guard([], [Shape("<", ">")])
    assert guard.close("<b>x</b> 1 < 2 > 0") == "<\\b>x</b> 1 < 2 > 0"


def test_thousands_of_control_strings_and_a_long_hostile_text_take_no_time() -> None:
    guard = Guard([f"<|reserved_special_token_{n}|>" for n in range(5000)])
    text = "<|reserved_special_token_4999|>" * 10_000 + "<" * 10_000 + "<" + "\\" * 10_000
    began = time.perf_counter()
    assert guard.open(guard.close(text)) == text
    assert time.perf_counter() - began < 2
