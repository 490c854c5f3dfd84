"""How long near-deduplication takes, how much memory, and what it finds and wrongly drops.

    python benchmarks/dedup.py [--preferences 1000000] [--processes 2] [--sample 20000]

Preferences are made by rule, one a group: either varied, words drawn by their rank as in a natural
text (Zipf), or filled into one template, which is the worst case. One in twenty is a copy of
another with a small change. They lie in files as a build stages them. What is measured begins with
the files and ends with the decision: decoding, signing in processes, comparing. A sample goes
through datasketch too, with the same shingles, permutations and threshold, where it is installed.
Recall is over the copies whose exact similarity reaches the threshold. Prints Markdown tables.
Peak memory is that of the process that decides; it needs Linux.
"""

import argparse
import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import msgspec

from metaalign.data.filters.near import NearDuplicates
from metaalign.data.filters.texts import folded
from metaalign.schema import USER_INFO, Group, MetaPrompt, Preference, View

THRESHOLD, PERMUTATIONS, SHINGLE = 0.8, 128, 5
STAGE = NearDuplicates(
    by="preferences", threshold=THRESHOLD, permutations=PERMUTATIONS, shingle=SHINGLE
)
BATCH = 4_096
COPIES = 0.05
VOCABULARY = 30_000
LETTERS = "eeeeaaaiiiooouuutttnnnsssrrrhhllddccmmffppggwwyybvkjxqz"

_decoder = msgspec.msgpack.Decoder(list[Group])


def vocabulary() -> list[str]:
    draw = random.Random(0)
    return ["".join(draw.choices(LETTERS, k=draw.randint(2, 10))) for _ in range(VOCABULARY)]


WORDS = vocabulary()


def word(draw: random.Random) -> str:
    """Word number r with a probability of about 1 / r."""
    return WORDS[int(VOCABULARY ** draw.random()) - 1]


def varied(draw: random.Random) -> str:
    said = " ".join(word(draw) for _ in range(draw.randint(8, 24)))
    return draw.choice(("Please", "I would rather", "I like it when", "You should")) + f" {said}."


def templates(draw: random.Random) -> str:
    job, town, style = (draw.choice(WORDS) for _ in range(3))
    return (
        f"I am a {job} from {town} and would like to have answers that are {style} and not too "
        "long, please."
    )


MAKERS: dict[str, Callable[[random.Random], str]] = {"varied": varied, "templates": templates}


def origin(number: int) -> int | None:
    """The preference that ``number`` is a copy of; None for one that is no copy."""
    draw = random.Random(f"origin {number}")
    if not number or draw.random() >= COPIES:
        return None
    while True:
        other = draw.randrange(number)
        if origin(other) is None:
            return other


def text(kind: str, number: int) -> str:
    of = origin(number)
    made = MAKERS[kind](random.Random(number if of is None else of))
    return made if of is None else changed(made, random.Random(f"change {number}"))


def changed(said: str, draw: random.Random) -> str:
    """``said`` with a wrong letter, or a word less, more or in place of another."""
    words = said.split()
    at = draw.randrange(1, len(words))
    how = draw.choice(("letter", "less", "more", "other"))
    if how == "letter":
        place = draw.randrange(len(said))
        return said[:place] + draw.choice(LETTERS) + said[place + 1 :]
    words[at : at + (how != "more")] = [] if how == "less" else [word(draw)]
    return " ".join(words)


def stage(kind: str, folder: Path, start: int, end: int) -> Path:
    """Write a file of groups, as msgpack."""
    groups = []
    for number in range(start, end):
        said = text(kind, number)
        preference = Preference(USER_INFO, "style", "asked", said)
        view = View(MetaPrompt.of(user_info=said), (), "rule", (preference,))
        groups.append(Group(f"p{number:09}", "made", "helpful", "benign", (), (), (view,)))
    path = folder / f"{start:09}.msgpack"
    path.write_bytes(msgspec.msgpack.encode(groups))
    return path


def sign(path: Path) -> list[tuple[str, bytes]]:
    groups = _decoder.decode(path.read_bytes())
    return list(zip([group.id for group in groups], STAGE.sign(groups), strict=True))


def shingles(said: str) -> set[str]:
    said = folded(said)
    return {said[at : at + SHINGLE] for at in range(max(1, len(said) - SHINGLE + 1))}


def jaccard(some: str, other: str) -> float:
    mine, theirs = shingles(some), shingles(other)
    return len(mine & theirs) / len(mine | theirs)


