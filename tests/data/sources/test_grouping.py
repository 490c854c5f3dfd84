"""Records that belong together come together, whatever stands between them."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from metaalign.data.sources.grouping import grouped


class Entry(Struct, frozen=True):
    key: str
    value: int


@given(st.lists(st.builds(Entry, st.text(max_size=2), st.integers(0, 9))))
def test_records_are_grouped_as_a_dictionary_groups_them(entries: list[Entry]) -> None:
    expected: dict[str, list[Entry]] = {}
    for entry in entries:
        expected.setdefault(entry.key, []).append(entry)
    assert list(grouped(entries, lambda e: e.key, Entry)) == list(expected.values())


def test_an_error_while_reading_comes_through() -> None:
    def records() -> Iterator[Entry]:
        yield Entry("a", 1)
        raise ValueError("damaged")

    try:
        list(grouped(records(), lambda e: e.key, Entry))
    except ValueError as error:
        assert str(error) == "damaged"
    else:
        raise AssertionError("the error was lost")
