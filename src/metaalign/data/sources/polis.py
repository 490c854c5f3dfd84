"""Polis: statements with the votes of many people, consensus or division.

Public dataset: compdemocracy/openData, CC-BY-4.0. Fields read, of ``comments.csv`` as published:
``comment-body``, ``agrees``, ``disagrees``, ``moderated`` (-1 is a rejected comment), with the
conversation's name from its folder, so the place is one such file or its folder; or, gathered in
one file: ``comment``, ``agrees``, ``disagrees``, ``conversation``.

A group is one statement that at least 20 people voted on, asked about in one of two ways (should it
be supported, should it be opposed), of the family ``consensus``. The candidates are yes, no, and
that people are divided. What comes first for the consensus is what the votes say: a side with at
least 65 % of them, or else the division. The persons are for and against the statement. In these
groups a person's own view always goes against the consensus; so that nobody learns to answer the
contrary of it without reading the person, a fifth of the statements become the family ``opinion``,
with a view for each of the two.
"""

from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct, field

from metaalign.data.draw import digest, pick, unit
from metaalign.data.families import Material, consensus_group, opinion_group, scored, stances
from metaalign.data.families.wordings import wordings
from metaalign.data.sources.place import Place
from metaalign.data.sources.records import Skipped, Source, read_records
from metaalign.data.sources.text import filled
from metaalign.schema import Candidate, Group, Turn

NAME = "polis"
LEAST_VOTES = 20
MAJORITY = 0.65
"""Share of the votes from which on one speaks of a consensus."""
_OPINIONS = 0.2
"""Share of the statements of which only the person's stance is asked."""


class Record(Struct, frozen=True):
    """One published line, in either layout."""

    agrees: int
    disagrees: int
    comment: str = ""
    conversation: str = ""
    body: str = field(default="", name="comment-body")
    moderated: int = 0

    def __post_init__(self) -> None:
        if not self.comment and not self.body:
            raise ValueError("Object missing required field `comment` (or `comment-body`)")


def read(place: Place | Path, *, seed: int = 0, skipped: Skipped | None = None) -> Iterator[Group]:
    """The groups of a published file; what is left out is counted in ``skipped`` by reason."""
    skipped = Skipped() if skipped is None else skipped
    seen: set[str] = set()
    folder = _folder(place)
    for record in read_records(place, Record):
        statement = (record.comment or record.body).strip()
        topic = topic_of(record.conversation or folder)
        votes = record.agrees + record.disagrees
        name = digest(topic, statement)
        if not statement:
            skipped["the statement is empty"] += 1
        elif record.moderated < 0:
            skipped["the statement was rejected by a moderator"] += 1
        elif votes < LEAST_VOTES:
            skipped[f"fewer than {LEAST_VOTES} people voted"] += 1
        elif name in seen:
            skipped["the same statement was there before"] += 1
        else:
            seen.add(name)
            if group := _group(name, topic, statement, record.agrees / votes, seed):
                yield group
            else:
                skipped["the Matrix lets nothing through that is known"] += 1


def topic_of(conversation: str) -> str:
    """A conversation's name in words: ``scoop-hivemind.taxes`` becomes ``scoop hivemind taxes``."""
    return " ".join(conversation.replace("-", " ").replace(".", " ").split()) or "public affairs"


def _folder(place: Place | Path) -> str:
    path = Place.of(place).path
    if path is None:
        return ""
    return path.name if path.is_dir() else path.parent.name


def _group(name: str, topic: str, statement: str, agree: float, seed: int) -> Group | None:
    """``agree`` is the share of the votes that are for ``statement``."""
    draw = (seed, NAME, name)
    supports = pick((True, False), *draw, "asked")
    texts = wordings()
    question = pick(texts.questions["support" if supports else "oppose"], *draw, "question")
    answers = pick(texts.answers["stance"], *draw, "answers")
    material = Material(
        source=NAME,
        id=name,
        kind="contested",
        turns=(Turn("user", filled(question, topic=topic, statement=statement)),),
        candidates=tuple(Candidate(text, "rule") for text in answers),
        query_id=name,
    )
    yes = agree if supports else 1 - agree
    # In the order of the answers: yes, no, divided. Where people are divided neither side leads.
    divided = max(yes, 1 - yes) < MAJORITY
    consensus = scored("human", [0, 0, 1] if divided else [yes, 1 - yes, 0.5])
    mine, theirs = ((0, 2, 1), (2, 0, 1)) if supports else ((2, 0, 1), (0, 2, 1))
    persons = stances(mine, theirs, about="statement")
    if unit(*draw, "family") < _OPINIONS:
        return opinion_group(material, persons, seed=seed)
    return consensus_group(material, consensus, persons, seed=seed)


SOURCE = Source(
    NAME,
    licence="cc-by-4.0",
    origin="https://github.com/compdemocracy/openData",
    description="Statements that many people voted on: what most of them said, or that they are "
    "divided, against the stance of the person who asks.",
    read=read,
)
