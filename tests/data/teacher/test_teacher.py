"""Asking a teacher, against a mock one that is a real server."""

import json
import threading
import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import msgspec
import pytest
from tests.data.teacher.asking import DRAFT, Draft, ask_all, free, journal_of, request, settings
from tests.generate.chat_server import Answer, ChatServer, chat_server

from metaalign.data.teacher.mock.behaviour import Behaviour, Manners
from metaalign.data.teacher.mock.server import running_mock
from metaalign.data.teacher.requests import Outcome, RefusedError, ReplyError, Request
from metaalign.data.teacher.teacher import Teacher

GOOD = Answer('{"text": "fine", "score": 1}')


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server() as running:
        yield running


def echo(asked: dict[str, object]) -> Answer:
    """A teacher that says what was said last."""
    messages = msgspec.convert(asked["messages"], list[dict[str, str]])
    return Answer(json.dumps({"text": messages[-1]["content"], "score": 1}))


def test_results_come_in_order_whatever_the_order_of_the_replies(
    server: ChatServer, tmp_path: Path
) -> None:
    def slower_first(asked: dict[str, object]) -> Answer:
        answer = echo(asked)
        number = int(json.loads(str(answer.reply))["text"].split()[1])
        answer.wait = 0.3 if number % 8 == 0 else 0.0
        return answer

    server.say = slower_first
    outcomes = ask_all(settings(tmp_path, server.url, concurrency=8), map(request, range(40)))
    assert [o.value and o.value.text for o in outcomes] == [f"number {i}" for i in range(40)]


def test_what_was_asked_before_is_not_asked_again(tmp_path: Path) -> None:
    behaviour = Behaviour(Manners(malformed_rate=0.2, refusal_rate=0.1, error_rate=0.1, seed=3))
    with running_mock(behaviour) as url:
        given = settings(tmp_path, url)
        first = ask_all(given, map(request, range(60)))
        calls = behaviour.stats.calls
        assert behaviour.stats.repeated == 0
        assert ask_all(given, map(request, range(60))) == first
        assert behaviour.stats.calls == calls
        assert {o.status for o in first} == {"answered", "malformed", "refused"}


def test_equal_requests_at_the_same_time_are_one_call(server: ChatServer, tmp_path: Path) -> None:
    server.say = lambda _: Answer(GOOD.reply, wait=0.1)
    outcomes = ask_all(settings(tmp_path, server.url), (request(1) for _ in range(50)))
    assert len(server.seen) == 1
    assert {o.status for o in outcomes} == {"answered"}


def test_samples_of_a_question_are_calls_of_their_own(tmp_path: Path) -> None:
    behaviour = Behaviour(Manners())
    with running_mock(behaviour) as url:
        outcomes = ask_all(settings(tmp_path, url), (request(1, sample=i) for i in range(3)))
    assert behaviour.stats.answered == 3
    assert len({o.value for o in outcomes}) == 3


def test_no_more_calls_than_allowed_are_on_their_way(tmp_path: Path) -> None:
    behaviour = Behaviour(Manners(latency=0.02))
    with running_mock(behaviour) as url:
        ask_all(settings(tmp_path, url, concurrency=7), map(request, range(100)))
    assert behaviour.stats.most_on_their_way == 7


def test_a_slow_reply_does_not_hold_up_the_others(server: ChatServer, tmp_path: Path) -> None:
    """The first of 200 is answered when the other 199 have been asked for."""
    others = threading.Event()
    waited = []

    def say(asked: dict[str, object]) -> Answer:
        answer = echo(asked)
        if len(server.seen) == 200:
            others.set()
        if answer.reply and '"number 0"' in answer.reply:
            waited.append(others.wait(20))
        return answer

    server.say = say
    outcomes = ask_all(settings(tmp_path, server.url, concurrency=4), map(request, range(200)))
    assert waited == [True]
    assert len(outcomes) == 200


