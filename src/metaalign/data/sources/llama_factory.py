"""Pairs in LLaMA-Factory's ShareGPT layout, some with a system turn: that becomes System Info.

Public dataset: LLaMA-Factory's demo data (``dpo_en_demo.json``), Apache-2.0. Fields read:
``conversations`` (turns with ``from``: ``system``, ``human`` or ``gpt``, and ``value``), ``chosen``
and ``rejected`` (turns).

A group is one talk, of the family ``helpful``. The pair was ordered by models that rate answers, so
that order is the ``teacher``'s; by rule comes who is short or long and in which form. What a system
turn asks for is read by the rules, and has its say where a person's wish contradicts it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from msgspec import Struct, field

from metaalign.data.draw import digest
from metaalign.data.families import Material, helpful_group, scored
from metaalign.data.families.measured import by_format, by_length
from metaalign.data.sources.kinds import at_least
from metaalign.data.sources.place import Place
from metaalign.data.sources.records import Skipped, Source, read_records
from metaalign.schema import Candidate, Group, Turn

NAME = "llama-factory"


class Said(Struct, frozen=True):
    """One turn."""

    value: str
    speaker: Literal["system", "human", "gpt"] = field(name="from")


class Record(Struct, frozen=True):
    """One published line."""

    conversations: tuple[Said, ...]
    chosen: Said
    rejected: Said


def read(place: Place | Path, *, seed: int = 0, skipped: Skipped | None = None) -> Iterator[Group]:
    """The groups of a published file; what is left out is counted in ``skipped`` by reason."""
    skipped = Skipped() if skipped is None else skipped
    seen: set[str] = set()
    for record in read_records(place, Record):
        system = [said.value.strip() for said in record.conversations if said.speaker == "system"]
        turns = tuple(
            Turn("user" if said.speaker == "human" else "assistant", said.value.strip())
            for said in record.conversations
            if said.speaker != "system"
        )
        answers = (record.chosen.value.strip(), record.rejected.value.strip())
        name = digest(*system, *(turn.text for turn in turns), *answers)
        if not turns or turns[-1].role != "user":
            skipped["the talk does not end with a person's turn"] += 1
        elif not all(turn.text for turn in turns) or not all(answers):
            skipped["a turn or an answer is empty"] += 1
        elif answers[0] == answers[1]:
            skipped["both answers are the same"] += 1
        elif name in seen:
            skipped["the same pair was there before"] += 1
        else:
            seen.add(name)
            material = Material(
                source=NAME,
                id=name,
                kind=at_least("benign", turns[-1].text),
                turns=turns,
                candidates=tuple(Candidate(text, "model") for text in answers),
                system_info="\n\n".join(filter(None, system)),
            )
            wishes = {**by_length(answers), **by_format(answers)}
            if group := helpful_group(material, scored("teacher", [1, 0]), wishes, seed=seed):
                yield group
            else:
                skipped["the Matrix lets nothing through that is known"] += 1


SOURCE = Source(
    NAME,
    licence="apache-2.0",
    origin="https://github.com/hiyouga/LLaMA-Factory",
    description="Talks with two answers that models ordered, some under a system turn, and by rule "
    "for length and form.",
    read=read,
)
