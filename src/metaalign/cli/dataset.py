"""``metaalign data inspect`` and what else one does with a dataset that is built."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metaalign.cli.options import MatrixFile, Seed, refuse, split
from metaalign.schema import UserError

if TYPE_CHECKING:
    from metaalign.data.recipe import Split
    from metaalign.data.tools.validation import Report

Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="A dataset folder from metaalign data build.")
]
Out = Annotated[Path, typer.Option(metavar="DIR", help="Where the new folder goes.")]
By = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY",
        help="What never stands on both sides: query, preference, wording, persona, cell, group; "
        "several by commas.",
    ),
]
Fractions = Annotated[
    str | None, typer.Option(metavar="NAME=SHARE,...", help="Share of each split; they sum to 1.")
]
LayoutName = Annotated[
    str | None, typer.Option(metavar="one-stage|two-stage", help="train, test; or sft, dpo, test.")
]
Near = Annotated[
    float | None,
    typer.Option(min=0.0, max=0.99, help="Queries so alike (Jaccard of their words) count as one."),
]


def inspect(
    dataset: Folder,
    sql: Annotated[
        str | None, typer.Option(help="Ask one question in SQL instead; docs/datasets.md has more.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page to look at offline, too.")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Groups that the page holds to browse; 120.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what a dataset holds: counts, lengths, shortcuts, agreement, what was left out.

    \b
    Example:
      metaalign data inspect runs/sandbox --html runs/sandbox.html
      metaalign data inspect runs/sandbox --sql "SELECT kind, count(*) FROM samples GROUP BY 1"
    """
    import msgspec

    from metaalign import terminal
    from metaalign.data.tools.summary import summarise
    from metaalign.data.tools.telling import printable, tables_of

    if sql is not None:
        refuse({"--html": html, "--sample": sample}, "a question in SQL")
        _answer(dataset, sql, as_json)
        return
    if html is None:
        refuse({"--sample": sample}, "the terminal: it is for --html")
    summary = summarise(dataset)
    if as_json:
        typer.echo(msgspec.json.encode(summary))
    else:
        terminal.show(
            *(
                terminal.table(
                    told.title,
                    list(map(printable, told.columns)),
                    [list(map(printable, row)) for row in told.rows],
                    numbers=told.numbers,
                )
                for told in tables_of(summary)
                if told.rows
            )
        )
        for note in summary.notes:
            typer.echo(printable(f"note: {note}"))
    if html is not None:
        from metaalign.data.tools.page import SAMPLE, write_page

        write_page(dataset, summary, html, sample=sample or SAMPLE)
        typer.echo(f"the page to look at: {html}", err=as_json)


def _answer(dataset: Path, sql: str, as_json: bool) -> None:
    import msgspec

    from metaalign import terminal
    from metaalign.data.tools.looking import as_objects, ask
    from metaalign.data.tools.telling import printable

    answer = ask(dataset, sql)
    if as_json:
        typer.echo(msgspec.json.encode(as_objects(answer), enc_hook=str))
        return
    rows = [["" if cell is None else printable(str(cell)) for cell in row] for row in answer.rows]
    terminal.show(terminal.table("", [printable(name) for name in answer.columns], rows))


def preview(
    what: Annotated[
        list[str], typer.Argument(metavar="DIR|RECIPE...", help="Datasets, or data recipes.")
    ],
    count: Annotated[int, typer.Option(min=1, help="Groups of each.")] = 3,
    family: Annotated[str, typer.Option(help="Only of this family.")] = "",
    source: Annotated[str, typer.Option(help="Only from this source.")] = "",
    files: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where a recipe's files are.")
    ] = None,
    matrix: MatrixFile = "default",
    seed: Seed = 0,
) -> None:
    """Print a few groups: the Meta-Prompts, the candidates in each order, and why.

    Of a recipe, groups are shown as its sources give them, before any stage.

    \b
    Example:
      metaalign data preview runs/sandbox --family priority --count 2
    """
    from metaalign.data.recipe import load_recipe, recipe_folder
    from metaalign.data.sources import SOURCES
    from metaalign.data.tools.preview import Wanted, lines_of, of_dataset, of_recipe
    from metaalign.policy import load_matrix
    from metaalign.sandbox import WORLD

    wanted, loaded = Wanted(count, seed, family, source), load_matrix(matrix)
    folders = [one for one in what if Path(one).is_dir()]
    if len(folders) == len(what):
        refuse({"--files": files}, "a dataset: it is for a recipe")
    for one in what:
        if one in folders:
            groups = of_dataset(Path(one), wanted)
        else:
            place = files if files is not None else recipe_folder(one)
            sources = {**SOURCES, WORLD.name: WORLD}
            groups = of_recipe(load_recipe(one), place, sources, wanted)
        for group in groups:
            for line in lines_of(group, loaded):
                typer.echo(line)