def test_an_endless_stream_is_read_no_further_than_a_window(tmp_path: Path) -> None:
    read: list[int] = []

    def endless() -> Iterator[Request]:
        for i in count():
            read.append(i)
            yield request(i)

    with running_mock(Behaviour(Manners())) as url, Teacher(settings(tmp_path, url)) as teacher:
        outcomes = list(islice(teacher.ask(endless(), DRAFT.read), 20))
    assert len(outcomes) == 20
    assert len(read) < 5000


def test_a_malformed_reply_is_repaired_once(server: ChatServer, tmp_path: Path) -> None:
    server.queue = [Answer("oh"), GOOD]
    given = settings(tmp_path, server.url)
    [outcome] = ask_all(given, [request(1)])
    assert outcome.value == Draft("fine", 1)
    assert server.seen[1]["messages"][1:] == [
        {"role": "assistant", "content": "oh"},
        {
            "role": "user",
            "content": "Your reply could not be used: it holds no JSON object. "
            "Send the whole JSON object again, corrected, and nothing else.",
        },
    ]
    assert ask_all(given, [request(1)]) == [outcome]  # both replies are kept
    assert len(server.seen) == 2


def test_what_stays_malformed_is_in_quarantine(server: ChatServer, tmp_path: Path) -> None:
    server.say = lambda _: Answer('{"text": "no score"}')
    given = settings(tmp_path, server.url)
    with Teacher(given) as teacher:
        [outcome] = teacher.ask([request(1)], DRAFT.read)
        assert teacher.outcomes == {("write", "malformed"): 1}
        assert teacher.calls == 2
    assert outcome.status == "malformed"
    assert "missing required field `score`" in outcome.reason
    assert ask_all(given, [request(1)]) == [outcome]
    assert len(server.seen) == 2
    listed = [(one.task, one.status) for one in journal_of(given).quarantine()]
    assert listed == [("write", "malformed"), ("write-repair", "malformed")]


def test_quarantine_is_asked_again_if_one_says_so(server: ChatServer, tmp_path: Path) -> None:
    server.say = lambda _: Answer("oh")
    given = settings(tmp_path, server.url)
    ask_all(given, map(request, range(2)))
    server.seen.clear()
    server.say = lambda _: GOOD
    # Twice in one run: the second finds what the first was told.
    asked = [request(0), request(1), request(0)]
    outcomes = ask_all(given, asked, retry_quarantined=True)
    assert [o.status for o in outcomes] == ["answered"] * 3
    assert len(server.seen) == 2
    assert [o.status for o in ask_all(given, asked)] == ["answered"] * 3
    assert len(server.seen) == 2


def test_a_check_that_was_mended_needs_no_new_call(server: ChatServer, tmp_path: Path) -> None:
    server.say = lambda _: GOOD
    given = settings(tmp_path, server.url)

    def too_strict(text: str) -> str:
        raise ReplyError("never good enough")

    with Teacher(given) as teacher:
        [outcome] = teacher.ask([request(1)], too_strict)
    assert (outcome.status, outcome.reason) == ("malformed", "never good enough")
    calls = len(server.seen)
    [mended] = ask_all(given, [request(1)], retry_quarantined=True)
    assert mended.value == Draft("fine", 1)
    assert len(server.seen) == calls


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"content": None, "refusal": "I won't"}, "refused", "I won't"),
        ({"content": "Sorry, no."}, "refused", "it says no"),
        ({"content": ""}, "malformed", "the reply is empty"),
    ],
)
def test_what_is_not_worth_a_repair(
    server: ChatServer, tmp_path: Path, body: dict[str, str | None], status: str, reason: str
) -> None:
    def check(text: str) -> str:
        if text.startswith("Sorry"):
            raise RefusedError("it says no")
        return text

    server.say = lambda _: Answer(body=json.dumps({"choices": [{"message": body}]}))
    with Teacher(settings(tmp_path, server.url)) as teacher:
        [outcome] = teacher.ask([request(1, schema=None)], check)
    assert (outcome.status, outcome.reason) == (status, reason)
    assert len(server.seen) == 1


