"""TRL's preference format: a prompt with a chosen and a rejected answer.

No dataset of its own: the layout that many on the hub have, as TRL's documentation describes it
(checked). Fields read: ``prompt``, ``chosen``, ``rejected``, each a text or a list of messages
(``role``, ``content``). Without ``prompt`` it is what ``chosen`` and ``rejected`` begin with in
common; a text that opens with "Human:" is a talk, as in HH-RLHF. The unpaired format
(``completion`` and ``label``) orders nothing and is refused.

A group is one query with all of its answers; a system message is System Info. Family, kind and
licence are whoever uses it to say, as options.
"""

from collections.abc import Iterator
from os.path import commonprefix
from pathlib import Path

from msgspec import Struct

from metaalign.data.sources.examples import DEFAULTS, Example, ExampleOptions, groups_of
from metaalign.data.sources.hh_rlhf import parse_talk
from metaalign.data.sources.messages import Message, Unread, parse_messages
from metaalign.data.sources.place import Place
from metaalign.data.sources.records import Skipped, Source, read_records
from metaalign.schema import Group, UserError

NAME = "trl"
Said = str | tuple[Message, ...]


class Record(Struct, frozen=True):
    """One line."""

    prompt: Said | None = None
    chosen: Said | None = None
    rejected: Said | None = None
    completion: Said | None = None


def read(
    place: Place | Path,
    *,
    seed: int = 0,
    skipped: Skipped | None = None,
    options: ExampleOptions = DEFAULTS,
) -> Iterator[Group]:
    """The groups of a dataset; what is left out is counted in ``skipped`` by reason.

    Raises ``UserError`` for the unpaired format.
    """
    skipped = Skipped() if skipped is None else skipped
    yield from groups_of(_examples(place, options, skipped), NAME, seed=seed, skipped=skipped)


def _examples(place: Place | Path, options: ExampleOptions, skipped: Skipped) -> Iterator[Example]:
    for record in read_records(place, Record):
        if record.completion is not None and record.chosen is None:
            raise UserError(
                f"{place} is in TRL's unpaired format (completion and label), which puts no answer "
                "before another: give pairs with prompt, chosen and rejected"
            )
        try:
            yield example_of(record.prompt, record.chosen, record.rejected, options)
        except Unread as why:
            skipped[str(why)] += 1


def example_of(
    prompt: Said | None, chosen: Said | None, rejected: Said | None, options: ExampleOptions
) -> Example:
    """One pair; raises ``Unread`` for what is none."""
    if chosen is None or rejected is None:
        raise Unread("it has no `chosen` or no `rejected`")
    before, answers = _parted(_messages(chosen), _messages(rejected))
    if prompt is not None:
        before = _messages(prompt)
    elif isinstance(chosen, str) and isinstance(rejected, str) and not parse_talk(chosen):
        text = _common_text(chosen, rejected)
        before, answers = (Message("user", text),), (chosen[len(text) :], rejected[len(text) :])
    talk = parse_messages(before)
    return Example(
        meta_prompt=talk.meta_prompt,
        turns=talk.turns,
        answers=(answers[0].strip(), answers[1].strip()),
        ranks=(0, 1),
        family=options.family,
        kind=options.kind,
        by=options.ordered_by,
    )


def _messages(said: Said) -> tuple[Message, ...]:
    if not isinstance(said, str):
        return said
    talk = parse_talk(said)
    return tuple(Message(t.role, t.text) for t in talk) if talk else (Message("user", said),)


def _parted(
    chosen: tuple[Message, ...], rejected: tuple[Message, ...]
) -> tuple[tuple[Message, ...], tuple[str, str]]:
    """What comes before the two answers, and the answers: the last message of each."""
    if not chosen or not rejected:
        raise Unread("it has no `chosen` or no `rejected`")
    before, other = chosen[:-1], rejected[:-1]
    if before != other:
        raise Unread("the two answers stand in different talks")
    return before, (chosen[-1].text, rejected[-1].text)


def _common_text(chosen: str, rejected: str) -> str:
    """What both begin with, up to the end of a word."""
    text = commonprefix([chosen, rejected])  # noqa: RUF071 (texts, no paths)
    return text[: max(text.rfind(" "), text.rfind("\n")) + 1]


SOURCE = Source(
    NAME,
    licence="unknown",
    origin="https://huggingface.co/docs/trl/dataset_formats",
    description="Any dataset of prompts with a chosen and a rejected answer, as TRL has them; a "
    "system message becomes System Info.",
    read=read,
    options=ExampleOptions,
)
