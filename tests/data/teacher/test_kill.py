"""Kill the process at any moment: the dataset is the same, and nothing is paid for twice."""

import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random

import pytest
from tests.data.teacher.asking import settings
from tests.data.teacher.pipeline import run

from metaalign.data.teacher.journal import Journal
from metaalign.data.teacher.mock.behaviour import Behaviour, Manners
from metaalign.data.teacher.mock.server import running_mock
from metaalign.data.teacher.settings import Settings

KILLS = int(os.environ.get("METAALIGN_KILLS", "10"))
"""METAALIGN_KILLS=100 is the whole of it, and takes minutes."""
CONCURRENCY = 8
REQUESTS = 40 * KILLS
"""So many that there is still something to ask at the last kill."""
MANNERS = Manners(
    latency=0.02, error_rate=0.1, malformed_rate=0.15, refusal_rate=0.03, seed=int(KILLS)
)

# Every run is a process of its own, made from one that has already imported everything.
PROCESSES = multiprocessing.get_context("forkserver")


@pytest.fixture(scope="module", autouse=True)
def ready() -> Iterator[None]:
    PROCESSES.set_forkserver_preload(["tests.data.teacher.pipeline"])
    yield


def open_calls(given: Settings) -> set[str]:
    """The keys of all calls that were ever on their way when a process was killed."""
    rows = Journal(Path(given.journal))._rows("SELECT DISTINCT key FROM calls")
    return {str(key) for (key,) in rows}


def wait_for_calls(behaviour: Behaviour, calls: int, process: BaseProcess) -> None:
    """Return when the server has seen so many calls, or the process has ended."""
    while behaviour.stats.calls < calls and process.is_alive():
        time.sleep(0.002)


def test_a_hundred_kills_change_nothing(tmp_path: Path) -> None:
    with running_mock(Behaviour(MANNERS)) as url:
        whole = settings(tmp_path / "whole", url, concurrency=CONCURRENCY)
        expected = tmp_path / "whole.jsonl"
        run(whole, REQUESTS, expected)

    behaviour, random = Behaviour(MANNERS), Random(KILLS)
    out, killed, on_their_way = tmp_path / "killed.jsonl", 0, Counter[str]()
    with running_mock(behaviour) as url:
        given = settings(tmp_path / "killed", url, concurrency=CONCURRENCY)
        while not out.exists():
            process = PROCESSES.Process(target=run, args=(given, REQUESTS, out))
            process.start()
            if killed < KILLS:
                wait_for_calls(behaviour, behaviour.stats.calls + random.randint(0, 50), process)
                process.join(random.uniform(0, 0.1))
            else:
                process.join()
            if process.exitcode is None:
                process.kill()
                process.join()
                killed += 1
                on_their_way.update(open_calls(given))
            else:
                assert process.exitcode == 0

    assert killed == KILLS
    assert out.read_bytes() == expected.read_bytes()
    for key, answers in behaviour.answered.items():
        assert answers <= 1 + on_their_way[key]
    assert behaviour.stats.repeated <= on_their_way.total()
    spent = Journal(Path(given.journal)).spent()
    # Every completion is in the journal, but for those whose process was killed meanwhile.
    assert spent.calls <= behaviour.stats.answered <= spent.calls + spent.open_calls
    print(
        f"{killed} kills, {spent.calls} replies paid for, {behaviour.stats.answered} sent, "
        f"{behaviour.stats.repeated} sent twice, {spent.open_calls} calls lost"
    )


def test_ctrl_c_keeps_what_is_on_its_way(tmp_path: Path) -> None:
    behaviour = Behaviour(Manners(latency=0.3))
    with running_mock(behaviour) as url:
        given = settings(tmp_path, url, concurrency=CONCURRENCY)
        process = PROCESSES.Process(target=run, args=(given, 1000, tmp_path / "out.jsonl"))
        process.start()
        wait_for_calls(behaviour, 20, process)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGINT)
        process.join(20)
        assert process.exitcode == 1  # KeyboardInterrupt went all the way up
    spent = Journal(Path(given.journal)).spent()
    assert spent.calls == behaviour.stats.answered < 100
    assert spent.open_calls == 0
    assert not (tmp_path / "out.jsonl").exists()
