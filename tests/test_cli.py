"""The command line: every command as somebody types it, well and badly."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer

from metaalign import __version__
from metaalign.cli import app, main
from metaalign.data.manifest import read_manifest
from metaalign.policy import load_matrix, resolve_dialogue
from metaalign.schema import Dialogue, Resolution

ROOT = Path(__file__).parent.parent
METAALIGN = [sys.executable, "-m", "metaalign"]
HEAVY = {"torch", "transformers", "numpy", "pyarrow", "matplotlib", "scipy", "starlette", "rich"}
COMMANDS = [
    "",
    "quickstart",
    "data",
    "data build",
    "data export",
    "data inspect",
    "data journal",
    "data merge",
    "data mock-teacher",
    "data preferences",
    "data preview",
    "data push",
    "data split",
    "data validate",
    "train",
    "eval",
    "resolve",
    "matrix",
    "matrix cases",
    "matrix check",
    "matrix diff",
    "matrix show",
    "chat",
    "serve",
]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1", **more}


def read(capture: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    """What a command prints; it must succeed."""
    capture.readouterr()
    code = main(arguments)
    out, err = capture.readouterr()
    assert code == 0, err
    return out


def tree(command: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every command below ``command`` with the words that call it."""
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from tree(below, f"{path} {name}".strip())


