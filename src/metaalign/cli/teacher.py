"""``metaalign data mock-teacher`` and ``metaalign data journal``: what stands around a teacher."""

from pathlib import Path
from typing import Annotated

import typer

from metaalign.cli.options import Seed


def mock_teacher(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where it listens; 0 takes any free port.")
    ] = 8001,
    latency: Annotated[float, typer.Option(min=0.0, help="Seconds that every answer takes.")] = 0.2,
    error_rate: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="Share of calls that meet a busy or broken server."),
    ] = 0.0,
    malformed_rate: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="Share of requests with a reply of another form."),
    ] = 0.0,
    refusal_rate: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of requests that are refused.")
    ] = 0.0,
    requests_per_minute: Annotated[
        float | None, typer.Option(min=0.001, help="More are told to come back later.")
    ] = None,
    tokens_per_minute: Annotated[
        float | None, typer.Option(min=0.001, help="What goes in, and the limit of what comes out.")
    ] = None,
    seed: Seed = 0,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Queries of the sandbox get its right answers.")
    ] = False,
) -> None:
    """Run a server that stands in for a teacher, until Ctrl-C; its model is called mock.

    It follows the JSON schemas it is sent, and gives the same reply to the same request. What it
    has done is counted at /stats.

    \b
    Example:
      metaalign data mock-teacher --latency 0.2 --error-rate 0.05 --malformed-rate 0.02
    """
    from metaalign.data.teacher.mock.behaviour import Behaviour, Manners
    from metaalign.data.teacher.mock.server import serve_mock

    manners = Manners(
        latency=latency,
        error_rate=error_rate,
        malformed_rate=malformed_rate,
        refusal_rate=refusal_rate,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        seed=seed,
    )
    said = None
    if sandbox:
        from metaalign.sandbox.behind_mock import sandbox_teacher

        said = sandbox_teacher()
    serve_mock(
        Behaviour(manners, said),
        port,
        announce=lambda url: typer.echo(f"model {manners.model} answers at {url} (Ctrl-C ends it)"),
    )


def journal(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The journal of a teacher.")],
    quarantine: Annotated[
        bool, typer.Option("--quarantine", help="List what was paid for and cannot be used.")
    ] = False,
) -> None:
    """Show what a teacher was asked, what it cost, and what is in quarantine.

    \b
    Example:
      metaalign data journal runs/teacher.sqlite --quarantine
    """
    from contextlib import closing

    from metaalign.data.teacher.journal import Journal
    from metaalign.data.teacher.listing import journal_lines, quarantine_lines
    from metaalign.schema import UserError

    if not file.exists():
        raise UserError(f"there is no journal at {file}")
    with closing(Journal(file)) as opened:
        for line in quarantine_lines(opened) if quarantine else journal_lines(opened):
            typer.echo(line)
