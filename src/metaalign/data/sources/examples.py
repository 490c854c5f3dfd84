"""From records of any layout to groups: all answers to one query, and a view for every Meta-Prompt.

Layouts of training data hold one Meta-Prompt a record. Here the records of one query come together
again, so that two Meta-Prompts that order its answers oppositely make a flip.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from msgspec import Struct

from metaalign.data.draw import digest
from metaalign.data.families.orders import ordered_view
from metaalign.data.sources.grouping import grouped
from metaalign.data.sources.kinds import at_least
from metaalign.data.sources.records import Options, Skipped
from metaalign.policy import extract
from metaalign.schema import (
    Annotation,
    Candidate,
    Family,
    Group,
    Kind,
    MetaPrompt,
    Preference,
    Turn,
    View,
)

OrderedBy = Literal["human", "teacher", "rule"]


class ExampleOptions(Options, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a layout says nothing of."""

    ordered_by: OrderedBy = "human"
    """Who put the one answer before the other."""


DEFAULTS = ExampleOptions()


class Example(Struct, frozen=True, kw_only=True):
    """One record: a Meta-Prompt, a talk, and how the answers to it are ordered."""

    meta_prompt: MetaPrompt
    turns: tuple[Turn, ...]
    """The last one is the query."""
    answers: tuple[str, ...]
    """One, which was written for this Meta-Prompt, or several with their ranks."""
    ranks: tuple[int | None, ...]
    """As in ``View``."""
    family: Family
    kind: Kind = "unknown"
    split: str = ""
    by: str = "human"

    @property
    def key(self) -> str:
        """The same for all records of one query."""
        talk = (f"{turn.role}: {turn.text}" for turn in self.turns)
        return digest(self.family, self.split, *talk)


def groups_of(
    examples: Iterable[Example], source: str, *, seed: int, skipped: Skipped
) -> Iterator[Group]:
    """One group for every query of ``examples``; what is left out is counted in ``skipped``.

    A record with a single answer puts it before those that were written for other Meta-Prompts: by
    ``rule``, as nobody compared them. Records of one query and one Meta-Prompt become annotations
    of one view.
    """
    for same in grouped(_whole(examples, skipped), lambda example: example.key, Example):
        group = _group(same, source, seed, skipped)
        if any(view.pairs() for view in group.views):
            yield group
        else:
            skipped["the query has one answer alone, or none that is better"] += len(same)


def _whole(examples: Iterable[Example], skipped: Skipped) -> Iterator[Example]:
    for example in examples:
        if not all(example.answers):
            skipped["an answer is empty"] += 1
        elif len(set(example.answers)) < len(example.answers):
            skipped["two answers are the same"] += 1
        else:
            yield example


def _group(examples: Sequence[Example], source: str, seed: int, skipped: Skipped) -> Group:
    first = examples[0]
    name = first.key
    draw = (seed, source, name)
    found = dict.fromkeys(answer for example in examples for answer in example.answers)
    # Drawn: in the records the better answer comes first.
    answers = sorted(found, key=lambda answer: digest(*draw, answer))
    alone = {e.answers[0] for e in examples if len(e.answers) == 1}
    orders: dict[MetaPrompt, list[Annotation]] = {}
    for example in examples:
        order = _order(example, answers, alone)
        known = orders.setdefault(example.meta_prompt, [])
        if order in known:
            skipped["the same record was there before"] += 1
        else:
            known.append(order)
    views = [ordered_view(m, _preferences(m), annotations) for m, annotations in orders.items()]

    def place(view: View) -> str:
        return digest(*draw, "views", *(said.text for said in view.meta_prompt.tiers))

    return Group(
        f"{source}:{name}",
        source,
        first.family,
        at_least(first.kind, first.turns[-1].text),
        first.turns,
        tuple(Candidate(answer, "model") for answer in answers),
        tuple(sorted(views, key=place)),
        digest(*(turn.text for turn in first.turns)),
        first.split,
    )


def _order(example: Example, answers: Sequence[str], alone: set[str]) -> Annotation:
    own = dict(zip(example.answers, example.ranks, strict=True))
    if len(own) > 1:
        return Annotation(example.by, tuple(own.get(answer) for answer in answers))
    return Annotation(
        "rule",
        tuple(0 if answer in own else 1 if answer in alone else None for answer in answers),
    )


def _preferences(meta_prompt: MetaPrompt) -> tuple[Preference, ...]:
    return extract(meta_prompt) if meta_prompt.tiers else ()
