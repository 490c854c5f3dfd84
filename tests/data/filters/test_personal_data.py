"""Personal data: what is found, what is left alone, and what stands in its place."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from stdnum import luhn
from tests.data.makers import groups, make_group

from metaalign.data.filters.personal import personal_data
from metaalign.data.filters.personal_data import PersonalData, RedactPersonalData
from metaalign.data.filters.texts import places
from metaalign.schema import USER_INFO, Candidate, Group, MetaPrompt, Preference, Turn, View


def found(text: str, *regions: str) -> list[tuple[str, str]]:
    return [(one.what, text[one.start : one.end]) for one in personal_data(text, regions=regions)]


@pytest.mark.parametrize(
    ("text", "data"),
    [
        (
            "Write to jane.o'neil+news@mail.example.co.uk, please.",
            "jane.o'neil+news@mail.example.co.uk",
        ),
        ("<joe_99@post.org>", "joe_99@post.org"),
        ("jürgen@müller.de.", "jürgen@müller.de"),
    ],
)
def test_e_mail_addresses(text: str, data: str) -> None:
    assert found(text) == [("e-mail address", data)]


@pytest.mark.parametrize(
    "text",
    ["@jane and @joe", "5 apples @ 3.50", "x@y", "user@localhost", "a @ b.com", "@media.css"],
)
def test_what_looks_like_an_address_and_is_none(text: str) -> None:
    assert found(text) == []


# Numbers that the networks publish for tests.
CARDS = [
    "4111111111111111",
    "4111 1111 1111 1111",
    "4222222222222",
    "5555-5555-5555-4444",
    "2223003122003222",
    "3782 822463 10005",
    "6011111111111117",
    "3056 930902 5904",
    "3530111333300000",
    "6205500000000000004",
]


@pytest.mark.parametrize("number", CARDS)
def test_card_numbers(number: str) -> None:
    assert found(f"Pay with {number}, it is mine.") == [("card number", number)]


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112",  # wrong check digit
        "4111 1111 11111111",  # no card is printed so
        "3.4111111111111111",  # a fraction
        "x4111111111111111",
        "41111111111111110000",  # 20 digits
        "490154203237518",  # an IMEI, which has the same check digit
        "9780306406157",  # an ISBN
        "1234567812345670",  # right check digit, no issuer
    ],
)
def test_ordinary_numbers_are_no_cards(text: str) -> None:
    assert found(text) == []


@given(st.integers(10**12, 10**19 - 1).map(str))
def test_numbers_that_no_issuer_gives_are_kept_whatever_their_check_digit(number: str) -> None:
    number = "1" + number[:-2]
    number += luhn.calc_check_digit(number)
    assert luhn.is_valid(number)
    assert [what for what, _ in found(f"It has {number} grains.") if what == "card number"] == []


@pytest.mark.parametrize(
    ("text", "regions", "numbers"),
    [
        ("Call +44 20 7946 0958 now", (), ["+44 20 7946 0958"]),
        ("Call (212) 555-2368 now", ("US",), ["(212) 555-2368"]),
        ("Call (212) 555-2368 now", (), []),
        ("Ruf 030 901820 an, or (212) 555-2368", ("DE", "US"), ["030 901820", "(212) 555-2368"]),
        ("on 2023-01-12 at 10:30, 1,234,567,890 people", ("US",), []),
        ("pi is 3.14159265358979", ("US",), []),
    ],
)
def test_phone_numbers(text: str, regions: tuple[str, ...], numbers: list[str]) -> None:
    assert found(text, *regions) == [("phone number", number) for number in numbers]


@pytest.mark.parametrize(
    ("text", "account"),
    [
        ("to DE89 3704 0044 0532 0130 00 PLEASE", "DE89 3704 0044 0532 0130 00"),
        ("GB82WEST12345698765432.", "GB82WEST12345698765432"),
        ("DE88 3704 0044 0532 0130 00", None),
    ],
)
def test_bank_accounts(text: str, account: str | None) -> None:
    assert [t for what, t in found(text) if what == "bank account"] == (
        [account] if account else []
    )


def test_a_group_is_dropped_for_any_text_with_the_place_named() -> None:
    said = MetaPrompt.of(user_info="I am joe@post.org.")
    made = [
        make_group("a", "My card is 4111 1111 1111 1111"),
        make_group("b", candidates=(Candidate("Hi.", "x"), Candidate("+44 20 7946 0958", "x"))),
        make_group("c", views=(View(said, (0, 1), "rule"),)),
        make_group("d"),
    ]
    expected = ["card number: turn 1", "phone number: candidate 2", "e-mail address: view 1", ""]
    assert PersonalData().reasons(made) == expected
    assert PersonalData(kinds=("card number",)).reasons(made) == [expected[0], "", "", ""]


def test_a_group_without_any_is_handed_back_itself() -> None:
    group = make_group("a")
    assert RedactPersonalData().apply([group])[0] is group


def test_spans_move_with_their_words() -> None:
    text = "I am joe@post.org and like it short. Mail joe@post.org."
    start = text.index("like")
    kept = Preference(USER_INFO, "length", "short", "like it short", span=(start, start + 13))
    touched = Preference(USER_INFO, "form", "mail", "Mail joe@post.org", span=(37, 54))
    assert text[37:54] == "Mail joe@post.org"
    spoken = Preference(USER_INFO, "length", "long", "long", span=(14, 18), turn=0)
    view = View(MetaPrompt.of(user_info=text), (0, 1), "rule", (kept, touched, spoken))
    group = make_group("g", "a@b.org wants long", views=(view,))
    (redacted,) = RedactPersonalData().apply([group])
    said = redacted.views[0].meta_prompt.user_info
    assert said == "I am [e-mail address] and like it short. Mail [e-mail address]."
    one, other, third = redacted.views[0].preferences
    assert one.span is not None and said[slice(*one.span)] == "like it short"
    assert (other.wording, other.span) == ("Mail [e-mail address]", None)
    assert redacted.turns == (Turn("user", "[e-mail address] wants long"),)
    assert third.span is not None and redacted.turns[0].text[slice(*third.span)] == "long"


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1111[212 555 2368[",
        "joe@post.org+jim@post.org",
        "/+1 212 555 2368]-2368joe@a.org,1",
    ],
)
def test_what_another_find_has_hidden_is_redacted_too(text: str) -> None:
    (redacted,) = RedactPersonalData().apply([make_group("g", text)])
    assert personal_data(redacted.turns[0].text, regions=("US",)) == []
    assert "2368[" not in redacted.turns[0].text and "jim" not in redacted.turns[0].text


_NUMBERS = ["4111 1111 1111 1111", "4111", "+1 212 555 2368", "(212)", "555", "-2368", "٣"]
_PIECES = st.sampled_from(
    [*_NUMBERS, "joe@post.org", "DE89 3704 0044 0532 0130 00", *"@. x,[]\n", "org"]
)


@settings(deadline=None, max_examples=200)
@given(pieces=st.lists(_PIECES, max_size=12), group=groups("g"))
def test_redacted_text_has_no_match_left(pieces: list[str], group: Group) -> None:
    text = "".join(pieces)
    assume(text)
    view = View(MetaPrompt.of(system_info=text), (), "x", (Preference(USER_INFO, "d", "v", text),))
    mixed = make_group("g", text, candidates=(Candidate(text, "x"),), views=(*group.views, view))
    redacted = RedactPersonalData().apply([mixed])
    assert PersonalData().reasons(redacted) == [""]
    untouched = [t for _, t in places(mixed) if not personal_data(t, regions=("US",))]
    assert set(untouched) <= {t for _, t in places(redacted[0])}
