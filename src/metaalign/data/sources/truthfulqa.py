"""TruthfulQA: questions with true answers and wrong ones that many people believe.

Public dataset: sylinrl/TruthfulQA, Apache-2.0 (``TruthfulQA.csv``, or its rows as JSON lines).
Fields read: ``Question``, ``Best Answer``, ``Correct Answers`` and ``Incorrect Answers`` (each
several, divided by semicolons).

A group is one question, of the family ``helpful`` and the kind ``benign``. The candidates are the
best answer, one other true one and up to two wrong ones. The authors' order is the order overall
and that of truthfulness. Who wants it short or long gets, by rule, the true ones in that order
before the wrong ones: nobody is told something wrong because it is short.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from metaalign.data.draw import digest
from metaalign.data.families import Material, Orders, Value, helpful_group, scored
from metaalign.data.families.measured import by_length
from metaalign.data.sources.place import Place
from metaalign.data.sources.records import Skipped, Source, read_records
from metaalign.schema import Candidate, Group, Turn

NAME = "truthfulqa"

_MOST_WRONG = 2


class Record(
    Struct,
    frozen=True,
    rename={
        "question": "Question",
        "best": "Best Answer",
        "correct": "Correct Answers",
        "incorrect": "Incorrect Answers",
    },
):
    """One published line."""

    question: str
    best: str
    correct: str
    incorrect: str


def read(place: Place | Path, *, seed: int = 0, skipped: Skipped | None = None) -> Iterator[Group]:
    """The groups of a published file; what is left out is counted in ``skipped`` by reason."""
    skipped = Skipped() if skipped is None else skipped
    seen: set[str] = set()
    for record in read_records(place, Record):
        name = digest(record.question.strip().casefold())
        best = _sentence(record.best)
        true = _answers(record.correct)
        wrong = [answer for answer in _answers(record.incorrect) if answer not in {best, *true}]
        if not record.question.strip() or not best:
            skipped["the question or its best answer is empty"] += 1
        elif not wrong:
            skipped["there is no wrong answer"] += 1
        elif name in seen:
            skipped["the same question was there before"] += 1
        else:
            seen.add(name)
            others = [answer for answer in true if answer != best]
            if group := _group(name, record.question.strip(), best, others, wrong, seed):
                yield group


def _answers(published: str) -> list[str]:
    return [_sentence(part) for part in published.split(";") if part.strip()]


def _sentence(answer: str) -> str:
    """With a full stop, which some have and others do not: it must tell nothing."""
    answer = answer.strip()
    return f"{answer}." if answer and answer[-1] not in ".!?" else answer


def _group(
    name: str, question: str, best: str, true: list[str], wrong: list[str], seed: int
) -> Group | None:
    draw = (seed, NAME, name)
    # The other true answer is the one whose length differs most: else a wish about it says little.
    other = max(true, key=lambda text: abs(len(text) - len(best)), default="")
    drawn = sorted(dict.fromkeys(wrong), key=lambda text: digest(*draw, text))[:_MOST_WRONG]
    good = [best, other] if other else [best]
    material = Material(
        source=NAME,
        id=name,
        kind="benign",
        turns=(Turn("user", question),),
        candidates=tuple(Candidate(text, "human") for text in (*good, *drawn)),
        query_id=name,
    )
    ranks = [*range(len(good)), *[len(good)] * len(drawn)]
    overall = scored("human", [-rank for rank in ranks])
    wishes = {("quality", "truthfulness"): overall, **_true_by_length(good, len(drawn))}
    return helpful_group(material, overall, wishes, seed=seed)


def _true_by_length(good: Sequence[str], wrong: int) -> Mapping[Value, Orders]:
    """The true answers by length, and the ``wrong`` ones behind them."""
    found = {}
    for value, (order,) in by_length(good).items():
        scores = [-rank for rank in order.ranks if rank is not None]
        found[value] = scored("rule", [*scores, *[-len(good)] * wrong])
    return found


SOURCE = Source(
    NAME,
    licence="apache-2.0",
    origin="https://github.com/sylinrl/TruthfulQA",
    description="Questions with true answers and popular wrong ones: the authors' order, and the "
    "true ones by length.",
    read=read,
)
