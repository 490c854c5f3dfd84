"""The command line when something goes wrong: bad input, a missing extra, a full disk, Ctrl-C."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from metaalign.cli import main

ROOT = Path(__file__).parent.parent
METAALIGN = [sys.executable, "-m", "metaalign"]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1", **more}


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
    small_dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["train", "--data", str(small_dataset), "--model", "scratch:tiny", "--out"]
    assert main([*words, str(tmp_path / "m"), *options]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "m").exists()


def test_a_half_written_dataset_is_refused(
    small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "data"
    subprocess.run(["cp", "-r", str(small_dataset), str(broken)], check=True)
    victim = next((broken / "groups").glob("sft*"))
    victim.write_bytes(victim.read_bytes()[:100])
    words = ["train", "--data", str(broken), "--model", "scratch:tiny", "--out"]
    assert main([*words, str(tmp_path / "m")]) == 2
    err = capsys.readouterr().err
    assert str(victim) in err
    assert err.count("\n") == 1


def test_a_port_in_use_is_told_at_once(
    small_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        assert main(["serve", "--model", str(small_model), "--port", port]) == 2
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
def test_a_stopped_build_leaves_what_was_there(
    number: int, small_dataset: Path, tmp_path: Path
) -> None:
    """The new dataset is made beside the old one, and takes its place only when it is whole."""
    out = tmp_path / "data"
    subprocess.run(["cp", "-r", str(small_dataset), str(out)], check=True)
    before = (out / "manifest.json").read_bytes()
    partial = tmp_path / ".data.partial"
    words = ["data", "build", "--size", "38900", "--out", str(out)]
    code, err = interrupted(words, number, partial)
    assert code == 130
    assert err.splitlines()[-1].startswith("stopped: what is finished is kept")
    assert "Traceback" not in err
    assert (out / "manifest.json").read_bytes() == before
    assert not partial.exists()


def test_serve_ends_with_ctrl_c(small_model: Path, tmp_path: Path) -> None:
    sign = tmp_path / "said"
    with (
        sign.open("w") as said,
        subprocess.Popen(
            [*METAALIGN, "serve", "--model", str(small_model), "--port", "0"],
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


def test_stopped_training_goes_on_when_it_is_asked_again(
    small_dataset: Path, tmp_path: Path
) -> None:
    """What the first stage has finished is not done again; the second is stopped in the middle."""
    out = tmp_path / "m"
    words = [
        "train",
        "--data",
        str(small_dataset),
        "--model",
        "scratch:tiny",
        "--recipe",
        "two-stage",
    ]
    words += ["--set", "pairs.samples=0", "--set", "sft.epochs=1", "--out", str(out)]
    first = out / "stages" / "sft" / "manifest.json"
    # Far more training than the time until the signal comes.
    code, err = interrupted([*words, "--set", "dpo.epochs=100000"], signal.SIGINT, first)
    assert code == 130
    assert err.splitlines()[-1].startswith("stopped: ")
    assert "Traceback" not in err
    assert not (out / "manifest.json").exists()
    before = first.stat().st_mtime_ns
    assert main([*words, "--set", "dpo.epochs=1"]) == 0
    assert first.stat().st_mtime_ns == before
    assert (out / "manifest.json").exists()
