"""What a model is asked about a dialogue, and how its reply is checked. Nothing here goes online.

Two things can be asked: what one text asks for (``preferences_question``), and of what kind a query
is (``kind_question``). A ``Question`` is all that a model needs: the messages, and the JSON schema
of the reply. ``read_preferences`` and ``read_kind`` check what comes back; what does not fit raises
``ReplyError``, whose line can be sent to the model with ``repaired``.

The text that is asked about is data. It stands inside a JSON string in a message of its own, which
it cannot leave, whatever it contains.
"""

import re
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Literal, TypeVar, get_args

import msgspec
from msgspec import Struct

from metaalign.policy.lexicon import lower, plain
from metaalign.policy.matrix import PriorityMatrix
from metaalign.schema import Ambiguity, Kind, Preference, Reading, UserError

ASKING_VERSION = 1
"""Goes up whenever an old reply would mean something else: kept replies are keyed by it."""

LONGEST_VALUE = 300
"""Characters of a value or a reason: a longer one is no preference but an essay."""
LONGEST_ERROR = 200
"""Characters of what a ``ReplyError`` quotes of a reply, which may be anything."""

NOT_IN_TEXT = "its wording is not in the text"
TWICE = "reported twice"

_T = TypeVar("_T")
_SPACE = re.compile(r"\s+")


class ReplyError(UserError):
    """A model's reply that cannot be used; the line says why, and fits into ``repaired``."""


class Message(Struct, frozen=True):
    """One message to a model."""

    role: Literal["system", "user", "assistant"]
    content: str


class Question(Struct, frozen=True):
    """One thing asked of a model."""

    name: str
    """``preferences`` or ``kind``: the name of the schema."""
    messages: tuple[Message, ...]
    schema: str
    """The JSON schema of the reply, as JSON."""

    def spelled_out(self) -> tuple[Message, ...]:
        """The messages for a server that knows no schemas: the form of the reply in words."""
        first, *rest = self.messages
        form = _prompts().form.replace("{schema}", self.schema)
        return (Message(first.role, first.content + form), *rest)

    def repaired(self, reply: str, error: ReplyError) -> "Question":
        """The question again, after a ``reply`` that could not be used."""
        ask = _prompts().repair.replace("{error}", str(error)).strip()
        more = (Message("assistant", reply), Message("user", ask))
        return Question(self.name, (*self.messages, *more), self.schema)


class Dropped(Struct, frozen=True):
    """An entry of a reply that was left out, and why."""

    dimension: str
    value: str
    reason: str


class Heard(Struct, frozen=True):
    """What a reply says of a text, checked."""

    reading: Reading
    dropped: tuple[Dropped, ...] = ()
    """Entries that were well-formed and still cannot count."""


class _Prompts(Struct, frozen=True, forbid_unknown_fields=True):
    preferences: str
    kind: str
    form: str
    repair: str
    meanings: dict[str, str]


class _Asked(Struct, frozen=True):
    tier: str
    where: Literal["meta_prompt", "talk"]
    text: str


class _Query(Struct, frozen=True):
    query: str


class _Entry(Struct, frozen=True, forbid_unknown_fields=True):
    dimension: str
    value: str
    wording: str
    explicit: bool


class _Open(Struct, frozen=True, forbid_unknown_fields=True):
    dimension: str
    wording: str
    reason: str


class _Preferences(Struct, frozen=True, forbid_unknown_fields=True):
    preferences: tuple[_Entry, ...]
    ambiguous: tuple[_Open, ...]


class _KindReply(Struct, frozen=True, forbid_unknown_fields=True):
    kind: Kind


