"""``metaalign matrix cases``: ambiguous and contradictory specifications, with their outcome."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from metaalign.cli.options import MatrixFile, Rule, Seed


def matrix_cases(
    matrix: MatrixFile = "default",
    rule: Rule = None,
    per_kind: Annotated[int, typer.Option(min=1, help="Cases of every kind.")] = 20,
    kind: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only cases of this kind; may be repeated."),
    ] = None,
    seed: Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the cases as JSON lines, for metaalign eval."),
    ] = None,
) -> None:
    """Make ambiguous and contradictory cases with the outcome that the Matrix gives.

    Without --out it shows the kinds, each with its number and one example.

    \b
    Example:
      metaalign matrix cases --kind hedged --kind changed-back
      metaalign matrix cases --matrix default --per-kind 20 --out cases.jsonl
    """
    from metaalign import terminal
    from metaalign.policy import load_matrix
    from metaalign.sandbox.cases import build_cases, describe, kinds_for, write_cases

    loaded = load_matrix(matrix, rule)
    cases = build_cases(loaded, per_kind, seed, kinds=kind or ())
    kinds = {case.name: case.about for case in cases}
    counts = Counter(case.name for case in cases)
    made = f"{len(cases):,} cases of {len(kinds)} kinds, by {loaded.label}"
    if out is None:
        rows = [(name, str(counts[name]), about) for name, about in kinds.items()]
        terminal.show(terminal.table("", ["kind", "cases", "what it is"], rows))
        for name in kinds:
            example = next(case for case in cases if case.name == name)
            typer.echo("\n".join(describe(example)) + "\n")
        typer.echo(f"{made}; --out FILE writes them")
    else:
        write_cases(cases, out)
        typer.echo(f"{made}, in {out}")
    if not kind:
        for name, why in kinds_for(loaded)[1].items():
            typer.echo(f"note: no cases of {name}: {why}")
