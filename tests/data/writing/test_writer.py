"""Groups of all families, written by a mock teacher that is a real server."""

import json
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from tests.data.families.material import best
from tests.data.writing.written import FAMILIES, KINDS, mock, queries_file, target, write, writer
from tests.generate.chat_server import Answer, ChatServer, Request, chat_server

from metaalign.data.sources.records import Skipped
from metaalign.data.writing.work import NO_FLIP_LEFT, TOO_FEW
from metaalign.policy import load_matrix, resolve
from metaalign.sandbox import load_world
from metaalign.sandbox.behind_mock import sandbox_answer
from metaalign.sandbox.checking import check
from metaalign.schema import Family, UserError

BAD = {"malformed_rate": 0.15, "refusal_rate": 0.1, "error_rate": 0.1}


@pytest.mark.parametrize("family", FAMILIES)
def test_groups_hold_what_a_group_must(family: Family, tmp_path: Path) -> None:
    queries_file(tmp_path, KINDS[family])
    with mock() as (url, _):
        groups, skipped = write(writer(tmp_path, family, url, rounds=1, answers=3))
    assert len(groups) + sum(skipped.values()) == 6
    assert len(groups) >= 5
    for group in groups:
        assert (group.family, group.source) == (family, f"written-{family}")
        assert group.flips()
        assert {candidate.source for candidate in group.candidates} == {"mock"}
        assert len({candidate.text for candidate in group.candidates}) == len(group.candidates)
        # Views that want the same put the same first, and others put something else first.
        wanted: dict[object, set[str]] = {}
        for view in group.views:
            assert view.ordered_by == "matrix"
            wanted.setdefault(target(group, view), set()).add(best(group, view))
        assert all(len(texts) == 1 for texts in wanted.values())
        assert len({next(iter(texts)) for texts in wanted.values()}) == len(wanted)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_view_puts_first_obeys_it_and_what_it_rejects_does_not(
    family: Family, tmp_path: Path
) -> None:
    """With the sandbox behind the mock there is a program that judges every answer."""
    world, matrix = load_world(), load_matrix()
    axis = world.queries["contested"][0].axis if family in ("consensus", "opinion") else None
    queries_file(tmp_path, KINDS[family], axis=axis)
    with mock(sandbox_answer) as (url, _):
        groups, _ = write(writer(tmp_path, family, url))
    asks = {q.asks[0]: q for queries in world.queries.values() for q in queries}
    sides = {person.text: person.side for person in world.personas}
    judged = 0
    for group in groups:
        for view in group.views:
            known = [p for p in view.preferences if p.dimension != "background"]
            known += [
                # Who somebody is is known to the world by the side that is theirs.
                type(p)(p.tier, "background", sides[p.value], p.wording, False)
                for p in view.preferences
                if p.dimension == "background" and p.value in sides
            ]
            resolution = resolve(known, group.kind, matrix)
            for rank, candidate in zip(view.ranks, group.candidates, strict=True):
                verdict = check(asks[group.turns[0].text], resolution, candidate.text, world)
                assert verdict.obeyed == (rank == 0), (view, candidate)
                judged += 1
    assert judged >= 8


def test_what_cannot_be_used_is_counted_and_the_groups_that_are_left_are_whole(
    tmp_path: Path,
) -> None:
    queries_file(tmp_path, ["benign"], 40)
    with mock(**BAD) as (url, behaviour):
        one = writer(tmp_path, "helpful", url, answers=3)
        groups, skipped = write(one)
    assert behaviour.stats.refused and behaviour.stats.malformed and behaviour.stats.errors
    assert len(groups) + sum(skipped.values()) == 40
    assert set(skipped) <= {TOO_FEW, NO_FLIP_LEFT}
    assert skipped[TOO_FEW]
    assert all(group.flips() for group in groups)
    costs = one.costs()
    candidates = sum(len(group.candidates) for group in groups)
    assert costs["write.answered"] >= candidates
    assert costs["write.refused"] and costs["views without their candidate"]


@pytest.mark.parametrize("family", FAMILIES)
def test_writing_again_asks_nothing_and_gives_the_same(family: Family, tmp_path: Path) -> None:
    queries_file(tmp_path, KINDS[family])
    with mock(**BAD) as (url, behaviour):
        one = writer(tmp_path, family, url, rounds=2, order="matrix+teacher", near_miss=0.5)
        first = write(one)
        calls, costs = behaviour.stats.calls, one.costs()
        assert behaviour.stats.repeated == 0
        assert write(one) == first
        assert behaviour.stats.calls == calls
        assert one.costs() == costs


