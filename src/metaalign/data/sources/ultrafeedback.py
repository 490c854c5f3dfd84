"""UltraFeedback: four answers to one instruction, rated by a model in four respects.

Public dataset: openbmb/UltraFeedback, MIT. Fields read: ``source``, ``instruction``,
``completions`` with ``model``, ``response`` and ``annotations``, which holds a ``Rating`` from 1 to
5, or N/A, for ``instruction_following``, ``honesty``, ``truthfulness`` and ``helpfulness``; checked
against its repository. Its binarized form is read as well (HuggingFaceH4/ultrafeedback_binarized,
MIT): ``prompt``, ``chosen``, ``rejected`` (messages), checked against code that writes it.

A group is one instruction, of the family ``helpful``. On the whole the mean of the ratings orders
the answers; the three respects that are no helpfulness are wishes, and so are length and form, by
rule. The orders are a ``teacher``'s, GPT-4. Instructions of TruthfulQA are left out: evaluations
ask them. The kind is ``benign`` unless the rules know of worse.
"""

from collections.abc import Iterator
from pathlib import Path
from statistics import mean

from msgspec import Struct, field

from metaalign.data.draw import digest
from metaalign.data.families import Material, Value, helpful_group, scored
from metaalign.data.families.framing import Orders
from metaalign.data.families.measured import by_format, by_length
from metaalign.data.sources.kinds import at_least
from metaalign.data.sources.place import Place
from metaalign.data.sources.records import Skipped, Source, read_records
from metaalign.schema import Candidate, Group, Turn

NAME = "ultrafeedback"
TEACHER = "teacher:gpt-4"
RESPECTS = ("honesty", "instruction_following", "truthfulness")
"""What the model rated besides helpfulness; each is a ``quality`` to ask for."""


class Rated(Struct, frozen=True):
    """The rating of one answer in one respect."""

    rating: str | int | None = field(name="Rating", default=None)

    @property
    def value(self) -> float | None:
        try:
            return None if self.rating is None else float(self.rating)
        except ValueError:  # N/A
            return None


class Completion(Struct, frozen=True):
    """One answer."""

    model: str
    response: str
    annotations: dict[str, Rated]


class Message(Struct, frozen=True):
    """One turn of the binarized form."""

    role: str
    content: str


class Record(Struct, frozen=True):
    """One published line, of either form."""

    instruction: str | None = None
    source: str | None = None
    completions: tuple[Completion, ...] | None = None
    prompt: str | None = None
    chosen: tuple[Message, ...] | None = None
    rejected: tuple[Message, ...] | None = None

    def __post_init__(self) -> None:
        original = self.instruction is not None and self.completions is not None
        binarized = self.prompt is not None and self.chosen and self.rejected
        if not original and not binarized:
            raise ValueError(
                "it has neither `instruction` and `completions` nor `prompt`, `chosen`, `rejected`"
            )


def read(place: Place | Path, *, seed: int = 0, skipped: Skipped | None = None) -> Iterator[Group]:
    """The groups of a published file; what is left out is counted in ``skipped`` by reason."""
    skipped = Skipped() if skipped is None else skipped
    seen: set[str] = set()
    for record in read_records(place, Record):
        query = (record.instruction or record.prompt or "").strip()
        answers = _answers(record)
        name = digest(query, *answers)
        if record.source == "truthful_qa":
            skipped["it is a question of TruthfulQA, which evaluations ask"] += 1
        elif not query or len(answers) < 2:
            skipped["the instruction is empty, or it has fewer than two different answers"] += 1
        elif name in seen:
            skipped["the same answers were there before"] += 1
        else:
            seen.add(name)
            if group := _group(record, name, query, answers, seed):
                yield group
            else:
                skipped["no answer is rated better than another"] += 1


def _answers(record: Record) -> dict[str, Candidate]:
    """The different answers that say something, by their text."""
    if record.completions is not None:
        found = [(c.response.strip(), c.model) for c in record.completions]
    else:
        talks = (record.chosen or (), record.rejected or ())
        found = [(talk[-1].content.strip(), "model") for talk in talks]
    return {text: Candidate(text, model) for text, model in reversed(found) if text}


def _group(
    record: Record, name: str, query: str, answers: dict[str, Candidate], seed: int
) -> Group | None:
    texts = tuple(answers)
    overall, wishes = _orders(record, texts)
    material = Material(
        source=NAME,
        id=name,
        kind=at_least("benign", query),
        turns=(Turn("user", query),),
        candidates=tuple(answers.values()),
        query_id=digest(query),
    )
    wishes |= {**by_length(texts), **by_format(texts)}
    return helpful_group(material, overall, wishes, seed=seed)


def _orders(record: Record, texts: tuple[str, ...]) -> tuple[Orders, dict[Value, Orders]]:
    """Who is better on the whole, and in every respect in which the answers differ."""
    if record.completions is None:
        chosen = (record.chosen or ())[-1].content.strip()
        return scored(TEACHER, [float(text == chosen) for text in texts]), {}
    # Of two answers with the same text the first is kept, with its ratings.
    rated = {c.response.strip(): c.annotations for c in reversed(record.completions)}
    wishes = dict[Value, Orders]()
    for respect in RESPECTS:
        scores = [rated[text].get(respect, Rated()).value for text in texts]
        if len({score for score in scores if score is not None}) > 1:
            wishes["quality", respect] = scored(TEACHER, scores)
    means = [_mean(rated[text]) for text in texts]
    different = len({score for score in means if score is not None}) > 1
    return scored(TEACHER, means) if different else (), wishes


def _mean(rated: dict[str, Rated]) -> float | None:
    known = [one.value for one in rated.values() if one.value is not None]
    return mean(known) if known else None


SOURCE = Source(
    NAME,
    licence="mit",
    origin="https://huggingface.co/datasets/openbmb/UltraFeedback",
    description="Instructions with four answers that GPT-4 rated on the whole and in three "
    "respects, and by rule for length and form.",
    read=read,
    hub="hf:openbmb/UltraFeedback",
)
