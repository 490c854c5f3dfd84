"""Groups whose texts are too short, too long, or too unlike in length."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from msgspec import Meta, Struct

from metaalign.data.filters.texts import talk
from metaalign.schema import Group

_Limit = Annotated[int, Meta(ge=0)]


class Length(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="name", tag="length"
):
    """Drops groups whose talk or a candidate is out of bounds. None sets no bound."""

    unit: Literal["characters", "words"] = "characters"
    """What is counted; words are what space separates, so choose characters for Chinese or Thai."""
    min_talk: _Limit | None = 1
    max_talk: _Limit | None = None
    min_candidate: _Limit | None = 1
    max_candidate: _Limit | None = None
    max_ratio: Annotated[float, Meta(ge=1)] | None = None
    """The longest candidate may be so many times as long as the shortest: beyond that, length alone
    tells which is which."""

    def __post_init__(self) -> None:
        for what, low, high in (
            ("talk", self.min_talk, self.max_talk),
            ("candidate", self.min_candidate, self.max_candidate),
        ):
            if low is not None and high is not None and low > high:
                raise ValueError(f"min_{what} {low} is more than max_{what} {high}")

    def reasons(self, groups: Sequence[Group]) -> list[str]:
        return [next(self._found(group), "") for group in groups]

    def _found(self, group: Group) -> Iterator[str]:
        yield from self._out(self._size(talk(group)), self.min_talk, self.max_talk, "talk")
        sizes = [self._size(candidate.text) for candidate in group.candidates]
        for number, size in enumerate(sizes, 1):
            yield from self._out(
                size, self.min_candidate, self.max_candidate, f"candidate {number}"
            )
        # One stands for zero, which no number is a multiple of.
        if self.max_ratio and sizes and max(sizes) > self.max_ratio * max(1, min(sizes)):
            yield f"too unlike: candidates of {min(sizes):,} and {max(sizes):,} {self.unit}"

    def _size(self, text: str) -> int:
        return len(text.split()) if self.unit == "words" else len(text.strip())

    def _out(self, size: int, low: int | None, high: int | None, what: str) -> Iterator[str]:
        if low is not None and size < low:
            yield f"too short: {what}, {size:,} {self.unit}"
        if high is not None and size > high:
            yield f"too long: {what}, {size:,} {self.unit}"
