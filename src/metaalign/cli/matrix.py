"""``metaalign resolve`` and ``metaalign matrix``: who wins, without a model."""

from typing import Annotated

import typer

from metaalign.cli.options import MatrixFile, Rule, SystemInfo, UserInfo, asked, new_app
from metaalign.schema import Dialogue, Kind

app = new_app(
    """Look at the Priority Matrix.

    \b
    Example:
      metaalign matrix show
    """
)


def resolve(
    query: Annotated[str, typer.Argument(help="What the person asks.")],
    system_info: SystemInfo = "",
    user_info: UserInfo = "",
    kind: Annotated[
        Kind | None, typer.Option(help="Kind of query; told by its words if not given.")
    ] = None,
    matrix: MatrixFile = "default",
    rule: Rule = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the resolution as JSON.")] = False,
) -> None:
    """Show who wins what and why, without a model.

    \b
    Example:
      metaalign resolve --system-info "Keep it short." --user-info "Please use bullet points." \\
        "How do I water a cactus?"
    """
    import msgspec

    from metaalign.policy import explain, load_matrix, resolve_dialogue

    dialogue = Dialogue.ask(asked(query), system_info, user_info)
    resolution = resolve_dialogue(dialogue, load_matrix(matrix, rule), kind)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(resolution), indent=2))
        return
    from metaalign import terminal

    if resolution.decisions:
        terminal.show(terminal.decision_table(resolution))
    typer.echo("\n".join(explain(resolution)))


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
