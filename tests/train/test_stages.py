"""Recipes at work, from a dataset folder to model folders."""

import importlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from tests.train.makers import make_dataset, make_group, short_recipe
from transformers import AutoModelForCausalLM

import metaalign.train
from metaalign.data.manifest import read_manifest
from metaalign.data.store import write_dataset
from metaalign.schema import (
    Dialogue,
    Group,
    MissingExtra,
    Preference,
    Progress,
    UserError,
    Verdict,
    View,
    silent,
)
from metaalign.train.pairs import Answer, read_pairs
from metaalign.train.recipe import recipe_names
from metaalign.train.stages import safe_or_common, texts_of, train


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data") / "set")


@pytest.fixture(scope="module")
def two_stage(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished two-stage run with sampled pairs; not to be written into."""
    out = tmp_path_factory.mktemp("two-stage") / "model"
    return train(
        short_recipe("two-stage"),
        dataset,
        "scratch:tiny",
        out,
        answerer_factory=answerer,
        judge=judge,
    )


def answerer(folder: Path) -> Answer:
    """Stands where the engine stands: it answers every dialogue with the name of the model."""
    AutoModelForCausalLM.from_pretrained(folder)

    def answer(
        dialogues: Sequence[Dialogue],
        *,
        samples: int,
        temperature: float,
        max_new_tokens: int,
        seed: int,
        progress: Progress = silent,
    ) -> list[list[str]]:
        return [[f"{folder.parent.name}/{folder.name} answers"] * samples for _ in dialogues]

    return answer


def judge(group: Group, view: View, answer: str) -> Verdict:
    return Verdict(content=False, behaviour=True)


@pytest.mark.parametrize("name", [n for n in recipe_names() if n != "two-stage"])
def test_an_sft_recipe_makes_a_model_folder(dataset: Path, tmp_path: Path, name: str) -> None:
    out = train(short_recipe(name), dataset, "scratch:tiny", tmp_path / "m")
    manifest = read_manifest(out)
    assert manifest.kind == "model"
    assert manifest.settings["reads"] == ("meta_prompt" if name == "one-stage" else "query")
    assert manifest.settings["stage"] == name
    assert manifest.settings["splits"] == ["sft", "dpo"]
    assert manifest.inputs["dataset"] == read_manifest(dataset).fingerprint
    assert manifest.counts["examples"] == 2 * (24 + 12)  # views of groups
    assert 1500 <= manifest.counts["tokens"] < 1500 + 512
    AutoModelForCausalLM.from_pretrained(out)
    assert {p.name for p in out.iterdir()} >= {"history.json", "tokenizer.json"}
    assert not (out / "checkpoint.pt").exists()


def test_two_stages_leave_the_sft_model_and_the_pairs(two_stage: Path) -> None:
    sft = read_manifest(two_stage / "stages" / "sft")
    assert sft.settings["splits"] == ["sft"]
    assert sft.counts["examples"] == 2 * 24
    pairs = read_manifest(two_stage / "stages" / "pairs")
    assert pairs.kind == "pairs"
    assert pairs.inputs["sft"] == sft.fingerprint
    assert pairs.counts["pairs.sampled"] == 2 * 12
    rows = read_pairs(two_stage / "stages" / "pairs")
    assert {row.group_id for row in rows} == {f"g{i}" for i in range(24, 36)}
    assert "stages/sft answers" in {row.rejected for row in rows}
    assert read_manifest(two_stage).counts["examples"] == len(rows)
    AutoModelForCausalLM.from_pretrained(two_stage)


def test_dpo_starts_from_the_sft_model(two_stage: Path) -> None:
    """A few careful steps away from it, not from another start."""
    after = AutoModelForCausalLM.from_pretrained(two_stage).state_dict()
    before = AutoModelForCausalLM.from_pretrained(two_stage / "stages" / "sft").state_dict()
    table = "model.embed_tokens.weight"
    moved = (after[table] - before[table]).norm() / before[table].norm()
    assert 0 < moved < 0.2


def test_what_is_finished_is_not_done_again(dataset: Path, two_stage: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    shutil.copytree(two_stage, out)

    def never(folder: Path) -> Answer:
        raise AssertionError("asked again")

    def again(**changes: float) -> None:
        recipe = short_recipe("two-stage", **{f"dpo.{k}": v for k, v in changes.items()})
        train(recipe, dataset, "scratch:tiny", out, answerer_factory=never, judge=judge)

    times = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()}
    again()
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()} == times
    again(beta=0.5)  # only DPO depends on it
    changed = {p for p, t in times.items() if p.stat().st_mtime_ns != t}
    assert out / "model.safetensors" in changed
    assert not {p for p in changed if "stages" in p.parts}


def test_a_changed_seed_or_dataset_is_done_again(dataset: Path, tmp_path: Path) -> None:
    recipe = short_recipe("vanilla-sft")
    out = tmp_path / "m"
    found = {read_manifest(train(recipe, dataset, "scratch:tiny", out)).fingerprint}
    found.add(read_manifest(train(recipe, dataset, "scratch:tiny", out, seed=1)).fingerprint)
    other = make_dataset(tmp_path / "other", (20, 10))
    found.add(read_manifest(train(recipe, other, "scratch:tiny", out, seed=1)).fingerprint)
    assert len(found) == 3


def test_without_a_judge_the_pairs_come_from_the_candidates(dataset: Path, tmp_path: Path) -> None:
    out = train(
        short_recipe("two-stage"), dataset, "scratch:tiny", tmp_path, answerer_factory=answerer
    )
    pairs = read_manifest(out / "stages" / "pairs")
    assert "pairs.sampled" not in pairs.counts
    assert "no verifier" in pairs.notes[0]


def test_a_trained_folder_can_be_trained_further(dataset: Path, tmp_path: Path) -> None:
    first = train(short_recipe("one-stage"), dataset, "scratch:tiny", tmp_path / "1")
    recipe = short_recipe("one-stage", **{"sft.pretrained.lora_rank": 2})
    second = train(recipe, dataset, str(first), tmp_path / "2")
    assert read_manifest(second).inputs["model"] == read_manifest(first).fingerprint
    AutoModelForCausalLM.from_pretrained(second)


def test_models_from_scratch_on_one_dataset_share_their_tokenizer(
    dataset: Path, two_stage: Path, tmp_path: Path
) -> None:
    other = train(short_recipe("vanilla-sft"), dataset, "scratch:tiny", tmp_path)
    name = "tokenizer.json"
    assert (other / name).read_bytes() == (two_stage / name).read_bytes()


def test_all_that_is_said_in_a_group_is_there_for_the_tokenizer() -> None:
    assert set(texts_of([make_group(0)])) == {
        "What is the egg?",
        "A egg.",
        "The egg is a thing that most people know well.",
        "You help.",
        "I am person 0. Be brief.",
        "I am person 0. Be thorough.",
    }


def test_the_fixed_answer_is_what_aligned_sft_learns(dataset: Path, tmp_path: Path) -> None:
    asked: list[str] = []

    def fixed(group: Group) -> str | None:
        asked.append(group.id)
        return "Be safe." if group.id == "g0" else None

    out = train(short_recipe("aligned-sft"), dataset, "scratch:tiny", tmp_path, fixed_answer=fixed)
    assert set(asked) == {f"g{i}" for i in range(36)}
    assert read_manifest(out).counts["examples"] == 2


def test_the_default_target_is_the_safe_one_else_the_common_one() -> None:
    group = make_group(0)
    brief, thorough = group.views
    assert safe_or_common(group) == "A egg."  # a tie of two views: the first candidate
    majority = msgspec.structs.replace(group, views=(brief, thorough, thorough))
    assert safe_or_common(majority) == group.candidates[1].text
    safe = msgspec.structs.replace(
        brief, preferences=(Preference("system_info", "priority", "safety"),)
    )
    with_safe = msgspec.structs.replace(group, views=(safe, thorough, thorough))
    assert safe_or_common(with_safe) == "A egg."
    assert safe_or_common(msgspec.structs.replace(group, views=())) is None


def test_an_override_without_effect_is_an_error(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"sft\.pretrained\.lr has no effect.*from scratch"):
        train(
            "one-stage",
            dataset,
            "scratch:tiny",
            tmp_path,
            overrides={"sft.pretrained.lr": "0.1"},
        )


def test_a_dataset_without_the_splits_says_which(tmp_path: Path) -> None:
    write_dataset(tmp_path / "d", {"sft": [make_group(0)]}, settings={}, seed=0)
    with pytest.raises(UserError, match="has no split dpo, which two-stage needs"):
        train(short_recipe("two-stage"), tmp_path / "d", "scratch:tiny", tmp_path / "m")
    write_dataset(tmp_path / "e", {"test": [make_group(0)]}, settings={}, seed=0)
    with pytest.raises(UserError, match="has no split to train on: it needs sft or dpo"):
        train(short_recipe("one-stage"), tmp_path / "e", "scratch:tiny", tmp_path / "m")


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"needs torch.*metaalign\[train\]"):
        importlib.reload(metaalign.train)
