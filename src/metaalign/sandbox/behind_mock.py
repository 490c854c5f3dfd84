"""The sandbox as what answers behind a mock teacher.

It answers what it is asked about its own world, and nothing else. The question stands in the
messages in one of two forms, the last message first:

- a JSON object with ``query``, and ``system_info`` and ``user_info`` if they say anything, alone or
  within other text: how metaalign's own prompts quote what is not theirs;
- a plain talk: the user's message holds the query, the system's message is System Info.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from random import Random
from typing import Any

import msgspec

from metaalign.data.teacher.mock.behaviour import Said
from metaalign.data.teacher.mock.filling import fill
from metaalign.policy import load_matrix, read, resolve
from metaalign.sandbox.world import Query, load_world
from metaalign.sandbox.writing import write_answer
from metaalign.schema import SYSTEM_INFO, USER_INFO, Dialogue, Preference

FIELDS = ("response", "answer", "text")
"""Where an answer goes under a schema: the first of these that it has."""


def sandbox_answer(
    messages: Sequence[Mapping[str, Any]], schema: Mapping[str, Any] | None
) -> str | None:
    """The right answer to what ``messages`` ask, under ``schema`` if there is one.

    None where they ask nothing that the sandbox knows, or where the schema has no place for it.
    """
    asked = next(_asked(messages), None)
    if asked is None:
        return None
    query, dialogue = asked
    answer = _answer(query, dialogue)
    if schema is None:
        return answer
    field = next((name for name in FIELDS if name in schema.get("properties", {})), None)
    if field is None:
        return None
    filled = fill(schema, Random(answer))
    return msgspec.json.encode({**filled, field: answer}).decode()


def sandbox_teacher() -> Said:
    """``sandbox_answer`` with everything loaded: the first call should not wait for that."""
    _answer(load_world().queries["benign"][0], Dialogue.ask(""))
    return sandbox_answer


def _answer(query: Query, dialogue: Dialogue) -> str:
    world = load_world()
    preferences = [
        one
        for one in read(dialogue).preferences
        if one.dimension != "background" and (one.dimension != "tone" or one.value in world.leads)
    ]
    # Who somebody is says which side of a question is theirs: the world knows its people.
    preferences += [
        Preference(USER_INFO, "background", person.side, person.text, explicit=False)
        for person in world.personas
        if person.axis == query.axis and person.text in dialogue.meta_prompt.user_info
    ]
    return write_answer(query, resolve(preferences, query.kind, load_matrix()), world)


def _asked(messages: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Query, Dialogue]]:
    """What is asked, in every form in which it can be found."""
    texts = [str(message.get("content") or "") for message in reversed(messages)]
    for text in texts:
        for quoted in _objects(text):
            query = _known(str(quoted.get("query", "")))
            if query is not None:
                said = [str(quoted.get(tier) or "") for tier in (SYSTEM_INFO, USER_INFO)]
                yield query, Dialogue.ask(str(quoted["query"]), *said)
    systems = [str(m.get("content") or "") for m in messages if m.get("role") == "system"]
    users = [str(m.get("content") or "") for m in messages if m.get("role") == "user"]
    for text in reversed(users):
        query = _known(text)
        if query is not None:
            yield query, Dialogue.ask(text, "\n".join(systems))


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects in ``text``, which may stand among other words."""
    decoder, at = json.JSONDecoder(), text.find("{")
    while at >= 0:
        try:
            found, end = decoder.raw_decode(text, at)
        except ValueError:
            end = at + 1
        else:
            if isinstance(found, dict):
                yield found
        at = text.find("{", end)


def _known(text: str) -> Query | None:
    """The query of the world that ``text`` holds, the longest if it holds several."""
    held = [(len(ask), query) for ask, query in _asks().items() if ask in text]
    return max(held, key=lambda one: one[0])[1] if held else None


@cache
def _asks() -> dict[str, Query]:
    queries = [query for kind in load_world().queries.values() for query in kind]
    return {ask: query for query in queries for ask in query.asks}
