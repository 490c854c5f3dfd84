"""Chat messages with answers: what an application logs, or exports for training.

No dataset of its own. Fields read: ``messages`` (``role``: ``system``, ``developer``,
``user_info``, ``user`` or ``assistant``; ``content``: a text, or parts of ``type`` ``text`` as the
OpenAI API has them), ``user_info`` where it stands beside the messages, and the answers: either
``chosen`` and ``rejected`` (texts, messages or lists of one), or ``candidates`` with ``ranks`` (0
the best, equal ranks tie, null where nobody ordered it). Without either the last message is the
answer that was written for what stands before it.

A group is one query with all of its answers; a system message is System Info. Family, kind and
licence are whoever uses it to say, as options.
"""

from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from metaalign.data.sources.examples import DEFAULTS, Example, ExampleOptions, groups_of
from metaalign.data.sources.messages import Message, Unread, parse_messages
from metaalign.data.sources.place import Place
from metaalign.data.sources.records import Skipped, Source, read_records
from metaalign.schema import USER_INFO, Group

NAME = "chat-jsonl"


class Record(Struct, frozen=True):
    """One line."""

    messages: tuple[Message, ...]
    user_info: str | None = None
    chosen: str | tuple[Message, ...] | Message | None = None
    rejected: str | tuple[Message, ...] | Message | None = None
    candidates: tuple[str | Message, ...] | None = None
    ranks: tuple[int | None, ...] | None = None

    def __post_init__(self) -> None:
        if (self.candidates is None) != (self.ranks is None):
            raise ValueError("`candidates` and `ranks` stand together")
        if self.candidates is not None and len(self.candidates) != len(self.ranks or ()):
            raise ValueError("there are as many `ranks` as `candidates`")
        if (self.chosen is None) != (self.rejected is None):
            raise ValueError("`chosen` and `rejected` stand together")
        if self.chosen is not None and self.candidates is not None:
            raise ValueError("it has both `chosen` and `candidates`")


def read(
    place: Place | Path,
    *,
    seed: int = 0,
    skipped: Skipped | None = None,
    options: ExampleOptions = DEFAULTS,
) -> Iterator[Group]:
    """The groups of a dataset; what is left out is counted in ``skipped`` by reason."""
    skipped = Skipped() if skipped is None else skipped
    yield from groups_of(_examples(place, options, skipped), NAME, seed=seed, skipped=skipped)


def _examples(place: Place | Path, options: ExampleOptions, skipped: Skipped) -> Iterator[Example]:
    for record in read_records(place, Record):
        try:
            yield _example(record, options)
        except Unread as why:
            skipped[str(why)] += 1


def _example(record: Record, options: ExampleOptions) -> Example:
    messages, answers, ranks = record.messages, tuple[str, ...](), tuple[int | None, ...]()
    if record.candidates is not None and record.ranks is not None:
        answers, ranks = tuple(map(text_of, record.candidates)), record.ranks
    elif record.chosen is not None and record.rejected is not None:
        answers, ranks = (text_of(record.chosen), text_of(record.rejected)), (0, 1)
    elif messages:
        messages, answers, ranks = messages[:-1], (messages[-1].text,), (0,)
    said = (Message(USER_INFO, record.user_info),) if record.user_info else ()
    talk = parse_messages((*said, *messages))
    return Example(
        meta_prompt=talk.meta_prompt,
        turns=talk.turns,
        answers=answers,
        ranks=ranks,
        family=options.family,
        kind=options.kind,
        by=options.ordered_by,
    )


def text_of(answer: str | Message | tuple[Message, ...]) -> str:
    """The text of an answer, which is a text, a message or a list of one."""
    if isinstance(answer, str):
        return answer.strip()
    if isinstance(answer, Message):
        return answer.text
    if len(answer) != 1:
        raise Unread("an answer has more than one message")
    return answer[0].text


SOURCE = Source(
    NAME,
    licence="unknown",
    origin="https://platform.openai.com/docs/api-reference/chat",
    description="Any chat messages with ranked candidates, or a chosen and a rejected answer; the "
    "roles system and user_info become the two tiers.",
    read=read,
    options=ExampleOptions,
)
