"""``metaalign matrix cases``, and ``metaalign eval --cases``."""

import json
import shlex
from pathlib import Path

import pytest

from metaalign.cli import main
from metaalign.policy import load_matrix
from metaalign.sandbox.cases import build_cases, describe, read_cases


def read(capture: pytest.CaptureFixture[str], line: str) -> str:
    """What a command prints; it must succeed."""
    capture.readouterr()
    code = main(shlex.split(line))
    out, err = capture.readouterr()
    assert code == 0, err
    return out


def test_it_shows_every_kind_with_its_number_and_one_example(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = read(capsys, "matrix cases --per-kind 2")
    cases = build_cases(load_matrix(), per_kind=2)
    for case in cases:
        assert f"{case.name}: {case.about}" in shown
        told = "\n".join(describe(case))
        assert (told in shown) == case.group.id.endswith("/0")  # the first of each kind
    assert f"{len(cases)} cases of {len(cases) // 2} kinds, by {load_matrix().label}" in shown
    assert "note: no cases of four-tiers-contradiction: it needs 4 tiers" in shown
    assert "won over" in shown


def test_it_writes_what_the_package_makes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "cases.jsonl"
    options = "--matrix organisation --rule user_first --per-kind 3 --seed 5 --kind hedged"
    said = read(capsys, f"matrix cases {options} --kind four-tiers-contradiction --out {out}")
    assert "6 cases of 2 kinds, by organisation@" in said
    assert "note:" not in said
    matrix = load_matrix("organisation", "user_first")
    names = ["hedged", "four-tiers-contradiction"]
    assert read_cases(out) == build_cases(matrix, 3, 5, kinds=names)


def test_eval_asks_the_cases_with_and_without_a_dataset(
    small_model: Path, small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = tmp_path / "cases.jsonl"
    kinds = "--kind agreement --kind changed-back"
    read(capsys, f"matrix cases --per-kind 2 {kinds} --out {cases}")
    asked = f"eval --cases {cases} --model m={small_model} --limit 4"
    shown = read(capsys, f"{asked} --out {tmp_path / 'alone'}")
    report = json.loads((tmp_path / "alone/report.json").read_text())
    assert list(report["models"]["m"]) == ["edge_cases"]
    assert report["models"]["m"]["edge_cases"]["n"] == 4
    for word in ("agreement", "changed-back", "m obeys", "m behaves", "edge_cases"):
        assert word in shown

    shown = read(capsys, f"{asked} --data {small_dataset} --out {tmp_path / 'both'}")
    report = json.loads((tmp_path / "both/report.json").read_text())
    assert {"edge_cases", "follow", "flip"} <= set(report["models"]["m"])
    assert "changed-back" in shown


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("matrix cases --kind odd", "no kind of case is called 'odd': use within-tier"),
        ("matrix cases --kind four-tiers-contradiction", "it needs 4 tiers"),
        ("matrix cases --per-kind 0", "Invalid value for '--per-kind'"),
        ("matrix cases --matrix none.toml", "cannot read the Priority Matrix none.toml"),
        ("matrix cases --rule odd", "no conflict rule is called 'odd'"),
        ("matrix cases --out none/cases.jsonl", "cannot write none/cases.jsonl"),
        ("eval --model a=x --out r", "there is nothing to ask: give --data DIR, --cases FILE"),
        ("eval --model a=x --out r --cases none", "cannot read none"),
        ("eval --model a=x --out r --cases empty.jsonl", "empty.jsonl holds no cases"),
        ("eval --model a=x --out r --cases odd.jsonl", "odd.jsonl, line 1 is no case"),
    ],
)
def test_bad_input_is_one_line(
    line: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.jsonl").touch()
    Path("odd.jsonl").write_text('{"name": 3}\n')
    assert main(shlex.split(line)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert said in err
    assert err.count("\n") == 1
    assert not Path("r").exists()
