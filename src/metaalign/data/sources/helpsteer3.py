"""HelpSteer3: two answers to a talk, compared by several people, each person's order kept.

Public dataset: nvidia/HelpSteer3, configuration ``preference``, CC-BY-4.0. Fields read:
``context`` (messages with ``role`` and ``content``), ``response1``, ``response2``,
``overall_preference`` (-3 to 3, below 0 the first is better) and ``individual_preference`` with a
``score`` each; checked against a card that lists them, the licence against its page on the hub.

A group is one talk with its two answers, of the family ``helpful``. Each person's score is an
annotation, and the order that of most; by rule comes who is short or long and in which form. A
system message becomes System Info. The kind is ``benign`` unless the rules know of worse.
"""

from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from metaalign.data.draw import digest
from metaalign.data.families import Material, helpful_group
from metaalign.data.families.measured import by_format, by_length
from metaalign.data.sources.helpsteer2 import comparisons
from metaalign.data.sources.kinds import at_least
from metaalign.data.sources.messages import Message, Unread, parse_messages
from metaalign.data.sources.place import Place
from metaalign.data.sources.records import Skipped, Source, read_records
from metaalign.schema import SYSTEM_INFO, Candidate, Group

NAME = "helpsteer3"


class Individual(Struct, frozen=True):
    """One person's comparison."""

    score: int


class Record(Struct, frozen=True):
    """One published line."""

    context: tuple[Message, ...]
    response1: str | None
    response2: str | None
    overall_preference: int
    individual_preference: tuple[Individual, ...] | None = None


def read(place: Place | Path, *, seed: int = 0, skipped: Skipped | None = None) -> Iterator[Group]:
    """The groups of a published file; what is left out is counted in ``skipped`` by reason."""
    skipped = Skipped() if skipped is None else skipped
    seen: set[str] = set()
    for record in read_records(place, Record):
        answers = ((record.response1 or "").strip(), (record.response2 or "").strip())
        name = digest(*(message.text for message in record.context), *answers)
        if not all(answers) or answers[0] == answers[1]:
            skipped["an answer is empty, or both are the same"] += 1
        elif name in seen:
            skipped["the same pair was there before"] += 1
        else:
            seen.add(name)
            try:
                group = _group(record, name, answers, seed)
            except Unread as why:
                skipped[str(why)] += 1
                continue
            if group is not None:
                yield group
            else:
                skipped["neither answer is better"] += 1


def _group(record: Record, name: str, answers: tuple[str, str], seed: int) -> Group | None:
    talk = parse_messages(record.context)
    individual = comparisons([one.score for one in record.individual_preference or ()])
    material = Material(
        source=NAME,
        id=name,
        kind=at_least("benign", talk.turns[-1].text),
        turns=talk.turns,
        candidates=tuple(Candidate(text, "model") for text in answers),
        query_id=digest(*(turn.text for turn in talk.turns)),
        system_info=talk.said(SYSTEM_INFO),
    )
    overall = individual or comparisons([record.overall_preference])
    wishes = {**by_length(answers), **by_format(answers)}
    return helpful_group(material, overall, wishes, seed=seed)


SOURCE = Source(
    NAME,
    licence="cc-by-4.0",
    origin="https://huggingface.co/datasets/nvidia/HelpSteer3",
    description="Talks with two answers that several people compared, each person's order kept; by "
    "rule, length and form.",
    read=read,
    hub="hf:nvidia/HelpSteer3:preference",
)