def test_neither_haste_nor_batches_change_anything(tmp_path: Path) -> None:
    made = []
    for number, manner in enumerate(
        ({"concurrency": 1}, {"concurrency": 16}, {"batch": True, "poll_seconds": 0.02})
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        queries_file(folder, ["benign"], 10)
        asked: dict[str, Any] = {"rounds": 1, "near_miss": 1, "order": "matrix+teacher"}
        with mock(malformed_rate=0.1, refusal_rate=0.1) as (url, _):
            one = writer(folder, "helpful", url, settings=manner, **asked)
            made.append((*write(one), one.costs()))
    assert made[0] == made[1] == made[2]
    assert made[0][0]


def test_what_was_interrupted_goes_on_and_pays_for_nothing_twice(tmp_path: Path) -> None:
    queries_file(tmp_path, ["benign"], 30)
    with mock(malformed_rate=0.1) as (url, behaviour):
        one = writer(tmp_path, "helpful", url, rounds=1, settings={"concurrency": 4})
        stream = one.write(seed=0, skipped=Skipped())
        begun = list(islice(stream, 5))
        stream.close()  # type: ignore[attr-defined]
        calls = behaviour.stats.calls
        whole, _ = write(one)
        assert whole[:5] == begun
        assert behaviour.stats.repeated == 0
        assert behaviour.stats.calls > calls > 0


def test_a_budget_ends_it_with_one_line_and_more_of_it_goes_on(tmp_path: Path) -> None:
    queries_file(tmp_path, ["benign"], 30)
    with mock() as (url, behaviour):
        poor = writer(tmp_path, "helpful", url, settings={"max_tokens": 15_000})
        with pytest.raises(UserError, match="budget"):
            write(poor)
        assert behaviour.stats.calls > 0
        groups, _ = write(writer(tmp_path, "helpful", url))
        assert behaviour.stats.repeated == 0
    assert len(groups) > 25


def test_a_dry_run_knows_the_calls_before_and_after(tmp_path: Path) -> None:
    queries_file(tmp_path, ["benign"], 8)
    with mock() as (url, behaviour):
        one = writer(tmp_path, "helpful", url, rounds=1, order="teacher")
        before = Counter(request.task for request in one.requests(seed=0))
        assert behaviour.stats.calls == 0
        write(one)
        # The mock always finds something to criticise, so nothing comes to less than foreseen.
        assert sum(before.values()) == behaviour.stats.calls
        after = Counter(request.task for request in one.requests(seed=0))
    assert after == before
    assert set(before) == {"write", "critique", "revise", "order"}


@pytest.fixture
def server() -> Any:
    with chat_server() as running:
        yield running


def fields(request: Request) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(request["messages"][-1]["content"])
    return found


def wants(request: Request) -> str:
    return " ".join(point["what"] for point in fields(request)["must"])


def says_what_it_wants(request: Request) -> Answer:
    """A teacher that writes what a brief says, finds nothing wrong, and likes what is written first
    best."""
    said = fields(request)
    if "candidates" in said:
        ranks = {one["letter"]: n for n, one in enumerate(said["candidates"], 1)}
        return Answer(json.dumps({"ranks": ranks}))
    if "violations" in said:
        return Answer(json.dumps({"response": f"Revised: {wants(request)}", "refusal": ""}))
    if "response" in said:
        return Answer('{"violations": []}')
    return Answer(json.dumps({"response": wants(request), "refusal": ""}))


def test_a_teacher_that_goes_by_the_place_orders_nothing(
    server: ChatServer, tmp_path: Path
) -> None:
    queries_file(tmp_path, ["benign"], 4)
    server.say = says_what_it_wants
    one = writer(tmp_path, "helpful", server.url, order="teacher")
    groups, skipped = write(one)
    assert not groups
    assert sum(skipped.values()) == 4
    assert one.costs()["orders that the teacher contradicted"] > 4


def test_the_matrix_holds_where_the_teacher_contradicts_itself(
    server: ChatServer, tmp_path: Path
) -> None:
    queries_file(tmp_path, ["benign"], 4)
    server.say = says_what_it_wants
    groups, _ = write(writer(tmp_path, "helpful", server.url, order="matrix+teacher"))
    assert groups
    for group in groups:
        for view in group.views:
            assert view.ordered_by == "matrix+teacher"
            by = [annotation.by for annotation in view.annotations]
            assert by == ["matrix", "teacher:mock", "teacher:mock"]
            assert view.ranks == view.annotations[0].ranks


def test_the_writer_is_told_nothing_of_other_views(server: ChatServer, tmp_path: Path) -> None:
    queries_file(tmp_path, ["benign"], 6)
    server.say = says_what_it_wants
    groups, _ = write(writer(tmp_path, "helpful", server.url))
    shown = [fields(request) for request in server.seen]
    for group in groups:
        prompts = {(v.meta_prompt.system_info, v.meta_prompt.user_info) for v in group.views}
        mine = [one for one in shown if one["query"] == group.turns[0].text]
        assert len(mine) == len(group.candidates)
        for one in mine:
            assert set(one) <= {"query", "system_info", "user_info", "must", "must_not"}
            assert (one.get("system_info", ""), one.get("user_info", "")) in prompts


def test_a_response_is_revised_until_nothing_is_found(server: ChatServer, tmp_path: Path) -> None:
    queries_file(tmp_path, ["benign"], 3)

    def strict_about_first_drafts(request: Request) -> Answer:
        said = fields(request)
        fresh = "response" in said and "violations" not in said
        if fresh and not said["response"].startswith("Revised"):
            return Answer('{"violations": [{"entry": "answer", "why": "it is a first draft"}]}')
        return says_what_it_wants(request)

    server.say = strict_about_first_drafts
    groups, _ = write(writer(tmp_path, "helpful", server.url, rounds=3))
    texts = [candidate.text for group in groups for candidate in group.candidates]
    assert texts and all(text.startswith("Revised") for text in texts)
    asked = Counter(request["response_format"]["json_schema"]["name"] for request in server.seen)
    assert asked["critique"] == 2 * asked["write"]
    assert asked["revise"] == asked["write"]


def test_candidates_that_say_the_same_are_no_flip(server: ChatServer, tmp_path: Path) -> None:
    queries_file(tmp_path, ["benign"], 3)
    server.say = lambda _: Answer('{"response": "Yes.", "refusal": ""}')
    one = writer(tmp_path, "helpful", server.url)
    groups, skipped = write(one)
    assert (groups, skipped[TOO_FEW]) == ([], 3)
    assert one.costs()["candidates that repeat another"] == 3


def test_the_hash_changes_with_what_is_asked_and_with_nothing_else(tmp_path: Path) -> None:
    path = queries_file(tmp_path, ["benign"])
    first = writer(tmp_path, "helpful").content_hash
    assert writer(tmp_path, "helpful", settings={"concurrency": 2}).content_hash == first
    assert writer(tmp_path, "helpful", rounds=1).content_hash != first
    path.write_text(path.read_text("utf-8") + '{"query": "One more?"}\n', encoding="utf-8")
    assert writer(tmp_path, "helpful").content_hash != first


def test_a_limit_takes_so_many_queries_by_hash(tmp_path: Path) -> None:
    queries_file(tmp_path, ["benign"], 20)
    plans = [
        [plan.query.id for plan in one.plans(seed=0, skipped=Skipped())]
        for one in (writer(tmp_path, "helpful", limit=5), writer(tmp_path, "helpful"))
    ]
    assert len(plans[0]) == 5
    assert set(plans[0]) < set(plans[1])
    assert plans[0] != plans[1][:5]


@pytest.mark.parametrize(
    ("family", "changes", "complaint"),
    [
        ("opinion", {"personas": ""}, "needs personas"),
        ("priority", {"preferences": "p.jsonl"}, "helpful alone"),
        ("helpful", {"weights": {"matrix": 1}}, "order = matrix"),
        ("helpful", {"answers": 9}, "answers"),
        ("helpful", {"anwsers": 2}, "anwsers"),
        ("helpful", {"queries": "prsm"}, "no source of queries is called 'prsm'"),
    ],
)
def test_a_wrong_table_is_told(
    family: Family, changes: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=complaint):
        writer(tmp_path, family, **changes)
