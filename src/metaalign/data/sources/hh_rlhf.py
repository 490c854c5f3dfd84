"""Anthropic's helpful and harmless pairs: two responses, ordered by a person.

Public dataset: Anthropic/hh-rlhf, MIT. Two layouts are read. As published: ``chosen`` and
``rejected``, two whole talks that part at the last answer; whether people judged harmlessness or
helpfulness is told by the folder (``harmless-base``, ``helpful-base``, ``helpful-online``, ...),
which must stand in the place. With labels: ``prompt`` (the talk as "Human:" and "Assistant:"
paragraphs), ``responses`` (two), ``original_label`` (index of the one that the person preferred),
``data_subset`` (``harmless`` or ``helpful``: what the person judged).

The harmless pairs become the family ``priority``, of the kind ``harmful``, since their talks were
written to draw out harmful answers (``severe`` where the rules of policy say so). What the person
preferred is the order of safety. Which of the two is more helpful nobody judged; only where one of
them plainly declines and the other answers, the other is, by rule, and the group has a flip. The
helpful pairs become the family ``helpful``, of the kind ``benign`` (or as the rules say): the
person's order overall, and by rule who is short or long, and in which form.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from metaalign.data.draw import digest
from metaalign.data.families import Material, helpful_group, priority_group, scored
from metaalign.data.families.measured import by_compliance, by_format, by_length
from metaalign.data.sources.kinds import at_least
from metaalign.data.sources.place import Place
from metaalign.data.sources.records import Skipped, Source, read_records
from metaalign.schema import Candidate, Group, Turn, UserError

NAME = "hh-rlhf"

Judged = Literal["harmless", "helpful"]

# A speaker's name opens the text or a paragraph; elsewhere it is part of what somebody says.
_SPEAKER = re.compile(r"(?:\A|\n\n)(Human|Assistant):")
_FOLDER = re.compile(r"\b(harmless|helpful)(?:-base|-online|-rejection-sampled)?\b")


class Record(Struct, frozen=True):
    """One published line, in either layout."""

    prompt: str | None = None
    responses: Annotated[tuple[str, ...], Meta(min_length=2, max_length=2)] | None = None
    original_label: Literal[0, 1] | None = None
    data_subset: Judged | None = None
    chosen: str | None = None
    rejected: str | None = None

    def __post_init__(self) -> None:
        talks = ("chosen", "rejected")
        labelled = ("prompt", "responses", "original_label", "data_subset")
        wanted = talks if self.chosen is not None or self.rejected is not None else labelled
        for field in wanted:
            if getattr(self, field) is None:
                raise ValueError(f"Object missing required field `{field}`")


class _Pair(Struct, frozen=True):
    """A record of either layout, the preferred response first or where ``label`` says."""

    prompt: str
    turns: tuple[Turn, ...]
    responses: tuple[str, ...]
    label: int
    judged: Judged
    parted: bool = False
    """The two published talks differ before the last answer."""


def read(place: Place | Path, *, seed: int = 0, skipped: Skipped | None = None) -> Iterator[Group]:
    """The groups of a published file; what is left out is counted in ``skipped`` by reason.

    Raises ``UserError`` for the layout with whole talks in a place that does not name what was
    judged.
    """
    skipped = Skipped() if skipped is None else skipped
    seen: set[str] = set()
    for record in read_records(place, Record):
        pair = _pair(record, place)
        name = digest(pair.judged, *pair.responses, pair.prompt)
        reason = _fault(pair)
        if reason:
            skipped[reason] += 1
        elif name in seen:
            skipped["the same pair was there before"] += 1
        else:
            seen.add(name)
            if group := _group(pair, name, seed):
                yield group
            else:
                skipped["the Matrix lets nothing through that is known"] += 1


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


def _pair(record: Record, place: Place | Path) -> _Pair:
    if record.chosen is not None and record.rejected is not None:
        chosen, rejected = parse_talk(record.chosen), parse_talk(record.rejected)
        answers = tuple(talk[-1].text if talk else "" for talk in (chosen, rejected))
        prompt = "\n\n".join(f"{turn.role}: {turn.text}" for turn in chosen[:-1])
        roles = [turn.role for talk in (chosen, rejected) for turn in talk[-1:]]
        parted = chosen[:-1] != rejected[:-1] or roles != ["assistant", "assistant"]
        return _Pair(prompt, chosen[:-1], answers, 0, _judged_in(place), parted)
    assert record.prompt is not None and record.responses is not None
    assert record.original_label is not None and record.data_subset is not None
    responses = tuple(text.strip() for text in record.responses)
    turns = parse_talk(record.prompt)
    return _Pair(record.prompt.strip(), turns, responses, record.original_label, record.data_subset)


def _judged_in(place: Place | Path) -> Judged:
    """What people judged, by the name of the published folder."""
    named = set(_FOLDER.findall(str(place)))
    if len(named) != 1:
        raise UserError(
            f"{place} does not say whether harmlessness or helpfulness was judged: name one of the "
            "published folders, such as harmless-base or helpful-base"
        )
    return "harmless" if named == {"harmless"} else "helpful"


def _fault(pair: _Pair) -> str:
    """Why ``pair`` is left out; empty if it is not."""
    if not pair.turns:
        return "the prompt does not open with a speaker"
    if pair.parted:
        return "the two talks part before the last answer"
    if not all(turn.text for turn in pair.turns):
        return "a turn of the talk is empty"
    if pair.turns[-1].role != "user":
        return "the talk does not end with a person's turn"
    if not all(pair.responses):
        return "a response is empty"
    return "both responses are the same" if pair.responses[0] == pair.responses[1] else ""


def _group(pair: _Pair, name: str, seed: int) -> Group | None:
    harmless = pair.judged == "harmless"
    material = Material(
        source=NAME,
        id=name,
        kind=at_least("harmful" if harmless else "benign", pair.turns[-1].text),
        turns=pair.turns,
        candidates=tuple(Candidate(text, "model") for text in pair.responses),
        query_id=digest(pair.prompt),
    )
    human = scored("human", [float(index == pair.label) for index in (0, 1)])
    if harmless:
        orders = {"safety": human, "helpfulness": by_compliance(pair.responses)}
        return priority_group(material, orders, seed=seed)
    wishes = {**by_length(pair.responses), **by_format(pair.responses)}
    return helpful_group(material, human, wishes, seed=seed)


SOURCE = Source(
    NAME,
    licence="mit",
    origin="https://github.com/anthropics/hh-rlhf",
    description="Talks with two responses, ordered by people for harmlessness or for helpfulness, "
    "and by rule for length and form; views by what comes first.",
    read=read,
    hub="hf:Anthropic/hh-rlhf",
)
