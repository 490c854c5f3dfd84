"""``metaalign resolve``: who wins, without a model."""

from typing import Annotated

import typer

from metaalign.cli.options import MatrixFile, Rule, SystemInfo, UserInfo, asked
from metaalign.schema import Dialogue, Kind


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
