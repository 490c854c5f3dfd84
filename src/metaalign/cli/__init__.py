"""The command line: one command per stage, each a thin call into the package.

Nothing heavy is imported before a command needs it, so that ``--help`` answers at once. An error
that a person can put right leaves as one line and exit code 2; see ``boundary``.
"""

from collections.abc import Sequence
from typing import Annotated

import typer

from metaalign import __version__, boundary
from metaalign.cli import data, matrix, preferences, stages, teacher
from metaalign.cli.options import new_app
from metaalign.cli.resolve import resolve

app = new_app(
    """One model, every preference: build data, train, resolve, chat, serve and measure.

    \b
    Example:
      metaalign quickstart
    """
)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(f"metaalign {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


app.command()(stages.quickstart)
data.app.command()(teacher.mock_teacher)
data.app.command()(teacher.journal)
data.app.command()(preferences.preferences)
app.add_typer(data.app, name="data")
app.command()(stages.train)
app.command("eval")(stages.evaluate)
app.command()(resolve)
app.add_typer(matrix.app, name="matrix")
app.command()(stages.chat)
app.command()(stages.serve)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; ``boundary`` says which there are."""
    return boundary.run(app, arguments)
