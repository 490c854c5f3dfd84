"""``metaalign data``: datasets of groups."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from metaalign.cli import dataset
from metaalign.cli.options import SANDBOX, new_app, refuse, split
from metaalign.schema import UserError

app = new_app(
    """Build datasets.

    \b
    Example:
      metaalign data build sandbox --out runs/sandbox
    """
)


@app.command("build")
def data_build(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the dataset goes.")],
    recipe: Annotated[
        str | None,
        typer.Argument(metavar="RECIPE", help="A data recipe: sandbox, real-data, or a TOML file."),
    ] = None,
    files: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the recipe's files are; else beside the recipe."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the recipe."),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=PLACE",
            help="Without a recipe: sandbox (the default), or a published dataset, as a file or "
            "hf:OWNER/NAME; may be repeated.",
        ),
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=1, help="Samples of the sandbox; 38,900 if not given.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Groups of every source, at most.")
    ] = None,
    max_chars: Annotated[
        int | None, typer.Option(min=1, help="Leave out groups with more characters of text.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Equal seeds give equal results; the recipe's, or 0.")
    ] = None,
    max_cost: Annotated[
        float | None,
        typer.Option(min=0, help="Stop the teacher before its journal costs more."),
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Stop the teacher before it has used more tokens.")
    ] = None,
    engine: Annotated[
        str, typer.Option(metavar="local|ray", help="Where the stages run; see docs/scale.md.")
    ] = "local",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    keep_staging: Annotated[
        bool, typer.Option("--keep-staging", help="Keep what lies between sources and dataset.")
    ] = False,
) -> None:
    """Build a dataset of groups: from a recipe, the sandbox or published files.

    What a former run has finished is kept, and the rest goes on where it stopped.

    \b
    Example:
      metaalign data build real-data --files downloads --out runs/real
      metaalign data build --source sandbox --size 3000 --out runs/sandbox
      metaalign data build --source habermas=habermas.jsonl.gz --limit 500 --out runs/habermas
    """
    from metaalign import terminal
    from metaalign.data.build import build_dataset
    from metaalign.data.building.planning import plan_of
    from metaalign.data.recipe import load_recipe, make_recipe, recipe_folder
    from metaalign.data.sources import SOURCES
    from metaalign.data.writing.writer import estimate_writing, open_writers
    from metaalign.sandbox import WORLD

    sources = {**SOURCES, SANDBOX: WORLD}
    cuts = {"limit": limit, "max_chars": max_chars}
    if recipe is None:
        budget = {"--max-cost": max_cost, "--max-tokens": max_tokens}
        refuse({"--files": files, "--set": settings, **budget}, "a build without a recipe")
        tree = _short_recipe(source or [SANDBOX], size, cuts)
        made, folder = make_recipe({**tree, "seed": seed}), Path()
    else:
        refuse({"--source": source, "--size": size}, "a recipe: it names its sources")
        folder = files if files is not None else recipe_folder(recipe)
        given: dict[str, Any] = dict(split(one, "KEY=VALUE") for one in settings or [])
        if load_recipe(recipe, given).teacher is None:
            refuse({"--max-cost": max_cost, "--max-tokens": max_tokens}, "a recipe of no teacher")
        own = {"seed": seed, "teacher.max_cost": max_cost, "teacher.max_tokens": max_tokens}
        given |= {key: value for key, value in own.items() if value is not None}
        every_source = {key: value for key, value in cuts.items() if value is not None}
        made = load_recipe(recipe, given, every_source=every_source)
    if dry_run:
        for title, columns, rows in plan_of(made, folder, sources, open_writers(made, folder)):
            terminal.show(terminal.table(title, columns, rows))
        cost = estimate_writing(made, folder)
        for line in cost.lines() if cost else ():
            typer.echo(line)
        return
    with terminal.progress_bars() as progress:
        manifest = build_dataset(
            made,
            out,
            files=folder,
            engine=engine,
            sources=sources,
            writers=open_writers(made, folder, progress),
            keep_staging=keep_staging,
            progress=progress,
        )
    terminal.show_made(out, manifest)


def _short_recipe(
    sources: Sequence[str], size: int | None, cuts: dict[str, int | None]
) -> dict[str, Any]:
    """The tables of the recipe that the short options mean."""
    if SANDBOX not in sources:
        refuse({"--size": size}, "published files: give --limit")
        places = [_named_place(one) for one in sources]
        return {"sources": [{"name": name, "place": place, **cuts} for name, place in places]}
    refuse({"--limit": cuts["limit"], "--max-chars": cuts["max_chars"]}, "the sandbox: give --size")
    if len(sources) > 1:
        raise UserError("the sandbox is a dataset of its own: build the others apart")
    # As it comes, so that a size has the groups of the quickstart in their order.
    tables = [{"name": SANDBOX, "options": {"size": size}}]
    return {"sources": tables, "split": {"by": ["given"]}, "order": "given"}


def _named_place(text: str) -> tuple[str, str]:
    from metaalign.data.sources import SOURCES

    name, _, place = text.partition("=")
    if name not in SOURCES:
        raise UserError(
            f"unknown source {name!r}: write NAME=PLACE, with NAME one of {', '.join(SOURCES)}, "
            "or leave --source out (or write sandbox) for the sandbox"
        )
    if not place:
        raise UserError(f"the source {name} needs a file: write {name}=PATH")
    return name, place


app.command()(dataset.inspect)
app.command()(dataset.preview)
app.command()(dataset.validate)
app.command()(dataset.merge)
app.command("split")(dataset.split_again)
app.command()(dataset.export)
app.command()(dataset.push)
