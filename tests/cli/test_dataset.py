"""``metaalign data inspect`` and what else is done with datasets, as somebody types it."""

import json
import shutil
from pathlib import Path

import pytest
from tests.data.tools.makers import HOSTILE, change, hostile, write

from metaalign.cli import main
from metaalign.data.manifest import read_manifest
from metaalign.data.store import read_groups


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> "Runner":
    return Runner(capsys)


class Runner:
    """Runs a command below ``metaalign data``."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: object, code: int = 0) -> str:
        """What the command prints; where it fails, its one line of error."""
        self._capsys.readouterr()
        ended = main(["data", *map(str, words)])
        out, err = self._capsys.readouterr()
        assert ended == code, err
        if code:
            assert err.count("\n") == 1, err
            self.out = out
            return err
        return out


def test_inspect_tells_and_writes_a_page(small_dataset: Path, tmp_path: Path, run: Runner) -> None:
    page = tmp_path / "deep" / "page.html"
    shown = run("inspect", small_dataset, "--html", page, "--sample", 4)
    manifest = read_manifest(small_dataset)
    assert f"{manifest.counts['groups']:,}" in shown
    for title in ("samples by family and split", "preferences by dimension", "shortcuts", "█"):
        assert title in shown
    assert str(page) in shown
    assert page.read_text("utf-8").startswith("<!doctype html>")


def test_inspect_prints_json_alone(small_dataset: Path, tmp_path: Path, run: Runner) -> None:
    shown = run("inspect", small_dataset, "--json", "--html", tmp_path / "page.html")
    assert json.loads(shown)["counts"] == read_manifest(small_dataset).counts


def test_inspect_answers_a_question(tmp_path: Path, run: Runner) -> None:
    dataset = write(tmp_path / "d")
    sql = "SELECT split, count(*) AS n FROM groups GROUP BY 1 ORDER BY 1"
    assert json.loads(run("inspect", dataset, "--sql", sql, "--json")) == [
        {"split": "dpo", "n": 1}, {"split": "sft", "n": 2}, {"split": "test", "n": 2},
    ]  # fmt: skip
    rows = run("inspect", dataset, "--sql", sql).split()
    assert rows[-6:] == ["dpo", "1", "sft", "2", "test", "2"]
    assert "ask one question" in run("inspect", dataset, "--sql", "DROP VIEW groups", code=2)
    assert "--html has no effect" in run(
        "inspect", dataset, "--sql", sql, "--html", tmp_path / "x", code=2
    )
    assert "--sample has no effect" in run("inspect", dataset, "--sample", 3, code=2)


def test_no_text_of_a_dataset_commands_the_terminal(tmp_path: Path, run: Runner) -> None:
    groups = [hostile(f"h{n}", text) for n, text in enumerate(HOSTILE)]
    dataset = write(tmp_path / "d", {"sft": groups}, notes=HOSTILE)
    for words in (["inspect"], ["preview"], ["validate"]):
        shown = run(*words, dataset)
        assert "\x1b" not in shown
        assert "\u202e" not in shown
    assert "\x1b" not in run("inspect", dataset, "--sql", "SELECT text FROM candidates")


def test_preview_takes_datasets_and_recipes(small_dataset: Path, run: Runner) -> None:
    shown = run("preview", small_dataset, "sandbox", "--family", "opinion", "--count", 1)
    assert shown.count(": opinion, contested query") == 2
    assert "view 2, ordered by matrix" in shown
    assert "The query is contested" in shown
    assert "--files has no effect" in run("preview", small_dataset, "--files", ".", code=2)
    assert "no group of the source polis" in run(
        "preview", small_dataset, "--source", "polis", code=2
    )


def test_validate_ends_with_2_if_anything_is_wrong(
    small_dataset: Path, tmp_path: Path, run: Runner
) -> None:
    assert "nothing is wrong" in run("validate", small_dataset)
    damaged = tmp_path / "damaged"
    shutil.copytree(small_dataset, damaged)
    file = next((damaged / "groups").glob("sft-*"))
    change(file, lambda rows: rows[2].update(family="odd"))
    error = run("validate", damaged, code=2)
    assert "--repair DIR writes what is sound" in error
    assert f"groups/{file.name}, row 2, family: Invalid enum value 'odd'" in run.out


def test_validate_repairs(small_dataset: Path, tmp_path: Path, run: Runner) -> None:
    damaged, out = tmp_path / "damaged", tmp_path / "out"
    shutil.copytree(small_dataset, damaged)
    file = next((damaged / "groups").glob("sft-*"))
    change(file, lambda rows: rows[2].update(family="odd"))
    shown = run("validate", damaged, "--repair", out)
    assert "left out: damaged: a row with a wrong family 1" in shown
    assert "nothing is wrong" in shown
    assert len(read_groups(out)) == len(read_groups(small_dataset)) - 1
    assert (tmp_path / "out.quarantine" / "rows.jsonl").exists()


def test_merge_and_split(tmp_path: Path, run: Runner) -> None:
    one, two = write(tmp_path / "one"), tmp_path / "two"
    shutil.copytree(one, two)
    assert "groups: sft 2, dpo 1, test 2, 5" in run("merge", one, two, "--out", tmp_path / "m")
    new = ("--fractions", "train=0.5,test=0.5", "--layout", "one-stage", "--seed", 3)
    assert "groups: train" in run("split", tmp_path / "m", *new, "--out", tmp_path / "s")
    assert len(read_groups(tmp_path / "s")) == 5
    words = ["merge", one, two, "--out", tmp_path / "m2"]
    assert "--seed has no effect" in run(*words, "--seed", 1, code=2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--by", "nothing"], "the splits: Invalid enum value 'nothing'"),
        (["--fractions", "sft"], "is not of the form NAME=SHARE"),
        (["--fractions", "sft=half,dpo=0.5"], "'half' is no share"),
        (["--fractions", "sft=0.5,dpo=0.2"], "fractions must sum to 1"),
        (["--near", "0.8", "--by", "persona"], "near has an effect on by = query alone"),
    ],
)
def test_splits_that_make_no_sense_are_one_line(
    tmp_path: Path, run: Runner, words: list[str], said: str
) -> None:
    dataset = write(tmp_path / "d")
    assert said in run("split", dataset, *words, "--out", tmp_path / "o", code=2)


def test_export(tmp_path: Path, run: Runner) -> None:
    dataset = write(tmp_path / "d")
    shown = run(
        "export", dataset, "--to", "paper", "--layout", "one-stage", "--out", tmp_path / "o"
    )
    assert f"{tmp_path / 'o' / 'helpful_sft.json'}: 4" in shown
    assert "note: the layout is one-stage" in shown
    words = ["export", dataset, "--out", tmp_path / "p", "--to"]
    assert "no layout 'three'" in run(*words, "paper", "--layout", "three", code=2)
    assert "no format 'csv'" in run(*words, "csv", code=2)


def test_push_without_a_network_is_one_line(tmp_path: Path, run: Runner) -> None:
    assert "cannot upload me/set" in run("push", write(tmp_path / "d"), "me/set", code=2)


def test_what_is_no_dataset_is_one_line(tmp_path: Path, run: Runner) -> None:
    for command in ("inspect", "validate"):
        assert str(tmp_path / "nothing") in run(command, tmp_path / "nothing", code=2)
        assert "manifest.json" in run(command, tmp_path, code=2)
