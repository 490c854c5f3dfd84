"""OpenAssistant: trees of talks whose replies people ranked; groups with more than two candidates.

Public dataset: OpenAssistant/oasst1 and oasst2, Apache-2.0, as exported trees: ``message_tree_id``
and ``prompt``, a message with ``message_id``, ``role``, ``text``, ``replies`` (messages),
``rank`` (0 the best of its siblings, or nothing), ``deleted``, ``review_result``.

A group is one message of a person with the ranked replies to it, of the family ``helpful``, with
the talk up to there. The ranks are those of people; by rule comes who is short or long and in which
form. All groups of a tree have the tree's name as their query, so no split parts them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from msgspec import Struct

from metaalign.data.families import Material, helpful_group, scored
from metaalign.data.families.measured import by_format, by_length
from metaalign.data.sources.kinds import at_least
from metaalign.data.sources.place import Place
from metaalign.data.sources.records import Skipped, Source, read_records
from metaalign.schema import Candidate, Group, Turn

NAME = "oasst"


class Message(Struct, frozen=True):
    """One message of a tree."""

    message_id: str
    role: Literal["prompter", "assistant"]
    text: str
    replies: tuple["Message", ...] = ()
    rank: int | None = None
    deleted: bool = False
    review_result: bool | None = None


class Record(Struct, frozen=True):
    """One published line: a tree."""

    message_tree_id: str
    prompt: Message


def read(place: Place | Path, *, seed: int = 0, skipped: Skipped | None = None) -> Iterator[Group]:
    """The groups of a published file; what is left out is counted in ``skipped`` by reason.

    Messages of people without any reply have nothing to order and are passed over.
    """
    skipped = Skipped() if skipped is None else skipped
    seen: set[str] = set()
    for record in read_records(place, Record):
        for talk, message in _asked(record.prompt, ()):
            replies = _ranked(message)
            if len(replies) < 2:
                skipped["fewer than two replies are ranked"] += 1
            elif not all(turn.text for turn in talk):
                skipped["a turn of the talk is empty"] += 1
            elif message.message_id in seen:
                skipped["the same message was there before"] += 1
            else:
                seen.add(message.message_id)
                group = _group(record.message_tree_id, talk, message.message_id, replies, seed)
                if group:
                    yield group
                else:
                    skipped["all replies have the same rank"] += 1


def _asked(message: Message, talk: tuple[Turn, ...]) -> Iterator[tuple[tuple[Turn, ...], Message]]:
    """Every message of a person that has replies, with the talk up to it."""
    role: Literal["user", "assistant"] = "user" if message.role == "prompter" else "assistant"
    talk = (*talk, Turn(role, message.text.strip()))
    if role == "user" and message.replies:
        yield talk, message
    for reply in message.replies:
        yield from _asked(reply, talk)


def _ranked(message: Message) -> dict[str, int]:
    """The ranked replies by their text; of two with the same text the better rank counts."""
    found: dict[str, int] = {}
    for reply in message.replies:
        text = reply.text.strip()
        good = not reply.deleted and reply.review_result is not False and text
        if good and reply.rank is not None:
            found[text] = min(reply.rank, found.get(text, reply.rank))
    return found


def _group(
    tree: str, talk: tuple[Turn, ...], name: str, replies: dict[str, int], seed: int
) -> Group | None:
    texts = tuple(replies)
    material = Material(
        source=NAME,
        id=name,
        kind=at_least("benign", talk[-1].text),
        turns=talk,
        candidates=tuple(Candidate(text, "human") for text in texts),
        query_id=tree,
    )
    human = scored("human", [-rank for rank in replies.values()])
    return helpful_group(material, human, {**by_length(texts), **by_format(texts)}, seed=seed)


SOURCE = Source(
    NAME,
    licence="apache-2.0",
    origin="https://huggingface.co/datasets/OpenAssistant/oasst1",
    description="Talks with several replies ranked by people, and by rule for length and form.",
    read=read,
)
