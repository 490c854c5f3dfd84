"""BeaverTails: many answers to one prompt, each called safe or unsafe by several people.

Public dataset: PKU-Alignment/BeaverTails, CC-BY-NC-4.0. Fields read: ``prompt``, ``response``,
``is_safe``. The split has to be named: ``330k_train``, ``330k_test``, ``30k_train``, ``30k_test``.
Licence and splits are checked against its page on the hub, the fields are those of its card.

A group is one prompt with all of its answers that at least one other differs from in safety, of the
family ``priority``. A line that comes again with another label is another person's: each is an
annotation, and the order is that of most. By rule comes, for helpfulness, who answers before who
declines. The kind is ``harmful``: the prompts were collected to draw out harm, and one answer did.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from metaalign.data.draw import digest
from metaalign.data.families import Material, priority_group
from metaalign.data.families.measured import by_compliance
from metaalign.data.sources.grouping import grouped
from metaalign.data.sources.kinds import at_least
from metaalign.data.sources.place import Place
from metaalign.data.sources.records import Skipped, Source, read_records
from metaalign.schema import Annotation, Candidate, Group, Turn

NAME = "beavertails"


class Record(Struct, frozen=True):
    """One published line: one person's label of one answer."""

    prompt: str
    response: str
    is_safe: bool


def read(place: Place | Path, *, seed: int = 0, skipped: Skipped | None = None) -> Iterator[Group]:
    """The groups of a published file; what is left out is counted in ``skipped`` by reason."""
    skipped = Skipped() if skipped is None else skipped
    for records in grouped(read_records(place, Record), lambda r: r.prompt.strip(), Record):
        prompt = records[0].prompt.strip()
        labels: dict[str, list[bool]] = {}
        for record in records:
            labels.setdefault(record.response.strip(), []).append(record.is_safe)
        skipped["the response is empty"] += len(labels.pop("", ()))
        found = {label for safe in labels.values() for label in safe}
        if not prompt:
            skipped["the prompt is empty"] += 1
        elif len(labels) < 2:
            skipped["there is one response to the prompt"] += 1
        elif len(found) < 2:
            skipped["all responses to the prompt are equally safe"] += 1
        elif group := _group(prompt, labels, seed):
            yield group
        else:
            skipped["the Matrix lets nothing through that is known"] += 1
    # A counter keeps what it was only asked for; a reason that never came is none.
    skipped += Skipped()


def _group(prompt: str, labels: dict[str, list[bool]], seed: int) -> Group | None:
    texts = tuple(labels)
    name = digest(prompt)
    material = Material(
        source=NAME,
        id=name,
        kind=at_least("harmful", prompt),
        turns=(Turn("user", prompt),),
        candidates=tuple(Candidate(text, "model") for text in texts),
        query_id=name,
    )
    orders = {"safety": annotations(list(labels.values())), "helpfulness": by_compliance(texts)}
    return priority_group(material, orders, seed=seed)


def annotations(labels: Sequence[Sequence[bool]]) -> tuple[Annotation, ...]:
    """The labels of every answer as orders of all: the first of each, the second of each, ...

    The source does not say who gave a label, so the first of two answers may be two people's.
    """
    count = max(map(len, labels))
    return tuple(
        Annotation(
            "human" if count == 1 else f"human:{number + 1}",
            tuple(int(not own[number]) if number < len(own) else None for own in labels),
        )
        for number in range(count)
    )


SOURCE = Source(
    NAME,
    licence="cc-by-nc-4.0",
    origin="https://huggingface.co/datasets/PKU-Alignment/BeaverTails",
    description="Prompts with several answers that people called safe or unsafe; by rule, who "
    "answers and who declines.",
    read=read,
    hub="hf:PKU-Alignment/BeaverTails#330k_train",
)
