"""The batch API: the same results, found again after every way to die."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.data.teacher.asking import DRAFT, ask_all, journal_of, request, settings

from metaalign.data.teacher import batches as sending
from metaalign.data.teacher.ledger import BudgetSpent
from metaalign.data.teacher.mock.behaviour import Answer, Behaviour, Manners
from metaalign.data.teacher.mock.server import running_mock
from metaalign.data.teacher.settings import Settings
from metaalign.data.teacher.teacher import Teacher
from metaalign.schema import Event, UserError


@pytest.fixture(autouse=True)
def gather_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "GATHERING_SECONDS", 0.05)


def test_batches_give_what_single_calls_give(tmp_path: Path) -> None:
    rates = Manners(error_rate=0.1, malformed_rate=0.4, refusal_rate=0.1, seed=1)
    one_by_one, in_batches = Behaviour(rates), Behaviour(rates)
    with running_mock(one_by_one) as url:
        expected = ask_all(settings(tmp_path / "live", url), map(request, range(60)))
    with running_mock(in_batches) as url:
        given = settings(tmp_path / "batch", url, batch=True, batch_size=25)
        assert ask_all(given, map(request, range(60))) == expected
        assert in_batches.stats.answered == one_by_one.stats.answered
        assert ask_all(given, map(request, range(60))) == expected
    assert in_batches.stats.answered == one_by_one.stats.answered
    assert in_batches.stats.repeated == 0
    assert {o.status for o in expected} == {"answered", "malformed", "refused"}
    assert journal_of(given).batches() == []
    assert journal_of(given).spent().open_calls == 0


def test_it_says_how_far_a_batch_is(tmp_path: Path) -> None:
    events: list[Event] = []
    with running_mock(Behaviour(Manners(latency=0.1))) as url:
        given = settings(tmp_path, url, batch=True)
        ask_all(given, map(request, range(5)), progress=events.append)
    assert (events[0].done, events[0].total, events[-1].done) == (0, 5, 5)


@pytest.mark.parametrize("point", ["before", "created", "waiting"])
def test_a_batch_is_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """Die before the batch is made, before its id is known, and while it is waited for."""
    behaviour = Behaviour(Manners(latency=0.3))
    where = {"before": "_create", "created": "_named", "waiting": "_finished"}[point]

    async def die(*_: object) -> str:
        raise RuntimeError("killed")

    with running_mock(behaviour) as url:
        given = settings(tmp_path, url, batch=True)
        with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="killed"):
            patch.setattr(sending.Batches, where, die)
            ask_all(given, map(request, range(10)))
        [(_, server_id)] = journal_of(given).batches()
        assert bool(server_id) == (point == "waiting")
        outcomes = ask_all(given, map(request, range(10)))
    assert [o.status for o in outcomes] == ["answered"] * 10
    assert behaviour.stats.answered == 10
    spent = journal_of(given).spent()
    assert (spent.calls, spent.open_calls) == (10, 0)


def test_nobody_waits_for_a_batch_who_was_told_to_stop(tmp_path: Path) -> None:
    behaviour = Behaviour(Manners(latency=60))
    with running_mock(behaviour) as url:
        given = settings(tmp_path, url, batch=True)
        with Teacher(given) as teacher:
            stream = teacher.ask(map(request, range(3)), DRAFT.read)

            async def stop() -> None:
                teacher._sender.end(UserError("stop"))

            def stop_when_it_waits() -> None:
                while not journal_of(given).batches():
                    time.sleep(0.05)
                teacher._loop.run(stop())

            threading.Thread(target=stop_when_it_waits).start()
            with pytest.raises(UserError, match="stop"):
                list(stream)
    assert len(journal_of(given).batches()) == 1


def test_a_batch_is_as_large_as_the_budget_lets_it(tmp_path: Path) -> None:
    behaviour = Behaviour(Manners())
    with running_mock(behaviour) as url:
        given = settings(tmp_path, url, batch=True, max_tokens=2500)
        with pytest.raises(BudgetSpent, match="of 2500 tokens are used"):
            ask_all(given, map(request, range(500)))
    spent = journal_of(given).spent()
    assert 1000 < spent.tokens <= 2500
    assert spent.open_calls == 0
    assert spent.calls == behaviour.stats.answered


class NoSchemas(Behaviour):
    """A server that knows no schemas and finds one request too long."""

    def failure(self, body: Any, name: str) -> Answer | None:
        if "response_format" in body:
            return self._error(400, "bad", "response_format is not supported")
        if "number 3" in str(body["messages"]):
            return self._error(400, "bad", "it is too long")
        return super().failure(body, name)

    def _text(self, body: Any, schema: Any, name: str) -> str:
        return json.dumps({"text": "t", "score": 1})


def test_what_a_server_does_not_know_is_left_out_of_the_next_batch(tmp_path: Path) -> None:
    with running_mock(NoSchemas(Manners())) as url:
        outcomes = ask_all(settings(tmp_path, url, batch=True), map(request, range(5)))
    assert [o.status for o in outcomes] == [*["answered"] * 3, "refused", "answered"]
    assert "it is too long" in outcomes[3].reason


def test_requests_that_fail_in_every_batch_end_the_run(tmp_path: Path) -> None:
    with running_mock(Behaviour(Manners(error_rate=1.0))) as url:
        given = settings(tmp_path, url, batch=True, retries=2)
        with pytest.raises(UserError, match=r"mock at .* failed in 3 batches"):
            ask_all(given, map(request, range(3)))


def lines(replies: int) -> Iterator[bytes]:
    for i in range(replies):
        yield msgspec.json.encode({"custom_id": f"k{i}", "response": None}) + b"\n"


def test_a_file_is_read_in_pieces() -> None:
    pieces = list(sending._some(b"".join(lines(sending.LINES + 1))))
    assert [len(piece) for piece in pieces] == [sending.LINES, 1]


def test_an_address_without_batches(tmp_path: Path) -> None:
    given = settings(tmp_path, "http://127.0.0.1:9/v1", batch=True, retries=0)
    with pytest.raises(UserError, match=r"cannot reach 127.0.0.1:9"):
        ask_all(given, [request(1)])


def test_settings_are_tables_of_a_recipe(tmp_path: Path) -> None:
    table = {"model": "m", "journal": "j.sqlite", "batch": True}
    assert msgspec.convert(table, Settings).batch_size == 10_000
    with pytest.raises(msgspec.ValidationError, match="unknown field `modle`"):
        msgspec.convert({**table, "modle": "m"}, Settings)
