"""The paper's own four JSON files, in whatever layout they are.

Dataset: MetaAlign (arXiv 2410.14184), 38.9k samples over more than 12k preferences. It was never
published; neither its fields nor its licence are known, and nothing of them could be checked. So
the layout of every file is told by its fields (see ``layouts``): an instruction with its output,
conversations, messages, chosen and rejected, or a ranking, with what the tiers say in fields of
their own or in messages. A record is of the family that it names or its file's name does, and of
the split (sft, dpo, test) that the file's name holds.

A group is one query with all of its answers, of one family and split. ``notes`` says what was
found: the layout of every file, and how the numbers compare with the paper's.
"""

import re
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from metaalign.data.draw import digest
from metaalign.data.samples import normalised
from metaalign.data.sources.examples import Example, ExampleOptions, OrderedBy, groups_of
from metaalign.data.sources.layouts import Fields, Layout, family_of, parse_record, recognise
from metaalign.data.sources.messages import Unread
from metaalign.data.sources.place import Place
from metaalign.data.sources.records import Skipped, Source, read_records
from metaalign.schema import Group

NAME = "metaalign-paper"
SAMPLES, PREFERENCES = 38_900, 12_000
"""What the paper says that it has, to the hundred, and at least."""

_LOOKED_AT = 100
"""Records by which the layout of a file is told."""
_SPLIT = re.compile(r"sft|dpo|(?<![a-z])test(?![a-z])")


class PaperOptions(ExampleOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the files say nothing of; ``family`` is that of a file whose name holds none."""

    ordered_by: OrderedBy = "teacher"
    """Who put the one answer before the other."""


DEFAULTS = PaperOptions()


class File(Struct, frozen=True):
    """One file, and how it is read."""

    name: str
    layout: Layout
    records: Iterator[Fields]
    split: str


def read(
    place: Place | Path,
    *,
    seed: int = 0,
    skipped: Skipped | None = None,
    options: PaperOptions = DEFAULTS,
) -> Iterator[Group]:
    """The groups of the files of ``place``; what is left out is counted in ``skipped`` by reason.

    Raises ``UserError`` for a file in no layout that is known, which names its fields.
    """
    skipped = Skipped() if skipped is None else skipped
    examples = chain.from_iterable(
        _examples(file, options, skipped) for file in _files(Place.of(place))
    )
    yield from groups_of(examples, NAME, seed=seed, skipped=skipped)


def _files(place: Place) -> Iterator[File]:
    places = [place] if place.on_hub else [replace(place, path=path) for path in place.files()]
    for one in places:
        records = read_records(one, dict)
        first = list(islice(records, _LOOKED_AT))
        if first:
            name = str(one) if one.path is None else one.path.name
            split = _SPLIT.search(name.lower())
            layout = recognise(first, str(one))
            yield File(name, layout, chain(first, records), split[0] if split else "")


def _examples(file: File, options: PaperOptions, skipped: Skipped) -> Iterator[Example]:
    own = family_of(file.name) or options.family
    for record in file.records:
        try:
            found = parse_record(record, file.layout)
        except Unread as why:
            skipped[str(why)] += 1
            continue
        named = file.layout.get(record, "family")
        yield Example(
            meta_prompt=found.talk.meta_prompt,
            turns=found.talk.turns,
            answers=found.answers,
            ranks=found.ranks,
            family=family_of(named) or own if isinstance(named, str) else own,
            kind=options.kind,
            split=file.split,
            by=options.ordered_by,
        )


def notes(place: Place | Path) -> tuple[str, ...]:
    """What the files hold, in lines: each one's layout, family and split, and the numbers."""
    lines: list[str] = []
    samples = 0
    preferences: set[str] = set()
    for file in _files(Place.of(place)):
        skipped = Skipped()
        count = 0
        for example in _examples(file, DEFAULTS, skipped):
            count += 1
            # A digest and not the text: that is all that is needed to tell them apart.
            preferences |= {digest(normalised(t.text)) for t in example.meta_prompt.tiers}
        family = family_of(file.name) or f"{DEFAULTS.family}, as its name holds none"
        lines.append(
            f"{file.name}: {count:,} samples as {file.layout}; family {family}; split "
            f"{file.split or 'not named'}; {skipped.total():,} records not read"
        )
        samples += count
    return (*lines, *compared(samples, len(preferences)))


def compared(samples: int, preferences: int) -> tuple[str, str]:
    """How the numbers of samples and of different texts of the tiers compare with the paper's."""
    much = _against(samples, SAMPLES - 50, SAMPLES + 50)
    enough = _against(preferences, PREFERENCES, PREFERENCES + 1_000)
    return (
        f"{samples:,} samples: {much} the paper's 38.9k",
        f"{preferences:,} different texts of System Info and User Info: {enough} the paper's "
        "more than 12k preferences",
    )


def _against(count: int, least: int, end: int) -> str:
    return "less than" if count < least else "as many as" if count < end else "more than"


SOURCE = Source(
    NAME,
    licence="unknown",
    origin="https://arxiv.org/abs/2410.14184",
    description="The paper's own files in any of the usual layouts: queries under Meta-Prompts, "
    "with one answer, a chosen and a rejected one, or a ranking.",
    read=read,
    options=PaperOptions,
    notes=notes,
)
