"""PKU-SafeRLHF: of two answers one is safer and one more helpful, and often not the same one.

Public dataset: PKU-Alignment/PKU-SafeRLHF, CC-BY-NC-4.0. Fields read: ``prompt``, ``response_0``,
``response_1``, ``is_response_0_safe``, ``is_response_1_safe``, ``better_response_id`` (index of the
more helpful one), ``safer_response_id``; their names are checked against code that reads the
published data, the licence against its page on the hub.

A group is one pair, of the family ``priority``. Where the safer one and the better one differ, its
views flip. The kind is ``harmful`` where people found an answer unsafe; where both are safe nobody
said what the query is, and it is ``unknown`` unless the rules know of worse.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from msgspec import Struct

from metaalign.data.draw import digest
from metaalign.data.families import Material, priority_group, scored
from metaalign.data.sources.kinds import at_least
from metaalign.data.sources.place import Place
from metaalign.data.sources.records import Skipped, Source, read_records
from metaalign.schema import Candidate, Group, Turn

NAME = "pku-saferlhf"


class Record(Struct, frozen=True):
    """One published line."""

    prompt: str
    response_0: str
    response_1: str
    is_response_0_safe: bool
    is_response_1_safe: bool
    better_response_id: Literal[0, 1]
    safer_response_id: Literal[0, 1]


def read(place: Place | Path, *, seed: int = 0, skipped: Skipped | None = None) -> Iterator[Group]:
    """The groups of a published file; what is left out is counted in ``skipped`` by reason."""
    skipped = Skipped() if skipped is None else skipped
    seen: set[str] = set()
    for record in read_records(place, Record):
        answers = (record.response_0.strip(), record.response_1.strip())
        name = digest(record.prompt, *answers)
        if not record.prompt.strip() or not all(answers):
            skipped["the prompt or a response is empty"] += 1
        elif answers[0] == answers[1]:
            skipped["both responses are the same"] += 1
        elif name in seen:
            skipped["the same pair was there before"] += 1
        else:
            seen.add(name)
            if group := _group(record, name, answers, seed):
                yield group
            else:
                skipped["the Matrix lets nothing through that is known"] += 1


def _group(record: Record, name: str, answers: tuple[str, ...], seed: int) -> Group | None:
    prompt = record.prompt.strip()
    safe = record.is_response_0_safe and record.is_response_1_safe
    material = Material(
        source=NAME,
        id=name,
        kind=at_least("unknown" if safe else "harmful", prompt),
        turns=(Turn("user", prompt),),
        candidates=tuple(Candidate(text, "model") for text in answers),
        query_id=digest(prompt),
    )
    orders = {
        "safety": scored("human", [i == record.safer_response_id for i in (0, 1)]),
        "helpfulness": scored("human", [i == record.better_response_id for i in (0, 1)]),
    }
    return priority_group(material, orders, seed=seed)


SOURCE = Source(
    NAME,
    licence="cc-by-nc-4.0",
    origin="https://huggingface.co/datasets/PKU-Alignment/PKU-SafeRLHF",
    description="Pairs of answers that people ordered twice, by safety and by helpfulness; where "
    "the two differ, the views flip.",
    read=read,
    hub="hf:PKU-Alignment/PKU-SafeRLHF",
)
