"""How long the Priority Matrix takes to settle who wins: ``python benchmarks/resolve.py``.

Prints the median time of one ``resolve`` in microseconds, for two tiers with eight preferences and
for the four tiers of the organisation matrix with sixteen. The goal for the former is 20. The
preferences are there already: what is timed is the settling, without any text being read. It is
processor time, so that other work on the machine counts for less.
"""

import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import process_time
from timeit import repeat

from metaalign.policy import PriorityMatrix, load_matrix, resolve
from metaalign.schema import Preference

GOAL = 20.0
"""Microseconds, at the median, for two tiers with eight preferences."""
ROUNDS, CALLS = 101, 200

_HIGHER = [("priority", "safety"), ("length", "short"), ("tone", "formal"), ("include", "moss")]
_LOWER = [("priority", "helpfulness"), ("length", "long"), ("sign_off", "Tim"), ("avoid", "moss")]


def asks(tiers: Sequence[str]) -> list[Preference]:
    """Four preferences of every tier; each tier contradicts the one above it in three of them."""
    return [
        Preference(tier, dimension, value)
        for rank, tier in enumerate(tiers)
        for dimension, value in (_LOWER if rank % 2 else _HIGHER)
    ]


def microseconds(asked: list[Preference], matrix: PriorityMatrix) -> float:
    """The median over ``ROUNDS`` rounds of the mean time of a call."""
    rounds = repeat(
        lambda: resolve(asked, "harmful", matrix), timer=process_time, number=CALLS, repeat=ROUNDS
    )
    return median(rounds) / CALLS * 1e6


def machine() -> str:
    """The processor and the Python that the numbers belong to."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    return f"{processor}, {len(names) or '?'} cores, Python {platform.python_version()}"


def main() -> int:
    """Print the numbers; exit code 1 if the goal is missed."""
    print(f"machine: {machine()}")
    found = {}
    for name in ("default", "organisation"):
        matrix = load_matrix(name)
        asked = asks(matrix.tiers)
        found[name] = microseconds(asked, matrix)
        what = f"{len(matrix.tiers)} tiers, {len(asked)} preferences ({name})"
        print(f"{what}: {found[name]:.1f} us")
    print(f"goal for the first: {GOAL:.0f} us")
    return int(found["default"] > GOAL)


if __name__ == "__main__":
    sys.exit(main())
