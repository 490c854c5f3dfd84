"""The budget: never exceeded, used up as far as it can be, and what is paid for is kept."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given as for_all
from hypothesis import settings as trying
from hypothesis import strategies as st
from tests.data.teacher.asking import DRAFT, Draft, ask_all, journal_of, request, settings

from metaalign.data.teacher.counting import by_characters, estimated_in, most_in
from metaalign.data.teacher.dry import Planned, estimate
from metaalign.data.teacher.journal import Limits, Spent, Worst
from metaalign.data.teacher.ledger import BudgetSpent
from metaalign.data.teacher.mock.behaviour import Behaviour, Manners
from metaalign.data.teacher.mock.server import running_mock
from metaalign.data.teacher.requests import Message, Outcome, Request
from metaalign.data.teacher.settings import Settings
from metaalign.data.teacher.teacher import Teacher

WORST = most_in(request(1)) + 500
"""Tokens that one request of these tests takes at most; those up to number 9 are as long."""


def run_until_spent(given: Settings, number: int) -> tuple[list[Outcome[Draft]], str]:
    got: list[Outcome[Draft]] = []
    with pytest.raises(BudgetSpent) as caught, Teacher(given) as teacher:
        got.extend(teacher.ask(map(request, range(number)), DRAFT.read))
    return got, str(caught.value)


def spent_of(given: Settings) -> Spent:
    return journal_of(given).spent()


@pytest.mark.parametrize("concurrency", [1, 16])
def test_tokens_are_used_up_and_never_exceeded(tmp_path: Path, concurrency: int) -> None:
    behaviour = Behaviour(Manners(latency=0.01, error_rate=0.1, malformed_rate=0.1))
    with running_mock(behaviour) as url:
        given = settings(tmp_path, url, concurrency=concurrency, max_tokens=5000)
        _, line = run_until_spent(given, 500)
    spent = spent_of(given)
    assert spent.tokens <= 5000
    assert spent.tokens > 5000 - 2 * WORST  # another call might have been too much
    assert spent.open_calls == 0
    # Whatever the server would charge for is in the journal.
    assert spent.calls == behaviour.stats.answered
    assert spent.tokens == behaviour.stats.tokens_in + behaviour.stats.tokens_out
    assert f"{spent.tokens} of 5000 tokens are used" in line
    assert "run the same command with a larger --max-cost or --max-tokens to go on" in line


def test_a_larger_budget_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    behaviour = Behaviour(Manners())
    with running_mock(behaviour) as url:
        given = settings(tmp_path, url, price_in=1.0, price_out=10.0, max_cost=0.02)
        got, _ = run_until_spent(given, 60)
        assert spent_of(given).cost <= 0.02
        # The same budget is still used up: it is one for all runs.
        assert run_until_spent(given, 60)[0] == got
        assert behaviour.stats.repeated == 0
        more = msgspec.structs.replace(given, max_cost=10.0)
        outcomes = ask_all(more, map(request, range(60)))
    assert outcomes[: len(got)] == got
    assert len(outcomes) == 60
    assert behaviour.stats.repeated == 0
    cost = (behaviour.stats.tokens_in * 1.0 + behaviour.stats.tokens_out * 10.0) / 1e6
    assert spent_of(given).cost == pytest.approx(cost)


def test_what_is_kept_needs_no_budget(tmp_path: Path) -> None:
    with running_mock(Behaviour(Manners())) as url:
        given = settings(tmp_path, url)
        first = ask_all(given, map(request, range(20)))
        assert ask_all(msgspec.structs.replace(given, max_tokens=1), map(request, range(20))) == (
            first
        )


def test_calls_that_died_with_their_process_count_at_their_worst(tmp_path: Path) -> None:
    given = settings(tmp_path, "http://127.0.0.1:9/v1", max_tokens=3 * WORST - 1)
    journal = journal_of(given)
    worst = Worst("another", "write", WORST, 0.0)
    for _ in range(2):
        journal.write([lambda changes: changes.reserve(worst, Limits())])
    _, line = run_until_spent(given, 3)
    assert f"{2 * WORST} of {3 * WORST - 1} tokens are used and the next call may take" in line


def test_a_cost_without_prices_would_have_no_effect(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="max_cost has no effect without price_in and price_out"):
        settings(tmp_path, None, max_cost=1.0)


@trying(max_examples=200)
@for_all(st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_the_worst_case_is_no_less_than_the_estimate(text: str) -> None:
    asked = Request("write", (Message("user", text),), DRAFT.schema)
    assert most_in(asked) >= estimated_in(asked)
    # No tokenizer makes more than one token of a byte.
    assert most_in(asked) >= estimated_in(asked, lambda part: len(part.encode()))


def test_tokens_are_estimated_by_rule() -> None:
    assert [by_characters(text) for text in ("", "a", "abcd", "abcde")] == [0, 1, 1, 2]
    asked = Request("write", (Message("system", "12345678"), Message("user", "abc")))
    assert estimated_in(asked) == (2 + 4) + (1 + 4)
    assert estimated_in(asked, lambda text: 100) == 208


def test_a_dry_run_counts_what_would_be_asked(tmp_path: Path) -> None:
    given = settings(tmp_path, None, price_in=2.0, price_out=10.0, max_cost=0.001)
    asked: list[Request | Planned] = [
        *(Request("write", (Message("user", f"{i:08d}"),), max_tokens=100) for i in range(10)),
        Request("write", (Message("user", "00000003"),), max_tokens=100),  # asked twice
        Planned("revise", tokens_in=50, max_tokens=200, calls=10),
    ]
    found = estimate(asked, given)
    write, revise = found.tasks
    assert (write.calls, write.kept, write.tokens_in, write.tokens_out) == (10, 1, 60, 1000)
    assert (revise.calls, revise.tokens_in, revise.tokens_out) == (10, 500, 2000)
    # (560 * 2 + 3000 * 10) / 1,000,000
    assert found.cost == pytest.approx(0.03112)
    lines = list(found.lines())
    assert lines[1].split() == ["write", "10", "1", "60", "1,000", "0.0101"]
    assert lines[3].split() == ["total", "20", "1", "560", "3,000", "0.0311"]
    assert lines[4].startswith("an estimate: ")
    assert lines[5] == "more than the budget: 0.0010 of 0.001 are left"
    assert not Path(given.journal).exists()


def test_a_dry_run_knows_what_the_journal_has_and_learns_from_it(tmp_path: Path) -> None:
    behaviour = Behaviour(Manners())
    with running_mock(behaviour) as url:
        given = settings(tmp_path, url)
        ask_all(given, map(request, range(25)))
        calls = behaviour.stats.calls
        [found] = estimate(map(request, range(30)), given).tasks
        assert behaviour.stats.calls == calls
    assert (found.calls, found.kept) == (5, 25)
    assert found.tokens_out == pytest.approx(5 * behaviour.stats.tokens_out / 25)
    assert found.measured
