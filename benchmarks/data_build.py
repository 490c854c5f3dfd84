"""Time and memory of a data build, on groups that are made up as they are read; for docs/scale.md.

    python benchmarks/data_build.py [--samples 1000000] [--side-by-side 100000]

The large one is built by the local engine; then both engines build the smaller one, side by side.
Every build runs in a process of its own. Memory is the peak resident set: of that process, and of
the largest Ray worker; processor time is that of the process alone. The stages are those that look
at every text and compare every group.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from msgspec import Struct

from metaalign.data.build import build_dataset
from metaalign.data.building.inputs import BuiltIn
from metaalign.data.recipe import make_recipe
from metaalign.schema import USER_INFO, Candidate, Group, MetaPrompt, Preference, Turn, View

STAGES = [
    {"name": "control-tokens"},
    {"name": "length", "max_candidate": 4000},
    {"name": "exact-duplicates"},
    {"name": "near-duplicates"},
]
LENGTHS = {"short": "Two sentences, please.", "long": "I have time: tell me everything."}
WORDS = [
    "".join(Random(n).choice("aeioubdfgklmnprstvz") for _ in range(3 + n % 7)) for n in range(5000)
]


class Settings(Struct, frozen=True):
    """Options of the made-up source."""

    samples: int = 1000


def read(
    _place: object, /, *, seed: int = 0, skipped: object = None, samples: int = 1000
) -> Iterator[Group]:
    """Groups of two views, about 900 characters each, no two alike."""
    for number in range(samples // 2):
        rng = Random(f"{seed}/{number}")
        short, long = (" ".join(rng.choices(WORDS, k=k)) for k in (20, 100))
        views = tuple(
            View(
                MetaPrompt.of("You help with everyday questions.", wording),
                (0, 1) if length == "short" else (1, 0),
                "rule",
                (Preference(USER_INFO, "length", length, wording, span=(0, len(wording))),),
            )
            for length, wording in LENGTHS.items()
        )
        yield Group(
            f"made:{number}",
            "made",
            "helpful",
            "benign",
            (Turn("user", " ".join(rng.choices(WORDS, k=12)) + "?"),),
            (Candidate(short, "rule"), Candidate(long, "rule")),
            views,
        )


MADE = BuiltIn(
    "made",
    licence="Apache-2.0",
    origin="benchmarks",
    description="Groups that are made up as they are read.",
    read=read,
    content_hash=lambda: "made",
    settings=Settings,
)


def build(samples: int, engine: str, filters: bool, out: Path) -> None:
    """Build once in this process, and print what it took as JSON."""
    tree = {
        "sources": [{"name": "made", "options": {"samples": samples}}],
        "stages": STAGES if filters else [],
        "split": {"by": ["query"], "near": 0.8 if filters else 0.0},
    }
    began = time.monotonic()
    build_dataset(
        make_recipe(tree),
        out,
        engine=engine,
        sources={"made": MADE},
    )
    print(json.dumps({"seconds": time.monotonic() - began, "cpu": time.process_time()}))


def measure(samples: int, engine: str, filters: bool) -> tuple[str, ...]:
    """A row of the table: one build in a process of its own."""
    folder = Path(tempfile.mkdtemp())
    words = [sys.executable, __file__, "--build", engine, "--samples", str(samples)]
    words += ["--out", str(folder / "out"), *(["--filters"] if filters else [])]
    try:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        driver = worker = staging = 0
        while process.poll() is None:
            driver = max(driver, resident(process.pid))
            worker = max([worker, *map(resident, workers())]) if engine == "ray" else 0
            staging = max(staging, size(folder / ".out.staging"))
            time.sleep(0.5)
        assert process.stdout is not None
        took = json.loads(process.stdout.read())
        seconds = took["seconds"]
        megabytes = [f"{amount / 1e6:,.0f}" for amount in (staging, size(folder / "out"))]
    finally:
        shutil.rmtree(folder)
    return (
        f"{samples:,}",
        engine,
        "4 and near queries" if filters else "none",
        f"{seconds:,.0f}",
        f"{samples / seconds:,.0f}",
        f"{took['cpu'] / samples * 1e6:,.0f}",
        f"{driver / 1e6:,.0f}",
        f"{worker / 1e6:,.0f}" if worker else "-",
        *megabytes,
    )


def resident(pid: int) -> int:
    """Bytes that a process holds now."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def workers() -> Iterator[int]:
    """Process ids of Ray's workers on this machine."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(b"ray::"):
                yield int(path.parent.name)
        except OSError:
            continue


def size(folder: Path) -> int:
    """Bytes of all files below ``folder``."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--side-by-side", type=int, default=100_000)
    parser.add_argument("--build", help=argparse.SUPPRESS)
    parser.add_argument("--filters", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.build:
        build(given.samples, given.build, given.filters, given.out)
        return
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.machine()}\n")
    print(
        "| samples | engine | stages | seconds | samples/s | CPU µs/sample | peak MB | worker MB "
        "| staging MB | dataset MB |"
    )
    print(f"|{' ---: |' * 10}")
    runs = [(given.side_by_side, "local", False)]
    runs += [(given.side_by_side, engine, True) for engine in ("local", "ray")]
    runs += [(given.samples, "local", True)] if given.samples else []
    for run in runs:
        print(f"| {' | '.join(measure(*run))} |", flush=True)


if __name__ == "__main__":
    main()
