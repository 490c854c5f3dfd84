"""What long work and its results look like in a terminal: progress bars and small tables.

Progress goes to standard error, so that results on standard output can be piped. Work that takes
less than ``PATIENCE`` seconds shows nothing. Where standard error is no terminal, plain lines take
the place of the bars, at most one per ``EVERY`` seconds for each task.
"""

import os
import shlex
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.context import BaseContext
from multiprocessing.queues import Queue
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.live import Live
from rich.measure import Measurement
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from metaalign.policy import Difference, PriorityMatrix
from metaalign.policy.matrix_parts import UNSTATED
from metaalign.schema import Behaviour, Event, Progress, Resolution

if TYPE_CHECKING:
    # Importing evaluate takes an extra; showing a bar does not.
    from metaalign.data.manifest import Manifest
    from metaalign.evaluate import Report

PATIENCE = 2.0
"""Seconds that a task may take before it shows."""
EVERY = 10.0
"""Seconds between two plain lines of one task, where there is no terminal."""


_UNBOUNDED = 240
"""Columns that nothing here needs more of."""
_COLOURS: dict[Behaviour, str] = {
    "answer": "green",
    "refuse": "red",
    "consensus_view": "cyan",
    "personal_view": "magenta",
}


class _Task:
    """How one task stands: its last event, and what follows from it."""

    def __init__(self, event: Event, now: float) -> None:
        self.event = event
        self.began = now
        self.first = event.done
        self.said = float("-inf")

    def elapsed(self, now: float) -> float:
        return now - self.began

    def shows(self, now: float) -> bool:
        return self.elapsed(now) >= PATIENCE

    @property
    def finished(self) -> bool:
        return self.event.done >= self.event.total > 0

    def rate(self, now: float) -> float:
        """Units per second since the first event; what was done before does not count."""
        return (self.event.done - self.first) / max(self.elapsed(now), 1e-9)

    def count(self) -> str:
        unfinished = self.event.total > 0 and not self.finished
        total = f" of {self.event.total:,}" if unfinished else ""
        return f"{self.event.done:,}{total} {_plural(self.event.unit, self.event.total)}"

    def pace(self, now: float) -> str:
        rate = self.rate(now)
        return f"{rate:,.1f} {self.event.unit}/s" if rate > 0 else ""

    def left(self, now: float) -> str:
        rate = self.rate(now)
        if rate <= 0 or self.event.total <= 0:
            return ""
        return f"{duration((self.event.total - self.event.done) / rate)} left"

    def summary(self, now: float) -> str:
        """One line for a task that has come to its end."""
        parts = [f"{self.count()} in {duration(self.elapsed(now))}", self.event.note]
        return f"{self.event.task}: {', '.join(filter(None, parts))}"

    def line(self, now: float) -> str:
        """One line for a task under way."""
        parts = [self.count(), self.pace(now), self.left(now), self.event.note]
        return f"{self.event.task}: {', '.join(filter(None, parts))}"


class _Board:
    """All tasks under way. Called with events, from any thread; rich asks it for a picture.

    A finished task leaves the board and, if it took long, one line above it.
    """

    def __init__(self, console: Console, clock: Callable[[], float], *, bars: bool) -> None:
        self._console = console
        self._clock = clock
        self._bars = bars
        self._tasks: dict[str, _Task] = {}
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        now = self._clock()
        with self._lock:
            task = self._tasks.get(event.task)
            if task is None or event.done < task.event.done:
                task = self._tasks[event.task] = _Task(event, now)
            task.event = event
            line = self._news(task, now)
        if line is not None:
            # Not under the lock: printing makes rich draw the board, which takes the lock.
            self._console.print(Text(line), soft_wrap=True)

    def _news(self, task: _Task, now: float) -> str | None:
        """The line to print because of this event, if any."""
        if task.finished:
            del self._tasks[task.event.task]
            return task.summary(now) if task.shows(now) else None
        if self._bars or not task.shows(now) or now - task.said < EVERY:
            return None
        task.said = now
        return task.line(now)

    def __rich__(self) -> RenderableType:
        now = self._clock()
        grid = Table.grid(padding=(0, 2))
        with self._lock:
            for task in self._tasks.values():
                if task.shows(now):
                    grid.add_row(*self._row(task, now))
        return grid

    @staticmethod
    def _row(task: _Task, now: float) -> list[RenderableType]:
        event = task.event
        bar = ProgressBar(
            total=event.total if event.total > 0 else None, completed=event.done, width=24
        )
        texts = [task.count(), task.pace(now), task.left(now), event.note]
        return [Text(event.task), bar, *(Text(text, no_wrap=True) for text in texts)]


