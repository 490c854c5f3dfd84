"""The suite of edge cases, and what happens to dialogues that are longer than a model reads."""

import html
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from tests.evaluate.makers import (
    ASIDE,
    Reader,
    irrelevant,
    make_dataset,
    make_world,
    verify,
)

from metaalign.evaluate import Limits, Model, Report, edge_table, evaluate
from metaalign.evaluate.answers import answers_path
from metaalign.evaluate.asking import within
from metaalign.evaluate.records import Answer
from metaalign.evaluate.report import render
from metaalign.generate import Engine
from metaalign.generate.engine import ContextOverflow
from metaalign.policy import load_matrix, resolve
from metaalign.sandbox.cases import Case, build_cases
from metaalign.schema import Dialogue, Group, Progress, UserError, View, silent

MATRIX = load_matrix()


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return build_cases(MATRIX, per_kind=4, seed=2)


class Knows(Reader):
    """A model that knows the cases by heart, but for some kinds, which it answers with nonsense."""

    def __init__(
        self,
        cases: Sequence[Case],
        fails: Sequence[str] = (),
        world: dict[str, list[Group]] | None = None,
    ) -> None:
        super().__init__(world or {})
        self.asked: list[Dialogue] = []
        for case in cases:
            text = "Nonsense." if case.name in fails else case.expected
            self.best[case.group.dialogue(case.view)] = text

    def answer(
        self,
        dialogues: Sequence[Dialogue],
        *,
        samples: int = 1,
        temperature: float = 0.0,
        max_new_tokens: int = 128,
        seed: int = 0,
        progress: Progress = silent,
    ) -> list[list[str]]:
        self.asked += dialogues
        return [[self.reply(dialogue)] * samples for dialogue in dialogues]


def run(
    model: Model,
    cases: Sequence[Case],
    out: Path,
    dataset: Path | None = None,
    limits: Limits | None = None,
) -> Report:
    return evaluate(
        {"m": "m"},
        dataset,
        out,
        cases=cases,
        verifier=verify,
        irrelevant=irrelevant,
        limits=limits or Limits(),
        load=lambda _: model,
    )


def test_edge_cases_alone_give_one_metric_and_its_kinds(cases: list[Case], tmp_path: Path) -> None:
    report = run(Knows(cases, ["quoted", "floor"]), cases, tmp_path)
    [(metric, found)] = report.models["m"].items()
    kinds = list(dict.fromkeys(case.name for case in cases))
    assert metric == "edge_cases"
    assert found.n == 4 * len(kinds)
    assert found.value == pytest.approx(1 - 2 / len(kinds), abs=1e-6)
    assert found.ci95[0] < found.value < found.ci95[1]
    by_kind = report.breakdown["m"]["edge_cases"]
    assert {kind: e.value for kind, e in by_kind.items()} == {
        kind: float(kind not in ("quoted", "floor")) for kind in kinds
    }
    assert {e.n for e in by_kind.values()} == {4}
    # Nonsense is an answer, and so is what a quotation asks for; a refusal it is not.
    behaved = report.breakdown["m"]["edge_cases_behaviour"]
    assert (behaved["quoted"].value, behaved["floor"].value) == (1, 0)
    assert list(report.cases) == kinds
    assert report.goals == ()
    assert report.matrix == MATRIX.label
    assert not any("win_rate" in note for note in report.notes)


def test_one_failure_of_every_kind_is_shown_with_what_was_expected_and_why(
    cases: list[Case], tmp_path: Path
) -> None:
    fails = list(dict.fromkeys(case.name for case in cases))
    report = run(Knows(cases, fails), cases, tmp_path)
    assert [failure.case for failure in report.failures] == fails
    [talk] = [f for f in report.failures if f.case == "changed-back"]
    case = next(case for case in cases if case.name == "changed-back")
    assert talk.expected == case.expected
    assert talk.earlier == case.group.turns[:-1]
    assert any("later-turn" in sentence for sentence in talk.why)
    page = render(report)
    assert all(html.escape(case.about) in page.replace("&#39;", "&#x27;") for case in cases)
    assert "Earlier, the answer" in page
    assert 'id="edge"' in page
    assert 'id="conditional"' not in page  # nothing was measured by log-probabilities


def test_the_table_for_the_terminal_has_a_row_for_every_kind(
    cases: list[Case], tmp_path: Path
) -> None:
    head, *rows = edge_table(run(Knows(cases, ["floor"]), cases, tmp_path))
    assert head == ("edge cases", "n", "m obeys", "m behaves")
    assert len(rows) == len({case.name for case in cases})
    assert ("floor", "4", "0.0%", "0.0%") in rows
    assert ("agreement", "4", "100.0%", "100.0%") in rows


