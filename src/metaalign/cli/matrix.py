"""``metaalign matrix``: the Priority Matrix, looked at, checked and compared."""

from typing import Annotated

import typer

from metaalign.cli.cases import matrix_cases
from metaalign.cli.options import Rule, new_app

app = new_app(
    """Look at the Priority Matrix.

    \b
    Example:
      metaalign matrix show
    """
)


@app.command("show")
def matrix_show(
    matrix: Annotated[
        str, typer.Argument(metavar="NAME|FILE", help="A packaged Priority Matrix, or a TOML file.")
    ] = "default",
    rule: Rule = None,
) -> None:
    """Show what happens for every pair of priorities and every kind of query.

    \b
    Example:
      metaalign matrix show --rule safety_first
    """
    from metaalign import terminal
    from metaalign.policy import load_matrix

    loaded = load_matrix(matrix, rule)
    top, *_, bottom = loaded.tiers
    typer.echo(
        f"{loaded.label}: rows are what {top} puts first, columns what {bottom} does; "
        "* is a conflict that the rule settles\n"
    )
    terminal.show(*terminal.matrix_tables(loaded))


app.command("cases")(matrix_cases)
