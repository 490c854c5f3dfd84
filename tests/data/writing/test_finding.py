"""New preferences and people, asked for in rounds."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.data.writing.written import MATRIX, mock
from tests.generate.chat_server import Answer, ChatServer, Request, chat_server

from metaalign.cli import main
from metaalign.data.teacher.requests import Outcome
from metaalign.data.teacher.settings import Settings
from metaalign.data.writing import finding
from metaalign.data.writing.finding import Hunt, Round, find, find_and_write, known_seeds
from metaalign.data.writing.pools import Found
from metaalign.policy import load_matrix

Said = tuple[str, str, str]
RHYME = ("answers in rhyme", "I am fond of rhymes.", "Rhyme wherever you can.")
TEA = ("a hint at tea", "A hint at tea makes my day.", "Hint at tea once.")


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server() as running:
        yield running


def reply(*entries: Said) -> str:
    fields = ("text", "user_info", "system_info")
    made = [dict(zip(fields, one, strict=True)) for one in entries]
    return json.dumps({"preferences": made})


def rounds(*replies: str, seeds: tuple[str, ...] = (), **hunt: Any) -> list[Round]:
    """The rounds of a teacher that gives these replies one after the other, and then nothing."""
    queue = list(replies)

    def ask(questions: Any) -> Any:
        for question in questions:
            value = question.check(queue.pop(0)) if queue else ()
            yield Outcome(question.request, "", "answered", value)

    given = Hunt(**{"want": 50, "per_call": 2, "model": "tf-idf", **hunt})
    return list(find(given, seeds, MATRIX, ask))


def test_what_is_new_is_kept_once() -> None:
    again = ("Answers in RHYME!", *RHYME[1:])
    [first, *_] = rounds(reply(RHYME, TEA), reply(again))
    assert [one.text for one in first.kept] == ["answers in rhyme", "a hint at tea"]
    assert first.dropped == {finding.SAME_WORDS: 1}


def test_the_same_in_other_words_is_not_new() -> None:
    longer = ("answers, all of them, always in rhyme and in rhyme alone", *RHYME[1:])
    same = ("answers in rhyme in answers", *RHYME[1:])
    [first, *_] = rounds(reply(RHYME, same), reply(longer), threshold=0.6)
    assert [one.text for one in first.kept] == [RHYME[0], longer[0]]
    assert first.dropped == {finding.SAME_MEANING: 1}


def test_nothing_like_a_seed_is_kept() -> None:
    [only] = rounds(reply(RHYME), seeds=("Answers in rhyme.",))
    assert (only.new, dict(only.dropped)) == (0, {finding.SAME_WORDS: 1})


def test_the_rules_say_of_which_dimension_it_is() -> None:
    brief = ("brief answers", "Please keep it short.", "Keep answers short.")
    [first, *_] = rounds(reply(brief, RHYME))
    assert first.kept == (
        Found("brief answers", "length", "short", "Keep answers short.", "Please keep it short."),
        Found("answers in rhyme", "other", "answers in rhyme", *RHYME[:0:-1]),
    )


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (("mixed", "Please keep it short.", "Give long answers."), finding.TWO_WAYS),
        (("mixed", "I am fond of rhymes.", "Keep answers short."), finding.TWO_WAYS),
        (
            ("both", "Please keep it short, as bullets.", "Keep answers short. Use bullets."),
            finding.SEVERAL,
        ),
        (
            ("open", "If it is complicated, keep it short.", "Keep answers short."),
            finding.OPEN,
        ),
    ],
)
def test_words_that_the_rules_read_otherwise_are_left_out(entry: Said, reason: str) -> None:
    [only] = rounds(reply(entry))
    assert (only.kept, dict(only.dropped)) == ((), {reason: 1})


def test_a_person_asks_for_nothing() -> None:
    texts = ["I keep bees. My village is small.", "I keep bees. Please keep it short."]
    said = json.dumps({"personas": [{"text": text} for text in texts]})
    [first, *_] = rounds(said, what="personas")
    assert [one.text for one in first.kept] == texts[:1]
    assert first.dropped == {finding.A_WISH: 1}


def test_it_ends_with_what_is_wanted() -> None:
    found = rounds(*(reply((f"the wish {n} of mine", *RHYME[1:])) for n in range(40)), want=3,
                   threshold=1.0)  # fmt: skip
    assert [len(one.kept) for one in found] == [2, 3]


def test_it_ends_where_a_round_brings_too_little() -> None:
    found = rounds(reply(RHYME))
    assert [one.new for one in found] == [1, 0]


def test_no_round_asks_for_more_than_is_known_beyond_the_first() -> None:
    said = [reply(*((f"{n} {word} {n}", *RHYME[1:]) for word in "ab")) for n in range(400)]
    found = rounds(*said, want=300, threshold=1.0)
    known = 0
    for one in found:
        assert one.calls <= max(8, known // 2)
        known = len(one.kept)
    assert known == 300


def test_what_was_found_is_shown_and_quoted(server: ChatServer, tmp_path: Path) -> None:
    shown: list[str] = []

    def say(request: Request) -> Answer:
        material = json.loads(request["messages"][-1]["content"])
        shown.extend(material["known"])
        number = len(server.seen)
        words = f"{'abcdefghijklmnopqrstuvwxyz'[number % 26] * 5} number {number}"
        return Answer(reply((words, *RHYME[1:])))

    server.say = say
    given = Settings(model="m", base_url=server.url, journal=str(tmp_path / "j.sqlite"))
    hunt = Hunt(want=20, per_call=1, model="tf-idf", threshold=0.99)
    out = tmp_path / "found.jsonl"
    told = list(find_and_write(hunt, ["a seed"], MATRIX, given, out))
    assert shown[0] == "a seed"
    found = [msgspec.json.decode(line, type=Found) for line in out.read_bytes().splitlines()]
    assert len(found) == 20
    assert {one.text for one in found} & set(shown)
    assert "20 preferences are in" in told[-1]


def test_asking_again_pays_for_nothing_and_finds_the_same(tmp_path: Path) -> None:
    def hunt(url: str, name: str, concurrency: int) -> bytes:
        journal = str(tmp_path / f"{name}.sqlite")
        given = Settings(model="mock", base_url=url, journal=journal, concurrency=concurrency)
        seeds = known_seeds(Hunt(want=1), MATRIX)
        wanted = Hunt(want=60, per_call=5, model="tf-idf")
        for _ in find_and_write(wanted, seeds, MATRIX, given, tmp_path / f"{name}.jsonl"):
            pass
        return (tmp_path / f"{name}.jsonl").read_bytes()

    with mock(malformed_rate=0.1, refusal_rate=0.1) as (url, behaviour):
        first = hunt(url, "first", 8)
        calls = behaviour.stats.calls
        assert hunt(url, "first", 8) == first
        assert behaviour.stats.calls == calls
        assert hunt(url, "second", 1) == first


def test_the_seeds_name_every_value_of_the_matrix() -> None:
    seeds = known_seeds(Hunt(want=1), load_matrix())
    values = [v for d in load_matrix().dimensions.values() for v in d.values]
    assert len(seeds) == len(values)
    assert known_seeds(Hunt(want=1, what="personas"), load_matrix()) == []


def test_the_command_finds_and_says_beforehand_what_it_costs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, seeds = tmp_path / "found.jsonl", tmp_path / "seeds.jsonl"
    seeds.write_text('{"text": "answers in rhyme"}\n', encoding="utf-8")
    with mock() as (url, behaviour):
        words = ["data", "preferences", "--want", "10", "--teacher-model", "mock"]
        words += ["--base-url", url, "--out", str(out), "--meaning", "tf-idf"]
        words += ["--seeds", str(seeds), "--price-out", "2", "--max-cost", "1"]
        assert main([*words, "--dry-run"]) == 0
        assert behaviour.stats.calls == 0
        assert not out.exists()
        # One call is to bring all ten: 2048 tokens at most, at 2 per million.
        assert "preferences                   1          0" in capsys.readouterr().out
        assert main(words) == 0
    assert len(out.read_text("utf-8").splitlines()) == 10
    assert "10 preferences are in" in capsys.readouterr().out


def test_the_budget_ends_the_command_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with mock() as (url, _):
        words = ["data", "preferences", "--want", "500", "--teacher-model", "mock"]
        words += ["--base-url", url, "--out", str(tmp_path / "found.jsonl"), "--meaning", "tf-idf"]
        assert main([*words, "--max-tokens", "40000"]) == 2
    err = capsys.readouterr().err
    assert "budget" in err and len(err.strip().splitlines()) == 1
