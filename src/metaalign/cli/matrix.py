"""``metaalign matrix``: the Priority Matrix, looked at, checked and compared."""

from typing import Annotated

import typer

from metaalign.cli.cases import matrix_cases
from metaalign.cli.options import Rule, new_app

_HELP = "A packaged Priority Matrix, or a TOML file."
_Matrix = Annotated[str, typer.Argument(metavar="NAME|FILE", help=_HELP)]

app = new_app(
    """Look at the Priority Matrix.

    \b
    Example:
      metaalign matrix show
    """
)


@app.command("show")
def matrix_show(matrix: _Matrix = "default", rule: Rule = None) -> None:
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
    terminal.show(*terminal.matrix_tables(loaded), terminal.dimension_table(loaded))
    typer.echo(f"tiers, the highest first: {', '.join(loaded.tiers)}")
    typer.echo(f"what the talk asks for belongs to: {loaded.talk or 'nobody, it is not read'}")
    floors = [f"{behaviour} for {kind}" for kind, behaviour in loaded.floors.items()]
    typer.echo(f"floors that no tier can lower: {', '.join(floors) or 'none'}")


@app.command("check")
def matrix_check(matrix: _Matrix, rule: Rule = None) -> None:
    """Check a Priority Matrix: every cell there, once, and every name known.

    Says OK and what the matrix holds, or what is wrong and where, with exit code 2.

    \b
    Example:
      metaalign matrix check mine.toml
    """
    from metaalign.policy import load_matrix

    loaded = load_matrix(matrix, rule)
    counts = [f"{n} {what}{'' if n == 1 else 's'}" for what, n in loaded.counts.items()]
    typer.echo(f"OK: {loaded.label} has {', '.join(counts)}")


@app.command("diff")
def matrix_diff(
    a: Annotated[str, typer.Argument(metavar="A", help=_HELP)],
    b: Annotated[str, typer.Argument(metavar="B", help="What A is compared with; the same.")],
    rule_a: Annotated[str | None, typer.Option(metavar="RULE", help="Conflict rule of A.")] = None,
    rule_b: Annotated[str | None, typer.Option(metavar="RULE", help="Conflict rule of B.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the changes as JSON.")] = False,
) -> None:
    """Show what changes from one Priority Matrix to another, or from one conflict rule to another.

    \b
    Example:
      metaalign matrix diff default mine.toml
      metaalign matrix diff default default --rule-b user_first
    """
    import msgspec

    from metaalign import terminal
    from metaalign.policy import diff, load_matrix

    found = diff(load_matrix(a, rule_a), load_matrix(b, rule_b))
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
        return
    typer.echo(f"from {found.before} to {found.after}\n")
    terminal.show(*terminal.difference_tables(found))
    count = len(found.combinations)
    changes = "combination changes" if count == 1 else "combinations change"
    typer.echo(f"{count} {changes}" if count else "no combination changes")


app.command("cases")(matrix_cases)
