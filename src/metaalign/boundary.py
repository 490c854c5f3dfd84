"""Where errors leave the command line: one line for people, and an exit code for scripts.

0    all is well
2    something that a person can put right; the line says what was wrong, where, and what to do
130  Ctrl-C or SIGTERM; what was finished is kept
1    anything else: a bug, told in one line; METAALIGN_TRACEBACK=1 shows where
"""

import errno
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import typer

from metaalign.schema import MissingExtra, UserError

STOPPED = "stopped: what is finished is kept; run the same command again to go on"


def run(app: typer.Typer, arguments: Sequence[str] | None = None) -> int:
    """Run ``app`` and return the exit code; ``arguments`` are those of the process by default."""
    try:
        with _terminable():
            # Typer turns Ctrl-C into its exit code; commands themselves return nothing.
            code = app(arguments, prog_name="metaalign", standalone_mode=False) or 0
            sys.stdout.flush()
        if code == 130:
            return _say(STOPPED, 130)
        return int(code)
    except KeyboardInterrupt:
        return _say(STOPPED, 130)
    except BrokenPipeError:
        _forget_stdout()
        return 1
    except Exception as error:
        if os.environ.get("METAALIGN_TRACEBACK"):
            traceback.print_exc()
        return _say(*_as_line(error))


def _as_line(error: Exception) -> tuple[str, int]:
    """What to say about ``error``, and the exit code."""
    if isinstance(error, UserError):
        return f"error: {error}", 2
    if isinstance(error, typer.TyperException):
        context = getattr(error, "ctx", None)
        where = context.command_path if context else "metaalign"
        return f"error: {error.format_message().rstrip('.')} (see {where} --help)", 2
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("metaalign"):
        return f"error: {MissingExtra('all', error.name or str(error))}", 2
    if _disk_is_full(error):
        _forget_stdout()
        return "error: the disk is full: free some space, then run the same command again", 2
    if isinstance(error, OSError) and error.filename is not None:
        return f"error: {error.filename}: {error.strerror}", 2
    kind = type(error).__name__
    return f"error: {kind}: {error}: this is a bug; METAALIGN_TRACEBACK=1 shows where it is", 1


def _say(line: str, code: int) -> int:
    # One line, whatever a library has put into its message.
    print(" ".join(line.splitlines()), file=sys.stderr)
    return code


def _disk_is_full(error: BaseException | None) -> bool:
    """True if there was no space left, also where a library wraps what the system said."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if os.strerror(errno.ENOSPC) in str(error):
            return True
        error = error.__cause__
    return False


def _forget_stdout() -> None:
    """Keep Python from trying once more, at its end, to write what could not be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does, so that a stopped job leaves everything in order."""
    mine = os.getpid()

    def stop(number: int, _frame: object) -> None:
        if os.getpid() != mine:
            os._exit(128 + number)  # a forked worker has nothing to put in order
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
