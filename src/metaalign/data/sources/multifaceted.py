"""Multifaceted Collection (Janus): one instruction under three system messages, an answer for each.

Public dataset: kaist-ai/Multifaceted-Collection, CC-BY-4.0 (it was CC-BY-NC-4.0 at first). Fields
read: ``prompt``, ``system``, ``output`` and, where it is there, ``preference_set`` (``dimension``,
``subdimension``, ``preference``, ``description``); checked against the changes of its card.

A group is one instruction with all of its answers, of the family ``helpful``: each system message
is the System Info of a view, which puts the answer that was written for it before the others, so
every two views flip. What it asks for is the preference set as published; without one, what the
rules read. The kind is ``benign`` unless the rules know of worse.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from metaalign.data.draw import digest
from metaalign.data.families.orders import ordered_view
from metaalign.data.sources.grouping import grouped
from metaalign.data.sources.kinds import at_least
from metaalign.data.sources.place import Place
from metaalign.data.sources.records import Skipped, Source, read_records
from metaalign.policy import extract
from metaalign.schema import (
    SYSTEM_INFO,
    Annotation,
    Candidate,
    Group,
    MetaPrompt,
    Preference,
    Turn,
)

NAME = "multifaceted"


class Facet(Struct, frozen=True):
    """One preference that a system message was written from."""

    dimension: str
    preference: str
    subdimension: str | None = None
    description: str | None = None


class Record(Struct, frozen=True):
    """One published line."""

    prompt: str
    system: str
    output: str
    preference_set: tuple[Facet, ...] | None = None


def read(place: Place | Path, *, seed: int = 0, skipped: Skipped | None = None) -> Iterator[Group]:
    """The groups of a published file; what is left out is counted in ``skipped`` by reason."""
    skipped = Skipped() if skipped is None else skipped
    for records in grouped(read_records(place, Record), lambda r: r.prompt.strip(), Record):
        whole = [r for r in records if r.prompt.strip() and r.system.strip() and r.output.strip()]
        by_system = {r.system.strip(): r for r in reversed(whole)}
        answers = {r.output.strip() for r in by_system.values()}
        skipped["the prompt, the system message or the answer is empty"] += len(records) - len(
            whole
        )
        if whole and len(answers) < 2:
            skipped["there is one answer to the instruction"] += 1
        elif whole:
            yield _group(list(by_system.values()), seed)
    skipped += Skipped()


def _group(records: Sequence[Record], seed: int) -> Group:
    prompt = records[0].prompt.strip()
    name = digest(prompt)
    draw = (seed, NAME, name)
    answers = sorted({r.output.strip() for r in records}, key=lambda a: digest(*draw, a))
    views = []
    for record in sorted(records, key=lambda r: digest(*draw, "views", r.system)):
        meta_prompt = MetaPrompt.of(system_info=record.system.strip())
        ranks = tuple(int(answer != record.output.strip()) for answer in answers)
        # The answer was written for this message by a model that read it.
        orders = [Annotation("rule", ranks)]
        views.append(ordered_view(meta_prompt, _preferences(record, meta_prompt), orders))
    return Group(
        f"{NAME}:{name}",
        NAME,
        "helpful",
        at_least("benign", prompt),
        (Turn("user", prompt),),
        tuple(Candidate(answer, "teacher") for answer in answers),
        tuple(views),
        name,
    )


def _preferences(record: Record, meta_prompt: MetaPrompt) -> tuple[Preference, ...]:
    if not record.preference_set:
        return extract(meta_prompt)
    return tuple(
        Preference(
            SYSTEM_INFO,
            facet.subdimension or facet.dimension,
            facet.preference,
            facet.description or facet.preference,
        )
        for facet in record.preference_set
    )


SOURCE = Source(
    NAME,
    licence="cc-by-4.0",
    origin="https://huggingface.co/datasets/kaist-ai/Multifaceted-Collection",
    description="Instructions under several system messages, each with the answer written for it; "
    "every two views flip.",
    read=read,
    hub="hf:kaist-ai/Multifaceted-Collection",
)