def test_edge_cases_stand_beside_a_dataset_and_change_none_of_its_numbers(
    cases: list[Case], tmp_path: Path
) -> None:
    world = make_world()
    dataset = make_dataset(tmp_path / "dataset", world)
    plain = run(Reader(world), (), tmp_path / "plain", dataset)
    both = run(Knows(cases, ["quoted"], world), cases, tmp_path / "both", dataset)
    assert both.models["m"].pop("edge_cases").n == len(cases)
    assert both.models == plain.models
    parts = both.breakdown["m"]
    assert {parts.pop("edge_cases")["quoted"].value} == {0}
    del parts["edge_cases_behaviour"]
    assert both.breakdown == plain.breakdown
    assert both.cells == plain.cells
    assert both.goals == plain.goals
    assert [f.case for f in both.failures if f.case] == ["quoted"]
    assert both.dataset["edge cases"] == str(len(cases))


def test_cases_of_another_matrix_are_told_apart(tmp_path: Path) -> None:
    others = build_cases(load_matrix("default", "user_first"), per_kind=1)
    world = make_world()
    dataset = make_dataset(tmp_path / "dataset", world)
    report = run(Knows(others, (), world), others, tmp_path / "out", dataset)
    assert report.models["m"]["edge_cases"].value == 1
    assert any("user_first, not default" in note for note in report.notes)


def test_a_model_that_always_lets_the_person_win_is_found_out(
    cases: list[Case], tmp_path: Path
) -> None:
    """The cases are judged by what their Matrix gives, not by the verifier of other data."""
    swapped = []
    for case in cases:
        other = {"system_info": "user_info", "user_info": "system_info"}
        asked = [
            msgspec.structs.replace(p, tier=other[p.tier], turn=None) for p in case.preferences
        ]
        resolution = resolve(asked, case.group.kind, MATRIX)
        swapped.append(msgspec.structs.replace(case, resolution=resolution))
    report = run(Knows(cases), swapped, tmp_path)
    assert report.breakdown["m"]["edge_cases"]["across-tiers-contradiction"].value == 0
    assert report.breakdown["m"]["edge_cases"]["agreement"].value == 1


def test_nothing_to_ask_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is nothing to ask"):
        run(Knows([]), [], tmp_path)


def test_a_limit_takes_of_every_kind_alike(cases: list[Case], tmp_path: Path) -> None:
    kinds = len({case.name for case in cases})
    report = run(Knows(cases), cases, tmp_path, limits=Limits(cases=2 * kinds))
    assert report.models["m"]["edge_cases"].n == 2 * kinds
    assert {e.n for e in report.breakdown["m"]["edge_cases"].values()} == {2}
    with pytest.raises(UserError, match="at least 1"):
        Limits(cases=0)


def test_answers_to_the_same_cases_are_used_again(cases: list[Case], tmp_path: Path) -> None:
    model = Knows(cases)
    for _ in range(2):
        run(model, cases, tmp_path)
    assert len(model.asked) == len({case.group.dialogue(case.view) for case in cases})
    run(model, cases[:-1], tmp_path)
    assert len(model.asked) > len(cases)


# --- longer than the model reads ---


class Narrow(Knows):
    """A model that reads ``limit`` characters of a prompt and its answer."""

    limit = 0

    def answer(self, dialogues: Sequence[Dialogue], **more: object) -> list[list[str]]:
        self.check([(dialogue, "") for dialogue in dialogues])
        return super().answer(dialogues)

    def logprobs(self, dialogues: Sequence[Dialogue], answers: Sequence[str]) -> list[float]:
        self.check(list(zip(dialogues, answers, strict=True)))
        return super().logprobs(dialogues, answers)

    def check(self, pairs: Sequence[tuple[Dialogue, str]]) -> None:
        if any(size(d) + len(text) > self.limit for d, text in pairs):
            raise ContextOverflow("too long")


def size(dialogue: Dialogue) -> int:
    texts = [t.text for t in dialogue.meta_prompt.tiers] + [t.text for t in dialogue.turns]
    return sum(map(len, texts))


