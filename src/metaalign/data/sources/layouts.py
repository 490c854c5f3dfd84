"""Which layout of training data a file has, told by its fields, and records of it as examples.

Three ways to write the talk (messages, an instruction with its input, a prompt), and five to write
the answers (ranked, chosen and rejected, a list of two, an output, the last message). Names of
fields are compared without case, underscores, hyphens and spaces.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct

from metaalign.data.families import ranks_of
from metaalign.data.sources.messages import Message, Talk, Unread, parse_messages
from metaalign.schema import SYSTEM_INFO, USER_INFO, Family, UserError

T = TypeVar("T")

Fields = Mapping[str, Any]
"""A record as JSON has it: what its fields are called is what is to be found out."""

TalkAs = Literal["messages", "instruction", "prompt"]
AnswersAs = Literal["ranking", "chosen and rejected", "list of two", "output", "last message"]

NAMES: Mapping[str, tuple[str, ...]] = {
    "messages": ("messages", "conversations", "conversation", "dialogue", "dialog"),
    "instruction": ("instruction", "query", "question"),
    "input": ("input",),
    "history": ("history",),
    "prompt": ("prompt",),
    "chosen": ("chosen", "chosenresponse", "preferred", "accepted", "win"),
    "rejected": ("rejected", "rejectedresponse", "reject", "dispreferred", "lose"),
    "candidates": ("candidates", "responses", "answers", "completions", "outputs"),
    "ranks": ("ranks", "ranking", "rank"),
    "scores": ("scores", "ratings", "rewards"),
    "output": ("output", "response", "answer", "completion"),
    "system": ("systeminfo", "system", "systemprompt", "systemmessage", "providerinfo", "provider"),
    "user": ("userinfo", "userprofile", "profile", "userbackground", "background", "persona"),
    "family": ("family", "subset", "category", "task"),
}
"""What a field is for, and the names under which it is known, the likeliest first."""

_PLAIN = re.compile(r"[\W_]+")


class Layout(Struct, frozen=True):
    """How the records of one file are to be read."""

    talk: TalkAs
    answers: AnswersAs
    fields: dict[str, str]
    """What a field is for -> its name in the file."""

    def __str__(self) -> str:
        tiers = [self.fields[tier] for tier in ("system", "user") if tier in self.fields]
        under = f", tiers in {' and '.join(tiers)}" if tiers else ""
        return f"{self.talk} with {self.answers}{under}"

    def get(self, record: Fields, what: str) -> Any:
        """The value of the field that is for ``what``; None if there is none."""
        return record.get(self.fields.get(what, ""))


class Answered(Struct, frozen=True):
    """What a record says."""

    talk: Talk
    answers: tuple[str, ...]
    ranks: tuple[int | None, ...]


def recognise(records: Iterable[Fields], where: str) -> Layout:
    """The layout of the ``records``, the first ones of a file that is called ``where``.

    Raises ``UserError`` that names the fields found and the layouts understood.
    """
    records = list(records)
    found = dict.fromkeys(name for record in records for name in record)
    plain = {_PLAIN.sub("", name).lower(): name for name in found}
    fields = {
        what: next(plain[name] for name in names if name in plain)
        for what, names in NAMES.items()
        if any(name in plain for name in names)
    }
    talk = next((t for t in ("messages", "instruction", "prompt") if t in fields), None)
    answers = _answers_as(fields, records)
    if talk is None or answers is None:
        raise UserError(
            f"{where}: its fields {', '.join(found) or '(none)'} are no layout that is known: "
            "expected messages, conversations, instruction or prompt, with chosen and rejected, "
            "with responses and ranks or scores, with an output, or with an answer as last message"
        )
    return Layout(talk, answers, fields)


def _answers_as(fields: Mapping[str, str], records: list[Fields]) -> AnswersAs | None:
    if "candidates" in fields and ("ranks" in fields or "scores" in fields):
        return "ranking"
    if "chosen" in fields and "rejected" in fields:
        return "chosen and rejected"
    if "output" in fields:
        lists = sum(isinstance(record.get(fields["output"]), list) for record in records)
        return "list of two" if lists * 2 > len(records) else "output"
    return "last message" if "messages" in fields else None


def parse_record(record: Fields, layout: Layout) -> Answered:
    """What ``record`` says; raises ``Unread`` if it is not of the layout."""
    said = [
        Message(tier, text)
        for tier, what in ((SYSTEM_INFO, "system"), (USER_INFO, "user"))
        if (text := in_words(layout.get(record, what)))
    ]
    messages = _messages_of(record, layout)
    ranks: tuple[int | None, ...] = (0, 1)
    match layout.answers:
        case "ranking":
            answers, ranks = _ranked(record, layout)
        case "chosen and rejected":
            answers = tuple(_answer(layout.get(record, w)) for w in ("chosen", "rejected"))
        case "list of two":
            answers = tuple(map(_answer, layout.get(record, "output") or ()))
        case "output":
            answers, ranks = (_answer(layout.get(record, "output")),), (0,)
        case "last message":
            *messages, last = messages or [Message()]
            answers, ranks = (last.text,), (0,)
    if len(answers) != len(ranks):
        raise Unread(f"it has {len(answers)} answers and an order of {len(ranks)}")
    return Answered(parse_messages((*said, *messages)), answers, ranks)


def _messages_of(record: Fields, layout: Layout) -> list[Message]:
    if layout.talk == "messages":
        return _convert(layout.get(record, "messages"), list[Message])
    messages = []
    for asked, answered in _convert(layout.get(record, "history") or [], list[tuple[str, str]]):
        messages += [Message("user", asked), Message("assistant", answered)]
    query = layout.get(record, layout.talk)
    if isinstance(query, list):
        return messages + _convert(query, list[Message])
    texts = [in_words(query), in_words(layout.get(record, "input"))]
    return [*messages, Message("user", "\n\n".join(filter(None, texts)))]


def _ranked(record: Fields, layout: Layout) -> tuple[tuple[str, ...], tuple[int | None, ...]]:
    answers = tuple(map(_answer, _convert(layout.get(record, "candidates"), list[Any])))
    if "ranks" in layout.fields:
        ranks = _convert(layout.get(record, "ranks"), list[int | None])
        # Whether the best is 0 or 1: from 0 without gaps in either case.
        return answers, ranks_of([None if rank is None else -rank for rank in ranks])
    return answers, ranks_of(_convert(layout.get(record, "scores"), list[float | None]))


def _answer(value: Any) -> str:
    """An answer: a text, a message, or the last one of a list of messages."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list) and value:
        value = value[-1]
    for name in ("text", "response"):
        if isinstance(value, dict) and isinstance(value.get(name), str):
            return str(value[name]).strip()
    return _convert(value, Message).text


def in_words(value: Any) -> str:
    """What a tier says as a text: a list is sentences, an object a list of what it holds."""
    if isinstance(value, dict):
        said = [f"{name.replace('_', ' ')}: {in_words(own)}" for name, own in value.items() if own]
        return "; ".join(said)
    if isinstance(value, list):
        return " ".join(filter(None, map(in_words, value)))
    return "" if value is None else str(value).strip()


def _convert(value: Any, kind: type[T]) -> T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise Unread(f"it is not of the file's layout: {error}") from None


def family_of(text: str) -> Family | None:
    """The family that ``text`` names, if it names one."""
    families: tuple[Family, ...] = ("priority", "helpful", "consensus", "opinion")
    named: list[Family] = [family for family in families if family in text.lower()]
    return named[0] if len(named) == 1 else None
