"""Rates, and waiting before another try."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random

import pytest

from metaalign.data.teacher.pace import FIRST_WAIT, LONGEST_WAIT, Pace, backoff, retry_after


def test_a_rate_lets_through_evenly() -> None:
    pace = Pace(600)  # one in 0.1 s
    turns = [pace.turn() for _ in range(5)]
    assert turns == pytest.approx([0, 0.1, 0.2, 0.3, 0.4], abs=0.02)


def test_what_takes_more_units_waits_for_more() -> None:
    pace = Pace(6000)  # a hundred in a second
    assert [pace.turn(20), pace.turn(1), pace.turn(1)] == pytest.approx([0, 0.2, 0.21], abs=0.02)


def test_nothing_is_saved_up() -> None:
    pace = Pace(600)
    pace.turn()
    time.sleep(0.5)
    assert [pace.turn(), pace.turn()] == pytest.approx([0, 0.1], abs=0.02)


def test_no_rate_waits_for_nothing() -> None:
    pace = Pace(None)
    assert [pace.turn(1e9) for _ in range(3)] == [0, 0, 0]


def test_every_wait_may_be_twice_as_long_as_the_last() -> None:
    random = Random(0)
    for attempt, longest in enumerate([0.5, 1, 2, 4, 8, 16, 32, 60, 60]):
        waits = [backoff(attempt, random) for _ in range(200)]
        assert longest / 2 <= min(waits) <= max(waits) <= longest
        assert len(set(waits)) == 200  # not all come back together
    assert (FIRST_WAIT, LONGEST_WAIT) == (0.5, 60)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "-1"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_the_server_says_when_to_come_back(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_it_may_be_a_date() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 28 < (retry_after({"retry-after": date}) or 0) <= 30
