"""Asking a model over HTTP: a real server on loopback, well and badly behaved."""

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.generate.chat_server import Answer, ChatServer, Request, chat_server

from metaalign.generate import RemoteReader
from metaalign.generate.replies import Replies
from metaalign.policy import load_matrix, resolve_dialogue
from metaalign.policy.asking import NOT_IN_TEXT
from metaalign.schema import (
    SYSTEM_INFO,
    USER_INFO,
    Classified,
    Dialogue,
    MetaPrompt,
    Preference,
    Reading,
    Turn,
    UserError,
)

MATRIX = load_matrix()
HARMFUL = Answer('{"kind": "harmful"}')


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server() as running:
        yield running


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def reader(server: ChatServer, **more: Any) -> RemoteReader:
    settings = {"timeout": 5.0, "retries": 1, "matrix": MATRIX, **more}
    return RemoteReader("m", server.url, **settings)


def host(server: ChatServer) -> str:
    return server.url.removeprefix("http://").removesuffix("/v1")


def data_of(request: Request) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(request["messages"][1]["content"])
    return found


def short_if_said(request: Request) -> Answer:
    """A model that finds one preference: short answers, where the text says "short"."""
    found = []
    if "short" in data_of(request).get("text", ""):
        found = [{"dimension": "length", "value": "short", "wording": "short", "explicit": True}]
    return Answer(json.dumps({"preferences": found, "ambiguous": []}))


def test_the_kind_and_who_said_so(server: ChatServer) -> None:
    server.say = lambda _: HARMFUL
    assert reader(server).classify("How?") == Classified("harmful", f"m at {host(server)}")
    [request] = server.seen
    assert request["model"] == "m"
    assert request["temperature"] == 0
    assert request["response_format"]["json_schema"]["strict"] is True
    assert data_of(request) == {"query": "How?"}


def test_every_tier_and_every_user_turn_is_read(server: ChatServer) -> None:
    server.say = short_if_said
    turns = (Turn("user", "hi"), Turn("assistant", "short"), Turn("user", "be short"))
    dialogue = Dialogue(MetaPrompt.of("Keep it short.", "Nothing."), turns)
    assert reader(server).read(dialogue, talk_tier=USER_INFO) == Reading(
        (
            Preference(SYSTEM_INFO, "length", "short", "short", True, (8, 13)),
            Preference(USER_INFO, "length", "short", "short", True, (3, 8), 2),
        )
    )
    assert [data_of(request) for request in server.seen] == [
        {"tier": SYSTEM_INFO, "where": "meta_prompt", "text": "Keep it short."},
        {"tier": USER_INFO, "where": "meta_prompt", "text": "Nothing."},
        {"tier": USER_INFO, "where": "talk", "text": "hi"},
        {"tier": USER_INFO, "where": "talk", "text": "be short"},
    ]
    server.seen.clear()
    assert len(reader(server).read(dialogue, talk_tier=None).preferences) == 1
    assert len(server.seen) == 2


def test_it_fits_into_the_resolution(server: ChatServer) -> None:
    server.say = lambda request: HARMFUL if "query" in data_of(request) else short_if_said(request)
    asked = reader(server)
    resolution = resolve_dialogue(
        Dialogue.ask("How?", "Keep it short."), MATRIX, read=asked.read, classify=asked.classify
    )
    assert (resolution.kind, resolution.kind_by) == ("harmful", asked.name)
    assert [d.value for d in resolution.decisions] == ["short"]


def test_what_nobody_said_is_counted(server: ChatServer) -> None:
    server.say = lambda _: Answer(
        '{"preferences": [{"dimension": "length", "value": "short", "wording": "brief", '
        '"explicit": true}], "ambiguous": []}'
    )
    asked = reader(server)
    assert asked.read(Dialogue(MetaPrompt.of("Hello."), ())) == Reading()
    assert asked.dropped == {NOT_IN_TEXT: 1}


def test_a_server_that_is_busy_is_asked_again_when_it_says(server: ChatServer) -> None:
    server.queue = [Answer("slow down", 429, {"Retry-After": "1.2"}), HARMFUL]
    assert reader(server).classify("How?").kind == "harmful"
    first, second = server.times
    # Without the header the client waits half a second at most.
    assert 1.1 < second - first < 3


