"""The command line: one command per stage, each a thin call into the package.

Nothing heavy is imported before a command needs it, so that ``--help`` answers at once. An error
that a person can put right leaves as one line and exit code 2; see ``boundary``.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from metaalign import __version__, boundary
from metaalign.schema import Dialogue, Kind, UserError

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


def _app(help: str) -> typer.Typer:
    # Plain help texts: the rich ones take longer to import than all the rest of the command line.
    return typer.Typer(
        help=help,
        rich_markup_mode=None,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )


app = _app(
    """One model, every preference: build data, train, resolve, chat, serve and measure.

    \b
    Example:
      metaalign quickstart
    """
)
data_app = _app(
    """Build datasets.

    \b
    Example:
      metaalign data build --size 3000 --out runs/sandbox
    """
)
matrix_app = _app(
    """Look at the Priority Matrix.

    \b
    Example:
      metaalign matrix show
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


@app.command()
def quickstart(
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where dataset/, models/ and report/ go.")
    ] = Path("runs/quickstart"),
    seed: Seed = 0,
) -> None:
    """Do the whole job in the sandbox: build data, train four models, measure them.

    What a former run has finished is kept, and the rest goes on where it stopped.

    \b
    Example:
      metaalign quickstart --out runs/quickstart --seed 0
    """
    from metaalign import terminal
    from metaalign.quickstart import quickstart as run

    with terminal.progress_bars() as progress:
        report = run(out, seed=seed, progress=progress)
    terminal.show_report(report, out / "report")
    typer.echo("\nTwo dialogues to try:")
    for command in terminal.chat_commands(report, out / "models"):
        typer.echo(f"  {command}")


@data_app.command("build")
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
            _refuse({"--limit": limit, "--max-chars": max_chars}, "the sandbox: give --size")
            if len(sources) > 1:
                raise UserError("the sandbox is a dataset of its own: build the others apart")
            from metaalign.sandbox import FULL_SIZE, build_sandbox

            manifest = build_sandbox(out, size or FULL_SIZE, seed, progress=progress)
        else:
            from metaalign.data.build import build_dataset, parse_source

            _refuse({"--size": size}, "published files: give --limit")
            files = _named([parse_source(one) for one in sources])
            manifest = build_dataset(
                files, out, seed=seed, limit=limit, max_chars=max_chars, progress=progress
            )
    terminal.show_made(out, manifest)


@app.command()
def train(
    data: Dataset,
    model: Annotated[
        str, typer.Option(metavar="MODEL", help="scratch:tiny, a hub name, or a model folder.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the trained model goes.")],
    recipe: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            help="vanilla-sft, aligned-sft, one-stage, two-stage, or a TOML file.",
        ),
    ] = "one-stage",
    override: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Replace a recipe's value; repeatable."),
    ] = None,
    seed: Seed = 0,
) -> None:
    """Train a model on a dataset.

    A run that was stopped goes on where it stopped; one that is finished is not done again.

    \b
    Example:
      metaalign train --data runs/sandbox --model scratch:tiny --out runs/mine
      metaalign train --data runs/sandbox --model OWNER/NAME --recipe two-stage --out runs/mine \\
        --set sft.epochs=1
    """
    from metaalign import terminal
    from metaalign.data.manifest import read_manifest
    from metaalign.train.stages import train as run

    changed = _named([_split(one, "--set KEY=VALUE") for one in override or []])
    parts = _sandbox_parts(data)
    with terminal.progress_bars() as progress:
        run(recipe, data, model, out, seed=seed, overrides=changed, progress=progress, **parts)
    terminal.show_made(out, read_manifest(out))