def test_what_is_too_long_is_left_out_counted_and_told(cases: list[Case], tmp_path: Path) -> None:
    model = Narrow(cases, ["quoted"])
    sizes = [size(case.group.dialogue(case.view)) for case in cases]
    model.limit = sorted(sizes)[len(sizes) // 2]
    report = run(model, cases, tmp_path)
    fitting = sum(s <= model.limit for s in sizes)
    assert 0 < fitting < len(cases)
    assert report.models["m"]["edge_cases"].n == fitting
    [note] = [note for note in report.notes if "longer than the model reads" in note]
    assert f"{len(cases) - fitting} of edge_cases" in note
    lines = answers_path(tmp_path, "m").read_bytes().splitlines()
    kept = [msgspec.json.decode(line, type=Answer) for line in lines]
    assert all(size(answer.dialogue) <= model.limit for answer in kept)
    # A kind of which nothing could be asked has no row.
    asked = {name for name, _, *_ in edge_table(report)[1:]}
    assert "changed-back" not in asked


def test_every_suite_goes_on_without_what_is_too_long(tmp_path: Path) -> None:
    world = make_world()
    dataset = make_dataset(tmp_path / "dataset", world)
    everything = run(Reader(world), (), tmp_path / "all", dataset)
    model = Narrow([], (), world)
    # A plain dialogue and its answer fit; the sentence that makes it a steered twin is too much.
    plain = [g for g in world["test"] if g.id.startswith("group-benign")]
    answer = max(len(c.text) for g in plain for c in g.candidates)
    model.limit = max(size(g.dialogue(v)) for g in plain for v in g.views) + answer
    assert answer < len(ASIDE)
    report = run(model, (), tmp_path / "narrow", dataset)
    [note] = [note for note in report.notes if "longer than the model reads" in note]
    assert "8 of over_steer" in note
    assert report.models["m"]["follow"] == everything.models["m"]["follow"]
    assert 0 < report.models["m"]["flip"].n < everything.models["m"]["flip"].n
    assert "of flip" in note

    model.limit = 10
    empty = run(model, (), tmp_path / "empty", dataset)
    assert empty.models["m"] == {}
    assert (tmp_path / "empty" / "report.html").exists()


def test_a_steered_twin_without_its_base_does_not_count(tmp_path: Path) -> None:
    world = make_world()
    dataset = make_dataset(tmp_path / "dataset", world)
    shorter = Dialogue.ask("", "x").meta_prompt

    def shorten(view: View, _seed: int) -> View:
        return msgspec.structs.replace(view, meta_prompt=shorter)

    class Twins(Narrow):
        def reply(self, dialogue: Dialogue) -> str:
            return "nonsense"

    model = Twins([], (), world)
    # A base says nothing shorter than "length long. ": its twin fits, the base itself does not.
    model.limit = max(size(Dialogue(shorter, g.turns)) for g in world["test"])
    report = evaluate(
        {"m": "m"},
        dataset,
        tmp_path / "out",
        verifier=verify,
        irrelevant=shorten,
        load=lambda _: model,
    )
    assert "follow" not in report.models["m"]
    assert "over_steer" not in report.models["m"]


def test_other_errors_are_not_taken_for_length(cases: list[Case], tmp_path: Path) -> None:
    class Broken(Knows):
        def answer(self, *_: object, **__: object) -> list[list[str]]:
            raise UserError("no such marker")

    with pytest.raises(UserError, match="no such marker"):
        run(Broken(cases), cases, tmp_path)


def test_asking_within_the_limit_asks_all_at_once_if_it_can() -> None:
    calls: list[list[int]] = []

    def double(numbers: Sequence[int]) -> list[int]:
        calls.append(list(numbers))
        if max(numbers) > 100:
            raise ContextOverflow("too long")
        return [2 * n for n in numbers]

    assert within(double, [3, 1, 2], length=int) == {3: 6, 1: 2, 2: 4}
    assert calls == [[3, 1, 2]]
    assert within(double, [*range(100), 101, 500], length=int) == {n: 2 * n for n in range(100)}
    assert len(calls) < 20


# --- a real engine ---


@pytest.mark.parametrize("name", ["changed-back", "talk-over-user-info"])
def test_an_engine_answers_after_earlier_turns(name: str, small_model: Path) -> None:
    talks = [c.group.dialogue(c.view) for c in build_cases(MATRIX, 3, kinds=[name])]
    engine = Engine.load(small_model)
    assert any(len(talk.turns) > 1 for talk in talks)
    alone = [engine.answer([talk], max_new_tokens=4)[0] for talk in talks]
    assert engine.answer(talks, max_new_tokens=4) == alone
    short = [Dialogue(talk.meta_prompt, talk.turns[-1:]) for talk in talks]
    assert all(
        engine.count_tokens(talk) > engine.count_tokens(one)
        for talk, one in zip(talks, short, strict=True)
        if talk != one
    )


def test_a_real_model_with_a_small_context_skips_the_long_talks(
    small_model: Path, tmp_path: Path
) -> None:
    cases = build_cases(MATRIX, 3, kinds=["agreement", "changed-back"])
    engine = Engine.load(small_model)
    lengths = {c.group.id: engine.count_tokens(c.group.dialogue(c.view)) for c in cases}
    talks = [n for name, n in lengths.items() if name.startswith("changed-back")]
    engine.model.config.max_position_embeddings = min(talks) + 3
    report = run(engine, cases, tmp_path, limits=Limits(max_new_tokens=4))
    assert list(report.breakdown["m"]["edge_cases"]) == ["agreement"]
    assert any("3 of edge_cases" in note for note in report.notes)
