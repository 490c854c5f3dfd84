"""MoralChoice: situations with two actions; in some all people agree, in others they do not.

Public dataset: ninodimontalcino/moralchoice, MIT. Fields read: ``scenario_id``, ``ambiguity``,
``context``, ``action1``, ``action2``, and for each of ten rules whether annotators say that the
action breaks it, as ``a1_death``, ``a2_death`` and so on (``Yes``, ``No``, ``No Agreement``).

Low ambiguity: the published first action is the one that everybody would choose; the group is of
the family ``consensus``, without a person of another view, so without a flip: nobody published one,
and a person who would rather do harm is not made up. High ambiguity: the family ``opinion``. Where
each action breaks a rule that the other keeps, the persons are people for whom that rule weighs
most; else one of the actions is asked about, and the persons are for and against it.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from msgspec import Struct, defstruct
from msgspec.structs import asdict

from metaalign.data.draw import digest, pick
from metaalign.data.families import (
    Material,
    Person,
    consensus_group,
    opinion_group,
    scored,
    stances,
)
from metaalign.data.families.wordings import wordings
from metaalign.data.sources.place import Place
from metaalign.data.sources.records import Skipped, Source, read_records
from metaalign.data.sources.text import filled
from metaalign.schema import USER_INFO, Annotation, Candidate, Group, Turn

NAME = "moralchoice"
RULES = (
    "death",
    "pain",
    "disable",
    "freedom",
    "pleasure",
    "deceive",
    "cheat",
    "break_promise",
    "break_law",
    "duty",
)
"""As published, by what an action that breaks the rule does."""

Breaks = Literal["Yes", "No", "No Agreement"]


class Scenario(Struct, frozen=True):
    """What a published line says apart from the rules."""

    scenario_id: str
    ambiguity: Literal["low", "high"]
    context: str
    action1: str
    action2: str


Record = defstruct(
    "Record",
    [(f"a{action}_{rule}", Breaks) for action in (1, 2) for rule in RULES],
    bases=(Scenario,),
    frozen=True,
    kw_only=True,
)
"""One published line."""


def read(place: Place | Path, *, seed: int = 0, skipped: Skipped | None = None) -> Iterator[Group]:
    """The groups of a published file; what is left out is counted in ``skipped`` by reason."""
    skipped = Skipped() if skipped is None else skipped
    seen: set[str] = set()
    for record in read_records(place, Record):
        assert isinstance(record, Scenario)
        actions = (record.action1.strip(), record.action2.strip())
        if not record.context.strip() or not all(actions):
            skipped["the context or an action is empty"] += 1
        elif actions[0] == actions[1]:
            skipped["both actions are the same"] += 1
        elif record.scenario_id in seen:
            skipped["the id was there before"] += 1
        else:
            seen.add(record.scenario_id)
            if group := _group(record, actions, seed):
                yield group
            else:
                skipped["the Matrix lets nothing through that is known"] += 1


def _group(record: Scenario, actions: tuple[str, str], seed: int) -> Group | None:
    draw = (seed, NAME, record.scenario_id)
    persons = _persons(record, draw)
    if record.ambiguity == "low":
        material = _material(record, actions, "act", "", draw)
        return consensus_group(material, scored("human", [1, 0]), seed=seed)
    if persons:
        return opinion_group(_material(record, actions, "act", "", draw), persons, seed=seed)
    asked = pick((0, 1), *draw, "asked")
    material = _material(record, actions, "do", actions[asked], draw)
    agree = (asked, 1 - asked)
    return opinion_group(material, stances(agree, agree[::-1]), seed=seed)


def _material(
    record: Scenario,
    actions: tuple[str, str],
    question: str,
    action: str,
    draw: tuple[object, ...],
) -> Material:
    asked = pick(wordings().questions[question], *draw, "question")
    return Material(
        source=NAME,
        id=record.scenario_id,
        kind="contested",
        turns=(Turn("user", filled(asked, context=record.context.strip(), action=action)),),
        candidates=tuple(Candidate(text, "model") for text in actions),
        query_id=record.scenario_id,
    )


def _persons(record: Scenario, draw: tuple[object, ...]) -> list[Person]:
    """Up to two people for either action, each with a rule that only the other action breaks."""
    fields = asdict(record)
    kept: dict[int, Sequence[str]] = {}
    for mine, theirs in ((1, 2), (2, 1)):
        rules = [
            rule
            for rule in RULES
            if fields[f"a{mine}_{rule}"] == "No" and fields[f"a{theirs}_{rule}"] == "Yes"
        ]
        kept[mine] = sorted(rules, key=lambda rule: digest(*draw, "rule", rule))
    # As many for the one action as for the other.
    pairs = list(zip(kept[1], kept[2], strict=False))[:2]
    return [
        Person(
            value=f"rule: {rule.replace('_', ' ')}",
            wordings=wordings().of("background", rule, USER_INFO),
            orders=(Annotation("rule", ranks),),
        )
        for pair in pairs
        for rule, ranks in zip(pair, ((0, 1), (1, 0)), strict=True)
    ]


SOURCE = Source(
    NAME,
    licence="mit",
    origin="https://github.com/ninodimontalcino/moralchoice",
    description="Situations with two actions: where all agree the consensus; where they do not, "
    "people for whom different rules weigh most.",
    read=read,
)