def preferences_question(
    text: str, tier: str, matrix: PriorityMatrix, turn: int | None = None
) -> Question:
    """Ask what ``text`` asks for, in the dimensions of ``matrix``.

    ``turn`` is the index of the turn of the talk that the text is; None if it is the tier's own.
    """
    lines = "\n".join(_dimension_lines(matrix))
    return Question(
        "preferences",
        (
            Message("system", _prompts().preferences.lstrip().replace("{dimensions}", lines)),
            Message(
                "user",
                _json(_Asked(tier, "meta_prompt" if turn is None else "talk", _sendable(text))),
            ),
        ),
        _json(_preferences_schema(matrix)),
    )


def kind_question(query: str) -> Question:
    """Ask of what kind ``query`` is."""
    return Question(
        "kind",
        (
            Message("system", _prompts().kind.lstrip()),
            Message("user", _json(_Query(_sendable(query)))),
        ),
        _json(_object({"kind": {"type": "string", "enum": list(get_args(Kind))}})),
    )


def read_preferences(
    reply: str, text: str, tier: str, matrix: PriorityMatrix, turn: int | None = None
) -> Heard:
    """What ``reply`` says that ``text`` asks for, in the order of the text.

    Raises ``ReplyError`` if the reply is not of the form that was asked for, or speaks of a
    dimension or a value that ``matrix`` does not have. An entry whose wording is nowhere in the
    text is left out, since nothing shows that anybody said it, and so is one that says the same as
    another; both are told in ``dropped``. Of a wording, ``find_words`` says what need not agree.
    """
    said = decoded(reply, _Preferences)
    asked, dropped = _preferences(said.preferences, text, tier, matrix, turn)
    unsure, dropped_too = _ambiguities(said.ambiguous, text, tier, matrix, turn)
    return Heard(Reading(asked, unsure), (*dropped, *dropped_too))


def _preferences(
    entries: Iterable[_Entry], text: str, tier: str, matrix: PriorityMatrix, turn: int | None
) -> tuple[tuple[Preference, ...], list[Dropped]]:
    kept: dict[tuple[str, str], Preference] = {}
    dropped = []
    for number, entry in enumerate(entries):
        name, value = entry.dimension, _checked(entry, f"preferences[{number}]", matrix)
        span = find_words(entry.wording, text)
        key = (name, value.casefold())
        if span is None or key in kept:
            dropped.append(Dropped(name, value, NOT_IN_TEXT if span is None else TWICE))
        else:
            words = text[slice(*span)]
            kept[key] = Preference(tier, name, value, words, entry.explicit, span, turn)
    return tuple(sorted(kept.values(), key=_place)), dropped


def _ambiguities(
    entries: Iterable[_Open], text: str, tier: str, matrix: PriorityMatrix, turn: int | None
) -> tuple[tuple[Ambiguity, ...], list[Dropped]]:
    kept: dict[tuple[str, tuple[int, int]], Ambiguity] = {}
    dropped = []
    for number, entry in enumerate(entries):
        name, where = entry.dimension, f"ambiguous[{number}]"
        _known(name, where, matrix)
        reason = _bounded(entry.reason, f"{where}.reason")
        span = find_words(entry.wording, text)
        if span is None or (name, span) in kept:
            dropped.append(Dropped(name, reason, NOT_IN_TEXT if span is None else TWICE))
        else:
            words = text[slice(*span)]
            kept[name, span] = Ambiguity(tier, name, words, reason, span, turn)
    return tuple(sorted(kept.values(), key=_place)), dropped


def _place(found: Preference | Ambiguity) -> tuple[int, int]:
    return found.span or (0, 0)


def read_kind(reply: str) -> Kind:
    """The kind that ``reply`` names; ``ReplyError`` if it names none."""
    return decoded(reply, _KindReply).kind


def find_words(words: str, text: str) -> tuple[int, int] | None:
    """Where ``words`` stand in ``text``, as [start, end); None if they do not.

    The first place where they stand as they are, and else the first where only case, white space or
    the shape of quotes and hyphens differ.
    """
    words = words.strip()
    if not words:
        return None
    exact = text.find(words)
    if exact >= 0:
        return exact, exact + len(words)
    loose = r"\s+".join(re.escape(part) for part in _SPACE.split(lower(plain(words))))
    # Both keep every character in its place, so that the span holds in the text as it is.
    found = re.search(loose, lower(plain(text)))
    return found.span() if found else None


