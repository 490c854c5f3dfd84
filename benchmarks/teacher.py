"""How fast a teacher is asked, and in how much memory: ``python benchmarks/teacher.py``.

Speed: a mock teacher answers every call after LATENCY, at most CONCURRENCY calls are on their way,
so no client can do better than CONCURRENCY / LATENCY calls a second. The share of that which is
reached is printed for metaalign and, with --distilabel-python, for distilabel (a pipeline of
LoadDataFromDicts and TextGeneration with OpenAILLM, ``input_batch_size`` CONCURRENCY), one after
the other in every round; the medians count. Each run has a mock of its own, in a process of its
own, which takes the time from the first call to the last completion: starting up does not count.

Memory: a journal is filled with as many replies as --memory says, which are then asked for again,
so that all of the machinery works and no call is sent; the largest resident set is printed.

The goals: 95 % of what the latency allows, and less than 1 GB for 1,000,000 requests.
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from statistics import median

from metaalign.data.teacher.journal import Changes, Journal, Limits, Worst
from metaalign.data.teacher.requests import Message, Reply, Request
from metaalign.data.teacher.settings import Settings

LATENCY = 0.2
CONCURRENCY = 32
GOAL_SHARE = 0.95
GOAL_BYTES = 1e9
MODEL = "mock"
TEXT = "Write what somebody who keeps bees would like to know about the weather. "

_DISTILABEL = """
import sys
from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration

if __name__ == "__main__":
    url, model, number, concurrency, text = sys.argv[1:]
    rows = [{"instruction": f"{text}{i}"} for i in range(int(number))]
    with Pipeline(name="speed") as pipeline:
        load = LoadDataFromDicts(data=rows, batch_size=int(concurrency))
        llm = OpenAILLM(
            model=model, base_url=url, api_key="none", generation_kwargs={"max_new_tokens": 512}
        )
        load >> TextGeneration(llm=llm, input_batch_size=int(concurrency))
    made = pipeline.run(use_cache=False)
    assert len(made["default"]["train"]) == int(number)
"""
_OURS = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[5])
from teacher import ask

print(ask(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])))
"""


def requests(number: int) -> Iterator[Request]:
    return (
        Request("write", (Message("user", f"{TEXT}{i}"),), max_tokens=512) for i in range(number)
    )


def ask(url: str, number: int, journal: Path, concurrency: int) -> int:
    """Ask ``number`` requests, and return the most bytes that this process ever held."""
    from metaalign.data.teacher.teacher import Teacher

    settings = Settings(
        model=MODEL, base_url=url, journal=str(journal), concurrency=concurrency, timeout=60.0
    )
    with Teacher(settings) as teacher:
        answered = sum(o.status == "answered" for o in teacher.ask(requests(number), str))
    assert answered == number
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def ours(url: str, number: int, folder: Path, concurrency: int) -> int:
    """``ask`` in a process of its own."""
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", _OURS, url, str(number), str(folder / "journal.sqlite")]
    made = subprocess.run(
        [*command, str(concurrency), here], check=True, capture_output=True, text=True
    )
    return int(made.stdout)


def distilabel(python: str, url: str, number: int, folder: Path, concurrency: int) -> None:
    script = folder / "speed.py"
    script.write_text(_DISTILABEL)
    command = [python, str(script), url, MODEL, str(number), str(concurrency), TEXT]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"distilabel failed: {done.stderr[-2000:]}")


@contextmanager
def mock(latency: float) -> Iterator[str]:
    command = [sys.executable, "-m", "metaalign", "data", "mock-teacher", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--latency", str(latency)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[4]
    finally:
        process.terminate()
        process.wait()


def share(url: str, number: int, latency: float, concurrency: int) -> float:
    """The share of what the latency allows, as the server has seen it."""
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as answer:
        stats = json.load(answer)
    if stats["answered"] != number or stats["most_on_their_way"] > concurrency:
        sys.exit(f"not what was asked for: {stats}")
    return float(number / stats["seconds"] / (concurrency / latency))


def speed(given: argparse.Namespace) -> dict[str, list[float]]:
    """The shares of every round, by client."""
    found: dict[str, list[float]] = {"metaalign": []}
    if given.distilabel_python:
        found["distilabel"] = []
    for _ in range(given.rounds):
        for name, shares in found.items():
            with tempfile.TemporaryDirectory() as folder, mock(given.latency) as url:
                if name == "metaalign":
                    ours(url, given.calls, Path(folder), given.concurrency)
                else:
                    distilabel(
                        given.distilabel_python, url, given.calls, Path(folder), given.concurrency
                    )
                shares.append(share(url, given.calls, given.latency, given.concurrency))
    return found


def fill(path: Path, number: int) -> None:
    """A journal that has a reply to each of the requests."""
    journal = Journal(path)
    asked = requests(number)
    while some := list(islice(asked, 10_000)):

        def change(changes: Changes, some: list[Request] = some) -> None:
            for request in some:
                key = request.key(MODEL)
                call = changes.reserve(Worst(key, request.task, 1000, 0.0), Limits())
                assert call is not None
                changes.keep(call, key, request.task, Reply(TEXT * 5, 50, 90), 0.0)

        journal.write([change])
    journal.close()


def memory(number: int) -> tuple[int, float]:
    """(most bytes, seconds) for as many requests, whose replies are in the journal."""
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder) / "journal.sqlite", number)
        began = time.monotonic()
        most = ours("http://127.0.0.1:9/v1", number, Path(folder), CONCURRENCY)
        return most, time.monotonic() - began


def machine() -> str:
    """The processor and the Python that the numbers belong to."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    return f"{processor}, {len(names) or '?'} cores, Python {platform.python_version()}"


def main() -> int:
    """Print the numbers; exit code 1 if a goal is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=3200, help="calls of one run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency", type=float, default=LATENCY, help="seconds")
    parser.add_argument("--concurrency", type=int, default=CONCURRENCY)
    parser.add_argument("--memory", type=int, default=1_000_000, help="requests; 0 for none")
    parser.add_argument("--distilabel-python", help="a Python that has distilabel[openai]")
    given = parser.parse_args()
    print(f"machine: {machine()}\n")
    allowed, missed = given.concurrency / given.latency, False
    if given.rounds:
        print(
            f"{given.calls} calls, {given.concurrency} at a time, {given.latency:g} s each, "
            f"{given.rounds} rounds: the latency allows {allowed:.0f} calls/s\n"
        )
        print("| client | calls/s | share | rounds |\n| --- | --- | --- | --- |")
        for name, shares in speed(given).items():
            middle = median(shares)
            rounds = ", ".join(f"{one:.1%}" for one in shares)
            print(f"| {name} | {middle * allowed:.1f} | {middle:.1%} | {rounds} |", flush=True)
            missed |= name == "metaalign" and middle < GOAL_SHARE
    if given.memory:
        most, seconds = memory(given.memory)
        print(
            f"\n{given.memory:,} requests from a journal: at most {most / 1e6:.0f} MB, "
            f"{given.memory / seconds:,.0f} requests/s"
        )
        missed |= most > GOAL_BYTES
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
