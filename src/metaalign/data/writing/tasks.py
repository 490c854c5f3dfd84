"""What a teacher is asked to do: each task makes a request, and checks the reply to it."""

import string
from collections.abc import Callable, Sequence
from typing import Annotated, Generic, NamedTuple, TypeVar

import msgspec
from msgspec import Meta, Struct

from metaalign.data.draw import digest
from metaalign.data.families.orders import Ranks, ranks_of
from metaalign.data.teacher.counting import CHARACTERS_PER_TOKEN
from metaalign.data.teacher.forms import Form
from metaalign.data.teacher.requests import RefusedError, ReplyError, Request
from metaalign.data.writing.brief import Brief
from metaalign.data.writing.prompts import load_prompt
from metaalign.policy.asking import decoded
from metaalign.schema import SYSTEM_INFO, USER_INFO, MetaPrompt

T = TypeVar("T")

MOST_CANDIDATES = len(string.ascii_uppercase)
_LONGEST_REASON = 120

_Line = Annotated[str, Meta(max_length=2000)]


class Asked(NamedTuple, Generic[T]):
    """One request, how its reply is checked, and what stands for the reply in a dry run."""

    request: Request
    check: Callable[[str], T]
    stand_in: T


class Violation(Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of a brief that a response does not keep to."""

    entry: _Line
    why: _Line


class _Written(Struct, frozen=True, forbid_unknown_fields=True):
    response: str
    refusal: str


class _Criticised(Struct, frozen=True, forbid_unknown_fields=True):
    violations: tuple[Violation, ...]


class _Ranked(Struct, frozen=True, forbid_unknown_fields=True):
    ranks: dict[str, int]


_WRITTEN, _CRITICISED = Form(_Written), Form(_Criticised)


class Situation(NamedTuple):
    """What a response is for: a query under a Meta-Prompt, and the brief that follows from it."""

    query: str
    meta_prompt: MetaPrompt
    brief: Brief

    def material(self) -> dict[str, object]:
        """As fields of a prompt."""
        return {
            "query": self.query,
            SYSTEM_INFO: self.meta_prompt.system_info,
            USER_INFO: self.meta_prompt.user_info,
            **self.brief.material(),
        }


def write(situation: Situation, max_tokens: int | None = None, sample: int = 0) -> Asked[str]:
    """Ask for a response. Nothing tells with what it will be compared."""
    prompt = load_prompt("write")
    request = prompt.request(
        "write", situation.material(), _WRITTEN.schema, max_tokens=max_tokens, sample=sample
    )
    return Asked(request, read_response, _stand_in(request))


def critique(situation: Situation, response: str) -> Asked[tuple[Violation, ...]]:
    """Ask what ``response`` does not keep to."""
    material = {**situation.material(), "response": response}
    request = load_prompt("critique").request("critique", material, _CRITICISED.schema)
    return Asked(request, read_violations, (Violation("entry", "why"),))


def revise(
    situation: Situation,
    response: str,
    violations: Sequence[Violation],
    max_tokens: int | None = None,
) -> Asked[str]:
    """Ask for ``response`` again, without its ``violations``."""
    material = {
        **situation.material(),
        "response": response,
        "violations": msgspec.to_builtins(violations),
    }
    prompt = load_prompt("revise")
    request = prompt.request("revise", material, _WRITTEN.schema, max_tokens=max_tokens)
    return Asked(request, read_response, _stand_in(request))


def order(
    situation: Situation, candidates: Sequence[str], *draw: object
) -> tuple[Asked[Ranks], Asked[Ranks]]:
    """Ask for the ranks of ``candidates``: twice, the second time from last to first.

    They are shuffled by hash, under the name ``draw``. Of every two each comes first once, so a
    teacher that goes by the place contradicts itself.
    """
    drawn = sorted(range(len(candidates)), key=lambda i: digest(*draw, "order", candidates[i], i))
    return _order(situation, candidates, drawn), _order(situation, candidates, drawn[::-1])


def _order(situation: Situation, candidates: Sequence[str], places: Sequence[int]) -> Asked[Ranks]:
    letters = string.ascii_uppercase[: len(places)]
    listed = [
        {"letter": letter, "text": candidates[place]}
        for letter, place in zip(letters, places, strict=True)
    ]
    request = load_prompt("order").request(
        "order", {**situation.material(), "candidates": listed}, _ranks_schema(letters)
    )

    def check(reply: str) -> Ranks:
        given = read_ranks(reply, letters)
        ranks: list[float | None] = [None] * len(places)
        for place, rank in zip(places, given, strict=True):
            ranks[place] = -float(rank)
        return ranks_of(ranks)

    return Asked(request, check, tuple(range(len(places))))


def read_response(reply: str) -> str:
    """The response in ``reply``; ``RefusedError`` if there is a refusal in its place."""
    said = _WRITTEN.read(reply)
    response, refusal = said.response.strip(), " ".join(said.refusal.split())
    if response:
        return response
    if refusal:
        raise RefusedError(f"the teacher will not write it: {refusal[:_LONGEST_REASON]}")
    raise ReplyError("both response and refusal are empty")


def read_violations(reply: str) -> tuple[Violation, ...]:
    """The violations in ``reply``."""
    return _CRITICISED.read(reply).violations


def read_ranks(reply: str, letters: str) -> tuple[int, ...]:
    """The rank of every letter, 1 the best; ``ReplyError`` if one has none, or is not known."""
    ranks = decoded(reply, _Ranked).ranks
    if ranks.keys() != set(letters):
        raise ReplyError(f"ranks must have exactly the letters {', '.join(letters)}")
    if not all(1 <= rank <= len(letters) for rank in ranks.values()):
        raise ReplyError(f"every rank must be from 1 to {len(letters)}")
    return tuple(ranks[letter] for letter in letters)


def _ranks_schema(letters: str) -> bytes:
    rank = {"type": "integer", "minimum": 1, "maximum": len(letters)}
    ranks = {
        "type": "object",
        "properties": dict.fromkeys(letters, rank),
        "required": list(letters),
        "additionalProperties": False,
    }
    return msgspec.json.encode(
        {
            "type": "object",
            "properties": {"ranks": ranks},
            "required": ["ranks"],
            "additionalProperties": False,
        }
    )


def _stand_in(request: Request) -> str:
    """A response as long as it can be, and unlike that of any other request."""
    words = "word " * (request.max_tokens * CHARACTERS_PER_TOKEN // len("word "))
    return f"{digest(*request.messages)} {words}"