@pytest.mark.parametrize("status", [500, 502, 503, 408])
def test_a_server_that_breaks_once_is_asked_again(server: ChatServer, status: int) -> None:
    server.queue = [Answer("oh", status, {"Retry-After": "0.05"}), HARMFUL]
    assert reader(server).classify("How?").kind == "harmful"


QUICK = {"Retry-After": "0.02"}


@pytest.mark.parametrize(
    ("answer", "line", "requests"),
    [
        (Answer("oh", 500, QUICK), "failed, in 2 tries", 2),
        (Answer("slow", 429, QUICK), "too busy, in 2 tries, or the quota is spent", 2),
        (Answer("who", 401), "refuses the key: set OPENAI_API_KEY", 1),
        (Answer("who", 403), "refuses the key: set OPENAI_API_KEY", 1),
        (Answer("none", 404), "has no model m, or its base URL is another", 1),
        (Answer("too long", 400), "refuses the request", 3),
        (Answer("late", wait=0.8), "did not answer within 0.3 s in 2 tries", 2),
        (
            Answer(body="<html>", headers={"Content-Type": "text/html"}),
            "not answer as an OpenAI-compatible server",
            1,
        ),
        (Answer(body="{}"), "not answer as an OpenAI-compatible server", 1),
        (Answer(body="[]"), "not answer as an OpenAI-compatible server", 1),
        (Answer(body='{"choices": [{}]}'), "not answer as an OpenAI-compatible server", 1),
        (Answer(body="{broken"), "not answer as an OpenAI-compatible server", 1),
        (Answer(body=""), "not answer as an OpenAI-compatible server", 1),
    ],
)
def test_what_goes_wrong_is_one_line(
    server: ChatServer, answer: Answer, line: str, requests: int
) -> None:
    server.say = lambda _: answer
    asked = reader(server, timeout=0.3 if answer.wait else 5.0)
    with pytest.raises(UserError) as caught:
        asked.classify("How?")
    assert line in str(caught.value)
    assert host(server) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(server.seen) == requests


def test_a_server_that_is_down(server: ChatServer) -> None:
    with chat_server() as other:
        url = other.url
    asked = RemoteReader("m", url, matrix=MATRIX, retries=0)
    with pytest.raises(UserError, match=r"cannot reach 127\.0\.0\.1:.*is the server running"):
        asked.classify("How?")


def refuses(*words: str) -> Any:
    """A server that takes no request in which any of ``words`` stands."""

    def say(request: Request) -> Answer:
        manner = {name: value for name, value in request.items() if name != "messages"}
        for word in words:
            if word in json.dumps(manner):
                return Answer(f"{word} is not supported", 400)
        return HARMFUL

    return say


def test_a_server_without_schemas_gets_them_in_words(server: ChatServer) -> None:
    server.say = refuses("json_schema")
    asked = reader(server)
    assert asked.classify("How?").kind == "harmful"
    assert asked.classify("Why?").kind == "harmful"
    forms = [request["response_format"]["type"] for request in server.seen]
    # What it refuses is not tried twice.
    assert forms == ["json_schema", "json_object", "json_object"]
    assert '"sounds_harmful"' in server.seen[1]["messages"][0]["content"]


def test_a_server_without_formats_or_temperature(server: ChatServer) -> None:
    server.say = refuses("response_format", "temperature")
    assert reader(server).classify("How?").kind == "harmful"
    last = server.seen[-1]
    assert "temperature" not in last and "response_format" not in last
    assert '"sounds_harmful"' in last["messages"][0]["content"]


def test_a_text_that_is_too_long_does_not_change_how_others_are_asked(server: ChatServer) -> None:
    server.queue = [Answer("too long", 400)] * 3
    server.say = lambda _: HARMFUL
    asked = reader(server)
    with pytest.raises(UserError, match="too long"):
        asked.classify("long")
    asked.classify("short")
    assert server.seen[-1]["response_format"]["type"] == "json_schema"


def test_a_malformed_reply_is_sent_back_once(server: ChatServer) -> None:
    server.queue = [Answer('{"kind": "evil"}'), HARMFUL]
    assert reader(server).classify("How?").kind == "harmful"
    first, second = server.seen
    assert second["messages"][:2] == first["messages"]
    assert second["messages"][2] == {"role": "assistant", "content": '{"kind": "evil"}'}
    assert "Invalid enum value 'evil'" in second["messages"][3]["content"]


