"""Where personal data stands in a text: e-mail addresses, phone, card and bank account numbers.

By patterns and check digits, without a model. Names and postal addresses are not found.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from metaalign.schema import MissingExtra

What = Literal["e-mail address", "bank account", "card number", "phone number"]
KINDS: tuple[What, ...] = ("e-mail address", "bank account", "card number", "phone number")
"""In this order they are looked for: what is one of them is not taken for a later one."""


class Found(NamedTuple):
    """A piece of personal data: [start, end) in characters."""

    start: int
    end: int
    what: What


def personal_data(
    text: str, kinds: Sequence[What] = KINDS, regions: Sequence[str] = ()
) -> list[Found]:
    """All personal data in ``text``, in order and apart from each other.

    ``regions`` are the countries (``US``) whose phone numbers count without a country code too.
    Raises ``MissingExtra`` where a library is not installed.
    """
    taken: list[Found] = []
    for what in KINDS:
        if what in kinds:
            for start, end in _FINDERS[what](text, regions):
                if all(end <= other.start or other.end <= start for other in taken):
                    taken.append(Found(start, end, what))
    return sorted(taken)


# The dot-atom of RFC 5322 at a domain of at least two labels; lengths by RFC 5321 and 1035.
_ATOM = r"[\w!#$%&'*+/=?^`{|}~-]{1,64}"
_LABEL = r"[^\W_](?:[\w-]{0,61}[^\W_])?"
_EMAIL = re.compile(
    r"(?<![\w.!#$%&'*+/=?^`{|}~-])"
    rf"{_ATOM}(?:\.{_ATOM}){{0,32}}@(?:{_LABEL}\.){{1,8}}[^\W\d_]{{2,63}}(?![^\W_])"
)


def _emails(text: str, _regions: Sequence[str]) -> Iterator[tuple[int, int]]:
    if "@" in text:  # the pattern alone would look at every word
        for match in _EMAIL.finditer(text):
            yield match.span()


# Digits without a gap, or in the groups in which cards print them.
_CARD = re.compile(
    r"(?<![\w.,-])(?:[0-9]{13,19}"
    r"|[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{1,4}(?:\1[0-9]{1,3})?"
    r"|[0-9]{4}([ -])[0-9]{6}\2[0-9]{4,5})(?![\w-]|[.,][0-9])"
)


class _Issuer(NamedTuple):
    """Numbers that begin with ``low`` to ``high``, and how many digits they have."""

    low: int
    high: int
    digits: tuple[int, ...]


# ISO/IEC 7812 issuer identification numbers, as the networks publish them.
_ISSUERS = (
    _Issuer(4, 4, (13, 16, 19)),  # Visa
    _Issuer(51, 55, (16,)),  # Mastercard
    _Issuer(2221, 2720, (16,)),
    _Issuer(34, 34, (15,)),  # American Express
    _Issuer(37, 37, (15,)),
    _Issuer(6011, 6011, (16, 17, 18, 19)),  # Discover
    _Issuer(644, 649, (16, 17, 18, 19)),
    _Issuer(65, 65, (16, 17, 18, 19)),
    _Issuer(62, 62, (16, 17, 18, 19)),  # UnionPay
    _Issuer(3528, 3589, (16, 17, 18, 19)),  # JCB
    _Issuer(300, 305, (14, 15, 16, 17, 18, 19)),  # Diners Club
    _Issuer(36, 36, (14, 15, 16, 17, 18, 19)),
    _Issuer(38, 39, (14, 15, 16, 17, 18, 19)),
)


def _cards(text: str, _regions: Sequence[str]) -> Iterator[tuple[int, int]]:
    for match in _CARD.finditer(text):
        number = re.sub("[ -]", "", match.group())
        if _issued(number) and _stdnum("luhn").is_valid(number):
            yield match.span()


def _issued(number: str) -> bool:
    return any(
        len(number) in one.digits and one.low <= int(number[: len(str(one.low))]) <= one.high
        for one in _ISSUERS
    )


_IBAN = re.compile(r"(?<![^\W_])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}(?![^\W_])")


def _ibans(text: str, _regions: Sequence[str]) -> Iterator[tuple[int, int]]:
    for match in _IBAN.finditer(text):
        start, end = match.span()
        # A word in capitals behind it is no part of it: the longest that is valid counts.
        ends = [end, *(start + m.start() for m in re.finditer(" ", match.group()))]
        for stop in sorted(ends, reverse=True):
            if _stdnum("iban").is_valid(text[start:stop], check_country=False):
                yield start, stop
                break


def _stdnum(name: str) -> Any:
    try:
        from stdnum import iban, luhn
    except ImportError as error:
        raise MissingExtra("curate", "python-stdnum") from error
    return {"iban": iban, "luhn": luhn}[name]


# No country has a number of fewer digits that is valid beyond a town.
_MAY_HOLD_PHONE = re.compile(r"\d(?:\D{0,4}\d){5}")


def _phones(text: str, regions: Sequence[str]) -> Iterator[tuple[int, int]]:
    if not _MAY_HOLD_PHONE.search(text):
        return
    try:
        import phonenumbers
    except ImportError as error:
        raise MissingExtra("curate", "phonenumbers") from error
    for region in regions or (None,):
        for match in phonenumbers.PhoneNumberMatcher(text, region):
            yield match.start, match.end


_FINDERS: Mapping[What, Callable[[str, Sequence[str]], Iterator[tuple[int, int]]]] = {
    "e-mail address": _emails,
    "bank account": _ibans,
    "card number": _cards,
    "phone number": _phones,
}
