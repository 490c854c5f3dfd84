"""The command line: one command per stage, each a thin call into the package.

Nothing heavy is imported before a command needs it, so that ``--help`` answers at once. An error
that a person can put right leaves as one line and exit code 2; see ``main``.
"""

import errno
import os
import shlex
import shutil
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metaalign import __version__
from metaalign.schema import Dialogue, Kind, MissingExtra, UserError

if TYPE_CHECKING:
    from metaalign.data.manifest import Manifest
    from metaalign.evaluate import Report
    from metaalign.policy import PriorityMatrix

SANDBOX = "sandbox"
STOPPED = "stopped: what is finished is kept; run the same command again to go on"

SystemInfo = Annotated[str, typer.Option(help="What the provider says: System Info.")]
UserInfo = Annotated[str, typer.Option(help="What the person says: User Info.")]
Seed = Annotated[int, typer.Option(min=0, help="Equal seeds give equal results.")]
Dataset = Annotated[Path, typer.Option(metavar="DIR", help="A folder from metaalign data build.")]
ModelName = Annotated[str, typer.Option(metavar="DIR", help="A model folder, or a hub name.")]
MatrixFile = Annotated[
    str, typer.Option(metavar="NAME|FILE", help="A packaged Priority Matrix, or a TOML file.")
]
Rule = Annotated[
    str | None,
    typer.Option(
        metavar="RULE",
        help="What settles conflict cells: system_first, safety_first or user_first.",
    ),
]


def _app(help: str) -> typer.Typer:
    # Plain help texts: the rich ones take longer to import than all the rest of the command line.
    return typer.Typer(
        help=help,
        rich_markup_mode=None,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )


app = _app("")
data_app = _app("Build datasets.")
matrix_app = _app("Look at the Priority Matrix.")


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """One model, every preference: build data, train, resolve, chat, serve and measure.

    \b
    Example:
      metaalign quickstart
    """
    if version:
        typer.echo(f"metaalign {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def quickstart(
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where dataset/, models/ and report/ go.")
    ] = Path("runs/quickstart"),
    seed: Seed = 0,
) -> None:
    """Do the whole job in the sandbox: build data, train four models, measure them.

    What a former run has finished is kept, and the rest goes on where it stopped.

    \b
    Example:
      metaalign quickstart --out runs/quickstart --seed 0
    """
    from metaalign import terminal
    from metaalign.quickstart import quickstart as run

    with terminal.progress_bars() as progress:
        report = run(out, seed=seed, progress=progress)
    _show_report(report, out / "report")
    typer.echo("\nTwo dialogues to try:")
    for example in report.examples[:2]:
        said = example.meta_prompt
        words = ["chat", "--model", str(out / "models" / report.focus), "--explain"]
        words += ["--system-info", said.system_info] if said.system_info else []
        words += ["--user-info", said.user_info] if said.user_info else []
        typer.echo(f"  {_program()} {shlex.join([*words, '--', example.query])}")


@data_app.command("build")
def data_build(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the dataset goes.")],
    source: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=PATH",
            help="sandbox (the default), or a published file; may be repeated. "
            "Names: habermas, hh-rlhf, persona-statements.",
        ),
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=1, help="Samples of the sandbox; 38,900 if not given.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Groups of every published file, at most.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Build a dataset of groups, from the sandbox or from published files.

    \b
    Example:
      metaalign data build --source sandbox --size 3000 --out runs/sandbox
      metaalign data build --source habermas=habermas.parquet --limit 500 --out runs/habermas
    """
    from metaalign import terminal

    sources = source or [SANDBOX]
    with terminal.progress_bars() as progress:
        if SANDBOX in sources:
            if len(sources) > 1:
                raise UserError("the sandbox is a dataset of its own: build the others apart")
            if limit is not None:
                raise UserError("--limit has no effect on the sandbox: give --size")
            from metaalign.sandbox import FULL_SIZE, build_groups, load_world

            manifest = _build_sandbox(out, size, seed)
        else:
            if size is not None:
                raise UserError("--size has no effect on published files: give --limit")
            from metaalign.data.build import build_dataset, parse_source

            files = _once([parse_source(one) for one in sources], "--source")
            manifest = build_dataset(files, out, seed=seed, limit=limit, progress=progress)
    _show_made(out, manifest)
