"""The command line: every command as somebody types it, well and badly."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
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
    "train",
    "eval",
    "resolve",
    "matrix",
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


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small dataset of the sandbox, made by the command."""
    out = tmp_path_factory.mktemp("cli") / "data"
    assert main(["data", "build", "--size", "120", "--seed", "3", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def model(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has seen the dataset once, made by the command."""
    out = tmp_path_factory.mktemp("cli") / "model"
    recipe = ["--recipe", "one-stage", "--set", "sft.epochs=1"]
    words = ["train", "--data", str(dataset), "--model", "scratch:tiny", "--out", str(out)]
    assert main([*words, *recipe]) == 0
    return out


# Help


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


# Bad input


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("no-such", "No such command 'no-such'"),
        ("data", "Missing command"),
        ("resolve", "Missing argument 'query' (see metaalign resolve --help)"),
        ("resolve ' '", "the query is empty"),
        ("resolve hi --kind odd", "Invalid value for '--kind'"),
        ("resolve hi --rule odd", "no conflict rule is called 'odd'"),
        ("resolve hi --matrix none.toml", "cannot read the Priority Matrix none.toml"),
        ("matrix show none.toml", "cannot read the Priority Matrix none.toml"),
        ("serve --model . --port 65536", "Invalid value for '--port'"),
        ("serve --modle .", "No such option: --modle"),
        ("chat --model none/of/these hi", "there is no model folder none/of/these"),
        ("data build --out d --size many", "Invalid value for '--size'"),
        ("data build --out d --limit 3", "--limit has no effect on the sandbox"),
        ("data build --out d --source odd=x", "unknown source 'odd'"),
        ("data build --out d --source habermas=none", "none is not a file"),
        ("data build --out d --source sandbox --source habermas=x", "a dataset of its own"),
        ("data build --out d --source habermas=pyproject.toml --size 3", "--size has no effect"),
        ("train --data none --model scratch:tiny --out m", "none does not exist"),
        ("eval --data none --model a=none --out r", "none does not exist"),
        ("eval --data none --model none --out r", "'none' is not of the form --model NAME=DIR"),
        ("eval --data none --model a=x --model a=y --out r", "a name is given twice"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    line: str,
    said: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").touch()
    assert main(shlex.split(line)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert said in err
    assert err.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"pyproject.toml"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--recipe", "none"], "cannot read the recipe none"),
        (["--set", "sft.epochs"], "not of the form --set KEY=VALUE"),
        (["--set", "sft.epoch=1"], "unknown field `epoch`"),
        (["--set", "sft.epochs=-1"], "sft.epochs"),
        (["--set", "sft.epochs=1", "--set", "sft.epochs=2"], "a name is given twice"),
        (["--set", "sft.pretrained.lr=0.1"], "has no effect"),
    ],
)
def test_a_bad_recipe_is_refused_before_training(
    options: list[str],
    said: str,
    dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["train", "--data", str(dataset), "--model", "scratch:tiny", "--out"]
    assert main([*words, str(tmp_path / "m"), *options]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "m").exists()


def test_a_half_written_dataset_is_refused(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "data"
    subprocess.run(["cp", "-r", str(dataset), str(broken)], check=True)
    victim = next((broken / "groups").glob("sft*"))
    victim.write_bytes(victim.read_bytes()[:100])
    words = ["train", "--data", str(broken), "--model", "scratch:tiny", "--out"]
    assert main([*words, str(tmp_path / "m")]) == 2
    err = capsys.readouterr().err
    assert str(victim) in err
    assert err.count("\n") == 1


def test_a_port_in_use_is_told_at_once(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        assert main(["serve", "--model", str(model), "--port", port]) == 2
    err = capsys.readouterr().err
    assert f"port {port}" in err
    assert err.count("\n") == 1


WITHOUT = """
import sys
from importlib.machinery import PathFinder
from metaalign.cli import main
find = PathFinder.find_spec
missing = set(sys.argv[1].split(","))
PathFinder.find_spec = lambda name, *rest: None if name in missing else find(name, *rest)
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize(
    ("missing", "line", "code"),
    [
        ("torch,pyarrow,numpy,scipy,matplotlib,jinja2,starlette", "resolve hi", 0),
        ("torch,pyarrow,numpy,scipy,matplotlib,jinja2,starlette", "matrix show", 0),
        ("torch", "train --data . --model scratch:tiny --out m", 2),
        ("torch", "chat --model . hi", 2),
        ("starlette", "serve --model .", 2),
        ("pyarrow", "data build --size 30 --out d", 2),
        ("matplotlib", "eval --data . --model a=. --out r", 2),
    ],
)
def test_a_missing_extra_says_what_to_install(
    missing: str, line: str, code: int, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, missing, *line.split()],
        env=environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    if code:
        assert re.search(rf"error: .*{missing}.*pip install 'metaalign\[\w+\]'", done.stderr)
        assert done.stderr.count("\n") == 1


# The commands at work


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
    kinds = ("benign", "sounds_harmful", "harmful", "severe", "contested")
    assert [line for line in shown.splitlines() if line.strip() in kinds]
    # Two true conflicts, each both ways round.
    body = shown.partition("\n")[2]
    assert body.count("*") == 4


def test_data_build_keeps_what_is_there_and_made_from_the_same(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (dataset / "manifest.json").stat().st_mtime_ns
    words = ["data", "build", "--size", "120", "--out", str(dataset)]
    shown = read(capsys, [*words, "--seed", "3"])
    assert (dataset / "manifest.json").stat().st_mtime_ns == before
    assert f"dataset in {dataset}" in shown
    manifest = read_manifest(dataset)
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
    model: Path, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = read_manifest(model)
    assert manifest.settings["sft.epochs"] == 1
    assert manifest.settings["reads"] == "meta_prompt"
    # The same again is there already.
    before = (model / "manifest.json").stat().st_mtime_ns
    words = ["train", "--data", str(dataset), "--model", "scratch:tiny", "--out", str(model)]
    shown = read(capsys, [*words, "--recipe", "one-stage", "--set", "sft.epochs=1"])
    assert (model / "manifest.json").stat().st_mtime_ns == before
    assert f"examples: {manifest.counts['examples']}" in shown


def test_two_stages_sample_their_pairs_and_judge_them(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the sandbox the command knows a judge, so pairs are sampled from the SFT model."""
    words = ["train", "--data", str(dataset), "--model", "scratch:tiny", "--recipe", "two-stage"]
    small = ["--set", "sft.epochs=1", "--set", "pairs.max_new_tokens=8"]
    small += ["--set", "pairs.sampled_dialogues=4", "--out", str(tmp_path / "m")]
    read(capsys, [*words, *small])
    assert read_manifest(tmp_path / "m").settings["pairs_are_sampled"] is True


def test_eval_writes_the_report_that_it_shows(
    model: Path, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = ["--model", f"first={model}", "--model", f"second={model}"]
    words = ["eval", "--data", str(dataset), *models, "--limit", "4", "--out", str(tmp_path)]
    shown = read(capsys, words)
    report = json.loads((tmp_path / "report.json").read_text())
    assert list(report["models"]) == ["first", "second"]
    assert max(found["n"] for found in report["models"]["second"].values()) <= 8
    for metric in report["models"]["second"]:
        assert metric in shown
    for note in report["notes"]:
        assert f"note: {note}" in shown


def test_chat_answers_one_query_and_explains(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["chat", "--model", str(model), "--max-tokens", "4", "--system-info", "Keep it short."]
    answer = read(capsys, [*words, "How do I water a cactus?"])
    assert answer.endswith("\n")
    explained = read(capsys, [*words, "--explain", "How do I water a cactus?"])
    assert explained.startswith(answer)
    assert "length = short from System Info" in explained


def test_chat_without_a_query_is_a_conversation(model: Path) -> None:
    typed = "/system Keep it short.\nhello\n/quit\nnever read\n"
    done = subprocess.run(
        [*METAALIGN, "chat", "--model", str(model), "--max-tokens", "4", "--explain"],
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


def test_a_reader_that_goes_away_is_no_error() -> None:
    done = subprocess.run(
        ["bash", "-c", '"$@" | true; echo "${PIPESTATUS[0]}" >&2', "-", *METAALIGN, "--help"],
        env=environment(PYTHONUNBUFFERED="1"),
        capture_output=True,
        text=True,
        check=True,
    )
    # Nothing but the exit code, whichever of the two was quicker.
    assert re.fullmatch(r"[01]\n", done.stderr)


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*METAALIGN, "resolve", "hi", "--json"],
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert "the disk is full" in done.stderr
    assert done.stderr.count("\n") == 1


# Interruptions


def interrupted(words: list[str], number: int, sign: Path, seconds: float = 120) -> tuple[int, str]:
    """Start a command, send it a signal when ``sign`` exists; its exit code and what it said."""
    with subprocess.Popen(
        [*METAALIGN, *words], env=environment(), stderr=subprocess.PIPE, text=True
    ) as running:
        end = time.monotonic() + seconds
        while not sign.exists() and running.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        running.send_signal(number)
        _, err = running.communicate(timeout=60)
    return running.returncode, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_build_leaves_what_was_there(number: int, dataset: Path, tmp_path: Path) -> None:
    """The new dataset is made beside the old one, and takes its place only when it is whole."""
    out = tmp_path / "data"
    subprocess.run(["cp", "-r", str(dataset), str(out)], check=True)
    before = (out / "manifest.json").read_bytes()
    partial = tmp_path / ".data.partial"
    words = ["data", "build", "--size", "38900", "--out", str(out)]
    code, err = interrupted(words, number, partial)
    assert code == 130
    assert err.splitlines()[-1].startswith("stopped: what is finished is kept")
    assert "Traceback" not in err
    assert (out / "manifest.json").read_bytes() == before
    assert not partial.exists()


def test_serve_ends_with_ctrl_c(model: Path, tmp_path: Path) -> None:
    sign = tmp_path / "said"
    with (
        sign.open("w") as said,
        subprocess.Popen(
            [*METAALIGN, "serve", "--model", str(model), "--port", "0"],
            env=environment(PYTHONUNBUFFERED="1"),
            stdout=said,
            stderr=subprocess.PIPE,
            text=True,
        ) as running,
    ):
        end = time.monotonic() + 60
        while "answers at" not in sign.read_text() and time.monotonic() < end:
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=30)
    assert running.returncode == 130
    assert err == "stopped\n"