def decoded(reply: str, kind: type[_T]) -> _T:
    """The JSON object in ``reply``; models put it into a fence, or think aloud before it.

    Raises ``ReplyError`` if there is none, or if it is no ``kind``.
    """
    reply = reply.rpartition("</think>")[2]
    start, end = reply.find("{"), reply.rfind("}")
    if start < 0 or end < start:
        raise ReplyError("it holds no JSON object")
    try:
        return msgspec.json.decode(reply[start : end + 1], type=kind)
    except msgspec.DecodeError as error:
        raise ReplyError(str(error)[:LONGEST_ERROR].replace(" - at `$", " at `$")) from error


def _checked(entry: _Entry, where: str, matrix: PriorityMatrix) -> str:
    """The value of ``entry`` as the matrix writes it."""
    _known(entry.dimension, where, matrix)
    value = _bounded(entry.value, f"{where}.value")
    allowed = matrix.value_ranks[entry.dimension]
    if allowed is not None and value not in allowed:
        raise ReplyError(
            f"{where}: {entry.dimension} has no value {value[:LONGEST_ERROR]!r}, "
            f"use {', '.join(allowed)}"
        )
    return value


def _known(dimension: str, where: str, matrix: PriorityMatrix) -> None:
    if dimension not in matrix.value_ranks:
        raise ReplyError(
            f"{where}: there is no dimension {dimension[:LONGEST_ERROR]!r}, "
            f"use {', '.join(matrix.value_ranks)}"
        )


def _bounded(value: str, where: str) -> str:
    value = value.strip()
    if not value:
        raise ReplyError(f"{where} is empty")
    if len(value) > LONGEST_VALUE:
        raise ReplyError(f"{where} is longer than {LONGEST_VALUE} characters")
    return value


def _dimension_lines(matrix: PriorityMatrix) -> Iterable[str]:
    meanings = _prompts().meanings
    for name, values in matrix.value_ranks.items():
        meaning = f" ({meanings[name]})" if name in meanings else ""
        yield f"- {name}{meaning}: {', '.join(values) if values else 'any words'}"


def _preferences_schema(matrix: PriorityMatrix) -> dict[str, object]:
    """One alternative for every closed dimension, and one for all that allow any words."""
    closed = {name: list(values) for name, values in matrix.value_ranks.items() if values}
    any_words = [name for name, values in matrix.value_ranks.items() if not values]
    choices = [_entry_schema([name], {"enum": values}) for name, values in closed.items()]
    if any_words:
        choices.append(_entry_schema(any_words, {}))
    doubt = _object(
        {
            "dimension": {"type": "string", "enum": [*matrix.value_ranks]},
            "wording": {"type": "string"},
            "reason": {"type": "string"},
        }
    )
    return _object(
        {
            "preferences": {"type": "array", "items": {"anyOf": choices}},
            "ambiguous": {"type": "array", "items": doubt},
        }
    )


def _entry_schema(dimensions: list[str], values: dict[str, object]) -> dict[str, object]:
    return _object(
        {
            "dimension": {"type": "string", "enum": dimensions},
            "value": {"type": "string", **values},
            "wording": {"type": "string"},
            "explicit": {"type": "boolean"},
        }
    )


def _object(properties: dict[str, object]) -> dict[str, object]:
    # Servers that hold a model to a schema want every property required, and no others.
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _sendable(text: str) -> str:
    """``text`` without the halves of characters that no encoding knows, at the same length."""
    return text.encode("utf-8", "replace").decode()


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


@cache
def _prompts() -> _Prompts:
    source = files("metaalign.policy") / "prompts" / "asking.toml"
    return msgspec.convert(tomllib.loads(source.read_text(encoding="utf-8")), _Prompts)
