"""What a person is told when a teacher cannot be asked: one line, and what is kept."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.data.teacher.asking import DRAFT, ask_all, free, journal_of, request, settings
from tests.generate.chat_server import Answer, ChatServer, chat_server

from metaalign.data.teacher.endpoint import Endpoint
from metaalign.data.teacher.mock.behaviour import Behaviour, Manners
from metaalign.data.teacher.mock.server import running_mock
from metaalign.data.teacher.teacher import Teacher
from metaalign.schema import UserError

GOOD = Answer('{"text": "fine", "score": 1}')
QUICK = {"Retry-After": "0.01"}


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server() as running:
        running.say = lambda _: GOOD
        yield running


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def test_no_key(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no key for OpenAI: set OPENAI_API_KEY"):
        Teacher(settings(tmp_path, None))
    with pytest.raises(UserError, match="set ROUTER_KEY"):
        Teacher(settings(tmp_path, None, key_variable="ROUTER_KEY"))


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x/v1", "http://", "http://h:port/v1"])
def test_no_address(tmp_path: Path, url: str) -> None:
    with pytest.raises(UserError, match="is no address of a server: it is like http://"):
        Teacher(settings(tmp_path, url))


def test_the_key_is_sent_and_never_shown(
    server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROUTER_KEY", "s3cret")
    ask_all(settings(tmp_path, server.url, key_variable="ROUTER_KEY"), [request(1)])
    assert server.keys == ["Bearer s3cret"]
    assert "s3cret" not in repr(Endpoint.find("m", server.url, "ROUTER_KEY"))


def test_no_server(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(UserError, match=r"cannot reach 127.0.0.1:9: is the server running"):
        ask_all(settings(tmp_path, "http://127.0.0.1:9/v1"), [request(1)])
    # Whoever has mistyped an address does not wait through all tries.
    assert time.monotonic() - began < 10
    assert journal_of(settings(tmp_path, None)).spent().open_calls == 0


@pytest.mark.parametrize(
    ("answer", "line", "requests"),
    [
        (Answer("who", 401), "refuses the key: set OPENAI_API_KEY", 1),
        (Answer("who", 403), "refuses the key: set OPENAI_API_KEY", 1),
        (Answer("none", 404), "has no model mock, or its base URL is another", 1),
        (Answer("too long", 400), "mock at .* refuses the request: .*too long", 3),
        (Answer("oh", 500, QUICK), "failed, in 3 tries: .*: try again later", 3),
        (Answer("slow", 429, QUICK), "is too busy, in 3 tries, or the quota is spent", 3),
        (Answer("later", 429, {"Retry-After": "99999"}), "is too busy, in 1 try", 1),
        (Answer(body="<html>", headers={"Content-Type": "text/html"}), "base URL, it mostly", 1),
        (Answer(body='{"choices": []}'), "did not answer as an OpenAI-compatible server", 1),
        (Answer(body="[1]"), "did not answer as an OpenAI-compatible server", 1),
    ],
)
def test_one_line_for_every_failure(
    server: ChatServer, tmp_path: Path, answer: Answer, line: str, requests: int
) -> None:
    server.say = lambda _: answer
    with pytest.raises(UserError, match=line) as caught:
        ask_all(settings(tmp_path, server.url, concurrency=1), [request(1)])
    assert "\n" not in str(caught.value)
    assert len(server.seen) == requests


def test_no_money_is_not_waited_for(server: ChatServer, tmp_path: Path) -> None:
    error = {"error": {"message": "pay first", "code": "insufficient_quota"}}
    server.say = lambda _: Answer(body=json.dumps(error), status=429)
    with pytest.raises(UserError, match=r"or the quota is spent: .*pay first"):
        ask_all(settings(tmp_path, server.url), [request(1)])
    assert len(server.seen) == 1


def test_a_timeout_may_have_been_paid_for(server: ChatServer, tmp_path: Path) -> None:
    server.queue = [Answer("late", wait=0.6)]
    given = settings(tmp_path, server.url, timeout=0.3)
    [outcome] = ask_all(given, [request(1)])
    assert outcome.status == "answered"
    spent = journal_of(given).spent()
    assert (spent.calls, spent.open_calls) == (1, 1)


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
def test_a_server_that_fails_once_is_asked_again(
    server: ChatServer, tmp_path: Path, status: int
) -> None:
    server.queue = [Answer("oh", status, QUICK)]
    [outcome] = ask_all(settings(tmp_path, server.url), [request(1)])
    assert outcome.status == "answered"
    assert len(server.seen) == 2


def test_it_comes_back_when_the_server_says(server: ChatServer, tmp_path: Path) -> None:
    server.queue = [Answer("slow", 429, {"Retry-After": "1.2"})]
    ask_all(settings(tmp_path, server.url), [request(1)])
    assert server.times[1] - server.times[0] >= 1.2  # without the header, half a second at most


def test_a_server_that_goes_down_in_the_middle(tmp_path: Path) -> None:
    with running_mock(Behaviour(Manners())) as url:
        first = ask_all(settings(tmp_path, url), map(request, range(20)))
    got = []
    with pytest.raises(UserError) as caught, Teacher(settings(tmp_path, url, retries=1)) as teacher:
        for outcome in teacher.ask(map(request, range(40)), DRAFT.read):
            got.append(outcome)
    assert got == first
    assert str(caught.value) == (
        f"cannot reach {url[7:-3]}: is the server running, and is the base URL right?; "
        f"all 20 replies so far are kept in {tmp_path / 'journal.sqlite'}: "
        "run the same command to go on"
    )
    behaviour = Behaviour(Manners())
    with running_mock(behaviour) as url:  # at another address, and still the same teacher
        assert len(ask_all(settings(tmp_path, url), map(request, range(40)))) == 40
    assert behaviour.stats.answered == 20


def test_a_request_that_the_server_refuses_does_not_stop_the_others(
    server: ChatServer, tmp_path: Path
) -> None:
    def say(asked: dict[str, Any]) -> Answer:
        return Answer("too long", 400) if "number 3" in str(asked) else GOOD

    server.say = say
    given = settings(tmp_path, server.url, concurrency=1)
    outcomes = ask_all(given, map(request, range(6)))
    assert [o.status for o in outcomes] == [*["answered"] * 3, "refused", *["answered"] * 2]
    assert "too long" in outcomes[3].reason
    server.seen.clear()
    assert ask_all(given, map(request, range(6))) == outcomes
    assert server.seen == []


COMPLAINTS = {
    "response_format json_schema is not supported": lambda a: (
        a.get("response_format", {}).get("type") == "json_schema"
    ),
    "response_format is not supported": lambda a: "response_format" in a,
    "temperature is not supported": lambda a: "temperature" in a,
    "seed is not known": lambda a: "seed" in a,
    "use max_completion_tokens": lambda a: "max_tokens" in a,
}


@pytest.mark.parametrize("complaint", COMPLAINTS)
def test_what_a_server_does_not_know_is_left_out(
    server: ChatServer, tmp_path: Path, complaint: str
) -> None:
    refuses = COMPLAINTS[complaint]
    server.say = lambda asked: Answer(complaint, 400) if refuses(asked) else GOOD
    asked = [request(i, sample=1) for i in range(3)]
    outcomes = ask_all(settings(tmp_path, server.url, concurrency=1), asked)
    assert {o.status for o in outcomes} == {"answered"}
    # Found out once, at the first request.
    assert [refuses(seen) for seen in server.seen[-2:]] == [False, False]
    if "response_format is not" in complaint:
        assert '"additionalProperties":false' in server.seen[-1]["messages"][0]["content"]


def test_a_request_in_free_words_asks_for_no_form(server: ChatServer, tmp_path: Path) -> None:
    with Teacher(settings(tmp_path, server.url)) as teacher:
        [outcome] = teacher.ask([request(1, schema=None, temperature=0.7)], free)
    assert outcome.value == GOOD.reply
    [asked] = server.seen
    assert asked == {
        "model": "mock",
        "messages": [{"role": "user", "content": "number 1"}],
        "max_tokens": 500,
        "temperature": 0.7,
    }


def test_whoever_waits_to_try_again_is_told_to_stop(server: ChatServer, tmp_path: Path) -> None:
    """One request is to come back in a minute when another finds that the key is wrong."""
    server.say = lambda asked: (
        Answer("slow", 429, {"Retry-After": "60"})
        if "number 0" in str(asked)
        else Answer("who", 401, wait=0.3)
    )
    began = time.monotonic()
    with pytest.raises(UserError, match="refuses the key"):
        ask_all(settings(tmp_path, server.url), map(request, range(2)))
    assert time.monotonic() - began < 20
    assert journal_of(settings(tmp_path, None)).spent().open_calls == 0