@contextmanager
def progress_bars(
    console: Console | None = None, *, clock: Callable[[], float] = time.monotonic
) -> Iterator[Progress]:
    """A ``Progress`` that shows a bar for every task under way: stage, rate, time left, note.

    What is printed to the same console meanwhile stands above the bars. ``clock`` gives seconds.
    """
    console = console or Console(stderr=True)
    board = _Board(console, clock, bars=console.is_terminal)
    if not console.is_terminal:
        yield board
        return
    with Live(
        get_renderable=board.__rich__,
        console=console,
        transient=True,
        refresh_per_second=5,
        redirect_stdout=False,
    ):
        yield board


@contextmanager
def from_processes(progress: Progress, context: BaseContext) -> Iterator["Queue[Event | None]"]:
    """A queue whose ``put`` is a ``Progress`` for worker processes; ``progress`` gets their events.

    Hand the queue to the workers when they are made (``context.Process(args=(queue,))``, or the
    initializer of a pool of the same context). Everything that was put before the workers ended is
    shown before this returns; a worker that dies in the middle of a ``put`` cannot hold it up.
    """
    queue: Queue[Event | None] = context.Queue()

    def drain() -> None:
        while (event := queue.get()) is not None:
            progress(event)

    thread = threading.Thread(target=drain, name="progress", daemon=True)
    thread.start()
    try:
        yield queue
    finally:
        queue.put(None)
        thread.join(timeout=5)
        queue.close()
        queue.cancel_join_thread()


