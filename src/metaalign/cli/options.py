"""What the commands share: their common options, and the checks of what was typed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from metaalign.schema import UserError

_T = TypeVar("_T")

SANDBOX = "sandbox"

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


def new_app(help: str) -> typer.Typer:
    # Plain help texts: the rich ones take longer to import than all the rest of the command line.
    return typer.Typer(
        help=help,
        rich_markup_mode=None,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )


def split(text: str, form: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise UserError(f"{text!r} is not of the form {form}")
    return name, value


def named(pairs: Sequence[tuple[str, _T]]) -> dict[str, _T]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise UserError(f"a name is given twice: {', '.join(name for name, _ in pairs)}")
    return found


def refuse(options: Mapping[str, object], what: str) -> None:
    """An option that would have no effect is an error."""
    for name, value in options.items():
        if value is not None:
            raise UserError(f"{name} has no effect on {what}")


def asked(query: str) -> str:
    if not query.strip():
        raise UserError("the query is empty: say what the person asks")
    return query
