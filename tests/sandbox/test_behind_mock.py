"""The sandbox behind a mock teacher: right answers to what its world knows."""

import json

import pytest

from metaalign.policy import load_matrix, resolve
from metaalign.sandbox import load_world
from metaalign.sandbox.behind_mock import sandbox_answer
from metaalign.sandbox.checking import check
from metaalign.sandbox.world import Query
from metaalign.schema import SYSTEM_INFO, USER_INFO, Preference

WORLD = load_world()
BENIGN = WORLD.queries["benign"][0]
CONTESTED = WORLD.queries["contested"][0]
HARMFUL = WORLD.queries["harmful"][0]
SCHEMA = {
    "type": "object",
    "properties": {"response": {"type": "string"}, "score": {"type": "integer"}},
    "required": ["response", "score"],
}


def quoted(query: str, **said: str) -> list[dict[str, str]]:
    """As metaalign's own prompts quote what is not theirs: as JSON among other words."""
    content = f"Answer this:\n{json.dumps({'query': query, **said})}\nin plain words."
    return [
        {"role": "system", "content": "You write answers."},
        {"role": "user", "content": content},
    ]


def right(answer: str | None, query: Query, *preferences: Preference) -> bool:
    """Whether the world's own verifiers find nothing wrong."""
    assert answer is not None
    resolution = resolve(preferences, query.kind, load_matrix())
    return check(query, resolution, answer, WORLD).obeyed


@pytest.mark.parametrize(
    "query", [BENIGN, HARMFUL, CONTESTED], ids=["plain", "harmful", "contested"]
)
def test_a_query_gets_its_right_answer(query: Query) -> None:
    assert right(sandbox_answer([{"role": "user", "content": query.asks[0]}], None), query)
    assert right(sandbox_answer(quoted(query.asks[1]), None), query)


def test_what_the_tiers_ask_for_is_done() -> None:
    short = Preference(SYSTEM_INFO, "length", "short")
    numbered = Preference(USER_INFO, "format", "numbered")
    asked = quoted(
        BENIGN.asks[0],
        system_info="Keep your answers short.",
        user_info="Please use a numbered list.",
    )
    assert right(sandbox_answer(asked, None), BENIGN, short, numbered)
    plain = [
        {"role": "system", "content": "Keep your answers short."},
        {"role": "user", "content": BENIGN.asks[0]},
    ]
    assert right(sandbox_answer(plain, None), BENIGN, short)


def test_who_somebody_is_says_which_side_is_theirs() -> None:
    person = next(one for one in WORLD.personas if one.axis == CONTESTED.axis)
    asked = quoted(
        CONTESTED.asks[0],
        system_info="Answer from the background of the person.",
        user_info=person.text,
    )
    background = Preference(SYSTEM_INFO, "priority", "background")
    side = Preference(USER_INFO, "background", person.side, explicit=False)
    assert right(sandbox_answer(asked, None), CONTESTED, background, side)


def test_under_a_schema_the_answer_has_its_field() -> None:
    made = json.loads(sandbox_answer(quoted(BENIGN.asks[0]), SCHEMA) or "")
    assert right(made["response"], BENIGN)
    assert isinstance(made["score"], int)


@pytest.mark.parametrize(
    ("content", "schema"),
    [
        ("What is love?", None),
        ('{"query": "What is love?"}', None),
        ("{not json} {}", None),
        ("", None),
        (BENIGN.asks[0], {"type": "object", "properties": {"ranks": {"type": "array"}}}),
    ],
)
def test_what_it_does_not_know_it_leaves_to_the_mock(content: str, schema: object) -> None:
    assert sandbox_answer([{"role": "user", "content": content}], schema) is None  # type: ignore[arg-type]
