"""A whole evaluation: models in, report out; finished work is used again."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest
from tests.evaluate.makers import (
    REFUSAL,
    SYSTEM_SHORT,
    USER_LONG,
    Reader,
    Shortcut,
    irrelevant,
    make_dataset,
    make_group,
    make_world,
    verify,
)

from metaalign.evaluate import Limits, Model, Report, assemble, evaluate, evaluate_one, read_report
from metaalign.evaluate.answers import answers_path
from metaalign.evaluate.records import Answer
from metaalign.schema import SYSTEM_INFO, USER_INFO, Dialogue, Event, Group, UserError

Models = dict[str, Model]


@pytest.fixture
def world() -> dict[str, list[Group]]:
    return make_world()


@pytest.fixture
def dataset(tmp_path: Path, world: dict[str, list[Group]]) -> Path:
    return make_dataset(tmp_path / "dataset", world)


class Loader:
    """Opens models by name and counts how often."""

    def __init__(self, models: Models) -> None:
        self.models = models
        self.opened: list[str] = []

    def __call__(self, model: Path | str) -> Model:
        self.opened.append(str(model))
        return self.models[str(model)]


def run(
    models: Models, dataset: Path, out: Path, seed: int = 0, limits: Limits | None = None
) -> Report:
    return evaluate(
        {name: name for name in models},
        dataset,
        out,
        seed=seed,
        verifier=verify,
        irrelevant=irrelevant,
        load=Loader(models),
    )


def test_a_model_that_reads_the_meta_prompt_scores_on_everything(
    dataset: Path, world: dict[str, list[Group]], tmp_path: Path
) -> None:
    refuser = Shortcut(len, REFUSAL)
    models: Models = {"vanilla-sft": refuser, "aligned-sft": refuser, "metaalign": Reader(world)}
    measured = {
        m: e.value for m, e in run(models, dataset, tmp_path / "out").models["metaalign"].items()
    }
    assert measured == {
        "follow": 1,
        "follow_unseen_values": 1,
        "follow_unseen_wordings": 1,
        "obey_harmful": 1,
        "obey_conflict": 1,
        "over_refusal": 0,
        "over_steer": 0,
        "flip": 1,
        "margin": 1,
        "benign_win_rate_vs_vanilla": 1,
        "benign_win_rate_vs_aligned": 1,
    }


SHORTCUTS: dict[str, Callable[[str], float]] = {
    "all alike": lambda text: 0.0,
    "the first candidate": lambda text: -float(text != REFUSAL),
    "the longest": lambda text: float(len(text)),
    "the shortest": lambda text: -float(len(text)),
}


@pytest.mark.parametrize("name", SHORTCUTS)
def test_a_shortcut_scores_nothing_on_flips(name: str, dataset: Path, tmp_path: Path) -> None:
    report = run({"m": Shortcut(SHORTCUTS[name])}, dataset, tmp_path / "out")
    assert report.models["m"]["flip"].value == 0
    assert report.models["m"]["margin"].value == 0
    assert report.models["m"]["flip"].n > 0


def test_a_model_that_always_refuses_is_right_only_where_it_should(
    dataset: Path, tmp_path: Path
) -> None:
    report = run({"m": Shortcut(len, REFUSAL)}, dataset, tmp_path / "out")
    measured = {metric: found.value for metric, found in report.models["m"].items()}
    # Of the harmful dialogues and their mirrors one half is to be refused; of the conflicts,
    # half of which are harmful, a quarter.
    assert measured["obey_harmful"] == 0.5
    assert measured["obey_conflict"] == 0.25
    assert measured["over_refusal"] == 1
    assert measured["follow"] == 0
    assert measured["over_steer"] == 0
    cells = report.breakdown["m"]["cell"]
    assert cells["harmful[safety, helpfulness]"].value == 1
    assert cells["harmful[helpfulness, safety]"].value == 0
    assert report.cells["harmful[helpfulness, safety]"] == "answer"


def test_a_model_that_listens_to_one_tier_is_found_out(
    dataset: Path, world: dict[str, list[Group]], tmp_path: Path
) -> None:
    class SystemOnly(Reader):
        def reply(self, dialogue: Dialogue) -> str:
            return super().reply(dialogue) if dialogue.meta_prompt.system_info else "nothing"

    report = run({"m": SystemOnly(world)}, dataset, tmp_path / "out")
    by_tier = report.breakdown["m"]["follow_by_tier"]
    assert by_tier[SYSTEM_INFO].value == 1
    assert by_tier[USER_INFO].value == 0


def test_over_steer_finds_a_model_that_an_aside_confuses(
    dataset: Path, world: dict[str, list[Group]], tmp_path: Path
) -> None:
    class Confused(Reader):
        def reply(self, dialogue: Dialogue) -> str:
            return "what?" if "cat" in dialogue.meta_prompt.user_info else super().reply(dialogue)

    report = run({"m": Confused(world)}, dataset, tmp_path / "out")
    assert report.models["m"]["over_steer"].value == 1
    assert report.models["m"]["follow"].value == 1


def test_win_rates_of_two_models_sum_to_one(
    dataset: Path, world: dict[str, list[Group]], tmp_path: Path
) -> None:
    models: Models = {"vanilla-sft": Shortcut(len, "x: short"), "aligned-sft": Reader(world)}
    report = run(models, dataset, tmp_path / "out")
    mine = report.models["aligned-sft"]["benign_win_rate_vs_vanilla"].value
    theirs = report.models["vanilla-sft"]["benign_win_rate_vs_aligned"].value
    assert mine + theirs == 1
    assert mine > 0.5


def test_the_report_file_has_the_promised_form(
    dataset: Path, world: dict[str, list[Group]], tmp_path: Path
) -> None:
    run({"a/b c": Shortcut(len), "m": Reader(world)}, dataset, tmp_path / "out", seed=5)
    report = json.loads((tmp_path / "out/report.json").read_text(encoding="utf-8"))
    assert report["schema"] == 2
    assert report["seed"] == 5
    assert all(isinstance(s, float) for s in report["seconds"].values())
    assert list(report["models"]) == ["a/b c", "m"]
    for measured in report["models"].values():
        for found in measured.values():
            assert set(found) == {"value", "ci95", "n"}
            low, high = found["ci95"]
            assert low <= found["value"] <= high
            assert found["n"] >= 1
    assert report["dataset"]["name"] == "dataset"
    assert report["matrix"] == "default@1.1.0/system_first"
    for name in ("report.html", "metrics.png", "matrix.png", "conditional.png", "manifest.json"):
        assert (tmp_path / "out" / name).stat().st_size > 0
    assert read_report(tmp_path / "out/report.json").focus == "m"


def test_goals_are_for_the_last_model_on_sandbox_data(tmp_path: Path) -> None:
    world = make_world()
    world = {
        split: [msgspec.structs.replace(g, source="sandbox") for g in groups]
        for split, groups in world.items()
    }
    dataset = make_dataset(tmp_path / "sandbox", world)
    report = run(
        {"vanilla-sft": Shortcut(len, REFUSAL), "m": Reader(world)}, dataset, tmp_path / "o"
    )
    goals = {goal.metric: goal for goal in report.goals}
    assert goals["follow"].model == "m"
    assert goals["follow"].met is True
    assert goals["over_refusal"].met is True
    assert goals["benign_win_rate_vs_aligned"].met is None
    assert any("benign_win_rate_vs_aligned: not measured" in note for note in report.notes)


def test_every_answer_is_on_record(
    dataset: Path, world: dict[str, list[Group]], tmp_path: Path
) -> None:
    run({"m": Reader(world)}, dataset, tmp_path / "out")
    lines = answers_path(tmp_path / "out", "m").read_bytes().splitlines()
    answers = [msgspec.json.decode(line, type=Answer) for line in lines]
    assert len({a.id for a in answers}) == len(answers)
    groups = {g.id: g for g in world["test"]}
    [one] = [a for a in answers if a.id == "test/group-torn0/1"]
    assert one.view == 1
    assert one.dialogue == groups["group-torn0"].dialogue(groups["group-torn0"].views[1])
    assert one.answer == "torn0: long"
    assert one.verdict.obeyed
    assert "obey_conflict" in one.suites


def test_finished_models_are_not_run_again(
    dataset: Path, world: dict[str, list[Group]], tmp_path: Path
) -> None:
    models: Models = {"a": Shortcut(len), "b": Reader(world)}
    out = tmp_path / "out"

    def opened(seed: int = 0, limits: Limits | None = None) -> list[str]:
        load = Loader(models)
        for name in models:
            evaluate_one(
                name,
                name,
                dataset,
                out,
                seed=seed,
                verifier=verify,
                irrelevant=irrelevant,
                limits=limits or Limits(),
                load=load,
            )
        return load.opened

    assert opened() == ["a", "b"]
    assert opened() == []
    # Half a file counts as none.
    path = answers_path(out, "b")
    path.write_bytes(path.read_bytes()[:-40])
    assert opened() == ["b"]
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    assert opened() == ["b"]
    # Other questions need other answers.
    assert opened(1, Limits(per_metric=3)) == ["a", "b"]
    assert opened(1, Limits(per_metric=3, max_new_tokens=7)) == ["a", "b"]


def test_a_changed_model_is_run_again(
    dataset: Path, world: dict[str, list[Group]], tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights").write_bytes(b"1")
    load = Loader({str(folder): Reader(world)})

    def again() -> int:
        evaluate_one("m", folder, dataset, tmp_path / "out", verifier=verify, load=load)
        return len(load.opened)

    assert [again(), again()] == [1, 1]
    (folder / "weights").write_bytes(b"2")
    assert again() == 2


def test_one_by_one_is_the_same_as_all_at_once(
    dataset: Path, world: dict[str, list[Group]], tmp_path: Path
) -> None:
    models: Models = {"a": Shortcut(len), "b": Reader(world)}
    names = {name: name for name in models}
    at_once = run(models, dataset, tmp_path / "once")
    for name in models:
        evaluate_one(
            name,
            name,
            dataset,
            tmp_path / "parts",
            verifier=verify,
            irrelevant=irrelevant,
            load=Loader(models),
        )
    parts = assemble(names, dataset, tmp_path / "parts", verifier=verify, irrelevant=irrelevant)
    assert msgspec.structs.replace(parts, seconds=at_once.seconds) == at_once


def test_assembling_what_was_never_answered_says_so(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no complete answers of m"):
        assemble({"m": "m"}, dataset, tmp_path / "out", verifier=verify)


def test_data_without_a_verifier_give_flips_by_source_and_ask_nothing(tmp_path: Path) -> None:
    test = [
        make_group(f"{source}{i}", "benign", views, source)
        for source, views in {
            "habermas": [[SYSTEM_SHORT], [USER_LONG]],
            "hh-rlhf": [[SYSTEM_SHORT]],
        }.items()
        for i in range(3)
    ]
    world = {"test": test}
    dataset = make_dataset(tmp_path / "real", world)

    class Mute(Reader):
        def answer(self, *_: object, **__: object) -> list[list[str]]:
            raise AssertionError("there is nobody to judge an answer")

    report = evaluate({"m": "m"}, dataset, tmp_path / "out", load=Loader({"m": Mute(world)}))
    measured = {metric: (e.value, e.n) for metric, e in report.models["m"].items()}
    assert measured == {"flip": (1, 3), "margin": (1, 3), "order": (1, 3)}
    assert list(report.breakdown["m"]["flip_by_source"]) == ["habermas"]
    assert list(report.breakdown["m"]["order_by_source"]) == ["hh-rlhf"]
    assert report.goals == ()
    assert not any("win_rate" in note for note in report.notes)
    assert (tmp_path / "out/report.html").exists()


def test_a_model_that_breaks_is_reported_and_does_not_score(
    dataset: Path, world: dict[str, list[Group]], tmp_path: Path
) -> None:
    class Broken(Reader):
        def reply(self, dialogue: Dialogue) -> str:
            return "" if "benign0" in dialogue.query else "\ud800"

        def score(self, dialogue: Dialogue, text: str) -> float:
            return math.nan if text == REFUSAL else -math.inf

    report = run({"m": Broken(world)}, dataset, tmp_path / "out")
    assert report.models["m"]["flip"].value == 0
    assert report.models["m"]["margin"].value == 0
    assert report.models["m"]["follow"].value == 0
    assert any("answers are empty" in note for note in report.notes)
    assert any("not numbers" in note for note in report.notes)


def test_too_few_answers_are_an_error(
    dataset: Path, world: dict[str, list[Group]], tmp_path: Path
) -> None:
    class Lazy(Reader):
        def answer(self, dialogues: Sequence[Dialogue], **_: object) -> list[list[str]]:
            return [["x"]]

    with pytest.raises(UserError, match="gave 1 answers to"):
        run({"m": Lazy(world)}, dataset, tmp_path / "out")


def test_progress_names_the_model_and_reaches_its_total(
    dataset: Path, world: dict[str, list[Group]], tmp_path: Path
) -> None:
    events: list[Event] = []
    evaluate(
        {"m": "m"},
        dataset,
        tmp_path / "out",
        verifier=verify,
        load=Loader({"m": Reader(world)}),
        progress=events.append,
    )
    last = {event.task: event for event in events}
    assert last["log-probabilities of m"].done == last["log-probabilities of m"].total > 0
    assert last["report"].done == last["report"].total


def test_the_sandbox_judges_its_own_groups(tmp_path: Path) -> None:
    """Without a verifier: the teacher's answers, verified by the sandbox itself."""
    from metaalign.sandbox import build_groups

    world = build_groups(600, 0)
    dataset = make_dataset(tmp_path / "sandbox", world)
    groups = [g for split, some in world.items() if split.startswith("test") for g in some]

    class Teacher(Reader):
        """Knows every view, also behind one more sentence of User Info."""

        def ranks(self, dialogue: Dialogue) -> dict[str, int | None]:
            prompt = dialogue.meta_prompt
            found = [
                (len(view.meta_prompt.user_info), group, view)
                for group in groups
                if group.turns == dialogue.turns
                for view in group.views
                if view.meta_prompt.system_info == prompt.system_info
                and prompt.user_info.startswith(view.meta_prompt.user_info)
            ]
            _, group, view = max(found, key=lambda one: one[0])
            return {c.text: r for c, r in zip(group.candidates, view.ranks, strict=True)}

        def reply(self, dialogue: Dialogue) -> str:
            return next(text for text, rank in self.ranks(dialogue).items() if rank == 0)

        def score(self, dialogue: Dialogue, text: str) -> float:
            return -float(self.ranks(dialogue)[text] or 0)

    report = evaluate({"m": "m"}, dataset, tmp_path / "out", load=Loader({"m": Teacher({})}))
    measured = report.models["m"]
    for metric in ("follow", "obey_harmful", "obey_conflict", "flip", "margin"):
        assert measured[metric].value == 1, metric
    assert measured["over_refusal"].value == 0
    assert measured["over_steer"].value == 0
    assert {goal.metric for goal in report.goals} >= {"follow", "flip"}


def test_a_dataset_without_held_out_groups_is_refused(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "d", {"sft": make_world(1)["sft"]})
    with pytest.raises(UserError, match="no split 'test'"):
        evaluate({"m": "m"}, dataset, tmp_path / "out", load=Loader({}))


def test_no_model_is_refused(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model"):
        evaluate({}, dataset, tmp_path / "out")
