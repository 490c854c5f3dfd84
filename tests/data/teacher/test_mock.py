"""The mock teacher: what it says fits the schema, is the same every time, and fails as told."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from random import Random
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import openai
import pytest
from hypothesis import given as for_all
from hypothesis import settings as trying
from hypothesis import strategies as st

from metaalign.data.teacher.mock.behaviour import Behaviour, Manners, name_of
from metaalign.data.teacher.mock.filling import fill
from metaalign.data.teacher.mock.server import running_mock, serve_mock
from metaalign.schema import UserError

Schema = Mapping[str, Any]


def simple() -> st.SearchStrategy[Schema]:
    small = st.integers(0, 5)
    return st.one_of(
        st.just({"type": "boolean"}),
        st.just({"type": "null"}),
        st.just({"const": [1, {"a": None}]}),
        st.lists(st.text(max_size=3), min_size=1, max_size=4).map(lambda v: {"enum": v}),
        st.tuples(small, small).map(
            lambda b: {"type": "string", "minLength": b[0] * 30, "maxLength": sum(b) * 30}
        ),
        st.tuples(small, small).map(
            lambda b: {"type": "integer", "minimum": b[0] - 3, "maximum": sum(b) - 3}
        ),
        st.tuples(small, small).map(
            lambda b: {"type": "number", "exclusiveMinimum": b[0], "exclusiveMaximum": sum(b) + 1}
        ),
        st.just({"type": ["string", "null"]}),
        st.just({"$ref": "#/$defs/tree"}),
    )


def composed(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    bounds = st.tuples(st.integers(0, 3), st.integers(0, 3))
    names = st.text(alphabet="abc", min_size=1, max_size=3)
    return st.one_of(
        st.tuples(inner, bounds).map(
            lambda i: {"type": "array", "items": i[0], "minItems": i[1][0], "maxItems": sum(i[1])}
        ),
        st.dictionaries(names, inner, max_size=3).map(
            lambda p: {
                "type": "object",
                "properties": p,
                "required": list(p),
                "additionalProperties": False,
            }
        ),
        st.lists(inner, min_size=1, max_size=3).map(lambda s: {"anyOf": s}),
    )


TREE = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "parts": {"type": "array", "items": {"$ref": "#/$defs/tree"}},
    },
    "required": ["name", "parts"],
    "additionalProperties": False,
}


@trying(max_examples=100, deadline=None)
@for_all(st.recursive(simple(), composed, max_leaves=6), st.integers(0, 9))
def test_what_is_filled_in_is_valid(schema: Schema, seed: int) -> None:
    root = {**schema, "$defs": {"tree": TREE}}
    jsonschema.validate(fill(root, Random(seed)), root)


def test_an_order_of_given_things_is_a_permutation() -> None:
    schema = {
        "type": "array",
        "items": {"enum": ["A", "B", "C"]},
        "uniqueItems": True,
        "minItems": 3,
        "maxItems": 3,
    }
    orders = {tuple(fill(schema, Random(seed))) for seed in range(60)}
    assert len(orders) == 6


def chat(url: str, text: str, **more: Any) -> Any:
    with openai.OpenAI(api_key="none", base_url=url, max_retries=0) as client:
        return client.chat.completions.create(
            model=more.pop("model", "mock"), messages=[{"role": "user", "content": text}], **more
        )


def stats(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def test_it_speaks_to_the_client_of_openai() -> None:
    with running_mock(Behaviour(Manners())) as url:
        first, again, other = chat(url, "hello"), chat(url, "hello"), chat(url, "hi")
        with openai.OpenAI(api_key="none", base_url=url) as client:
            assert [model.id for model in client.models.list()] == ["mock"]
        counted = stats(url)
    said = first.choices[0].message.content
    assert said == again.choices[0].message.content != other.choices[0].message.content
    assert first.choices[0].finish_reason == "stop"
    # A token for every four characters, and four around a message.
    assert first.usage.prompt_tokens == 2 + 4
    assert first.usage.completion_tokens == -(-len(said) // 4)
    assert (counted["calls"], counted["answered"], counted["repeated"]) == (3, 3, 1)


def test_another_seed_is_another_teacher() -> None:
    def said(seed: int) -> str:
        with running_mock(Behaviour(Manners(seed=seed))) as url:
            return str(chat(url, "hello").choices[0].message.content)

    assert said(1) == said(1) != said(2)


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"model": "gpt"}, openai.NotFoundError),
        ({"messages": []}, openai.BadRequestError),
        ({"messages": "hello"}, openai.BadRequestError),
    ],
)
def test_it_refuses_what_real_servers_refuse(more: Any, error: type[Exception]) -> None:
    body = {"model": "mock", "messages": [{"role": "user", "content": "x"}], **more}
    with (
        running_mock(Behaviour(Manners())) as url,
        openai.OpenAI(api_key="none", base_url=url) as client,
        pytest.raises(error),
    ):
        client.chat.completions.create(**body)


def test_it_is_told_what_is_no_json() -> None:
    with running_mock(Behaviour(Manners())) as url, pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{url}/chat/completions", b"{")
    assert caught.value.code == 400


def outcomes(manners: Manners, number: int = 2000) -> tuple[int, int, int]:
    """(errors, malformed, refused) of so many requests, each tried until it is answered."""
    behaviour = Behaviour(manners)
    for i in range(number):
        body = {"model": "mock", "messages": [{"role": "user", "content": f"{i}"}]}
        name = name_of(body)
        while behaviour.failure(body, name) is not None:
            pass
        behaviour.count(name, behaviour.completion(body, name))
    found = behaviour.stats
    assert found.calls == number + sum(found.errors.values())
    return sum(found.errors.values()), found.malformed, found.refused


def test_it_fails_as_often_as_it_is_told() -> None:
    errors, malformed, refused = outcomes(
        Manners(error_rate=0.2, malformed_rate=0.1, refusal_rate=0.05)
    )
    # Four standard deviations around 2000 * 0.2 / 0.8, 2000 * 0.1 and 2000 * 0.05.
    assert abs(errors - 500) < 4 * (2000 * 0.2 / 0.8**2) ** 0.5
    assert abs(malformed - 200) < 4 * (2000 * 0.1 * 0.9) ** 0.5
    assert abs(refused - 100) < 4 * (2000 * 0.05 * 0.95) ** 0.5
    assert outcomes(Manners()) == (0, 0, 0)


def test_a_refusal_under_a_schema_has_a_field_of_its_own() -> None:
    held = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    with running_mock(Behaviour(Manners(refusal_rate=1))) as url:
        plain = chat(url, "hello").choices[0].message
        under = chat(url, "hello", response_format=held).choices[0].message
    assert plain.content == under.refusal == "I'm sorry, but I can't help with that."
    assert (plain.refusal, under.content) == (None, None)


@pytest.mark.parametrize("limit", ["requests_per_minute", "tokens_per_minute"])
def test_more_than_its_limit_is_told_when_to_come_back(limit: str) -> None:
    manners = Manners(**{limit: 60.0})  # type: ignore[arg-type]
    with running_mock(Behaviour(manners)) as url, pytest.raises(openai.RateLimitError) as caught:
        for i in range(3):
            chat(url, f"{i}", max_tokens=2)
    assert int(caught.value.response.headers["retry-after"]) >= 1


def test_a_port_that_is_taken() -> None:
    with running_mock(Behaviour(Manners())) as url:
        port = int(url.split(":")[2].split("/")[0])
        with pytest.raises(UserError, match=f"cannot serve at port {port} .*: give another --port"):
            serve_mock(Behaviour(Manners()), port)
    with pytest.raises(UserError, match="port 70000 does not exist"):
        serve_mock(Behaviour(Manners()), 70000)
