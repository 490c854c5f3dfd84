"""The Habermas machine's questions: a flip by stance on every one.

Public dataset: google-deepmind/habermas_machine (``hm_questions``), CC-BY-4.0. Fields read: ``id``,
``question``, ``affirming_statement``, ``negating_statement``.

A group is one question. Its candidates are the two statements, in an order drawn by hash. One
view's person agrees and one's disagrees, each in a wording of its own; every second group has a
neutral role in System Info, the same in both views.
"""

from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from metaalign.data.draw import pick, unit
from metaalign.data.sources.records import Skipped, Source, read_records
from metaalign.data.sources.wordings import wordings
from metaalign.schema import USER_INFO, Candidate, Group, MetaPrompt, Preference, Turn, View

NAME = "habermas"


class Record(Struct, frozen=True):
    """One published line."""

    id: str
    question: str
    affirming_statement: str
    negating_statement: str


def read(path: Path, *, seed: int = 0, skipped: Skipped | None = None) -> Iterator[Group]:
    """The groups of a published file; what is left out is counted in ``skipped`` by reason."""
    skipped = Skipped() if skipped is None else skipped
    seen: set[str] = set()
    for record in read_records(path, Record):
        statements = (record.affirming_statement.strip(), record.negating_statement.strip())
        if not record.question.strip() or not all(statements):
            skipped["the question or a statement is empty"] += 1
        elif statements[0] == statements[1]:
            skipped["both statements are the same"] += 1
        elif record.id in seen:
            skipped["the id was there before"] += 1
        else:
            seen.add(record.id)
            yield _group(record, statements, seed)


def _group(record: Record, statements: tuple[str, str], seed: int) -> Group:
    texts = wordings().habermas
    name = (seed, NAME, record.id)
    role = pick(texts.roles, *name, "role") if unit(*name, "has role") < 0.5 else ""
    # Which of the two statements stands first, and which of the two people speaks first.
    order = pick(((0, 1), (1, 0)), *name, "candidates")
    stances = pick((("agree", "disagree"), ("disagree", "agree")), *name, "views")
    views = []
    for stance in stances:
        options = texts.agree if stance == "agree" else texts.disagree
        wording = pick(options, *name, stance)
        best = 0 if stance == "agree" else 1
        views.append(
            View(
                MetaPrompt.of(system_info=role, user_info=wording),
                ranks=tuple(0 if statement == best else 1 for statement in order),
                ordered_by="rule",
                preferences=(
                    Preference(USER_INFO, "stance", stance, wording, span=(0, len(wording))),
                ),
            )
        )
    return Group(
        id=f"{NAME}:{record.id}",
        source=NAME,
        family="opinion",
        kind="contested",
        turns=(Turn("user", record.question.strip()),),
        candidates=tuple(Candidate(statements[i], "model") for i in order),
        views=tuple(views),
        query_id=record.id,
    )


SOURCE = Source(
    NAME,
    licence="cc-by-4.0",
    origin="https://github.com/google-deepmind/habermas_machine",
    description="Contested questions with an affirming and a negating statement; "
    "the order flips with the stance of the person who asks.",
    read=read,
)
