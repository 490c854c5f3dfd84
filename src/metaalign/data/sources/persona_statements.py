"""Statements that a kind of person would or would not say: a flip by persona on every one.

Public dataset: anthropics/evals, folder ``persona``, CC-BY-4.0. Fields read: ``question``,
``statement``, ``answer_matching_behavior``, ``answer_not_matching_behavior``, and ``behavior``,
which is the name of the published file.

A group is one statement asked of one behavior, of the family ``opinion``. The candidates are the
two answers, "Yes" and "No". One view's person has the behavior, the other's is the opposite, each
described by the behavior's name in words. Each behavior has statements that match it by "Yes" and
statements that match it by "No", and all are kept: neither the person nor the statement alone
tells the answer. The name of the query is the statement's, without the behavior, so a split never
separates one statement that belongs to two behaviors.
"""

from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from metaalign.data.draw import digest
from metaalign.data.families import Material, Person, opinion_group
from metaalign.data.families.wordings import wordings
from metaalign.data.sources.place import Place
from metaalign.data.sources.records import Skipped, Source, read_records
from metaalign.schema import USER_INFO, Annotation, Candidate, Group, Turn

NAME = "persona-statements"


class Record(Struct, frozen=True):
    """One published line."""

    behavior: str
    question: str
    statement: str
    answer_matching_behavior: str
    answer_not_matching_behavior: str


def read(place: Place | Path, *, seed: int = 0, skipped: Skipped | None = None) -> Iterator[Group]:
    """The groups of a published file; what is left out is counted in ``skipped`` by reason."""
    skipped = Skipped() if skipped is None else skipped
    seen: set[str] = set()
    for record in read_records(place, Record):
        matching = record.answer_matching_behavior.strip()
        other = record.answer_not_matching_behavior.strip()
        name = digest(record.behavior, record.question)
        if not record.behavior.strip() or not record.question.strip():
            skipped["the behavior or the question is empty"] += 1
        elif not matching or not other:
            skipped["an answer is empty"] += 1
        elif matching == other:
            skipped["both answers are the same"] += 1
        elif name in seen:
            skipped["the same statement and behavior were there before"] += 1
        else:
            seen.add(name)
            material = Material(
                source=NAME,
                id=name,
                kind="contested",
                turns=(Turn("user", record.question.strip()),),
                candidates=(Candidate(matching, "rule"), Candidate(other, "rule")),
                query_id=digest(record.statement.strip().casefold()),
            )
            if group := opinion_group(material, _persons(in_words(record.behavior)), seed=seed):
                yield group
            else:
                skipped["the Matrix lets nothing through that is known"] += 1


def in_words(behavior: str) -> str:
    """The published name as words: ``interest-in-art`` becomes ``interest in art``."""
    return " ".join(behavior.replace("-", " ").replace("_", " ").split())


def _persons(behavior: str) -> list[Person]:
    """Somebody who has ``behavior``, for whom the matching answer is right, and the opposite."""
    return [
        Person(
            value=value,
            wordings=tuple(
                wording.replace("{behavior}", behavior)
                for wording in wordings().of("background", kind, USER_INFO)
            ),
            orders=(Annotation("rule", ranks),),
        )
        for kind, value, ranks in (
            ("has", behavior, (0, 1)),
            ("has_the_opposite", f"opposite: {behavior}", (1, 0)),
        )
    ]


SOURCE = Source(
    NAME,
    licence="cc-by-4.0",
    origin="https://github.com/anthropics/evals",
    description="Statements that a kind of person would or would not say; "
    "the answer flips between a person of that kind and the opposite.",
    read=read,
)
