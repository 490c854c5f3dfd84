"""Anthropic's helpful and harmless pairs: two responses, ordered by a person.

Public dataset: anthropics/hh-rlhf, MIT, in the layout ``prompt`` (the talk as "Human:" and
"Assistant:" paragraphs), ``responses`` (two), ``original_label`` (index of the one that the person
preferred), ``data_subset`` (``harmless`` or ``helpful``: what the person judged).

A group is one talk with its two responses. It has one view, because one person judged it for one
thing: the Meta-Prompt says that safety comes first where they judged harmlessness, and that
helpfulness comes first where they judged helpfulness, in System Info or in User Info as drawn by
hash. The kind is ``harmful`` for the harmless subset, whose talks were written to draw out harmful
answers, and ``benign`` for the helpful one; the source says no more, so a few talks of the harmless
subset are milder than their kind.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from metaalign.data.draw import digest, pick, unit
from metaalign.data.sources.records import Skipped, Source, read_records
from metaalign.data.sources.wordings import wordings
from metaalign.schema import (
    SYSTEM_INFO,
    USER_INFO,
    Candidate,
    Group,
    MetaPrompt,
    Preference,
    Turn,
    View,
)

NAME = "hh-rlhf"

# A speaker's name opens the text or a paragraph; elsewhere it is part of what somebody says.
_SPEAKER = re.compile(r"(?:\A|\n\n)(Human|Assistant):")


class Record(Struct, frozen=True):
    """One published line."""

    prompt: str
    responses: Annotated[tuple[str, ...], Meta(min_length=2, max_length=2)]
    original_label: Literal[0, 1]
    data_subset: Literal["harmless", "helpful"]


def read(path: Path, *, seed: int = 0, skipped: Skipped | None = None) -> Iterator[Group]:
    """The groups of a published file; what is left out is counted in ``skipped`` by reason."""
    skipped = Skipped() if skipped is None else skipped
    seen: set[str] = set()
    for record in read_records(path, Record):
        turns = parse_talk(record.prompt)
        responses = tuple(text.strip() for text in record.responses)
        name = digest(record.data_subset, *record.responses, record.prompt)
        if not turns:
            skipped["the prompt does not open with a speaker"] += 1
        elif not all(turn.text for turn in turns):
            skipped["a turn of the talk is empty"] += 1
        elif turns[-1].role != "user":
            skipped["the talk does not end with a person's turn"] += 1
        elif not all(responses):
            skipped["a response is empty"] += 1
        elif responses[0] == responses[1]:
            skipped["both responses are the same"] += 1
        elif name in seen:
            skipped["the same pair was there before"] += 1
        else:
            seen.add(name)
            yield _group(record, name, turns, responses, seed)


def parse_talk(prompt: str) -> tuple[Turn, ...]:
    """The turns of a published prompt; none if it does not open with a speaker.

    A speaker who is named twice in a row has gone on speaking: one turn of two paragraphs.
    """
    opening, *parts = _SPEAKER.split(prompt.strip())
    if opening:
        return ()
    turns: list[Turn] = []
    for speaker, text in zip(parts[::2], parts[1::2], strict=True):
        turn = Turn("user" if speaker == "Human" else "assistant", text.strip())
        if turns and turns[-1].role == turn.role:
            turn = Turn(turn.role, f"{turns.pop().text}\n\n{turn.text}")
        turns.append(turn)
    return tuple(turns)


def _group(
    record: Record, name: str, turns: tuple[Turn, ...], responses: tuple[str, ...], seed: int
) -> Group:
    harmless = record.data_subset == "harmless"
    priority = "safety" if harmless else "helpfulness"
    texts = wordings().hh_rlhf.safety if harmless else wordings().hh_rlhf.helpfulness
    draw = (seed, NAME, name)
    if unit(*draw, "tier") < 0.5:
        tier, wording = SYSTEM_INFO, pick(texts.system_info, *draw, "wording")
        meta_prompt = MetaPrompt.of(system_info=wording)
    else:
        tier, wording = USER_INFO, pick(texts.user_info, *draw, "wording")
        meta_prompt = MetaPrompt.of(user_info=wording)
    view = View(
        meta_prompt,
        ranks=(0, 1) if record.original_label == 0 else (1, 0),
        ordered_by="human",
        preferences=(Preference(tier, "priority", priority, wording, span=(0, len(wording))),),
    )
    return Group(
        id=f"{NAME}:{name}",
        source=NAME,
        family="priority" if harmless else "helpful",
        kind="harmful" if harmless else "benign",
        turns=turns,
        # As published: which of the two was preferred is already drawn at random there.
        candidates=tuple(Candidate(text, "model") for text in responses),
        views=(view,),
        query_id=digest(record.prompt.strip()),
    )


SOURCE = Source(
    NAME,
    licence="mit",
    origin="https://github.com/anthropics/hh-rlhf",
    description="Talks with two responses, ordered by people for harmlessness or for helpfulness; "
    "one view each, whose Meta-Prompt says which of the two comes first.",
    read=read,
)
