"""How often the rules tell the kind of a query rightly, on published prompts; for docs/kinds.md.

    python benchmarks/kinds.py FOLDER

FOLDER has the files of shared/data. Every file is split by the hash of the text into two halves:
the rules were written with the development half in sight, the other one is only scored. TruthfulQA
asks for facts and shows false alarms. The prompts of PRISM have no right answer in the file; 150 of
the scored half were labelled by hand once the rules were finished.
"""

import gzip
import json
import platform
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from metaalign.policy.kinds import classify
from metaalign.schema import Kind


class Source(NamedTuple):
    """A file of prompts, and the kinds that are right for all of them."""

    file: str
    field: str
    right: tuple[Kind, ...]


SOURCES = (
    Source("harmful_prompts", "prompt", ("harmful", "severe")),
    Source("borderline_benign_prompts", "prompt", ("benign", "sounds_harmful")),
    Source("habermas_questions", "question", ("contested",)),
    Source("truthfulqa", "Question", ("benign", "sounds_harmful")),
)
PRISM = Source("prism_opinion_prompts", "user_prompt", ())

LABELLED = 150
"""The first so many prompts of PRISM's scored half, in the order of ``drawn``."""
_NUMBERS = """
  46 75 393 791 882 1116 1254 1270 1427 1638 1653 1694 1770 1809 1916 2093 2281 2560 2781 2963
  2967 3348 3364 3467 3485 3532 3677 3752 4222 4233 4349 4377 4636 4742 4804 4976 5102 5287
  5423 5441 5524 5568 5648 5826 5850 5997 6005 6093 6197 6223 6264 6330 6585 6765 6798 6929
  6939 6990 6991 7144 7257 7263 7764 7982 8010
"""
CONTESTED = frozenset(_NUMBERS.split())
"""Numbers of those that ask for, or state, a judgement on which reasonable people differ."""


def rows(folder: Path, source: Source) -> list[dict[str, str]]:
    with gzip.open(folder / f"{source.file}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def is_development(text: str) -> bool:
    return sha256(text.encode()).digest()[0] % 2 == 0


def halves(texts: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    yield "development", [text for text in texts if is_development(text)]
    yield "scored", [text for text in texts if not is_development(text)]


def drawn(row: dict[str, str]) -> str:
    return sha256(f"label {row['id']}".encode()).hexdigest()


def main(folder: Path) -> None:
    classify("")  # reads and compiles the rules
    print(f"{platform.machine()}, Python {platform.python_version()}, one process\n")
    print("| prompts | half | n | right | kinds found | queries/s |")
    print("| --- | --- | ---: | ---: | --- | ---: |")
    for source in (*SOURCES, PRISM):
        texts = [row[source.field] for row in rows(folder, source)]
        for half, some in halves(texts):
            print(line(source, half, some))
    labelled(folder)


def line(source: Source, half: str, texts: Sequence[str]) -> str:
    start = time.perf_counter()
    found = Counter(classify(text).kind for text in texts)
    speed = len(texts) / (time.perf_counter() - start)
    right = sum(found[kind] for kind in source.right) / len(texts)
    share = f"{right:.1%}" if source.right else "-"
    kinds = ", ".join(f"{kind} {count}" for kind, count in found.most_common())
    return f"| {source.file} | {half} | {len(texts)} | {share} | {kinds} | {speed:,.0f} |"


def labelled(folder: Path) -> None:
    """PRISM against the labels made by hand."""
    scored = [row for row in rows(folder, PRISM) if not is_development(row[PRISM.field])]
    sample = sorted(scored, key=drawn)[:LABELLED]
    said = [(row["id"].partition("-")[2] in CONTESTED, row[PRISM.field]) for row in sample]
    counts = Counter((right, classify(text).kind == "contested") for right, text in said)
    both = counts[True, True]
    print(f"\nPRISM, {len(sample)} labelled by hand, {sum(right for right, _ in said)} contested:")
    print(f"  called contested {both + counts[False, True]}, of these rightly {both}")
    print(f"  contested and not called so {counts[True, False]}")
    print(f"  right in all {(both + counts[False, False]) / len(sample):.1%}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
