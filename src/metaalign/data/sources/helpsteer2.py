"""HelpSteer2: two answers to a prompt, rated by people for five attributes, or compared by them.

Public dataset: nvidia/HelpSteer2, CC-BY-4.0. Fields read of the ratings (``train``,
``validation``): ``prompt``, ``response``, ``helpfulness``, ``correctness``, ``coherence``,
``complexity``, ``verbosity`` (0 to 4). Of the comparisons (folder ``preference``): ``prompt``,
``response_1``, ``response_2``, ``preference_strength`` (below 0 the first is better),
``all_preferences_unprocessed`` with a ``strength`` each, where -100 means that neither is any good,
and ``split``. The licence is checked against its page on the hub, the fields against code that
reads the published data. A prompt of several turns parts them with ``<extra_id_1>``.

A group is one prompt with its answers, of the family ``helpful``. Helpfulness orders them on the
whole; verbosity is the ``length`` that somebody asks for, complexity the ``audience``, correctness
and coherence a ``quality``; form comes by rule. Of a comparison every person's order is kept. The
kind is ``benign`` unless the rules know of worse.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from metaalign.data.draw import digest
from metaalign.data.families import Material, Value, helpful_group, scored
from metaalign.data.families.framing import Orders
from metaalign.data.families.measured import by_format, by_length
from metaalign.data.sources.grouping import grouped
from metaalign.data.sources.kinds import at_least
from metaalign.data.sources.place import Place
from metaalign.data.sources.records import Skipped, Source, read_records
from metaalign.schema import Annotation, Candidate, Group, Turn

NAME = "helpsteer2"
HUMAN = "human"
NEITHER = -100
"""Strength of somebody who found neither answer any good."""

_SPEAKER = re.compile(r"\s*<extra_id_1>(User|Assistant)\s*")


class Strength(Struct, frozen=True):
    """One person's comparison."""

    strength: int


class Record(Struct, frozen=True):
    """One published line: an answer with its ratings, or two answers with people's comparisons."""

    prompt: str
    response: str | None = None
    helpfulness: int | None = None
    correctness: int | None = None
    coherence: int | None = None
    complexity: int | None = None
    verbosity: int | None = None
    response_1: str | None = None
    response_2: str | None = None
    preference_strength: int | None = None
    all_preferences_unprocessed: tuple[Strength, ...] | None = None
    split: str | None = None

    def __post_init__(self) -> None:
        rated = self.response is not None and self.helpfulness is not None
        if not rated and (self.response_1 is None or self.response_2 is None):
            raise ValueError(
                "it has neither `response` and `helpfulness` nor `response_1` and `response_2`"
            )


def read(place: Place | Path, *, seed: int = 0, skipped: Skipped | None = None) -> Iterator[Group]:
    """The groups of a published file; what is left out is counted in ``skipped`` by reason."""
    skipped = Skipped() if skipped is None else skipped
    for records in grouped(read_records(place, Record), lambda r: r.prompt, Record):
        turns = parse_turns(records[0].prompt)
        if not turns or not all(turn.text for turn in turns) or turns[-1].role != "user":
            skipped["a turn is empty, or the last one is not a person's"] += len(records)
            continue
        rated = [r for r in records if r.response is not None]
        found = [_rated(rated, turns, seed)] if rated else []
        found += [_compared(r, turns, seed) for r in records if r.response is None]
        yield from (group for group in found if group is not None)
        # Counted in groups: two ratings make one.
        skipped["there are no two different answers of which one is better"] += found.count(None)
    skipped += Skipped()


def parse_turns(prompt: str) -> tuple[Turn, ...]:
    """The talk of a published prompt, which begins with the person's turn."""
    opening, *parts = _SPEAKER.split(prompt.strip())
    turns = [Turn("user", opening.strip())]
    for speaker, text in zip(parts[::2], parts[1::2], strict=True):
        turns.append(Turn("user" if speaker == "User" else "assistant", text.strip()))
    return tuple(turns)


def _rated(records: Sequence[Record], turns: tuple[Turn, ...], seed: int) -> Group | None:
    found = {(r.response or "").strip(): r for r in reversed(records)}
    found.pop("", None)
    texts, kept = tuple(found), tuple(found.values())
    if len(texts) < 2:
        return None
    wishes: dict[Value, Orders] = {
        **_wish("quality", "truthfulness", [r.correctness for r in kept]),
        **_wish("quality", "coherence", [r.coherence for r in kept]),
        **_wish("audience", "expert", [r.complexity for r in kept]),
        **_wish("audience", "beginner", [_less(r.complexity) for r in kept]),
        **_wish("length", "long", [r.verbosity for r in kept]),
        **_wish("length", "short", [_less(r.verbosity) for r in kept]),
        **by_format(texts),
    }
    overall = scored(HUMAN, [r.helpfulness for r in kept])
    return helpful_group(_material(texts, turns), overall, wishes, seed=seed)


def _less(score: int | None) -> int | None:
    return None if score is None else -score


def _wish(dimension: str, value: str, scores: Sequence[int | None]) -> dict[Value, Orders]:
    """The order of a wish, if somebody is rated higher than somebody else."""
    if len({score for score in scores if score is not None}) < 2:
        return {}
    return {(dimension, value): scored(HUMAN, scores)}


def _compared(record: Record, turns: tuple[Turn, ...], seed: int) -> Group | None:
    texts = ((record.response_1 or "").strip(), (record.response_2 or "").strip())
    if not all(texts) or texts[0] == texts[1]:
        return None
    strengths = [p.strength for p in record.all_preferences_unprocessed or ()]
    overall = comparisons(strengths) or comparisons([record.preference_strength or 0])
    wishes = {**by_length(texts), **by_format(texts)}
    material = _material(texts, turns, record.split or "")
    return helpful_group(material, overall, wishes, seed=seed)


def comparisons(strengths: Sequence[int]) -> tuple[Annotation, ...]:
    """Orders of two answers by people's strengths: below 0 the first is better, 0 is a tie.

    Who found neither any good has no order. The source does not say who gave which.
    """
    counted = [strength for strength in strengths if strength != NEITHER]
    return tuple(
        Annotation(
            HUMAN if len(counted) == 1 else f"{HUMAN}:{number}",
            (int(strength > 0), int(strength < 0)),
        )
        for number, strength in enumerate(counted, start=1)
    )


def _material(texts: Sequence[str], turns: tuple[Turn, ...], split: str = "") -> Material:
    query = digest(*(turn.text for turn in turns))
    return Material(
        source=NAME,
        id=digest(query, *texts),
        kind=at_least("benign", turns[-1].text),
        turns=turns,
        candidates=tuple(Candidate(text, "model") for text in texts),
        query_id=query,
        split=split,
    )


SOURCE = Source(
    NAME,
    licence="cc-by-4.0",
    origin="https://huggingface.co/datasets/nvidia/HelpSteer2",
    description="Prompts with two answers that people rated for five attributes, or compared, each "
    "person's order kept.",
    read=read,
    hub="hf:nvidia/HelpSteer2",
)