def duration(seconds: float) -> str:
    """``seconds`` as somebody would read it: ``8 s``, ``3 min 05 s``, ``2 h 10 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _plural(unit: str, count: int) -> str:
    return unit if count == 1 or unit == "it" or unit.endswith("s") else f"{unit}s"


def table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    *,
    numbers: bool = False,
) -> Table:
    """A small table; texts are shown as they are, no markup in them counts.

    With ``numbers`` every column but the first is set to the right.
    """
    made = Table(
        box=SIMPLE_HEAD,
        title=Text(title) if title else None,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        show_edge=False,
        pad_edge=False,
    )
    for index, column in enumerate(columns):
        made.add_column(
            Text(column), justify="right" if numbers and index else "left", overflow="fold"
        )
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    return made


def decision_table(resolution: Resolution) -> Table:
    """Who won what: one row for every dimension."""
    rows = [
        (
            decision.dimension,
            decision.value,
            decision.tier,
            decision.rule,
            ", ".join(f"{lost.value} ({lost.tier})" for lost in decision.overridden),
        )
        for decision in resolution.decisions
    ]
    return table("", ["dimension", "value", "won by", "decided by", "overridden"], rows)


def matrix_tables(matrix: PriorityMatrix) -> list[Table]:
    """The Priority Matrix, one table for every kind of query. A star marks a conflict cell."""
    priorities = [UNSTATED, *matrix.priorities]
    tables = []
    for kind in matrix.tables:
        rows: list[list[str | Text]] = []
        for higher in priorities:
            row: list[str | Text] = [Text(higher, style="bold")]
            for lower in priorities:
                cell = matrix.outcome(kind, higher, lower)
                mark = "*" if cell.conflict else ""
                row.append(Text(cell.behaviour + mark, style=_COLOURS[cell.behaviour]))
            rows.append(row)
        tables.append(table(kind, ["", *priorities], rows))
    return tables


def dimension_table(matrix: PriorityMatrix) -> Table:
    """What can be preferred besides the priority, and how its values conflict."""
    rows = [
        (
            name,
            dimension.conflict,
            (" > " if dimension.conflict == "ordered" else ", ").join(dimension.values) or "any",
            dimension.opposes or "",
        )
        for name, dimension in matrix.dimensions.items()
    ]
    return table("dimensions", ["", "conflict", "values", "contrary"], rows)


def difference_tables(difference: Difference) -> list[Table]:
    """What changes: one row for every combination, one for every other part of the matrix."""
    tables = []
    if difference.combinations:
        columns = ["kind", "higher", "lower", "from", "to"]
        rows = [
            (c.kind, c.higher, c.lower, _coloured(c.before), _coloured(c.after))
            for c in difference.combinations
        ]
        tables.append(table("", columns, rows))
    if difference.parts:
        parts = [
            (p.part, p.before or "not there", p.after or "not there") for p in difference.parts
        ]
        tables.append(table("", ["part", "from", "to"], parts))
    return tables


def _coloured(behaviour: Behaviour | None) -> Text:
    return Text(behaviour, style=_COLOURS[behaviour]) if behaviour else Text("not there")


def report_table(report: "Report", width: int) -> Table:
    """All metrics of all models. Where ``width`` has no room for the intervals, without them."""
    from metaalign.evaluate import table as rows_of

    head, *rows = rows_of(report)
    made = table("", head, rows, numbers=True)
    wide = Console(width=_UNBOUNDED)
    if Measurement.get(wide, wide.options, made).maximum <= width:
        return made
    plain = [[row[0], *(cell.partition(" (")[0] for cell in row[1:])] for row in rows]
    return table("", [name.replace("-", "-\n") for name in head], plain, numbers=True)


def show(*renderables: RenderableType) -> None:
    """Print to standard output, with a blank line after each.

    A pipe or a file has no width: there, nothing is cut.
    """
    console = _output()
    for renderable in renderables:
        console.print(renderable, highlight=False, markup=False)
        console.print()


def _output() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=_UNBOUNDED)


def show_report(report: "Report", folder: Path) -> None:
    """The table of all models, what needs a word of care, and where the rest stands."""
    from metaalign.evaluate.report import verdict

    show(report_table(report, _output().width))
    for note in report.notes:
        write(f"note: {note}\n")
    write(f"{verdict(report)} The whole report: {folder / 'report.html'}\n")


def show_made(folder: Path, manifest: "Manifest") -> None:
    """What a stage has made, and all that it left out: one line for every kind of count."""
    write(f"{manifest.kind} in {folder}\n")
    counts: dict[str, list[str]] = {}
    for name, count in manifest.counts.items():
        kind, _, what = name.partition(".")
        counts.setdefault(kind, []).append(f"{what} {count:,}".lstrip())
    for kind, parts in counts.items():
        write(f"  {'left out' if kind == 'skipped' else kind}: {', '.join(parts)}\n")
    for note in manifest.notes:
        write(f"note: {note}\n")


def chat_commands(report: "Report", models: Path) -> list[str]:
    """Two commands that ask the model under test what the report shows first."""
    commands = []
    for example in report.examples[:2]:
        said = example.meta_prompt
        words = [*_program(), "chat", "--model", str(models / report.focus)]
        words += ["--system-info", said.system_info] if said.system_info else []
        words += ["--user-info", said.user_info] if said.user_info else []
        commands.append(shlex.join([*words, "--explain", "--", example.query]))
    return commands


def _program() -> list[str]:
    """How this program was called, to be typed again."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return ["python", "-m", "metaalign"]
    return [called.name if shutil.which(called.name) else os.path.relpath(called)]


def write(text: str) -> None:
    """Write a piece of an answer to standard output at once, without a line end."""
    sys.stdout.write(text)
    sys.stdout.flush()


def typed_lines(welcome: str) -> Iterator[str]:
    """What somebody types, until the input ends. A terminal shows the welcome and a prompt."""
    asking = sys.stdin.isatty()
    if asking:
        with suppress(ImportError):  # only some systems have it
            import readline  # noqa: F401  (importing it gives input() a history and editing)
        write(f"{welcome}\n")
    while True:
        try:
            yield input("> " if asking else "")
        except EOFError:
            return
