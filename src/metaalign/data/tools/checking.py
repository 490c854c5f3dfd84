"""What is wrong with one group, field by field."""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from metaalign.schema import Group, Preference, View


class Finding(Struct, frozen=True):
    """Something that is wrong, and where it stands."""

    file: str
    """Within the dataset folder: ``groups/sft-00000.parquet``."""
    row: int | None
    """From 0, as Parquet counts; None if it concerns the file, or what it holds together."""
    field: str
    """Path within the row: ``views[0].ranks``; empty for the row as a whole."""
    problem: str
    rows: int = 1
    """How many rows are lost by it; 0 where nobody can tell."""

    def __str__(self) -> str:
        row = "" if self.row is None else f", row {self.row}"
        field = f", {self.field}" if self.field else ""
        return f"{self.file}{row}{field}: {self.problem}"


Fault = tuple[str, str]
"""Field and problem."""


def faults_of(group: Group) -> Iterator[Fault]:
    """Everything that contradicts something else in the group."""
    if not group.id:
        yield "id", "the group has no id"
    if not group.turns or group.turns[-1].role != "user":
        yield "turns", "the talk does not end with a query"
    if not group.candidates:
        yield "candidates", "there is no candidate"
    for number, view in enumerate(group.views):
        where = f"views[{number}]"
        yield from _ranks(f"{where}.ranks", view.ranks, group)
        for place, one in enumerate(view.annotations):
            yield from _ranks(f"{where}.annotations[{place}].ranks", one.ranks, group)
        for place, preference in enumerate(view.preferences):
            yield from _preference(f"{where}.preferences[{place}]", preference, view, group)


def _ranks(field: str, ranks: Sequence[int | None], group: Group) -> Iterator[Fault]:
    if len(ranks) != len(group.candidates):
        yield field, f"{len(ranks)} ranks for {len(group.candidates)} candidates"
    if any(rank is not None and rank < 0 for rank in ranks):
        yield field, "a rank is negative"


def _preference(field: str, asked: Preference, view: View, group: Group) -> Iterator[Fault]:
    if asked.turn is not None:
        if not 0 <= asked.turn < len(group.turns):
            yield f"{field}.turn", f"the talk has {len(group.turns)} turns, not one {asked.turn}"
            return
        text = group.turns[asked.turn].text
    else:
        text = view.meta_prompt.text(asked.tier)
        if not text:
            yield f"{field}.tier", f"the tier {asked.tier!r} says nothing in this view"
            return
    if asked.span is None:
        return
    start, end = asked.span
    if not 0 <= start < end <= len(text):
        yield f"{field}.span", f"[{start}, {end}) is no part of a text of {len(text)} characters"
    elif asked.wording and text[start:end] != asked.wording:
        yield f"{field}.span", "the words there are not the preference's wording"
