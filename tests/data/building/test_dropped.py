"""What was dropped is counted by what was found, with a few examples that show nothing private."""

from pathlib import Path

import pytest
from tests.data.makers import make_group

from metaalign.data.building import staging
from metaalign.data.building.dropped import Tally
from metaalign.data.filters import STAGES
from metaalign.data.tables import pa


def test_the_fact_of_a_group_is_not_part_of_what_is_counted() -> None:
    tally = Tally()
    for number in range(5):
        reason = f"near-duplicates: near-duplicate: other-{number}, 0.9: x"
        if tally.count(1, reason, 10 - number):
            tally.keep(1, reason, 10 - number, make_group(f"g{number}"))
    tally.count(0, "length: too long: 7", 1)
    tally.keep(0, "length: too long: 7", 1, make_group("long"))
    assert tally.counts() == {"near-duplicates: near-duplicate": 5, "length: too long": 1}
    length, near = tally.lines()
    assert (length.stage, near.stage, near.groups) == (0, 1, 5)
    # The three that come first in the dataset's order, and each with its own fact.
    assert [example.id for example in near.examples] == ["g4", "g3", "g2"]
    assert near.examples[0].reason == "near-duplicates: near-duplicate: other-4, 0.9: x"
    assert tally.of_stage(1) == 5


def test_parts_are_counted_as_groups_are(tmp_path: Path) -> None:
    groups = [make_group(f"g{n}") for n in range(6)]
    table = staging.new_part(
        [g.id for g in groups], list(range(6)), [staging.encode_group(g) for g in groups]
    ).to_pydict()
    for row in (1, 3, 4, 5):
        table["stage"][row], table["dropped"][row] = 2, "length: too short: 1"
    staging.write_table(tmp_path / "part", pa.table(table, schema=staging.PART))
    tally = Tally()
    tally.add_parts([tmp_path / "part"])
    [line] = tally.lines()
    assert (line.stage, line.reason, line.groups) == (2, "length: too short", 4)
    assert [example.query for example in line.examples] == [f"What is g{n}?" for n in (1, 3, 4)]


def test_an_example_shows_no_personal_data_where_the_recipe_filters_it() -> None:
    pytest.importorskip("phonenumbers")
    group = make_group("g", query="Write to jane.doe@example.com and say hello.")
    for stages, shown in (((), True), ((STAGES["personal-data"](),), False)):
        tally = Tally(stages)
        tally.count(0, "length: too long", 0)
        tally.keep(0, "length: too long", 0, group)
        assert ("jane.doe@" in tally.lines()[0].examples[0].query) is shown


def test_long_texts_are_cut() -> None:
    tally = Tally()
    tally.count(None, "split: x", 0)
    tally.keep(None, "split: x", 0, make_group("g", query="q" * 900))
    query = tally.lines()[0].examples[0].query
    assert len(query) == 200 and query.endswith("q…")
