"""Queries without answers, and texts for the tiers: what a teacher is asked to write groups from.

Public datasets, each with the fields that are read:

- ``prism``: PRISM's prompts about contested topics, as gathered by IssueBench (CC-BY-4.0): ``id``,
  ``user_prompt``.
- ``advbench``: requests that a safe assistant refuses (AdvBench, MIT): ``goal``, or ``prompt``.
- ``false-refusal``: harmless requests that sound dangerous (PurpleLlama's MITRE set, MIT):
  ``prompt``.
- ``roleplay``: GPTeacher's instructions with a role (MIT): ``instruction``, ``input``. Its answers
  are left: each instruction has one, nobody ordered any, and the answer to another instruction
  would differ by its topic alone, which teaches nothing about preferences.
- personas of Synthetic-Persona-Chat (CC-BY-4.0): ``facts``, or ``user 1 personas`` and ``user 2
  personas``, a fact a line.
- system prompts of awesome-chatgpt-prompts (CC0): ``act``, ``prompt``.

What kind a query is comes from its source, and is ``harmful`` or ``severe`` where the rules of
policy say so.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from metaalign.data.draw import digest
from metaalign.data.sources.kinds import at_least
from metaalign.data.sources.place import Place
from metaalign.data.sources.records import Skipped, read_records
from metaalign.schema import Family, Kind, UserError


class Query(Struct, frozen=True):
    """One query, for whoever writes candidates for it."""

    text: str
    id: str
    kind: Kind
    family: Family
    """The family of groups that it suits best."""


class Text(Struct, frozen=True):
    """What a tier can say: a persona in User Info, a role in System Info."""

    text: str
    id: str


class QuerySource(Struct, frozen=True):
    """A public dataset of queries."""

    name: str
    licence: str
    origin: str
    kind: Kind
    family: Family
    record: type
    text: Callable[[Any], str]
    """The query in a record."""

    def read(self, place: Place | Path, *, skipped: Skipped | None = None) -> Iterator[Query]:
        """The queries of a published file; what is left out is counted in ``skipped``."""
        for text, name in _texts(place, self.record, self.text, skipped):
            yield Query(text, f"{self.name}:{name}", at_least(self.kind, text), self.family)


class _Prompt(Struct, frozen=True):
    prompt: str = ""
    goal: str = ""

    def __post_init__(self) -> None:
        if not self.prompt and not self.goal:
            raise ValueError("Object missing required field `prompt` (or `goal`)")


class _Prism(Struct, frozen=True):
    id: str
    user_prompt: str


class _Instruction(Struct, frozen=True):
    instruction: str
    input: str = ""


class _Persona(Struct, frozen=True):
    facts: tuple[str, ...] = ()
    first: str = field(default="", name="user 1 personas")
    second: str = field(default="", name="user 2 personas")

    def __post_init__(self) -> None:
        if not self.facts and not self.first and not self.second:
            raise ValueError("Object missing required field `facts` (or `user 1 personas`)")


class _SystemPrompt(Struct, frozen=True):
    act: str
    prompt: str


QUERIES: dict[str, QuerySource] = {
    source.name: source
    for source in (
        QuerySource(
            "prism",
            "cc-by-4.0",
            "https://github.com/paul-rottger/issuebench",
            "contested",
            "opinion",
            _Prism,
            lambda record: str(record.user_prompt),
        ),
        QuerySource(
            "advbench",
            "mit",
            "https://github.com/llm-attacks/llm-attacks",
            "harmful",
            "priority",
            _Prompt,
            lambda record: str(record.prompt or record.goal),
        ),
        QuerySource(
            "false-refusal",
            "mit",
            "https://github.com/meta-llama/PurpleLlama",
            "sounds_harmful",
            "helpful",
            _Prompt,
            lambda record: str(record.prompt or record.goal),
        ),
        QuerySource(
            "roleplay",
            "mit",
            "https://github.com/teknium1/GPTeacher",
            "benign",
            "helpful",
            _Instruction,
            lambda record: "\n\n".join(filter(None, (record.instruction, record.input))),
        ),
    )
}
"""Every known source of queries by its name."""


def read_queries(
    name: str, place: Place | Path, *, skipped: Skipped | None = None
) -> Iterator[Query]:
    """The queries of the source ``name``; ``UserError`` if none is called so."""
    if name not in QUERIES:
        raise UserError(f"no source of queries is called {name!r}: use {', '.join(QUERIES)}")
    return QUERIES[name].read(place, skipped=skipped)


def read_personas(place: Place | Path, *, skipped: Skipped | None = None) -> Iterator[Text]:
    """People in a few sentences of their own, for User Info."""
    for record in read_records(place, _Persona):
        told = [record.facts, record.first.splitlines(), record.second.splitlines()]
        for facts in told:
            text = " ".join(fact.strip() for fact in facts if fact.strip())
            if text:
                yield Text(text, digest(text))
            elif facts and skipped is not None:
                skipped["a persona is empty"] += 1


def read_system_prompts(place: Place | Path, *, skipped: Skipped | None = None) -> Iterator[Text]:
    """Roles for an assistant, for System Info."""
    texts = _texts(place, _SystemPrompt, lambda record: str(record.prompt), skipped)
    return (Text(text, name) for text, name in texts)


def _texts(
    place: Place | Path,
    record: type,
    text_of: Callable[[Any], str],
    skipped: Skipped | None,
) -> Iterator[tuple[str, str]]:
    """Every text with a name made of it, the first of equal ones."""
    skipped = Skipped() if skipped is None else skipped
    seen: set[str] = set()
    records: Iterator[Any] = read_records(place, record)
    for found in records:
        text = text_of(found).strip()
        name = digest(" ".join(text.casefold().split()))
        if not text:
            skipped["the text is empty"] += 1
        elif name in seen:
            skipped["the same text was there before"] += 1
        else:
            seen.add(name)
            yield text, name
