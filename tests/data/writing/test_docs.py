"""What docs/writing.md says."""

import re
import tomllib
from pathlib import Path

from msgspec.structs import fields

from metaalign.data.recipe import make_recipe
from metaalign.data.writing.prompts import load_prompt
from metaalign.data.writing.table import WriteTable, write_tables

TEXT = (Path(__file__).parents[3] / "docs" / "writing.md").read_text(encoding="utf-8")


def test_the_recipe_of_the_docs_is_one() -> None:
    [block] = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    recipe = make_recipe(tomllib.loads(block))
    assert [table.name for table in write_tables(recipe.write)] == [
        "written-helpful",
        "written-opinion",
    ]


def test_every_key_is_explained_with_its_default() -> None:
    table = TEXT.partition("## Keys of `[[write]]`")[2].partition("\n## ")[0]
    named = dict(re.findall(r"`(\w+)`(?: \((.*?)\))?", _first_column(table)))
    assert named.keys() == {field.name for field in fields(WriteTable)}
    for field in fields(WriteTable):
        if named[field.name]:
            assert named[field.name].strip("`") == f"{field.default}".removesuffix(".0"), field.name


def test_the_topics_are_as_many_as_it_says() -> None:
    assert len(load_prompt("preferences").about) == len(load_prompt("personas").about) == 24


def _first_column(table: str) -> str:
    return "\n".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `"))
