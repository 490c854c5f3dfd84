"""``metaalign matrix cases``: ambiguous and contradictory specifications, with their outcome."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metaalign.cli.options import MatrixFile, Rule, Seed

if TYPE_CHECKING:
    from metaalign.sandbox.cases import Case


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
    from metaalign.sandbox.cases import build_cases, kinds_for, write_cases

    loaded = load_matrix(matrix, rule)
    cases = build_cases(loaded, per_kind, seed, kinds=kind or ())
    names = list(dict.fromkeys(case.name for case in cases))
    made = f"{len(cases):,} cases of {len(names)} kinds, by {loaded.label}"
    if out is None:
        terminal.show(terminal.table("", ["kind", "cases", "what it is"], _kinds(cases)))
        for name in names:
            typer.echo(_example(next(case for case in cases if case.name == name)))
        typer.echo(f"{made}; --out FILE writes them")
    else:
        write_cases(cases, out)
        typer.echo(f"{made}, in {out}")
    if not kind:
        for name, why in kinds_for(loaded)[1].items():
            typer.echo(f"note: no cases of {name}: {why}")


def _kinds(cases: list["Case"]) -> list[tuple[str, str, str]]:
    """One row for every kind of case."""
    abouts = {case.name: case.about for case in cases}
    counts = {name: sum(case.name == name for case in cases) for name in abouts}
    return [(name, str(counts[name]), about) for name, about in abouts.items()]


def _example(case: "Case") -> str:
    """One case as somebody would tell it: what is said, and what comes of it."""
    from metaalign.policy import explain

    said = [(tier.tier, tier.text) for tier in case.view.meta_prompt.tiers]
    said += [(turn.role, turn.text) for turn in case.group.turns]
    lines = [f"{case.name}: {case.about}"]
    lines += [f"  {who}: {_on_one_line(text)}" for who, text in said]
    lines += [f"  -> {sentence}" for sentence in explain(case.resolution)]
    lines.append(f"  e.g. {_on_one_line(case.expected)}")
    return "\n".join(lines) + "\n"


def _on_one_line(text: str) -> str:
    return " / ".join(text.splitlines())
