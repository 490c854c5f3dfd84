"""The Habermas machine's questions: a flip by stance on every one.

Public dataset: google-deepmind/habermas_machine (``hm_questions``), CC-BY-4.0. Fields read: ``id``,
``question``, ``affirming_statement``, ``negating_statement``, and ``split`` where it is there.

A group is one question, of the family ``opinion``. Its candidates are the two statements; one
view's person is for what is asked and one's is against it.
"""

from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from metaalign.data.families import Material, opinion_group, stances
from metaalign.data.sources.place import Place
from metaalign.data.sources.records import Skipped, Source, read_records
from metaalign.schema import Candidate, Group, Turn

NAME = "habermas"


class Record(Struct, frozen=True):
    """One published line."""

    id: str
    question: str
    affirming_statement: str
    negating_statement: str
    split: str = ""


def read(place: Place | Path, *, seed: int = 0, skipped: Skipped | None = None) -> Iterator[Group]:
    """The groups of a published file; what is left out is counted in ``skipped`` by reason."""
    skipped = Skipped() if skipped is None else skipped
    seen: set[str] = set()
    for record in read_records(place, Record):
        statements = (record.affirming_statement.strip(), record.negating_statement.strip())
        if not record.question.strip() or not all(statements):
            skipped["the question or a statement is empty"] += 1
        elif statements[0] == statements[1]:
            skipped["both statements are the same"] += 1
        elif record.id in seen:
            skipped["the id was there before"] += 1
        else:
            seen.add(record.id)
            material = Material(
                source=NAME,
                id=record.id,
                kind="contested",
                turns=(Turn("user", record.question.strip()),),
                candidates=tuple(Candidate(text, "model") for text in statements),
                query_id=record.id,
                split=record.split,
            )
            if group := opinion_group(material, stances((0, 1), (1, 0)), seed=seed):
                yield group
            else:
                skipped["the Matrix lets nothing through that is known"] += 1


SOURCE = Source(
    NAME,
    licence="cc-by-4.0",
    origin="https://github.com/google-deepmind/habermas_machine",
    description="Contested questions with an affirming and a negating statement; "
    "the order flips with the stance of the person who asks.",
    read=read,
)
