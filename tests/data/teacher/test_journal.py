"""The journal: what was paid for is there, whoever asks and whatever died."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from metaalign.data.teacher.journal import Changes, Journal, Kept, Limits, Spent, Worst
from metaalign.data.teacher.listing import journal_lines, quarantine_lines
from metaalign.data.teacher.requests import Reply
from metaalign.schema import UserError


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "deeper" / "journal.sqlite")


def reserve(journal: Journal, key: str = "k", tokens: int = 100, cost: float = 1.0) -> int:
    worst = Worst(key, "write", tokens, cost)
    [call] = journal.write([lambda changes: changes.reserve(worst, Limits())])
    assert call is not None
    return call


def keep(journal: Journal, key: str, reply: Reply, cost: float = 0.5) -> Kept:
    call = reserve(journal, key)
    [kept] = journal.write([lambda changes: changes.keep(call, key, "write", reply, cost)])
    return kept


def test_a_reply_is_there_from_then_on(journal: Journal) -> None:
    assert journal.get("k") is None
    kept = keep(journal, "k", Reply("hello", 10, 5))
    assert kept == journal.get("k") == Kept("answered", "", "hello", "stop")
    assert Journal(journal.path).get("k") == kept


def test_the_first_reply_stands_and_all_that_was_paid_counts(journal: Journal) -> None:
    first = keep(journal, "k", Reply("one", 10, 5))
    assert keep(journal, "k", Reply("two", 11, 6)) == first
    assert journal.spent() == Spent(2, 21, 11, 1.0, 0, 0, 0.0)
    [count] = journal.counts()
    assert (count.replies, count.tokens_in, count.tokens_out, count.cost) == (1, 21, 11, 1.0)


def test_what_is_in_quarantine_can_be_replaced(journal: Journal) -> None:
    keep(journal, "k", Reply("bad", 10, 5))
    journal.write([lambda changes: changes.judge("k", "malformed", "it is bad")])
    assert journal.get("k") == Kept("malformed", "it is bad", "bad", "stop")
    [one] = journal.quarantine()
    assert (one.key, one.task, one.status, one.reason) == ("k", "write", "malformed", "it is bad")
    assert keep(journal, "k", Reply("good", 1, 1)) == Kept("answered", "", "good", "stop")
    assert [*journal.quarantine()] == []


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply("", 1, 1, refusal="I won't"), "I won't"),
        (Reply("half", 1, 1, "content_filter"), "the server's content filter"),
    ],
)
def test_a_refusal_is_quarantined_at_once(journal: Journal, reply: Reply, reason: str) -> None:
    kept = keep(journal, "k", reply)
    assert (kept.status, kept.reason) == ("refused", reason)


def test_calls_without_a_reply_count_at_their_worst(journal: Journal) -> None:
    call = reserve(journal, "lost", 100, 1.0)
    keep(journal, "k", Reply("x", 10, 5))
    assert journal.spent() == Spent(1, 10, 5, 0.5, 1, 100, 1.0)
    assert journal.write([lambda changes: changes.release(call)]) == [True]
    assert journal.spent().open_calls == 0


@pytest.mark.parametrize(
    ("limits", "granted"),
    [
        (Limits(tokens=299), 2),
        (Limits(tokens=300), 3),
        (Limits(cost=2.9), 2),
        (Limits(cost=3.0), 3),
        (Limits(tokens=300, cost=1.5), 1),
        (Limits(), 5),
    ],
)
def test_no_more_is_reserved_than_there_is_room_for(
    journal: Journal, limits: Limits, granted: int
) -> None:
    """Five calls of 100 tokens and a cost of 1 each, in one commit."""
    worst = [Worst(f"k{i}", "write", 100, 1.0) for i in range(5)]

    def change(changes: Changes) -> list[int | None]:
        return [changes.reserve(one, limits) for one in worst]

    [calls] = journal.write([change])
    assert sum(call is not None for call in calls) == granted


def test_changes_are_all_made_or_none(journal: Journal) -> None:
    def fail(_changes: object) -> None:
        raise RuntimeError("stop")

    worst = Worst("k", "write", 1, 1.0)
    with pytest.raises(RuntimeError):
        journal.write([lambda changes: changes.reserve(worst, Limits()), fail])
    assert journal.spent().open_calls == 0
    reserve(journal)
    assert journal.spent().open_calls == 1


WRITER = """
import sys
from pathlib import Path
from metaalign.data.teacher.journal import Journal, Limits, Worst
from metaalign.data.teacher.requests import Reply
journal = Journal(Path(sys.argv[1]))
for i in range(100):
    worst = Worst(f"k{i}", "write", 10, 1.0)
    [call] = journal.write([lambda changes: changes.reserve(worst, Limits(cost=150.0))])
    if call is not None:
        reply = Reply(f"{i} by {sys.argv[2]}", 6, 4)
        journal.write([lambda changes: changes.keep(call, f"k{i}", "write", reply, 1.0)])
"""


def test_processes_share_a_journal_and_its_budget(journal: Journal) -> None:
    """Two processes ask the same hundred things; there is money for 150 calls."""
    command = [sys.executable, "-c", WRITER, str(journal.path)]
    running = [subprocess.Popen([*command, name]) for name in ("a", "b")]
    assert [one.wait() for one in running] == [0, 0]
    assert journal.spent() == Spent(150, 900, 600, 150.0, 0, 0, 0.0)
    [count] = journal.counts()
    assert count.replies == 100


def test_a_newer_or_foreign_file_is_refused(tmp_path: Path) -> None:
    newer = tmp_path / "newer.sqlite"
    with sqlite3.connect(newer) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(UserError, match="newer metaalign"):
        Journal(newer)
    text = tmp_path / "text.sqlite"
    text.write_text("this is no database, and longer than a header of one would be" * 9)
    with pytest.raises(UserError, match=r"cannot keep replies in .*text.sqlite"):
        Journal(text)
    with pytest.raises(UserError, match="cannot keep replies"):
        Journal(text / "journal.sqlite")


def test_a_journal_in_words(journal: Journal) -> None:
    keep(journal, "a", Reply("x", 1000, 5))
    keep(journal, "b", Reply("bad\nreply", 10, 5))
    journal.write([lambda changes: changes.judge("b", "malformed", "it is bad")])
    reserve(journal, "lost")
    lines = [*journal_lines(journal)]
    assert lines[1].split() == ["write", "answered", "1", "1,000", "5", "0.5000"]
    assert lines[2].split()[:3] == ["write", "malformed", "1"]
    assert lines[3] == "2 calls were answered: 1,010 tokens in, 10 out, cost 1.0000"
    assert lines[4].startswith("1 calls have no answer, at most 100 tokens and 1.0000")
    assert [*quarantine_lines(journal)] == ["b write malformed: it is bad | bad reply"]
