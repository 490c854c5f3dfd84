"""Statements that a kind of person would or would not say: a flip by persona on every one.

Public dataset: anthropics/evals, folder ``persona``, CC-BY-4.0. Fields read: ``question``,
``statement``, ``answer_matching_behavior``, ``answer_not_matching_behavior``, and ``behavior``,
which is the name of the published file.

A group is one statement asked of one behavior. The candidates are the two answers, "Yes" and "No",
in an order drawn by hash. One view's person has the behavior, the other's is the opposite, each
described by the behavior's name in words. Each behavior has statements that match it by "Yes" and
statements that match it by "No", and all are kept: neither the person nor the statement alone
tells the answer. The name of the query is the statement's, without the behavior, so a split never
separates one statement that belongs to two behaviors.
"""

from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from metaalign.data.draw import digest, pick
from metaalign.data.sources.records import Skipped, Source, read_records
from metaalign.data.sources.wordings import wordings
from metaalign.schema import USER_INFO, Candidate, Group, MetaPrompt, Preference, Turn, View

NAME = "persona-statements"


class Record(Struct, frozen=True):
    """One published line."""

    behavior: str
    question: str
    statement: str
    answer_matching_behavior: str
    answer_not_matching_behavior: str


def read(path: Path, *, seed: int = 0, skipped: Skipped | None = None) -> Iterator[Group]:
    """The groups of a published file; what is left out is counted in ``skipped`` by reason."""
    skipped = Skipped() if skipped is None else skipped
    seen: set[str] = set()
    for record in read_records(path, Record):
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
            yield _group(record, name, (matching, other), seed)


def in_words(behavior: str) -> str:
    """The published name as words: ``interest-in-art`` becomes ``interest in art``."""
    return " ".join(behavior.replace("-", " ").replace("_", " ").split())


def _group(record: Record, name: str, answers: tuple[str, str], seed: int) -> Group:
    """``answers`` are the matching one and the other one."""
    texts = wordings().persona_statements
    draw = (seed, NAME, name)
    behavior = in_words(record.behavior)
    order = pick(((0, 1), (1, 0)), *draw, "candidates")
    views = []
    for best in pick(((0, 1), (1, 0)), *draw, "views"):
        if best == 0:
            options, value = texts.has, behavior
        else:
            options, value = texts.has_the_opposite, f"opposite: {behavior}"
        wording = pick(options, *draw, value).replace("{behavior}", behavior)
        views.append(
            View(
                MetaPrompt.of(user_info=wording),
                ranks=tuple(0 if answer == best else 1 for answer in order),
                ordered_by="rule",
                preferences=(
                    # Who somebody is, not what they ask for.
                    Preference(
                        USER_INFO, "persona", value, wording, explicit=False, span=(0, len(wording))
                    ),
                ),
            )
        )
    return Group(
        id=f"{NAME}:{name}",
        source=NAME,
        family="opinion",
        kind="contested",
        turns=(Turn("user", record.question.strip()),),
        candidates=tuple(Candidate(answers[i], "rule") for i in order),
        views=tuple(views),
        query_id=digest(record.statement.strip().casefold()),
    )


SOURCE = Source(
    NAME,
    licence="cc-by-4.0",
    origin="https://github.com/anthropics/evals",
    description="Statements that a kind of person would or would not say; "
    "the answer flips between a person of that kind and the opposite.",
    read=read,
)
