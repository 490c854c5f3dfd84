"""Rates, and waiting before another try."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random

import pytest

from metaalign.data.teacher.pace import FIRST_WAIT, LONGEST_WAIT, Pace, backoff, retry_after


def test_a_rate_lets_through_evenly() -> None:
    async def times() -> list[float]:
        pace, began = Pace(600), time.monotonic()  # one in 0.1 s

        async def one() -> float:
            await pace.wait()
            return time.monotonic() - began

        return sorted(await asyncio.gather(*(one() for _ in range(5))))

    passed = asyncio.run(times())
    for number, second in enumerate(passed):
        assert second >= number * 0.1 - 0.005
    assert passed[-1] < 2


def test_what_takes_more_units_waits_for_more() -> None:
    async def seconds() -> float:
        pace, began = Pace(6000), time.monotonic()  # a hundred in a second
        await pace.wait(20)
        await pace.wait(1)
        return time.monotonic() - began

    assert 0.19 <= asyncio.run(seconds()) < 2


def test_no_rate_waits_for_nothing() -> None:
    async def seconds() -> float:
        began = time.monotonic()
        for _ in range(1000):
            await Pace(None).wait(1e9)
        return time.monotonic() - began

    assert asyncio.run(seconds()) < 0.5


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