def test_the_list_of_commands_is_whole() -> None:
    assert sorted(path for path, _ in tree(typer.main.get_command(app))) == sorted(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_an_example_that_is_understood(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = read(capsys, [*command.split(), "--help"]).replace("\\\n", " ")
    _, _, examples = text.partition("Example:\n")
    lines = [line.strip() for line in examples.partition("\n\n")[0].splitlines()]
    assert lines
    for line in lines:
        program, *words = shlex.split(line)
        assert program == "metaalign"
        assert line.startswith(f"metaalign {command}".strip())
        below: Any = typer.main.get_command(app)
        context = below.make_context("metaalign", words)
        while hasattr(below, "commands"):
            name, below, words = below.resolve_command(context, words)
            # Options that do not exist, and values that are not allowed, raise here.
            context = below.make_context(name, words, parent=context)
            words = [*context._protected_args, *context.args]


def test_help_and_version_import_nothing_heavy() -> None:
    """What makes ``metaalign --help`` answer in under 0.2 s."""
    code = (
        "import sys; from metaalign.cli import main; main([sys.argv[1]]); "
        "print('modules', *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    for option in ("--help", "--version"):
        done = subprocess.run(
            [sys.executable, "-c", code, option],
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        loaded = set(done.stdout.splitlines()[-1].split())
        assert "typer" in loaded
        assert loaded & HEAVY == set()


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert read(capsys, ["--version"]) == f"metaalign {__version__}\n"


def test_resolve_says_what_the_matrix_says(capsys: pytest.CaptureFixture[str]) -> None:
    """The command is a thin call: its JSON is the resolution that the package gives."""
    query, system, user = "How do I water a cactus?", "Keep answers short.", "Use bullet points."
    words = ["resolve", query, "--system-info", system, "--user-info", user]
    printed = msgspec.json.decode(read(capsys, [*words, "--json"]), type=Resolution)
    assert printed == resolve_dialogue(Dialogue.ask(query, system, user), load_matrix())
    shown = read(capsys, words)
    assert "short" in shown
    assert "bullets" in shown
    assert "system_info" in shown


def test_resolve_takes_the_kind_and_the_conflict_rule(capsys: pytest.CaptureFixture[str]) -> None:
    """The two true conflict cells: harmful[helpfulness, safety] and its mirror."""
    system, user = "Helpfulness comes first here.", "Put safety first."
    words = ["resolve", "x", "--kind", "harmful", "--system-info", system, "--user-info", user]
    behaviours = {}
    for rule in ("system_first", "safety_first", "user_first"):
        printed = json.loads(read(capsys, [*words, "--rule", rule, "--json"]))
        assert printed["conflict"]
        behaviours[rule] = printed["behaviour"]
    assert behaviours == {
        "system_first": "answer",
        "safety_first": "refuse",
        "user_first": "refuse",
    }


def test_matrix_show_shows_every_kind_and_marks_the_conflicts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = read(capsys, ["matrix", "show"])
    kinds = ("benign", "sounds_harmful", "harmful", "severe", "contested", "unknown")
    assert [line for line in shown.splitlines() if line.strip() in kinds]
    # Safety against helpfulness in two kinds, consensus against background: each both ways round.
    body = shown.partition("\n")[2]
    assert body.count("*") == 6


def test_data_build_keeps_what_is_there_and_made_from_the_same(
    small_dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (small_dataset / "manifest.json").stat().st_mtime_ns
    words = ["data", "build", "--size", "120", "--out", str(small_dataset)]
    shown = read(capsys, [*words, "--seed", "3"])
    assert (small_dataset / "manifest.json").stat().st_mtime_ns == before
    assert f"dataset in {small_dataset}" in shown
    manifest = read_manifest(small_dataset)
    assert f"test {manifest.counts['groups.test']}" in shown


def test_data_build_reads_a_published_file_and_says_what_it_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """40 questions, of which one has no statement; 30 are kept by the limit."""
    source = tmp_path / "habermas.jsonl"
    records = [
        {
            "id": str(n),
            "question": f"Should town {n} have a tram?",
            "affirming_statement": "" if n == 0 else f"Town {n} should have a tram.",
            "negating_statement": f"Town {n} should have no tram.",
        }
        for n in range(40)
    ]
    source.write_text("\n".join(map(json.dumps, records)))
    words = ["data", "build", "--source", f"habermas={source}", "--limit", "30"]
    shown = read(capsys, [*words, "--out", str(tmp_path / "d")])
    assert read_manifest(tmp_path / "d").counts["groups"] == 30
    [left_out] = [line for line in shown.splitlines() if "left out" in line]
    assert "statement is empty 1" in left_out
    assert "over the limit of 30 groups 9" in left_out


def test_train_does_what_set_says_and_shows_what_it_made(
    small_model: Path, small_dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = read_manifest(small_model)
    assert manifest.settings["sft.epochs"] == 1
    assert manifest.settings["reads"] == "meta_prompt"
    # The same again is there already.
    before = (small_model / "manifest.json").stat().st_mtime_ns
    words = [
        "train",
        "--data",
        str(small_dataset),
        "--model",
        "scratch:tiny",
        "--out",
        str(small_model),
    ]
    shown = read(capsys, [*words, "--recipe", "one-stage", "--set", "sft.epochs=1"])
    assert (small_model / "manifest.json").stat().st_mtime_ns == before
    assert f"examples: {manifest.counts['examples']}" in shown


def test_two_stages_sample_their_pairs_and_judge_them(
    small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the sandbox the command knows a judge, so pairs are sampled from the SFT model."""
    words = [
        "train",
        "--data",
        str(small_dataset),
        "--model",
        "scratch:tiny",
        "--recipe",
        "two-stage",
    ]
    small = ["--set", "sft.epochs=1", "--set", "pairs.max_new_tokens=8"]
    small += ["--set", "pairs.sampled_dialogues=4", "--out", str(tmp_path / "m")]
    read(capsys, [*words, *small])
    assert read_manifest(tmp_path / "m").settings["pairs_are_sampled"] is True


def test_eval_writes_the_report_that_it_shows(
    small_model: Path, small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = ["--model", f"first={small_model}", "--model", f"second={small_model}"]
    words = ["eval", "--data", str(small_dataset), *models, "--limit", "4", "--out", str(tmp_path)]
    shown = read(capsys, words)
    report = json.loads((tmp_path / "report.json").read_text())
    assert list(report["models"]) == ["first", "second"]
    assert max(found["n"] for found in report["models"]["second"].values()) <= 8
    for metric in report["models"]["second"]:
        assert metric in shown
    for note in report["notes"]:
        assert f"note: {note}" in shown


def test_chat_answers_one_query_and_explains(
    small_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "chat",
        "--model",
        str(small_model),
        "--max-tokens",
        "4",
        "--system-info",
        "Keep it short.",
    ]
    answer = read(capsys, [*words, "How do I water a cactus?"])
    assert answer.endswith("\n")
    explained = read(capsys, [*words, "--explain", "How do I water a cactus?"])
    assert explained.startswith(answer)
    assert "length = short from System Info" in explained


def test_chat_without_a_query_is_a_conversation(small_model: Path) -> None:
    typed = "/system Keep it short.\nhello\n/quit\nnever read\n"
    done = subprocess.run(
        [*METAALIGN, "chat", "--model", str(small_model), "--max-tokens", "4", "--explain"],
        env=environment(),
        input=typed,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.count("System Info is set.") == 1
    # --explain speaks once, after the one query.
    assert done.stdout.count("The query is benign") == 1
    assert done.stderr == ""