def quality(kind: str, count: int, dropped: dict[int, int]) -> list[str]:
    """Recall over the copies that are alike enough, and how alike what was dropped really is."""
    copies = [(number, of) for number in range(count) if (of := origin(number)) is not None]
    alike = [n for n, of in copies if jaccard(text(kind, n), text(kind, of)) >= THRESHOLD]
    found = sum(number in dropped for number in alike)
    exact = [jaccard(text(kind, n), text(kind, of)) for n, of in dropped.items()]
    right = sum(one >= THRESHOLD for one in exact)
    close = sum(one >= THRESHOLD - 0.05 for one in exact)
    total = max(1, len(exact))
    return [
        f"{len(alike):,}",
        f"{found / max(1, len(alike)):.4f}",
        f"{len(dropped):,}",
        f"{right / total:.4f}",
        f"{close / total:.4f}",
    ]


def by_metaalign(kind: str, count: int, processes: int) -> list[str]:
    with tempfile.TemporaryDirectory() as name, get_context("fork").Pool(processes) as pool:
        starts = range(0, count, BATCH)
        ranges = [(kind, Path(name), start, min(count, start + BATCH)) for start in starts]
        files = pool.starmap(stage, ranges)
        pool.map(sign, files[:processes])  # libraries are loaded
        forget_peak()
        cpu, started = cpu_seconds(pool), time.perf_counter()

        def signed() -> Iterator[tuple[str, bytes]]:
            for part in pool.imap(sign, files, chunksize=4):
                yield from part

        reasons = STAGE.decide(signed())
        wall, cpu = time.perf_counter() - started, cpu_seconds(pool) - cpu
        memory = peak()
    dropped = {int(n[1:]): int(why.split("p")[-1].split(",")[0]) for n, why in reasons.items()}
    cells = [f"metaalign (rensa) × {processes}", kind, f"{count:,}", f"{wall:.1f}"]
    return [*cells, f"{cpu:.1f}", f"{memory:.0f}", *quality(kind, count, dropped)]


def cpu_seconds(pool: Any) -> float:
    """Processor time so far of this process and of the workers."""
    ticks = os.sysconf("SC_CLK_TCK")
    total = time.process_time()
    for worker in pool._pool:
        fields = Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / ticks
    return total


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def peak() -> float:
    """The most memory since ``forget_peak``, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def by_datasketch(kind: str, count: int) -> list[str] | None:
    try:
        from datasketch import MinHash, MinHashLSH  # type: ignore[import-not-found]
    except ImportError:
        return None
    texts = [text(kind, number) for number in range(count)]
    dropped: dict[int, int] = {}
    cpu, started = time.process_time(), time.perf_counter()
    index = MinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS)
    kept: dict[int, Any] = {}
    for number, said in enumerate(texts):
        sketch = MinHash(num_perm=PERMUTATIONS)
        sketch.update_batch([one.encode() for one in shingles(said)])
        near = [(sketch.jaccard(kept[one]), one) for one in index.query(sketch)]
        best = max(near, default=(0.0, 0))
        if best[0] >= THRESHOLD:
            dropped[number] = best[1]
        else:
            kept[number] = sketch
            index.insert(number, sketch)
    wall, cpu = time.perf_counter() - started, time.process_time() - cpu
    cells = ["datasketch × 1", kind, f"{count:,}", f"{wall:.1f}", f"{cpu:.1f}", "-"]
    return [*cells, *quality(kind, count, dropped)]


COLUMNS = (
    "by × processes",
    "preferences",
    "number",
    "wall s",
    "CPU s",
    "peak MB",
    f"copies with J ≥ {THRESHOLD}",
    "recall",
    "dropped",
    f"of these J ≥ {THRESHOLD}",
    f"J ≥ {THRESHOLD - 0.05:g}",
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preferences", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--sample", type=int, default=20_000, help="for both, in one process")
    parser.add_argument("--kinds", nargs="*", default=list(MAKERS), choices=list(MAKERS))
    given = parser.parse_args()
    row = partial(print, sep=" | ", flush=True)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores,", end=" ")
    print(f"load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}", "\n", sep="\n")
    row(*COLUMNS)
    row(*["---"] * len(COLUMNS))
    for kind in given.kinds:
        ours, theirs = by_metaalign(kind, given.sample, 1), by_datasketch(kind, given.sample)
        row(*ours)
        if theirs:
            row(*theirs)
        row(*by_metaalign(kind, given.preferences, given.processes))
    if theirs is None:
        print("datasketch is not installed: pip install datasketch", file=sys.stderr)


if __name__ == "__main__":
    main()
