"""The numbers of a summary are those of the groups."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.data.makers import make_group
from tests.data.tools.makers import annotated, write

from metaalign.data.families.orders import agreement
from metaalign.data.tools.summary import Check, Cross, step, summarise
from metaalign.data.tools.telling import bar, excerpt, printable, tables_of
from metaalign.schema import Candidate, Group, View


def test_counts_are_by_family_split_and_tier(tmp_path: Path) -> None:
    found = summarise(write(tmp_path / "d"))
    assert found.families == (
        Cross("helpful", "sft", samples=4, flips=2),
        Cross("helpful", "test", samples=4, flips=2),
        Cross("opinion", "dpo", samples=2, flips=1),
    )
    assert found.splits == {"sft": (2, 4), "dpo": (1, 2), "test": (2, 4)}
    assert found.kinds == {"benign": 8, "contested": 2}
    assert found.tiers == {"user_info": 10}
    assert found.dimensions == {"length": {"user_info": 10}}
    assert found.values == {"length": 2}
    assert found.ordered_by == {"rule": 10}
    assert found.licences == {"made": "mit"}


def test_flips_are_those_of_the_manifest(tmp_path: Path) -> None:
    """Counted in SQL, and by the groups themselves when they were written."""
    views = make_group("x").views
    groups = [make_group("a"), make_group("b", views=(*views, views[0])), annotated("c")]
    found = summarise(write(tmp_path / "d", {"sft": groups}))
    assert sum(one.flips for one in found.families) == found.counts["flips"] == 3


def test_a_dataset_whose_longer_answers_always_win_is_told(tmp_path: Path) -> None:
    answers = (Candidate("A much longer answer.", "model"), Candidate("Short.", "model"))
    first = View(make_group("x").views[0].meta_prompt, (0, 1), "rule")
    groups = [make_group(f"g{i}", candidates=answers, views=(first,)) for i in range(40)]
    checks = {one.name: one for one in summarise(write(tmp_path / "d", {"sft": groups})).checks}
    assert {name: one.share for name, one in checks.items()} == {
        "the better response is longer": 1.0,
        "the better response is listed first": 1.0,
    }
    assert not any(one.fair for one in checks.values())
    fair = summarise(write(tmp_path / "fair")).checks
    assert all(one.fair and one.share == 0.5 for one in fair)


def test_the_interval_is_wilsons() -> None:
    # 8 of 10, as in Newcombe (1998) and statsmodels' proportion_confint(8, 10, method="wilson").
    low, high = Check("x", "all", 0.8, 10).interval
    assert (round(low, 4), round(high, 4)) == (0.4902, 0.9433)


def test_agreement_is_that_of_the_annotators(tmp_path: Path) -> None:
    groups = [annotated(f"g{i}") for i in range(3)]
    [found] = summarise(write(tmp_path / "d", {"sft": groups})).agreement
    assert found.alpha == pytest.approx(agreement(v for g in groups for v in g.views))
    assert (found.source, found.views, found.used) == ("made", 3, 3)


def test_every_value_is_in_a_bin(tmp_path: Path) -> None:
    def long(number: int) -> Group:
        answers = (Candidate("x" * (number * number), "model"), Candidate("y", "model"))
        return make_group(f"g{number}", candidates=answers)

    found = summarise(write(tmp_path / "d", {"sft": [long(n) for n in range(1, 60)]}))
    lengths = next(one for one in found.histograms if "response" in one.name)
    assert sum(one.count for one in lengths.bins) == lengths.n == 118
    assert lengths.most == 59 * 59


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_bins_are_few_and_begin_at_or_below_the_least(least: int, more: int) -> None:
    width, first = step(least, least + more)
    assert first <= least < first + width
    assert (least + more - first) // width < 12


def test_a_bar_is_as_long_as_its_share() -> None:
    assert bar(0, 10) == ""
    assert len(bar(10, 10)) == 2 * len(bar(5, 10)) == 28
    assert bar(1, 100_000)  # what is there can be seen


def test_tables_have_a_cell_for_every_column(tmp_path: Path) -> None:
    for told in tables_of(summarise(write(tmp_path / "d", {"sft": [annotated("a")]}))):
        assert {len(row) for row in told.rows} <= {len(told.columns)}


@given(st.text())
def test_nothing_printed_commands_a_terminal(text: str) -> None:
    shown = printable(text)
    assert not any((ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160 for c in shown)
    assert "\u202e" not in shown
    assert "\n" not in excerpt(text)
