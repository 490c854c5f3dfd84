"""Requests and their keys, and replies that are held to a type."""

from typing import Annotated, Any, Literal

import jsonschema  # type: ignore[import-untyped]
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct
from tests.data.teacher.asking import DRAFT, Draft, request

from metaalign.data.teacher.forms import Form, strict_schema
from metaalign.data.teacher.requests import Message, ReplyError, Request

CHANGES: list[dict[str, Any]] = [
    {"task": "order"},
    {"messages": (Message("system", "number 1"),)},
    {"messages": (Message("user", "number 1"), Message("user", ""))},
    {"schema": None},
    {"max_tokens": 501},
    {"temperature": 0.1},
    {"sample": 1},
]


@pytest.mark.parametrize("change", CHANGES)
def test_the_key_knows_everything_that_is_asked(change: dict[str, Any]) -> None:
    base = request(1)
    assert msgspec.structs.replace(base, **change).key("m") != base.key("m")


def test_equal_requests_have_one_key_and_every_model_its_own() -> None:
    assert request(1).key("m") == request(1).key("m")
    assert request(1).key("m") != request(1).key("n")
    assert len(request(1).key("m")) == 64


@given(st.text(alphabet=st.characters(codec=None)))
def test_any_text_can_be_asked(text: str) -> None:
    """Half a surrogate pair has no UTF-8: it is replaced, and whatever has UTF-8 stays."""
    [message] = Request("write", (Message("user", text),)).messages
    message.content.encode()
    try:
        text.encode()
    except UnicodeEncodeError:
        assert len(message.content) == len(text)
    else:
        assert message.content == text


def test_a_repair_shows_the_reply_and_what_was_wrong() -> None:
    repair = request(1).repaired("oops", ReplyError("it holds no JSON object"))
    assert repair.messages[:2] == (*request(1).messages, Message("assistant", "oops"))
    assert "it holds no JSON object" in repair.messages[2].content
    assert (repair.task, repair.schema) == ("write-repair", DRAFT.schema)


class Inner(Struct, forbid_unknown_fields=True):
    mark: Literal["a", "b"]


class Outer(Struct, forbid_unknown_fields=True):
    inner: Inner
    many: Annotated[tuple[Inner, ...], Meta(min_length=1)]
    note: str | None = None


def test_a_schema_is_as_strict_as_servers_want_it() -> None:
    schema = strict_schema(Outer)
    assert schema["required"] == ["inner", "many", "note"]
    assert schema["additionalProperties"] is False
    assert "$ref" not in msgspec.json.encode(schema).decode()
    good = {"inner": {"mark": "a"}, "many": [{"mark": "b"}], "note": None}
    jsonschema.validate(good, schema)
    for bad in ({**good, "more": 1}, {**good, "many": []}, {**good, "inner": {"mark": "c"}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, schema)
        with pytest.raises(ReplyError):
            Form(Outer).read(msgspec.json.encode(bad).decode())


def test_a_reply_may_stand_in_a_fence_or_after_thoughts() -> None:
    assert DRAFT.read('<think>{"a": 1}</think>\n```json\n{"text": "t", "score": 3}\n```') == Draft(
        "t", 3
    )
    with pytest.raises(ReplyError, match="score"):
        DRAFT.read('{"text": "t", "score": "three"}')