def test_a_reply_that_was_cut_off_is_in_quarantine(tmp_path: Path) -> None:
    behaviour = Behaviour(Manners())
    with running_mock(behaviour) as url, Teacher(settings(tmp_path, url)) as teacher:
        [cut] = teacher.ask([request(1, schema=None, max_tokens=3)], free)
        [whole] = teacher.ask([request(1, schema=None, max_tokens=500)], free)
    assert (cut.status, cut.reason) == ("malformed", "cut off at max_tokens")
    assert whole.status == "answered"
    assert behaviour.stats.calls == 2


def test_plans_ask_one_thing_after_another(server: ChatServer, tmp_path: Path) -> None:
    server.say = echo

    with Teacher(settings(tmp_path, server.url, concurrency=8)) as teacher:

        async def draft_and_improve(number: int) -> tuple[int, str]:
            draft = await teacher.call(request(number), DRAFT.read)
            assert draft.value is not None
            better = await teacher.call(request(f"better {draft.value.text}"), DRAFT.read)
            assert better.value is not None
            return number, better.value.text

        made = list(teacher.each(range(30), draft_and_improve))
    assert made == [(i, f"number better number {i}") for i in range(30)]
    assert len(server.seen) == 60


def test_what_one_stream_makes_another_can_ask_about(server: ChatServer, tmp_path: Path) -> None:
    server.say = echo

    def again(outcomes: Iterator[Outcome[Draft]]) -> Iterator[Request]:
        return (request(f"of {o.value.text}") for o in outcomes if o.value)

    with Teacher(settings(tmp_path, server.url, concurrency=2)) as teacher:
        first = teacher.ask(map(request, range(20)), DRAFT.read)
        second = [o.value and o.value.text for o in teacher.ask(again(first), DRAFT.read)]
    assert second == [f"number of number {i}" for i in range(20)]


def test_an_error_of_the_items_comes_after_the_results_before_it(tmp_path: Path) -> None:
    def broken() -> Iterator[Request]:
        yield from map(request, range(5))
        raise ValueError("no more")

    with running_mock(Behaviour(Manners())) as url, Teacher(settings(tmp_path, url)) as teacher:
        got = []
        with pytest.raises(ValueError, match="no more"):
            for outcome in teacher.ask(broken(), DRAFT.read):
                got.append(outcome)
    assert len(got) == 5


def test_calls_on_their_way_are_kept_when_one_stops_early(tmp_path: Path) -> None:
    behaviour = Behaviour(Manners(latency=0.2))
    with running_mock(behaviour) as url:
        given = settings(tmp_path, url, concurrency=4)
        with Teacher(given) as teacher:
            next(iter(teacher.ask(map(request, range(1000)), DRAFT.read)))
        answered = behaviour.stats.answered
        assert journal_of(given).spent().calls == answered < 20
        assert journal_of(given).spent().open_calls == 0
    assert not [t for t in threading.enumerate() if t.name == "teacher"]


@pytest.mark.parametrize("limit", ["requests_per_minute", "tokens_per_minute"])
def test_rates_are_kept_so_that_the_server_need_not_complain(tmp_path: Path, limit: str) -> None:
    rate = {"requests_per_minute": 1200.0, "tokens_per_minute": 1200.0 * 520}[limit]
    behaviour = Behaviour(Manners(**{limit: rate}))  # type: ignore[arg-type]
    began = time.monotonic()
    with running_mock(behaviour) as url:
        ask_all(settings(tmp_path, url, **{limit: rate}), map(request, range(30)))
    assert time.monotonic() - began > 1.2  # 29 times a twentieth of a second, or nearly
    assert behaviour.stats.errors == {}


def test_a_server_with_limits_is_asked_until_it_has_answered(tmp_path: Path) -> None:
    behaviour = Behaviour(Manners(requests_per_minute=1200))
    with running_mock(behaviour) as url:
        outcomes = ask_all(settings(tmp_path, url, retries=20), map(request, range(40)))
    assert {o.status for o in outcomes} == {"answered"}
    assert behaviour.stats.errors["429"] > 0
    assert behaviour.stats.repeated == 0
