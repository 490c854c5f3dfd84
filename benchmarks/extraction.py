"""How well and how fast the rules read what free texts ask for.

    python benchmarks/extraction.py [--repeats 5] [--processes 2]

Prints Markdown: F1, precision and recall by dimension on every labelled set of tests/data/labelled,
and texts per second in one process and in several. A text is a line of those sets, of one to four
sentences.
"""

import argparse
import platform
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.policy.scoring import LABELLED, load, score

from metaalign.policy.extraction import read_text, read_texts


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
    print(f"\n{rate(rates)}, {len(lines)} texts, one process")


def bulk(names: list[str], repeats: int, processes: int) -> None:
    """The same texts over and over, by several processes that have begun before."""
    texts = [(line.text, line.tier) for name in names for line in load(name)] * 5
    rates = []
    for _ in range(repeats):
        found = read_texts(texts * 4, processes)
        for _ in range(len(texts)):
            next(found)  # until then processes start and compile
        started = time.perf_counter()
        rest = sum(1 for _ in found)
        rates.append(rest / (time.perf_counter() - started))
    print(f"{rate(rates)}, {len(texts)} texts, {processes} processes")


def rate(rates: list[float]) -> str:
    machine = platform.processor() or platform.machine()
    return (
        f"{statistics.median(rates):,.0f} texts/s, median of {len(rates)} "
        f"({min(rates):,.0f} to {max(rates):,.0f}), {machine}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2, help="for reading in bulk")
    asked = parser.parse_args()
    names = sorted(path.stem for path in LABELLED.glob("*.jsonl"))
    for name in names:
        quality(name)
    speed(names, asked.repeats)
    bulk(names, asked.repeats, asked.processes)


if __name__ == "__main__":
    main()