def validate(
    dataset: Folder,
    near: Near = None,
    repair: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write what is sound here, and keep the rest beside it."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check every row of a dataset, and name whatever is wrong; exit code 2 if anything is.

    \b
    Example:
      metaalign data validate runs/sandbox
      metaalign data validate runs/sandbox --repair runs/mended
    """
    import msgspec

    from metaalign import terminal
    from metaalign.data.tools.validation import validate as check

    checked = dataset
    with terminal.progress_bars() as progress:
        if repair is not None:
            from metaalign.data.tools.repair import quarantine_folder
            from metaalign.data.tools.repair import repair as mend

            manifest = mend(dataset, repair, progress=progress)
            checked = repair
        report = check(checked, near=near, progress=progress)
    if as_json:
        typer.echo(msgspec.json.encode(report))
    else:
        if repair is not None:
            terminal.show_made(repair, manifest)
            typer.echo(f"what was left out: {quarantine_folder(repair)}")
        _say(report)
    if report.count:
        advice = "" if repair else "; --repair DIR writes what is sound"
        raise UserError(f"{checked}: {report.count:,} findings{advice}")


def _say(report: "Report") -> None:
    from metaalign.data.tools.telling import printable

    typer.echo(f"read {report.groups:,} groups and {report.samples:,} samples")
    for finding in report.findings:
        typer.echo(printable(str(finding)))
    for kind, n in report.more.items():
        typer.echo(printable(f"{kind}: {n:,} more"))
    for note in report.notes:
        typer.echo(f"note: {note}")
    if not report.count:
        typer.echo("nothing is wrong")


def merge(
    datasets: Annotated[list[Path], typer.Argument(metavar="DIR DIR...", help="Two or more.")],
    out: Out,
    by: By = None,
    fractions: Fractions = None,
    layout: LayoutName = None,
    near: Near = None,
    seed: Annotated[int | None, typer.Option(min=0, help="For drawing splits anew; 0.")] = None,
) -> None:
    """Make one dataset of several. Splits stay as they are, unless --by draws them anew.

    \b
    Example:
      metaalign data merge runs/sandbox runs/real --out runs/both
      metaalign data merge runs/one runs/two --by query --out runs/both
    """
    from metaalign import terminal
    from metaalign.data.tools.merging import merge as join

    if by is None:
        options = {"--fractions": fractions, "--layout": layout, "--near": near, "--seed": seed}
        refuse(options, "splits that stay: give --by to draw them anew")
    drawn = _split(by, fractions, layout, near) if by is not None else None
    with terminal.progress_bars() as progress:
        manifest = join(datasets, out, split=drawn, seed=seed or 0, progress=progress)
    terminal.show_made(out, manifest)


def split_again(
    dataset: Folder,
    out: Out,
    by: By = None,
    fractions: Fractions = None,
    layout: LayoutName = None,
    near: Near = None,
    seed: Annotated[int | None, typer.Option(min=0, help="The dataset's own if not given.")] = None,
) -> None:
    """Draw the splits of a dataset anew, and prove that nothing crosses.

    \b
    Example:
      metaalign data split runs/real --by query,persona --layout one-stage --out runs/new
    """
    from metaalign import terminal
    from metaalign.data.tools.splitting import split_dataset

    drawn = _split(by or ["query"], fractions, layout, near)
    with terminal.progress_bars() as progress:
        manifest = split_dataset(dataset, out, drawn, seed=seed, progress=progress)
    terminal.show_made(out, manifest)


def _split(
    by: Sequence[str], fractions: str | None, layout: str | None, near: float | None
) -> "Split":
    import msgspec

    from metaalign.data.recipe import Split

    tree: dict[str, Any] = {"by": [key.strip() for one in by for key in one.split(",")]}
    if fractions is not None:
        parts = [split(one.strip(), "NAME=SHARE") for one in fractions.split(",")]
        tree["fractions"] = {name: _share(share) for name, share in parts}
    tree |= {} if layout is None else {"layout": layout}
    tree |= {} if near is None else {"near": near}
    try:
        return msgspec.convert(tree, Split, strict=False)
    except msgspec.ValidationError as error:
        raise UserError(f"the splits: {error}") from error


def _share(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"{text!r} is no share: write a number, such as 0.1") from None


def export(
    dataset: Folder,
    out: Out,
    to: Annotated[
        str, typer.Option(metavar="trl|chat|paper|jsonl", help="Layout; docs/datasets.md tells.")
    ],
    layout: LayoutName = None,
) -> None:
    """Write a dataset in a layout that other programs read, with its licences.

    \b
    Example:
      metaalign data export runs/sandbox --to trl --out runs/trl
    """
    from typing import cast

    from metaalign import terminal
    from metaalign.data.recipe import LAYOUTS, Layout
    from metaalign.data.tools.exporting import export as write

    if layout is not None and layout not in LAYOUTS:
        raise UserError(f"there is no layout {layout!r}: choose {' or '.join(LAYOUTS)}")
    with terminal.progress_bars() as progress:
        done = write(dataset, to, out, layout=cast(Layout | None, layout), progress=progress)
    for name, count in done.files.items():
        typer.echo(f"{out / name}: {count:,}")
    for note in done.notes:
        typer.echo(f"note: {note}")


def push(
    dataset: Folder,
    name: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="Name on the hub.")],
    private: Annotated[
        bool, typer.Option("--private", help="Only you and your organisation can see it.")
    ] = False,
) -> None:
    """Upload a dataset to the Hugging Face hub, without the examples of what was left out.

    \b
    Example:
      metaalign data push runs/sandbox me/sandbox --private
    """
    from metaalign.data.tools.hub import push as upload

    typer.echo(f"uploaded to {upload(dataset, name, private=private)}")
