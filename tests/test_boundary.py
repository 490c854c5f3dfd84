"""What leaves the command line when something goes wrong: one line and the right exit code."""

import errno
import os
import signal

import pytest
import typer

from metaalign import boundary
from metaalign.schema import MissingExtra, UserError


def run(error: BaseException) -> int:
    """The exit code of a command that raises ``error``."""
    app = typer.Typer(rich_markup_mode=None)

    @app.command()
    def command() -> None:
        raise error

    return boundary.run(app, [])


def wrapped_disk_full() -> Exception:
    """As libraries wrap what the system says: another type, the cause kept."""
    error = RuntimeError("cannot write the checkpoint")
    error.__cause__ = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return error


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UserError("the port 80 is in use: choose another"), 2, "error: the port 80 is in use"),
        (MissingExtra("serve", "uvicorn"), 2, "pip install 'metaalign[serve]'"),
        (KeyboardInterrupt(), 130, "stopped: what is finished is kept; run the same command again"),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "error: the disk is full"),
        (wrapped_disk_full(), 2, "error: the disk is full"),
        (RuntimeError("io: No space left on device (os error 28)"), 2, "error: the disk is full"),
        (PermissionError(13, "Permission denied", "/x/y"), 2, "error: /x/y: Permission denied"),
        (ModuleNotFoundError("no torch", name="torch.nn"), 2, "pip install 'metaalign[all]'"),
        (ModuleNotFoundError("ours", name="metaalign.none"), 1, "ModuleNotFoundError: ours"),
        (ValueError("two\nlines"), 1, "error: ValueError: two lines: this is a bug"),
        (typer.BadParameter("no such thing"), 2, "error: Invalid value: no such thing"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(
    error: BaseException,
    code: int,
    line: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("METAALIGN_TRACEBACK", raising=False)
    # A full disk makes the program give up its standard output; here that is pytest's.
    monkeypatch.setattr(boundary, "_forget_stdout", lambda: None)
    assert run(error) == code
    said = capfd.readouterr().err
    assert line in said
    assert said.count("\n") == 1


def test_a_traceback_is_shown_on_request(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METAALIGN_TRACEBACK", "1")
    assert run(ValueError("wrong")) == 1
    assert "Traceback" in capfd.readouterr().err


def test_sigterm_does_what_ctrl_c_does_and_is_put_back(capfd: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    app = typer.Typer(rich_markup_mode=None)
    tidied = []

    @app.command()
    def command() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            tidied.append("yes")

    assert boundary.run(app, []) == 130
    assert tidied == ["yes"]
    assert capfd.readouterr().err.startswith("stopped: ")
    assert signal.getsignal(signal.SIGTERM) == before


def test_all_is_well_is_zero_and_silent(capfd: pytest.CaptureFixture[str]) -> None:
    app = typer.Typer(rich_markup_mode=None)
    app.command()(lambda: None)
    assert boundary.run(app, []) == 0
    assert capfd.readouterr() == ("", "")
