"""A journal in words, for a terminal."""

from collections.abc import Iterator

from metaalign.data.teacher.journal import Journal

LONGEST_TEXT = 80
"""Characters that are shown of a reply."""


def journal_lines(journal: Journal) -> Iterator[str]:
    """What was asked and what it cost, by task and status; then all of it."""
    yield "{:<24} {:<10} {:>10} {:>14} {:>14} {:>12}".format(
        "task", "status", "replies", "tokens in", "tokens out", "cost"
    )
    for one in journal.counts():
        yield (
            f"{one.task:<24} {one.status:<10} {one.replies:>10,} "
            f"{one.tokens_in:>14,} {one.tokens_out:>14,} {one.cost:>12,.4f}"
        )
    spent = journal.spent()
    yield (
        f"{spent.calls:,} calls were answered: {spent.tokens_in:,} tokens in, "
        f"{spent.tokens_out:,} out, cost {spent.cost:,.4f}"
    )
    if spent.open_calls:
        yield (
            f"{spent.open_calls:,} calls have no answer, at most {spent.open_tokens:,} tokens and "
            f"{spent.open_cost:,.4f}: they are on their way, or were when their process died"
        )
    for name, server_id in journal.batches():
        yield f"batch {server_id or name} is not collected yet: run the same command to do it"


def quarantine_lines(journal: Journal) -> Iterator[str]:
    """Every request in quarantine: its task, status, reason, and how its reply begins."""
    for one in journal.quarantine():
        text = " ".join(one.text.split())
        shown = text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"
        yield f"{one.key[:12]} {one.task} {one.status}: {one.reason}" + (
            f" | {shown}" if shown else ""
        )
