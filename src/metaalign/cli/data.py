"""``metaalign data``: datasets of groups."""

from pathlib import Path
from typing import Annotated

import typer

from metaalign.cli.options import SANDBOX, Seed, named, new_app, refuse
from metaalign.schema import UserError

app = new_app(
    """Build datasets.

    \b
    Example:
      metaalign data build --size 3000 --out runs/sandbox
    """
)


@app.command("build")
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
    max_chars: Annotated[
        int | None, typer.Option(min=1, help="Leave out groups with more characters of text.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Build a dataset of groups, from the sandbox or from published files.

    \b
    Example:
      metaalign data build --source sandbox --size 3000 --out runs/sandbox
      metaalign data build --source habermas=habermas.jsonl.gz --limit 500 --out runs/habermas
    """
    from metaalign import terminal

    sources = source or [SANDBOX]
    with terminal.progress_bars() as progress:
        if SANDBOX in sources:
            refuse({"--limit": limit, "--max-chars": max_chars}, "the sandbox: give --size")
            if len(sources) > 1:
                raise UserError("the sandbox is a dataset of its own: build the others apart")
            from metaalign.sandbox import FULL_SIZE, build_sandbox

            manifest = build_sandbox(out, size or FULL_SIZE, seed, progress=progress)
        else:
            from metaalign.data.build import build_dataset, parse_source

            refuse({"--size": size}, "published files: give --limit")
            files = named([parse_source(one) for one in sources])
            manifest = build_dataset(
                files, out, seed=seed, limit=limit, max_chars=max_chars, progress=progress
            )
    terminal.show_made(out, manifest)
