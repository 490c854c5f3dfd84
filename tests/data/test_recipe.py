"""A recipe is a file, a command line or a call: all mean the same, and a wrong key is named."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.data.small_stages import STAGES, SameEnd, TooShort

from metaalign.data.manifest import plain_settings
from metaalign.data.recipe import LAYOUTS, load_recipe, make_recipe, recipe_names
from metaalign.schema import UserError

WHOLE = """
seed = 7
shard_rows = 100
order = "given"

[[sources]]
name = "habermas"
place = "h.jsonl"
limit = 20

[[stages]]
name = "too-short"
characters = 3

[[stages]]
name = "same-end"
digits = 2

[split]
by = ["query", "persona"]
near = 0.9
layout = "one-stage"
fractions = { train = 0.8, test = 0.2 }
"""
AGAIN = '[[sources]]\nname = "habermas"\nplace = "h.jsonl"\n'
SOURCE = {"name": "habermas", "place": "h.jsonl"}


def _load(folder: Path, text: str, **overrides: Any) -> Any:
    path = folder / "recipe.toml"
    path.write_text(text)
    return load_recipe(path, overrides, stages=STAGES)


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    recipe = _load(tmp_path, WHOLE)
    assert (recipe.seed, recipe.shard_rows, recipe.order) == (7, 100, "given")
    assert recipe.stages == (TooShort(3), SameEnd(2))
    assert recipe.split.shares == {"train": 0.8, "test": 0.2}
    assert recipe.sources[0].limit == 20


def test_a_call_means_what_the_file_means(tmp_path: Path) -> None:
    tree = {
        "seed": 7,
        "shard_rows": 100,
        "order": "given",
        "sources": [{**SOURCE, "limit": 20, "max_chars": None}],
        "stages": [{"name": "too-short", "characters": 3}, {"name": "same-end", "digits": 2}],
        "split": {
            "by": ["query", "persona"],
            "near": 0.9,
            "layout": "one-stage",
            "fractions": {"train": 0.8, "test": 0.2},
        },
    }
    assert make_recipe(tree, stages=STAGES) == _load(tmp_path, WHOLE)


def test_the_settings_name_every_key_that_decides(tmp_path: Path) -> None:
    assert plain_settings(_load(tmp_path, WHOLE).settings()) == {
        "sources": ["habermas"],
        "matrix": "default",
        "sources.0.name": "habermas",
        "sources.0.place": "h.jsonl",
        "sources.0.limit": 20,
        "stages.0.name": "too-short",
        "stages.0.characters": 3,
        "stages.1.name": "same-end",
        "stages.1.digits": 2,
        "split.by": ["query", "persona"],
        "split.layout": "one-stage",
        "split.fractions.train": 0.8,
        "split.fractions.test": 0.2,
        "split.near": 0.9,
        "order": "given",
        "shard_rows": 100,
    }


def test_keys_are_overridden_by_their_dotted_names(tmp_path: Path) -> None:
    changed = {"sources.0.limit": "5", "split.near": "0.5", "stages.1.digits": 1, "seed": 2}
    recipe = _load(tmp_path, WHOLE, **changed)
    assert recipe.sources[0].limit == 5 and recipe.split.near == 0.5
    assert recipe.stages[1] == SameEnd(1) and recipe.seed == 2
    path = tmp_path / "recipe.toml"
    assert load_recipe(path, every_source={"limit": 3}, stages=STAGES).sources[0].limit == 3


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("seed = 7", "seed = -1", r"Expected `int` >= 0 - at `\$\.seed`"),
        ("seed = 7", "sed = 7", "unknown field `sed`"),
        ("limit = 20", "limits = 20", r"unknown field `limits` - at `\$\.sources\[0\]`"),
        ("digits = 2", "digit = 2", r"stages\[1\], same-end: .*`digit"),
        ('"same-end"', '"no-end"', r"stages\[1\] has the unknown name 'no-end': known are too-sh"),
        ('"persona"', '"mood"', r"Invalid enum value 'mood' - at `\$\.split\.by\[1\]`"),
        ('"persona"', '"query"', "each once"),
        ('"query", "persona"', '"persona"', "near has an effect on by = query alone"),
        ('"query", "persona"', '"given", "query"', "by = given"),
        ("near = 0.9", "near = 1.5", r"at `\$\.split\.near`"),
        ("test = 0.2", "test = 0.3", "must sum to 1, not 1.1"),
        ("train = 0.8", "sft = 0.8", "the split sft, which the layout does not have: .* train, te"),
        ("[split]", "[[write]]\nplan = 1\n[split]", r"has \[\[write\]\] and no \[teacher\]"),
        ("[split]", '[teacher]\nmodel = "m"\njournal = "j"\n[split]', r"no \[\[write\]\]"),
        ("[split]", f"{AGAIN}[split]", "names the source habermas h.jsonl twice"),
        ('order = "given"', "order = given", "not valid TOML"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_the_file(
    tmp_path: Path, old: str, new: str, what: str
) -> None:
    assert WHOLE.count(old) == 1
    with pytest.raises(UserError, match=rf"recipe\.toml: .*{what}") as found:
        _load(tmp_path, WHOLE.replace(old, new))
    assert "\n" not in str(found.value)


def test_overrides_that_fit_nothing_are_named(tmp_path: Path) -> None:
    for key, what in {
        "sources.3.limit": "no table 3 in a list of 1",
        "sources.limit": "no table|say which table",
        "seed.x": "seed is a value",
    }.items():
        with pytest.raises(UserError, match=f"override {key}: .*({what})"):
            _load(tmp_path, WHOLE, **{key: 1})


def test_a_recipe_of_nothing_is_refused() -> None:
    with pytest.raises(UserError, match=r"the recipe: .*nothing to build from"):
        make_recipe({"seed": 1})


def test_a_recipe_that_is_not_there_names_those_that_ship(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"cannot read the recipe .*none\.toml .*real-data, sandbox"
    ):
        load_recipe(tmp_path / "none.toml")


def test_every_recipe_that_ships_can_be_read() -> None:
    assert recipe_names() == ("real-data", "sandbox")
    for name in recipe_names():
        recipe = load_recipe(name)
        assert recipe.sources
        json.dumps(recipe.settings())
        assert set(recipe.split.shares) <= {n for layout in LAYOUTS.values() for n in layout}
