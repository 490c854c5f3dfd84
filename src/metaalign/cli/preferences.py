"""``metaalign data preferences``: new preferences and people, found by a teacher."""

from pathlib import Path
from typing import Annotated, Any

import typer

from metaalign.cli.options import MatrixFile, Seed


def preferences(
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where they go: JSON lines.")],
    want: Annotated[int, typer.Option(min=1, help="How many new ones.")],
    teacher_model: Annotated[
        str, typer.Option(metavar="NAME", help="The server's name for the model that is asked.")
    ],
    base_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Its OpenAI-compatible server; else OPENAI_BASE_URL."),
    ] = None,
    seeds: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What is known already: records with a text."),
    ] = None,
    personas: Annotated[
        bool, typer.Option("--personas", help="Look for people instead of preferences.")
    ] = False,
    journal: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keeps every reply; else beside the result.")
    ] = None,
    per_call: Annotated[
        int, typer.Option(min=1, max=50, help="How many the teacher is asked for at once.")
    ] = 10,
    alike: Annotated[
        float, typer.Option(min=0.1, max=1.0, help="Cosine from which two mean the same.")
    ] = 0.85,
    meaning: Annotated[
        str, typer.Option(metavar="MODEL", help="Embedding model that compares, or tf-idf.")
    ] = "minishlab/potion-base-8M",
    matrix: MatrixFile = "default",
    concurrency: Annotated[int, typer.Option(min=1, help="Calls at the same time, at most.")] = 32,
    price_in: Annotated[float, typer.Option(min=0.0, help="Per million tokens that go in.")] = 0.0,
    price_out: Annotated[
        float, typer.Option(min=0.0, help="Per million tokens that come out.")
    ] = 0.0,
    max_cost: Annotated[
        float | None, typer.Option(min=0.0, help="What the journal may cost in all.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Tokens that the journal may hold in all.")
    ] = None,
    seed: Seed = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would cost, and ask nothing.")
    ] = False,
) -> None:
    """Find new preferences, or people: a teacher is asked in rounds, and what is new is kept.

    What is found goes into a recipe's [[write]]. The same command pays for nothing twice; the file
    holds what was found up to the last round that was finished.

    \b
    Example:
      metaalign data preferences --want 500 --teacher-model gpt-4o-mini --out preferences.jsonl
    """
    from metaalign.data.sources.place import Place
    from metaalign.data.writing.finding import Hunt, estimate_finding, find_and_write, known_seeds
    from metaalign.policy import load_matrix

    settings = _settings(
        model=teacher_model,
        base_url=base_url,
        journal=str(journal or out.with_suffix(".sqlite")),
        concurrency=concurrency,
        price_in=price_in,
        price_out=price_out,
        max_cost=max_cost,
        max_tokens=max_tokens,
    )
    hunt = Hunt(
        what="personas" if personas else "preferences",
        want=want,
        per_call=per_call,
        threshold=alike,
        model=meaning,
        seed=seed,
    )
    policy = load_matrix(matrix)
    known = known_seeds(hunt, policy, None if seeds is None else Place(seeds))
    if dry_run:
        for line in estimate_finding(hunt, known, policy, settings).lines():
            typer.echo(line)
        return
    for line in find_and_write(hunt, known, policy, settings, out):
        typer.echo(line)


def _settings(**given: Any) -> Any:
    import msgspec

    from metaalign.data.teacher.settings import Settings
    from metaalign.schema import UserError

    try:
        return msgspec.convert(given, Settings)
    except msgspec.ValidationError as error:
        raise UserError(f"{error}: see --help") from None