@pytest.mark.parametrize("said", ["I can't help with that.", "{", None, ""])
def test_a_kind_that_stays_malformed_is_unknown(server: ChatServer, said: str | None) -> None:
    server.say = lambda _: Answer(said)
    found = reader(server).classify("How?")
    assert found == Classified("unknown", f"m at {host(server)}: reply not understood")
    assert len(server.seen) == 2


def test_a_reading_that_stays_malformed_is_an_error(server: ChatServer) -> None:
    server.say = lambda _: Answer("Sure! You want it short.")
    with pytest.raises(UserError, match=r"what system_info asks for.*let the rules read it"):
        reader(server).read(Dialogue.ask("hi", "Keep it short."))
    assert len(server.seen) == 2


def test_an_empty_query_is_not_asked_about(server: ChatServer) -> None:
    assert reader(server).classify(" \n").kind == "unknown"
    assert server.seen == []


def test_the_key_of_the_environment_is_sent(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.say = lambda _: HARMFUL
    reader(server).classify("How?")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    reader(server).classify("How?")
    assert server.keys == ["Bearer none", "Bearer sk-1"]


def test_without_key_and_address_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="set OPENAI_API_KEY"):
        RemoteReader("m", matrix=MATRIX)
    with pytest.raises(UserError, match="is no address of a server"):
        RemoteReader("m", "localhost:8000", matrix=MATRIX)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://u:secret@127.0.0.1:9/v1")
    assert RemoteReader("m", matrix=MATRIX).name == "m at 127.0.0.1:9"


def test_nothing_is_asked_twice(server: ChatServer, tmp_path: Path) -> None:
    server.say = lambda _: HARMFUL
    cache = tmp_path / "replies.sqlite"
    first = reader(server, cache=cache)
    assert first.classify("How?") == first.classify("How?")
    assert reader(server, cache=cache).classify("How?") == first.classify("How?")
    assert first.asked == len(server.seen) == 1


def test_whatever_differs_is_asked_anew(server: ChatServer, tmp_path: Path) -> None:
    server.say = lambda _: HARMFUL
    cache = tmp_path / "replies.sqlite"
    reader(server, cache=cache).classify("How?")
    reader(server, cache=cache).classify("How")
    RemoteReader("n", server.url, matrix=MATRIX, cache=cache).classify("How?")
    other = server.url.replace("127.0.0.1", "localhost")
    RemoteReader("m", other, matrix=MATRIX, cache=cache).classify("How?")
    assert len(server.seen) == len(Replies(cache)) == 4


def test_malformed_replies_are_not_kept(server: ChatServer, tmp_path: Path) -> None:
    cache = tmp_path / "replies.sqlite"
    asked = reader(server, cache=cache)
    server.say = lambda _: Answer("No.")
    assert asked.classify("How?").kind == "unknown"
    assert len(Replies(cache)) == 0
    server.say = lambda _: HARMFUL
    assert asked.classify("How?").kind == "harmful"
    # Not even one that somebody else has put there counts.
    with sqlite3.connect(cache) as database:
        database.execute("UPDATE replies SET reply = 'spoilt'")
    assert asked.classify("How?").kind == "harmful"
    assert asked.asked == 4


def test_a_cache_that_cannot_be_used(server: ChatServer, tmp_path: Path) -> None:
    spoilt = tmp_path / "notes.txt"
    spoilt.write_text("no database at all, but longer than a header " * 30)
    for path in (spoilt, tmp_path / "none" / "replies.sqlite"):
        with pytest.raises(UserError, match="cannot keep replies in"):
            reader(server, cache=path)
    assert spoilt.read_text().startswith("no database")


WRITES = """
import sys
from pathlib import Path
from metaalign.generate.replies import Replies
replies = Replies(Path(sys.argv[1]))
for number in range(60):
    replies.put(str(number), "same")
    replies.put(f"{sys.argv[2]}-{number}", "own")
"""


def test_two_processes_share_a_cache(tmp_path: Path) -> None:
    cache = tmp_path / "replies.sqlite"
    running = [
        subprocess.Popen([sys.executable, "-c", WRITES, str(cache), name]) for name in ("a", "b")
    ]
    replies = Replies(cache)
    until = time.monotonic() + 60
    while any(process.poll() is None for process in running) and time.monotonic() < until:
        replies.get("1")
    assert [process.wait() for process in running] == [0, 0]
    assert len(replies) == 180
    with sqlite3.connect(cache) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
