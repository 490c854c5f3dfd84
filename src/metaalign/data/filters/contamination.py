"""Groups that give away what a model will be evaluated on."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from metaalign.data.filters.minhash import Index, sketches
from metaalign.data.filters.texts import folded, places, query, talk
from metaalign.data.samples import normalised
from metaalign.data.sources.formats import rows_of
from metaalign.data.sources.place import Place
from metaalign.data.sources.records import read_records
from metaalign.schema import Group, UserError

_PERMUTATIONS = 128
_SHINGLE = 5


class Contamination(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="name",
    tag="contamination",
):
    """Drops groups that hold an item of an evaluation set, or nearly do.

    Two tests, and each alone suffices. An item is *contained* if ``share`` of its runs of ``ngram``
    words stand in any text of the group (as PaLM's authors measured it, Chowdhery et al. 2022,
    section 8). It is *nearly the same* as the query, the talk or a candidate if their similarity
    reaches ``near`` (see ``NearDuplicates``); this finds items of fewer words, too.
    """

    sets: Annotated[tuple[str, ...], Meta(min_length=1)]
    """Files, or datasets on the hub (``hf:OWNER/NAME#test``), as ``sources.place`` has them."""
    fields: tuple[str, ...] = ()
    """The fields that hold an item each; without any, every line of a file is one."""
    ngram: Annotated[int, Meta(ge=2)] = 8
    share: Annotated[float, Meta(gt=0, le=1)] = 0.7
    near: Annotated[float, Meta(ge=0.1, le=1)] = 0.8

    def __post_init__(self) -> None:
        if not self.fields and any(Place.of(one).on_hub for one in self.sets):
            raise ValueError("a dataset on the hub has no lines: say which fields to read")

    def reasons(self, groups: Sequence[Group]) -> list[str]:
        index = _index(self)
        contained = map(index.contained, groups)
        return [one or other for one, other in zip(contained, index.alike(groups), strict=True)]


class _Index:
    """The items of the evaluation sets, by their runs of words and by their sketches."""

    def __init__(self, settings: Contamination) -> None:
        self._ngram, self._share = settings.ngram, settings.share
        self._names: list[str] = []
        self._runs: dict[str, list[int]] = {}
        """Numbers of the items that hold a run of words."""
        self._of_item: list[int] = []
        """Different runs of every item."""
        texts = []
        for name, text in _items(settings):
            runs = self._runs_of(text)
            for run in runs:
                self._runs.setdefault(run, []).append(len(self._names))
            self._names.append(name)
            self._of_item.append(len(runs))
            texts.append(text)
        self._near = Index(sketches(texts, _PERMUTATIONS, _SHINGLE), settings.near)

    def contained(self, group: Group) -> str:
        """The reason to drop ``group`` for an item that it contains, the most of which is there."""
        runs = {run for _, text in places(group) for run in self._runs_of(text)}
        found = Counter(item for run in runs for item in self._runs.get(run, ()))
        best = max(found, key=lambda i: (found[i] / self._of_item[i], -i), default=None)
        if best is None or found[best] < self._share * self._of_item[best]:
            return ""
        share = found[best] / self._of_item[best]
        return f"contamination: {self._names[best]}, {share:.0%} of its {self._ngram}-grams"

    def alike(self, groups: Sequence[Group]) -> Iterator[str]:
        """For every group the reason to drop it for an item that it nearly is."""
        texts = [[text for text in map(folded, _compared(group)) if text] for group in groups]
        every = [text for own in texts for text in own]
        found = iter(self._near.nearest(sketches(every, _PERMUTATIONS, _SHINGLE)) if every else [])
        for own in texts:
            hits = [hit for hit in islice(found, len(own)) if hit]
            item, alike = max(hits, key=itemgetter(1), default=(0, 0.0))
            yield f"contamination: {self._names[item]}, {alike:.2f} alike" if hits else ""

    def _runs_of(self, text: str) -> set[str]:
        words = normalised(text).split()
        return {
            " ".join(words[start : start + self._ngram])
            for start in range(len(words) - self._ngram + 1)
        }


def _compared(group: Group) -> list[str]:
    return [query(group), talk(group), *(candidate.text for candidate in group.candidates)]


@lru_cache(maxsize=4)
def _index(settings: Contamination) -> _Index:
    """Made once in a process."""
    return _Index(settings)


def _items(settings: Contamination) -> Iterator[tuple[str, str]]:
    """Name and text of every item; ``UserError`` for a set that has none."""
    for place in settings.sets:
        count = 0
        for number, text in enumerate(_texts(place, settings.fields), 1):
            if folded(text):
                count += 1
                yield f"{_name(place)} item {number}", folded(text)
        if not count:
            raise UserError(f"contamination: the evaluation set {place} holds no text")


def _name(place: str) -> str:
    path = Place.of(place).path
    return path.name if path else place


def _texts(place: str, fields: Sequence[str]) -> Iterator[str]:
    if fields:
        names = {f"field_{number}": name for number, name in enumerate(fields)}
        record = msgspec.defstruct("Item", [(one, str) for one in names], rename=names)
        for item in read_records(Place.of(place), record):
            yield from msgspec.structs.astuple(item)
        return
    for file in Place.of(place).files():
        for row in rows_of(file):
            if not isinstance(row.value, bytes):
                raise UserError(f"contamination: {file} is a table: say which fields to read")
            yield row.value.decode("utf-8", "replace")
