"""A preview says what each view asks for, how it orders, and why."""

from pathlib import Path

import pytest
from tests.data.makers import make_group
from tests.data.tools.makers import HOSTILE, annotated, hostile, write

from metaalign.data.recipe import make_recipe
from metaalign.data.sources import SOURCES
from metaalign.data.tools.preview import Wanted, letter, lines_of, of_dataset, of_recipe, order_of
from metaalign.policy import load_matrix
from metaalign.schema import MetaPrompt, UserError, View


def test_a_group_is_told_in_words() -> None:
    text = "\n".join(lines_of(make_group("g", "What is a cactus?"), load_matrix()))
    assert (
        text
        == """g: helpful, benign query, from made

  query: What is a cactus?

  A, written by rule:
    Short.
  B, written by rule:
    Rather long.

  view 1, ordered by rule: A > B
    System Info: You help.
    User Info: I like short answers.
    The query is benign: it is answered (cell benign[-, -]).
    length = short from User Info holds: nothing speaks against it.

  view 2, ordered by rule: B > A
    System Info: You help.
    User Info: I like long answers.
    The query is benign: it is answered (cell benign[-, -]).
    length = long from User Info holds: nothing speaks against it.

  flip: A > B in view 1, the other way round in view 2
"""
    )


def test_annotators_and_what_the_matrix_has_no_rule_for_are_told() -> None:
    text = "\n".join(lines_of(annotated("g"), load_matrix()))
    assert "    human:2: C > B > A" in text
    group = make_group(
        "g",
        views=(View(MetaPrompt.of("x"), (0, 1), "r", hostile("h", "odd").views[0].preferences),),
    )
    assert "odd = odd from User Info: the Matrix has no rule for it." in "\n".join(
        lines_of(group, load_matrix())
    )


def test_ties_and_what_nobody_ordered() -> None:
    assert order_of(View(MetaPrompt(), (1, 0, 1, None), "r")) == "B > A = C"
    assert [letter(n) for n in (0, 25, 26, 52)] == ["A", "Z", "A2", "A3"]


def test_groups_are_drawn_by_seed_family_and_source(tmp_path: Path) -> None:
    dataset = write(tmp_path / "d", {"sft": [make_group(f"g{n}") for n in range(30)],
                                     "dpo": [make_group("o", family="opinion")]})  # fmt: skip
    one = of_dataset(dataset, Wanted(3, seed=1))
    assert one == of_dataset(dataset, Wanted(3, seed=1))
    assert one != of_dataset(dataset, Wanted(3, seed=2))
    assert [(g.id, g.split) for g in of_dataset(dataset, Wanted(9, family="opinion"))] == [
        ("o", "dpo")
    ]
    with pytest.raises(UserError, match="no group of the source nowhere"):
        of_dataset(dataset, Wanted(source="nowhere"))


def test_a_recipe_is_previewed_from_its_sources(tmp_path: Path) -> None:
    (tmp_path / "h.jsonl").write_text(
        "\n".join(
            f'{{"id": "{n}", "question": "Should town {n} have a tram?", "affirming_statement": '
            f'"Town {n} should have a tram.", "negating_statement": "Town {n} should have none."}}'
            for n in range(20)
        )
    )
    recipe = make_recipe({"sources": [{"name": "habermas", "place": "h.jsonl"}]})
    groups = of_recipe(recipe, tmp_path, SOURCES, Wanted(2))
    assert [g.source for g in groups] == ["habermas", "habermas"]
    with pytest.raises(UserError, match="no group of the family helpful"):
        of_recipe(recipe, tmp_path, SOURCES, Wanted(family="helpful"))


def test_no_text_commands_the_terminal() -> None:
    for text in HOSTILE:
        for line in lines_of(hostile("h", text), load_matrix()):
            assert "\x1b" not in line
            assert "\u202e" not in line