@app.command("eval")
def evaluate(
    data: Dataset,
    model: Annotated[
        list[str],
        typer.Option(metavar="NAME=DIR", help="Name and model; repeatable, the tested one last."),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the report goes.")],
    limit: Annotated[
        int | None, typer.Option(min=1, help="Dialogues or pairs of a metric, at most.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Measure models on the held-out dialogues of a dataset, and write a report.

    \b
    Example:
      metaalign eval --data runs/sandbox --model base=runs/base --model mine=runs/mine \\
        --out runs/report
    """
    from metaalign import terminal
    from metaalign.evaluate import Limits
    from metaalign.evaluate import evaluate as run

    models = _named([_split(one, "--model NAME=DIR") for one in model])
    limits = Limits() if limit is None else Limits(per_metric=limit)
    with terminal.progress_bars() as progress:
        report = run(models, data, out, seed=seed, limits=limits, progress=progress)
    terminal.show_report(report, out)


@app.command()
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

    dialogue = Dialogue.ask(_asked(query), system_info, user_info)
    resolution = resolve_dialogue(dialogue, load_matrix(matrix, rule), kind)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(resolution), indent=2))
        return
    from metaalign import terminal

    if resolution.decisions:
        terminal.show(terminal.decision_table(resolution))
    typer.echo("\n".join(explain(resolution)))


@matrix_app.command("show")
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


@app.command()
def chat(
    model: ModelName,
    query: Annotated[
        str | None, typer.Argument(help="What the person asks; without it, a conversation.")
    ] = None,
    system_info: SystemInfo = "",
    user_info: UserInfo = "",
    explain: Annotated[
        bool, typer.Option("--explain", help="Say after each answer who won what and why.")
    ] = False,
    temperature: Annotated[float, typer.Option(min=0, help="0 is greedy.")] = 0.0,
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens of an answer, at most.")] = 256,
    seed: Seed = 0,
) -> None:
    """Ask a trained model one thing, or talk with it: /help shows what the talk understands.

    \b
    Example:
      metaalign chat --model runs/quickstart/models/metaalign-dpo --explain \\
        --system-info "Keep it short." "How do I water a cactus?"
    """
    from metaalign import terminal
    from metaalign.generate import Conversation, Engine, converse
    from metaalign.schema import MetaPrompt

    engine = Engine.load(model)
    if query is not None:
        dialogue = Dialogue.ask(_asked(query), system_info, user_info)
        # What is left of the context; if that is nothing, the engine says so.
        room = (engine.context or sys.maxsize) - engine.count_tokens(dialogue)
        for piece in engine.stream(
            dialogue,
            temperature=temperature,
            max_new_tokens=max(1, min(max_tokens, room)),
            seed=seed,
        ):
            terminal.write(piece)
        terminal.write("\n")
        if explain:
            from metaalign import policy

            resolution = policy.resolve_dialogue(dialogue, policy.load_matrix())
            typer.echo("\n" + "\n".join(policy.explain(resolution)))
        return
    talk = Conversation(
        engine,
        MetaPrompt.of(system_info, user_info),
        temperature=temperature,
        max_new_tokens=max_tokens,
        seed=seed,
    )
    lines = terminal.typed_lines("/help shows the commands, /quit ends the talk.")
    converse(talk, _explaining(lines) if explain else lines, terminal.write)


@app.command()
def serve(
    model: ModelName,
    host: Annotated[str, typer.Option(help="0.0.0.0 opens it to other machines.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free one.")] = 8000,
) -> None:
    """Serve a trained model to OpenAI clients until Ctrl-C.

    \b
    Example:
      metaalign serve --model runs/quickstart/models/metaalign-dpo --port 8000
    """
    from metaalign.serve import serve as run

    try:
        run(model, host, port, announce=typer.echo)
    except KeyboardInterrupt:
        # Nothing was under way that could go on: the usual line would promise too much.
        typer.echo("stopped", err=True)
        raise SystemExit(130) from None


app.add_typer(data_app, name="data")
app.add_typer(matrix_app, name="matrix")


def _sandbox_parts(data: Path) -> dict[str, Any]:
    """What training can do only in the sandbox: judge the answers that it samples."""
    from metaalign.data.store import check_dataset

    if check_dataset(data).settings.get("sources") != [SANDBOX]:
        return {}
    from metaalign.generate import Engine
    from metaalign.sandbox import aligned_answer, verify

    return {
        "answerer_factory": lambda folder: Engine.load(folder).answer,
        "judge": verify,
        "fixed_answer": aligned_answer,
    }


def _split(text: str, form: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise UserError(f"{text!r} is not of the form {form}")
    return name, value


def _named(pairs: Sequence[tuple[str, _T]]) -> dict[str, _T]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise UserError(f"a name is given twice: {', '.join(name for name, _ in pairs)}")
    return found


def _refuse(options: Mapping[str, object], what: str) -> None:
    """An option that would have no effect is an error."""
    for name, value in options.items():
        if value is not None:
            raise UserError(f"{name} has no effect on {what}")


def _asked(query: str) -> str:
    if not query.strip():
        raise UserError("the query is empty: say what the person asks")
    return query


def _explaining(lines: Iterator[str]) -> Iterator[str]:
    """``lines`` with ``/explain`` after every query."""
    for line in lines:
        yield line
        if line.strip() and not line.lstrip().startswith("/"):
            yield "/explain"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; ``boundary`` says which there are."""
    return boundary.run(app, arguments)
