"""Recipes: every key that is read is in the file, and no other."""

import tomllib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from metaalign.schema import UserError
from metaalign.train.recipe import Dpo, Pretrained, Scratch, load_recipe, recipe_names

MINIMAL = """
stage = "one-stage"
[sft]
epochs = 1
tokens_per_batch = 100
[sft.scratch]
lr = 0.1
[sft.pretrained]
lr = 0.01
"""
DPO = MINIMAL.replace("one-stage", "two-stage") + MINIMAL.replace("sft", "dpo").replace(
    'stage = "one-stage"', "[pairs]"
)


def shipped(name: str) -> str:
    return (resources.files("metaalign.train") / "recipes" / f"{name}.toml").read_text()


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def complaint(folder: Path, text: str, **overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        load_recipe(write(folder, text), overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def keys(tree: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in tree.items():
        yield from keys(value, f"{prefix}{key}.") if isinstance(value, dict) else [prefix + key]


def test_those_that_ship_are_those_that_are_named() -> None:
    files = (resources.files("metaalign.train") / "recipes").iterdir()
    assert sorted(file.name for file in files) == sorted(f"{name}.toml" for name in recipe_names())


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_that_ships_holds_every_key(name: str) -> None:
    """So that whoever reads or copies a file sees all that can be set."""
    recipe = load_recipe(name)
    assert recipe.stage == name
    assert set(keys(tomllib.loads(shipped(name)))) == set(recipe.settings())


@pytest.mark.parametrize("name", recipe_names())
def test_every_key_is_explained(name: str) -> None:
    """A comment on the line, or, for the keys of [dpo], in [sft] of the same file."""
    explained = set()
    for line in shipped(name).splitlines():
        key, equals, rest = line.partition(" = ")
        if equals and not line.startswith("#"):
            if "# " in rest:
                explained.add(key)
            assert key in explained, f"{name}: {line}"


def test_what_each_stage_reads() -> None:
    reads = {name: load_recipe(name).reads for name in recipe_names()}
    assert reads == {
        "vanilla-sft": "query",
        "aligned-sft": "query",
        "one-stage": "meta_prompt",
        "two-stage": "meta_prompt",
    }


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, DPO))
    assert isinstance(recipe.dpo, Dpo)
    assert recipe.dpo.beta == 0.1
    assert recipe.sft.rates(from_scratch=True) == Scratch(lr=0.1)
    assert recipe.sft.rates(from_scratch=False) == Pretrained(lr=0.01)


def test_overrides_are_read_as_from_a_command_line() -> None:
    changed = {"sft.max_tokens": "500", "sft.scratch.lr": "1e-3", "sft.precision": "fp32"}
    recipe = load_recipe("one-stage", changed)
    assert recipe.sft.max_tokens == 500
    assert recipe.sft.scratch.lr == 0.001
    assert recipe.sft.precision == "fp32"


def test_unknown_keys_are_named(tmp_path: Path) -> None:
    assert "`speed`" in complaint(tmp_path, MINIMAL + "speed = 3")
    assert "`epoch`" in complaint(tmp_path, MINIMAL, **{"sft.epoch": "3"})
    assert "override stage.x: stage is a value" in complaint(tmp_path, MINIMAL, **{"stage.x": "3"})


def test_values_out_of_range_are_named(tmp_path: Path) -> None:
    assert "$.sft.scratch.lr" in complaint(tmp_path, MINIMAL.replace("0.1", "-0.1"))
    assert "$.sft.tokens_per_batch" in complaint(tmp_path, MINIMAL.replace("100", '"many"'))
    assert "$.dpo.label_smoothing" in complaint(tmp_path, DPO, **{"dpo.label_smoothing": "0.5"})


def test_a_key_that_the_stage_does_not_use_is_an_error(tmp_path: Path) -> None:
    said = complaint(tmp_path, DPO.replace("two-stage", "one-stage"))
    assert "has [pairs], which stage one-stage does not use" in said
    with pytest.raises(UserError, match=r"has \[dpo\], which stage vanilla-sft does not use"):
        load_recipe("vanilla-sft", {"dpo.beta": "0.1"})


def test_two_stage_needs_both_tables(tmp_path: Path) -> None:
    said = complaint(tmp_path, MINIMAL.replace("one-stage", "two-stage"))
    assert "lacks [pairs], which stage two-stage needs" in said


def test_a_run_without_an_end_is_refused(tmp_path: Path) -> None:
    said = complaint(tmp_path, MINIMAL.replace("epochs = 1", ""))
    assert "has no end: set epochs, max_tokens or max_seconds" in said


def test_an_unknown_recipe_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="one of vanilla-sft, aligned-sft, one-stage, two-stage"):
        load_recipe("three-stage")
    assert "not valid TOML" in complaint(tmp_path, "stage = ")
