"""Keeping to a rate, and how long to wait before trying again."""

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from random import Random

FIRST_WAIT = 0.5
LONGEST_WAIT = 60.0
"""Seconds between tries, where the server does not say how long."""


class Pace:
    """Lets ``rate`` units a minute through, evenly: no burst, whatever was saved up before.

    None lets everything through.
    """

    def __init__(self, rate: float | None) -> None:
        self._seconds = 60.0 / rate if rate else 0.0
        self._free_at = 0.0

    def turn(self, units: float = 1.0) -> float:
        """Take ``units``; seconds to wait until they may pass. First come, first served."""
        now = time.monotonic()
        start = max(self._free_at, now)
        self._free_at = start + units * self._seconds
        return start - now


def backoff(attempt: int, random: Random) -> float:
    """Seconds to wait after the failed try number ``attempt`` (0, 1, ...).

    Twice as long every time, and drawn, so that many that failed together do not come back
    together.
    """
    longest = min(LONGEST_WAIT, FIRST_WAIT * 2**attempt)
    return random.uniform(longest / 2, longest)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait: as milliseconds, seconds or a date; None if it does not
    say."""
    for name, per_second in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[name]) / per_second)
        except (KeyError, ValueError):
            continue
    try:
        return max(0.0, parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time())
    except (KeyError, ValueError, TypeError):
        return None
