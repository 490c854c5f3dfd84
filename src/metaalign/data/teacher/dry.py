"""What a run would cost, before it does."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import msgspec
from msgspec import Struct

from metaalign.data.teacher.counting import TokenCount, by_characters, estimated_in
from metaalign.data.teacher.journal import Journal
from metaalign.data.teacher.requests import Request
from metaalign.data.teacher.settings import Settings

ENOUGH = 20
"""Replies to a task from which its next ones are judged."""


class Planned(Struct, frozen=True):
    """Calls whose questions depend on replies that nobody has yet."""

    task: str
    tokens_in: int
    """Of each call."""
    max_tokens: int
    """Tokens that come out of each call, at most."""
    calls: int = 1


class TaskEstimate(Struct, frozen=True):
    """What one task would take, by estimate, besides what the journal already has."""

    task: str
    calls: int = 0
    kept: int = 0
    """Requests that the journal already has, or that are asked twice: they cost nothing."""
    tokens_in: float = 0
    tokens_out: float = 0
    measured: bool = False
    """Whether the tokens that come out are judged by earlier replies; else they are the limits."""


class Estimate(Struct, frozen=True):
    """What a run would take, by estimate."""

    tasks: tuple[TaskEstimate, ...]
    settings: Settings
    spent_cost: float = 0.0
    """What the journal has cost so far, calls that were lost included."""
    spent_tokens: int = 0

    @property
    def total(self) -> TaskEstimate:
        """All tasks together."""
        sums = [
            sum(getattr(one, field) for one in self.tasks)
            for field in ("calls", "kept", "tokens_in", "tokens_out")
        ]
        return TaskEstimate("total", *sums)

    @property
    def cost(self) -> float:
        """In the currency of the prices."""
        return self.settings.cost(self.total.tokens_in, self.total.tokens_out)

    def lines(self) -> Iterator[str]:
        """A table for a terminal, and how it was reckoned."""
        head = ("task", "calls", "kept", "tokens in", "tokens out", "cost")
        yield "{:<20} {:>10} {:>10} {:>14} {:>14} {:>12}".format(*head)
        for one in (*self.tasks, self.total):
            cost = self.settings.cost(one.tokens_in, one.tokens_out)
            yield (
                f"{one.task:<20} {one.calls:>10,} {one.kept:>10,} "
                f"{one.tokens_in:>14,.0f} {one.tokens_out:>14,.0f} {cost:>12,.4f}"
            )
        yield from self._notes()

    def _notes(self) -> Iterator[str]:
        measured = [one.task for one in self.tasks if one.measured]
        judged = f", except for {', '.join(measured)}: as earlier replies" if measured else ""
        yield (
            "an estimate: tokens in are counted by rule, tokens out are the limits of the "
            f"requests{judged}; what is kept costs nothing; repairs would come on top"
        )
        if not (self.settings.price_in or self.settings.price_out):
            yield "no prices are set: price_in and price_out, per million tokens"
        left_cost, left_tokens = self.settings.max_cost, self.settings.max_tokens
        total = self.total
        if left_cost is not None and self.spent_cost + self.cost > left_cost:
            left = max(0.0, left_cost - self.spent_cost)
            yield f"more than the budget: {left:.4f} of {left_cost:g} are left"
        tokens = total.tokens_in + total.tokens_out
        if left_tokens is not None and self.spent_tokens + tokens > left_tokens:
            left = max(0, left_tokens - self.spent_tokens)
            yield f"more than the budget: {left:,} of {left_tokens:,} tokens are left"


def estimate(
    asked: Iterable[Request] | Iterable[Request | Planned],
    settings: Settings,
    count: TokenCount = by_characters,
) -> Estimate:
    """What asking all this would take, besides what the journal already has. Nothing is sent.

    Tokens that go in are ``count`` of every message and schema: a token for every four characters,
    unless a tokenizer is given. Tokens that come out are the limits of the requests; once the
    journal has ``ENOUGH`` replies to a task, they are what these took on average.
    """
    path = Path(settings.journal)
    if not path.exists():
        return Estimate(tuple(_summed(asked, settings, None, {}, count)), settings)
    with closing(Journal(path)) as journal:
        spent = journal.spent()
        tasks = tuple(_summed(asked, settings, journal, _means(journal), count))
    return Estimate(tasks, settings, spent.cost + spent.open_cost, spent.tokens + spent.open_tokens)


def _summed(
    asked: Iterable[Request] | Iterable[Request | Planned],
    settings: Settings,
    journal: Journal | None,
    means: Mapping[str, float],
    count: TokenCount,
) -> Iterator[TaskEstimate]:
    sums: dict[str, TaskEstimate] = {}
    seen: set[int] = set()
    for one in asked:
        total = sums.get(one.task) or TaskEstimate(one.task, measured=one.task in means)
        out = means.get(one.task, float(one.max_tokens))
        if isinstance(one, Planned):
            calls, tokens_in = one.calls, one.tokens_in
        else:
            key = one.key(settings.model)
            short = int(key[:16], 16)  # a million of them should not fill the memory
            known = short in seen or (journal is not None and journal.get(key) is not None)
            seen.add(short)
            calls, tokens_in = (0, 0) if known else (1, estimated_in(one, count))
        sums[one.task] = msgspec.structs.replace(
            total,
            calls=total.calls + calls,
            kept=total.kept + (calls == 0),
            tokens_in=total.tokens_in + calls * tokens_in,
            tokens_out=total.tokens_out + calls * out,
        )
    yield from sums.values()


def _means(journal: Journal) -> dict[str, float]:
    """Tokens that came out on average, of tasks with enough replies."""
    tokens: dict[str, int] = {}
    replies: dict[str, int] = {}
    for one in journal.counts():
        tokens[one.task] = tokens.get(one.task, 0) + one.tokens_out
        replies[one.task] = replies.get(one.task, 0) + one.replies
    return {task: tokens[task] / replies[task] for task in tokens if replies[task] >= ENOUGH}
