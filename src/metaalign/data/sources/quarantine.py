"""Damaged records: counted and named, so that the rest goes on; too many are a wrong file."""

import re
from collections import Counter

from metaalign.schema import UserError

Skipped = Counter[str]
"""How many records were left out, by reason. A reader adds to it while it is read from."""

_BYTE = re.compile(r" \(byte \d+\)")


class Quarantine:
    """What was damaged in one source.

    Every damaged record counts in ``skipped`` as ``damaged: REASON``; the first ``keep`` are named
    with file and line in ``named``.
    """

    def __init__(self, skipped: Skipped, *, share: float = 0.1, keep: int = 20) -> None:
        """``share`` is the greatest share of damaged records; above it the format is another."""
        self.skipped = skipped
        self.named: list[str] = []
        """``FILE, line 3: what is wrong``."""
        self.whole = 0
        self.damaged = 0
        self._share = share
        self._keep = keep

    def add(self, where: str, reason: str) -> None:
        """Count one damaged record, or one file of many whose rest cannot be read."""
        self.damaged += 1
        # Without the position, so that the same damage counts as the same.
        self.skipped[f"damaged: {_BYTE.sub('', reason)}"] += 1
        if len(self.named) < self._keep:
            self.named.append(f"{where}: {reason}")
        if self.damaged + self.whole >= 1_000:
            self._check()

    def end(self) -> None:
        """Call when the source is read; raises ``UserError`` if too much of it was damaged."""
        if self.damaged > 1 or not self.whole:
            self._check()

    def _check(self) -> None:
        total = self.damaged + self.whole
        if total and self.damaged > self._share * total:
            raise UserError(
                f"{self.damaged} of {total} records are damaged, more than {self._share:.0%}: this "
                f"is not the format that the source reads; the first is {self.named[0]}"
            )
