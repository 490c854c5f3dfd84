"""The stages: quickstart, training, measuring, talking, serving."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from metaalign.cli.options import (
    SANDBOX,
    Dataset,
    ModelName,
    Seed,
    SystemInfo,
    UserInfo,
    asked,
    named,
    split,
)
from metaalign.schema import Dialogue, UserError


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

    changed = named([split(one, "--set KEY=VALUE") for one in override or []])
    parts = _sandbox_parts(data)
    with terminal.progress_bars() as progress:
        run(recipe, data, model, out, seed=seed, overrides=changed, progress=progress, **parts)
    terminal.show_made(out, read_manifest(out))


def evaluate(
    model: Annotated[
        list[str],
        typer.Option(metavar="NAME=DIR", help="Name and model; repeatable, the tested one last."),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the report goes.")],
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A folder from metaalign data build."),
    ] = None,
    cases: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Edge cases, from metaalign matrix cases."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Dialogues or pairs of a metric, at most.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Measure models on the held-out dialogues of a dataset, on edge cases, or on both.

    \b
    Example:
      metaalign eval --data runs/sandbox --model base=runs/base --model mine=runs/mine \\
        --out runs/report
      metaalign eval --cases cases.jsonl --model mine=runs/mine --out runs/report
    """
    from metaalign import terminal
    from metaalign.evaluate import Limits, edge_table
    from metaalign.evaluate import evaluate as run
    from metaalign.sandbox.cases import read_cases

    models = named([split(one, "--model NAME=DIR") for one in model])
    if data is None and cases is None:
        raise UserError("there is nothing to ask: give --data DIR, --cases FILE, or both")
    limits = Limits() if limit is None else Limits(per_metric=limit, cases=limit)
    asked = read_cases(cases) if cases else []
    with terminal.progress_bars() as progress:
        report = run(models, data, out, cases=asked, seed=seed, limits=limits, progress=progress)
    head, *rows = edge_table(report)
    if rows:
        terminal.show(terminal.table("", head, rows, numbers=True))
    terminal.show_report(report, out)


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
        dialogue = Dialogue.ask(asked(query), system_info, user_info)
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


def _explaining(lines: Iterator[str]) -> Iterator[str]:
    """``lines`` with ``/explain`` after every query."""
    for line in lines:
        yield line
        if line.strip() and not line.lstrip().startswith("/"):
            yield "/explain"
