"""Questions in SQL get the dataset's rows, and nothing else."""

from pathlib import Path

import pytest
from tests.data.makers import make_group
from tests.data.tools.makers import annotated, write

from metaalign.data.tools.looking import VIEWS, ask, looking_at
from metaalign.schema import MetaPrompt, UserError, View


def test_every_view_has_the_rows_of_the_dataset(tmp_path: Path) -> None:
    dataset = write(tmp_path / "d")
    # Five groups of two views and two candidates; a view has one preference and orders one pair.
    counts = {name: ask(dataset, f"SELECT count(*) FROM {name}").rows[0][0] for name in VIEWS}
    assert counts == {
        "groups": 5, "samples": 10, "views": 10, "preferences": 10, "candidates": 10, "pairs": 10,
    }  # fmt: skip
    by_split = ask(dataset, "SELECT split, count(*) FROM groups GROUP BY 1 ORDER BY 1")
    assert by_split.columns == ("split", "count_star()")
    assert by_split.rows == [("dpo", 1), ("sft", 2), ("test", 2)]


def test_pairs_are_those_that_a_view_orders(tmp_path: Path) -> None:
    tied = View(MetaPrompt.of("x"), (1, 0, 1, None), "rule")
    four = annotated("g").candidates + annotated("g").candidates[:1]
    dataset = write(tmp_path / "d", {"sft": [make_group("g", views=(tied,), candidates=four)]})
    rows = ask(dataset, "SELECT better, worse, better_length FROM pairs ORDER BY ALL").rows
    # Second before first and third; those two tie, and nobody ordered the fourth. "One, two."
    assert rows == [(1, 0, 9), (1, 2, 9)]


def test_a_dataset_without_rows_has_its_columns(tmp_path: Path) -> None:
    dataset = write(tmp_path / "d", {"sft": []})
    assert ask(dataset, "SELECT wording FROM preferences").rows == []


@pytest.mark.parametrize(
    ("sql", "complaint"),
    [
        ("SELECT 1; SELECT 2", "ask one question"),
        ("COPY groups TO 'out.csv'", "ask one question"),
        ("SET threads = 1", "ask one question"),
        ("SELEC 1", "no SQL that DuckDB reads"),
        ("SELECT nothing FROM groups", 'Referenced column "nothing" not found'),
        ("SELECT * FROM read_text('/etc/hostname')", "Cannot access file"),
    ],
)
def test_what_is_no_question_to_the_dataset_is_one_line(
    tmp_path: Path, sql: str, complaint: str
) -> None:
    dataset = write(tmp_path / "d")
    with pytest.raises(UserError, match=complaint) as raised:
        ask(dataset, sql)
    assert "\n" not in str(raised.value)


def test_values_are_never_read_as_sql(tmp_path: Path) -> None:
    with looking_at(write(tmp_path / "d")) as looking:
        found = looking.ask("SELECT count(*) FROM groups WHERE id = $id", {"id": "' OR 1=1 --"})
    assert found.rows == [(0,)]
