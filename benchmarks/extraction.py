"""How well and how fast the rules read what free texts ask for.

    python benchmarks/extraction.py [--repeats 5]

Prints Markdown: F1, precision and recall by dimension on every labelled set of tests/data/labelled,
and texts per second in one process. A text is a line of those sets, of one to four sentences.
"""

import argparse
import platform
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.policy.scoring import LABELLED, load, score

from metaalign.policy.extraction import read_text


def quality(name: str) -> None:
    print(f"\n{name}: {len(load(name))} texts\n")
    print("| dimension | F1 | precision | recall | wanted | found |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for dimension, found in score(name).items():
        if found.wanted:
            cells = (f"{part:.3f}" for part in (found.f1, found.precision, found.recall))
            print(f"| {dimension} | {' | '.join(cells)} | {found.wanted} | {found.found} |")


def speed(names: list[str], repeats: int) -> None:
    lines = [line for name in names for line in load(name)]
    for line in lines:
        read_text(line.text, line.tier)  # phrases are compiled when they are first needed
    rates = []
    for _ in range(repeats):
        started = time.perf_counter()
        for line in lines:
            read_text(line.text, line.tier)
        rates.append(len(lines) / (time.perf_counter() - started))
    machine = platform.processor() or platform.machine()
    print(
        f"\n{statistics.median(rates):,.0f} texts/s, median of {repeats} "
        f"({min(rates):,.0f} to {max(rates):,.0f}), {len(lines)} texts, one process, {machine}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    names = sorted(path.stem for path in LABELLED.glob("*.jsonl"))
    for name in names:
        quality(name)
    speed(names, asked.repeats)


if __name__ == "__main__":
    main()
