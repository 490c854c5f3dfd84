"""``metaalign data mock-teacher`` and ``metaalign data journal``."""

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.data.teacher.asking import ask_all, request, settings

from metaalign.cli import main
from metaalign.data.teacher.requests import Message, Request
from metaalign.data.teacher.teacher import Teacher
from metaalign.sandbox import load_world


@contextmanager
def mock_teacher(*options: str) -> Iterator[str]:
    """The base URL of a mock teacher that runs as a command until the block ends."""
    command = [sys.executable, "-m", "metaalign", "data", "mock-teacher", "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("model mock answers at http://127.0.0.1:")
        yield line.split()[4]
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
        assert process.returncode == 130
        assert errors.startswith("stopped:")


def test_a_mock_teacher_that_counts(tmp_path: Path) -> None:
    with mock_teacher("--latency", "0.01", "--malformed-rate", "1") as url:
        [outcome] = ask_all(settings(tmp_path, url), [request(1)])
        with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as answer:
            counted = json.load(answer)
    assert outcome.status == "malformed"
    assert (counted["answered"], counted["malformed"]) == (2, 2)


def test_the_sandbox_can_stand_behind_it(tmp_path: Path) -> None:
    query = load_world().queries["benign"][0]
    asked = Request("write", (Message("user", query.asks[0]),), max_tokens=500)
    with (
        mock_teacher("--latency", "0", "--sandbox") as url,
        Teacher(settings(tmp_path, url)) as teacher,
    ):
        [outcome] = teacher.ask([asked], str)
    assert outcome.value is not None
    assert query.facts[0].split("{")[0] in outcome.value


def test_a_journal_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with mock_teacher("--latency", "0", "--malformed-rate", "1") as url:
        given = settings(tmp_path, url, price_in=1.0)
        ask_all(given, [request(1)])
    assert main(["data", "journal", given.journal]) == 0
    shown = capsys.readouterr().out
    assert "write-repair             malformed           1" in shown
    assert "2 calls were answered" in shown
    assert main(["data", "journal", given.journal, "--quarantine"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["write", "write-repair"]


def test_no_journal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "journal", str(tmp_path / "none")]) == 2
    assert "there is no journal at" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
