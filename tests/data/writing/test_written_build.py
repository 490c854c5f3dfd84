"""``metaalign data build`` of a recipe with ``[[write]]``."""

from pathlib import Path

import pytest
from tests.data.writing.written import mock, queries_file

from metaalign.cli import main
from metaalign.data.store import read_dataset_manifest, read_groups

RECIPE = """
[teacher]
model = "mock"
base_url = "{url}"
journal = "{journal}"
concurrency = 4

[[write]]
name = "mine"
family = "helpful"
place = "queries.jsonl"
rounds = 1

[[write]]
name = "theirs"
family = "opinion"
place = "queries.jsonl"
personas = "people.jsonl"

[split]
layout = "one-stage"
"""


def build(folder: Path, url: str, out: str, *words: str) -> int:
    journal = folder / f"{out}.sqlite"
    recipe = folder / f"{out}.toml"
    recipe.write_text(RECIPE.format(url=url, journal=journal), encoding="utf-8")
    return main(["data", "build", str(recipe), "--out", str(folder / out), *words])


def rows(dataset: Path) -> dict[str, bytes]:
    """The bytes of every table."""
    files = sorted(dataset.rglob("*.parquet"))
    return {file.relative_to(dataset).as_posix(): file.read_bytes() for file in files}


def test_a_build_that_ran_out_of_money_goes_on_to_the_same_dataset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    queries_file(tmp_path, ["benign", "contested"], 20)
    with mock(malformed_rate=0.1, refusal_rate=0.05) as (url, behaviour):
        assert build(tmp_path, url, "whole") == 0
        asked = behaviour.stats.calls
        assert build(tmp_path, url, "broken", "--set", "teacher.max_tokens=20000") == 2
        assert "budget" in capsys.readouterr().err
        assert asked < behaviour.stats.calls < 2 * asked
        assert build(tmp_path, url, "broken") == 0
        # Both journals together hold every call once: nothing was asked twice.
        assert behaviour.stats.calls == 2 * asked
    assert rows(tmp_path / "broken") == rows(tmp_path / "whole") != {}


def test_the_manifest_tells_what_was_written_and_what_was_not(tmp_path: Path) -> None:
    queries_file(tmp_path, ["benign", "contested"], 12)
    with mock(refusal_rate=0.2) as (url, _):
        assert build(tmp_path, url, "made") == 0
    manifest, groups = read_dataset_manifest(tmp_path / "made"), read_groups(tmp_path / "made")
    counts = manifest.counts
    assert {group.source for group in groups} == {"mine", "theirs"}
    assert counts["teacher.write.answered"] > len(groups)
    assert counts["teacher.write.refused"] > 0
    left_out = sum(n for name, n in counts.items() if name.startswith("skipped."))
    assert len(groups) + left_out == 2 * 24
    assert manifest.settings["teacher.model"] == "mock"


def test_a_dry_run_asks_nothing_and_shows_the_cost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    queries_file(tmp_path, ["benign", "contested"])
    with mock() as (url, behaviour):
        assert build(tmp_path, url, "made", "--dry-run", "--set", "teacher.price_out=2") == 0
        assert behaviour.stats.calls == 0
    out = capsys.readouterr().out
    assert "critique" in out and "total" in out
    assert not (tmp_path / "made").exists() and not (tmp_path / "made.sqlite").exists()
