"""Progress as people see it: nothing for quick work, bars or plain lines for the rest."""

import io
import multiprocessing
import shlex
from multiprocessing.queues import Queue
from pathlib import Path

import pytest
from rich.console import Console

from metaalign.evaluate import Estimate, Report
from metaalign.evaluate.records import Example
from metaalign.schema import Event, MetaPrompt
from metaalign.terminal import (
    chat_commands,
    duration,
    from_processes,
    progress_bars,
    report_table,
    table,
)


class Clock:
    """Seconds that the test turns."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def console(*, terminal: bool = False) -> Console:
    # No automatic redraw in a terminal of a fixed size: what is printed depends on events alone.
    return Console(file=io.StringIO(), force_terminal=terminal, width=100, color_system=None)


def printed(of: Console) -> list[str]:
    assert isinstance(of.file, io.StringIO)
    return of.file.getvalue().splitlines()


def test_quick_work_shows_nothing() -> None:
    clock, out = Clock(), console()
    with progress_bars(out, clock=clock) as progress:
        for done in range(11):
            clock.now += 0.15  # 1.65 s in all
            progress(Event("read", done, 10))
    assert printed(out) == []


def test_without_a_terminal_there_is_a_line_every_ten_seconds_and_one_at_the_end() -> None:
    clock, out = Clock(), console()
    with progress_bars(out, clock=clock) as progress:
        for done in range(26):  # one a second
            progress(Event("train", done, 25, "step", f"loss {25 - done}"))
            clock.now += 1
    assert printed(out) == [
        "train: 2 of 25 steps, 1.0 step/s, 23 s left, loss 23",
        "train: 12 of 25 steps, 1.0 step/s, 13 s left, loss 13",
        "train: 22 of 25 steps, 1.0 step/s, 3 s left, loss 3",
        "train: 25 steps in 25 s, loss 0",
    ]


def test_two_tasks_at_once_are_kept_apart() -> None:
    clock, out = Clock(), console()
    with progress_bars(out, clock=clock) as progress:
        progress(Event("a", 0, 10))
        clock.now += 3
        progress(Event("b", 0, 4))
        progress(Event("a", 3, 10))
        clock.now += 2
        progress(Event("b", 4, 4))
    assert printed(out) == ["a: 3 of 10 it, 1.0 it/s, 7 s left", "b: 4 it in 2 s"]


def test_the_rate_of_resumed_work_counts_only_what_is_new() -> None:
    """900 steps were there; 20 new ones in 10 s are 2 a second, and 80 are left: 40 s."""
    clock, out = Clock(), console()
    with progress_bars(out, clock=clock) as progress:
        progress(Event("train", 900, 1000, "step"))
        clock.now += 10
        progress(Event("train", 920, 1000, "step"))
    assert printed(out) == ["train: 920 of 1,000 steps, 2.0 step/s, 40 s left"]


def test_a_task_that_starts_again_has_its_own_time() -> None:
    clock, out = Clock(), console()
    with progress_bars(out, clock=clock) as progress:
        progress(Event("answer", 0, 3, "dialogue"))
        clock.now += 5
        progress(Event("answer", 3, 3, "dialogue"))
        clock.now += 60
        progress(Event("answer", 0, 3, "dialogue"))
        clock.now += 4
        progress(Event("answer", 3, 3, "dialogue"))
    assert printed(out) == ["answer: 3 dialogues in 5 s", "answer: 3 dialogues in 4 s"]


def test_a_terminal_shows_stage_count_rate_time_left_and_note() -> None:
    clock, out = Clock(), console(terminal=True)
    with progress_bars(out, clock=clock) as progress:
        progress(Event("build", 0, 100, "group"))
        clock.now += 4
        progress(Event("build", 50, 100, "group", "3 skipped"))
    # Leaving the bars draws them for a last time.
    shown = "\n".join(printed(out))
    for part in ["build", "50 of 100 groups", "12.5 group/s", "4 s left", "3 skipped"]:
        assert part in shown


def test_an_unknown_total_has_a_rate_but_no_time_left() -> None:
    clock, out = Clock(), console()
    with progress_bars(out, clock=clock) as progress:
        progress(Event("read", 0, 0, "record"))
        clock.now += 4
        progress(Event("read", 8, 0, "record"))
    assert printed(out) == ["read: 8 records, 2.0 record/s"]


def work(queue: "Queue[Event | None]", name: str) -> None:
    """What a worker process does in the test below."""
    progress = queue.put
    for done in range(4):
        progress(Event(name, done, 3))


def test_events_of_worker_processes_arrive_whole_and_in_order() -> None:
    context = multiprocessing.get_context("spawn")
    seen: list[Event] = []
    with from_processes(seen.append, context) as queue:
        workers = [context.Process(target=work, args=(queue, name)) for name in ("a", "b")]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    for name in ("a", "b"):
        assert [e.done for e in seen if e.task == name] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7800, "2 h 10 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_what_stands_in_a_table_is_not_read_as_markup() -> None:
    out = console()
    out.print(table("", ["name"], [["[red]x[/red]"]]))
    assert "[red]x[/red]" in "\n".join(printed(out))


def report() -> Report:
    metrics = ("follow", "follow_unseen_values", "follow_unseen_wordings")
    found = {metric: Estimate(0.973, (0.96, 0.984), 300) for metric in metrics}
    names = ("vanilla-sft", "aligned-sft", "metaalign-sft", "metaalign-dpo")
    example = Example(
        "Is it 5 o'clock?", MetaPrompt.of('Say "yes".', "--help; rm -rf $HOME"), "yes", (), ()
    )
    return Report(seed=0, seconds={}, models=dict.fromkeys(names, found), examples=(example,))


def test_a_narrow_terminal_loses_intervals_and_not_names() -> None:
    shown = {}
    for width in (80, 200):
        out = Console(file=io.StringIO(), width=width, color_system=None)
        out.print(report_table(report(), width))
        shown[width] = printed(out)
        assert max(map(len, shown[width])) <= width
    assert "97.3% (96.0–98.4)" in "\n".join(shown[200])
    assert "97.3%" in "\n".join(shown[80])
    assert "(96.0" not in "\n".join(shown[80])
    for metric in report().models["vanilla-sft"]:
        assert any(line.startswith(metric) for line in shown[80])


def test_the_commands_to_try_say_what_the_example_says() -> None:
    """Whatever is in the texts: a shell gives the program exactly these words."""
    [command] = chat_commands(report(), Path("runs/models"))
    words = shlex.split(command)
    assert words[words.index("chat") :] == [
        "chat",
        "--model",
        "runs/models/metaalign-dpo",
        "--system-info",
        'Say "yes".',
        "--user-info",
        "--help; rm -rf $HOME",
        "--explain",
        "--",
        "Is it 5 o'clock?",
    ]
