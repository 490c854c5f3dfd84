"""PRISM: what people asked models, how they rated the answers, and who these people are.

Public dataset: HannahRoseKirk/prism-alignment, configurations ``conversations`` and ``survey``; the
people's texts are CC-BY-4.0, the models' answers CC-BY-NC-4.0, so what is made of both is
non-commercial. Fields read: ``conversation_id``, ``user_id``, ``conversation_type`` and
``conversation_history`` (``turn``, ``role``, ``content``, ``model_name``, ``score`` from 1 to 100,
``if_chosen``); of the survey ``user_id``, ``self_description`` and ``system_string``. Licences,
files and the layout are checked against its repository, the fields against code that reads them.
``utterances`` holds the same answers without the talk before them, and is not read.

A group is one turn of a conversation: the talk so far, with the answers that were chosen, and the
answers of the models to what the person asked. What the person says of themselves is User Info, and
in half of the groups the instructions that they would give a model are System Info. Talks about
values and controversies are the family ``opinion``, of contested queries, in which the person's own
view counts; the others are ``helpful``. Every conversation is one query, so no split parts it.
"""

from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from metaalign.data.draw import unit
from metaalign.data.families import Material, Person, helpful_group, opinion_group, scored
from metaalign.data.sources.kinds import at_least
from metaalign.data.sources.place import Place
from metaalign.data.sources.records import Skipped, Source, read_records
from metaalign.schema import Candidate, Group, Turn, UserError

NAME = "prism"
CONTESTED = ("values guided", "controversy guided")
"""The types of conversation in which people were asked to bring up what people differ about."""


class Said(Struct, frozen=True):
    """One text of a conversation: the person's, or one of the models'."""

    turn: int
    role: str
    content: str
    model_name: str | None = None
    score: float | None = None
    if_chosen: bool | None = None


class Record(Struct, frozen=True):
    """One published line: a conversation."""

    conversation_id: str
    user_id: str
    conversation_type: str
    conversation_history: tuple[Said, ...]


class Participant(Struct, frozen=True):
    """One line of the survey."""

    user_id: str
    self_description: str | None = None
    system_string: str | None = None


def read(place: Place | Path, *, seed: int = 0, skipped: Skipped | None = None) -> Iterator[Group]:
    """The groups of a folder with ``conversations.jsonl`` and ``survey.jsonl``, or of the hub.

    What is left out is counted in ``skipped`` by reason. Raises ``UserError`` for a single file.
    """
    place, skipped = Place.of(place), Skipped() if skipped is None else skipped
    if place.path is not None and place.path.is_file():
        raise UserError(
            f"{place.path} is one file of PRISM: give the folder that holds conversations.jsonl "
            "and survey.jsonl"
        )
    # 1,500 people: small enough to hold.
    people = {p.user_id: p for p in read_records(place.part("survey"), Participant)}
    conversations = place.part("conversations")
    for record in read_records(conversations, Record):
        if record.user_id not in people:
            skipped["the survey does not know the person"] += 1
        else:
            yield from _groups(record, people[record.user_id], seed, skipped)


def _groups(record: Record, person: Participant, seed: int, skipped: Skipped) -> Iterator[Group]:
    talk: tuple[Turn, ...] = ()
    for number, said in _by_turn(record).items():
        asked = next((s.content.strip() for s in said if s.role == "user"), "")
        answers = {s.content.strip(): s for s in said if s.role == "model" and s.content.strip()}
        chosen = next((text for text, s in answers.items() if s.if_chosen), "")
        if not asked:
            skipped["the person's turn is empty"] += 1
            return  # what follows has no talk before it
        talk = (*talk, Turn("user", asked))
        group = _group(record, person, number, talk, answers, seed) if len(answers) > 1 else None
        if group is not None:
            yield group
        else:
            skipped["no answer is rated better than another"] += 1
        if not chosen:
            return  # no further turns: nothing was chosen to go on with
        talk = (*talk, Turn("assistant", chosen))


def _by_turn(record: Record) -> Mapping[int, list[Said]]:
    ordered = sorted(record.conversation_history, key=lambda said: said.turn)
    return {number: list(said) for number, said in groupby(ordered, key=lambda said: said.turn)}


def _group(
    record: Record,
    person: Participant,
    number: int,
    talk: tuple[Turn, ...],
    answers: Mapping[str, Said],
    seed: int,
) -> Group | None:
    described = (person.self_description or "").strip()
    told = unit(seed, NAME, record.conversation_id, number, "instructs") < 0.5
    instructs = (person.system_string or "").strip() if told else ""
    contested = record.conversation_type in CONTESTED and bool(described)
    orders = scored(f"human:{record.user_id}", [s.score for s in answers.values()])
    material = Material(
        source=NAME,
        id=f"{record.conversation_id}-{number}",
        kind=at_least("contested" if contested else "benign", talk[-1].text),
        turns=talk,
        candidates=tuple(Candidate(text, s.model_name or "model") for text, s in answers.items()),
        query_id=record.conversation_id,
        system_info=instructs,
        user_info="" if contested else described,
    )
    if not contested:
        return helpful_group(material, orders, seed=seed)
    own = Person(value=record.user_id, wordings=(described,), orders=orders)
    # Instructions that put the common opinion first would leave the person no say.
    return opinion_group(material, [own], seed=seed) or opinion_group(
        replace(material, system_info=""), [own], seed=seed
    )


SOURCE = Source(
    NAME,
    licence="cc-by-nc-4.0",
    origin="https://huggingface.co/datasets/HannahRoseKirk/prism-alignment",
    description="What people asked models and how each rated the answers, with what they say of "
    "themselves; the people's texts are CC-BY-4.0, the models' answers CC-BY-NC-4.0.",
    read=read,
    hub="hf:HannahRoseKirk/prism-alignment",
)
