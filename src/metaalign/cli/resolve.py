"""``metaalign resolve``: who wins, by the rules, a classifier, or a model that is asked."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer

from metaalign.cli.options import (
    MatrixFile,
    Rule,
    SystemInfo,
    UserInfo,
    asked,
    named,
    refuse,
    split,
)
from metaalign.schema import (
    SYSTEM_INFO,
    USER_INFO,
    Classified,
    Dialogue,
    Kind,
    MetaPrompt,
    Resolution,
    TierText,
    Turn,
    UserError,
)

_TIER = "--tier NAME=TEXT"
_LABEL = "--label LABEL=KIND"


def resolve(
    query: Annotated[str, typer.Argument(help="What the person asks.")],
    system_info: SystemInfo = "",
    user_info: UserInfo = "",
    tier: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=TEXT", help="What a further tier of the matrix says; repeatable."
        ),
    ] = None,
    kind: Annotated[
        Kind | None, typer.Option(help="Kind of query; told by its words if not given.")
    ] = None,
    classifier: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|DIR", help="A Hugging Face text classifier that tells the kind."
        ),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL=KIND", help="What the classifier's label means; repeatable."),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Probability below which the kind is unknown; 0.5 if not given."
        ),
    ] = None,
    ask: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Ask a model behind an OpenAI-compatible API for the preferences, and for the "
            "kind unless --kind or --classifier gives it. The key is in OPENAI_API_KEY.",
        ),
    ] = None,
    base_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Server of --ask, such as http://localhost:8000/v1."),
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keeps what --ask was told.")
    ] = None,
    apply: Annotated[
        Literal["annotate", "strict"] | None,
        typer.Option(
            help="Also show the Meta-Prompt with what was settled noted in it; strict takes out "
            "of User Info what was overridden.",
        ),
    ] = None,
    matrix: MatrixFile = "default",
    rule: Rule = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the resolution as JSON, for audit.")
    ] = False,
) -> None:
    """Show who wins what and why. Without --classifier and --ask no model is needed.

    \b
    Example:
      metaalign resolve --system-info "Keep it short." --user-info "Please use bullet points." \\
        "How do I water a cactus?"
      metaalign resolve --matrix organisation --tier team_info="Answer formally." --json "Hello"
      metaalign resolve --classifier OWNER/NAME --label LABEL_0=benign --label LABEL_1=harmful "Hi"
      metaalign resolve --ask MODEL --base-url http://localhost:8000/v1 --cache replies.sqlite \\
        --user-info "Rather brief, please." "How do I water a cactus?"
      metaalign resolve --apply strict --system-info "Keep it short." \\
        --user-info "Write at length. I keep bees." "How do I water a cactus?"
    """
    from metaalign.policy import apply as put_into
    from metaalign.policy import load_matrix, resolve_dialogue

    if kind is not None:
        refuse({"--classifier": classifier}, "a kind that is given: leave out --kind")
    loaded = load_matrix(matrix, rule)
    texts = [split(one, _TIER) for one in tier or []]
    usual = [(SYSTEM_INFO, system_info), (USER_INFO, user_info)]
    tiers = _tiers([*((name, text) for name, text in usual if text), *texts], loaded.tiers)
    dialogue = Dialogue(MetaPrompt(tiers), (Turn("user", asked(query)),))
    remote = _remote(ask, base_url, cache, loaded)
    classify = _classify(classifier, label, threshold)
    if remote is None:
        resolution = resolve_dialogue(dialogue, loaded, kind, classify=classify)
    else:
        resolution = resolve_dialogue(
            dialogue, loaded, kind, read=remote.read, classify=classify or remote.classify
        )
    applied = put_into(dialogue, resolution, apply) if apply is not None else None
    if as_json:
        typer.echo(_as_json(resolution, applied))
    else:
        _show(resolution, applied)
    if remote is not None:
        for reason, count in remote.dropped.items():
            typer.echo(f"left out of what {remote.name} said: {count}, {reason}", err=True)


def _tiers(said: Sequence[tuple[str, str]], known: Sequence[str]) -> tuple[TierText, ...]:
    """What the tiers say, in the order of those that are ``known``; the others are errors."""
    texts = named(said)
    strange = [name for name in texts if name not in known]
    if strange:
        raise UserError(f"the matrix has no tier {strange[0]!r}: use {', '.join(known)}")
    return tuple(TierText(name, texts[name]) for name in known if name in texts)


# The types of what comes back are in modules that no command line may import at its top.
def _remote(ask: str | None, base_url: str | None, cache: Path | None, matrix: Any) -> Any:
    """The model that is asked, None if there is none."""
    if ask is None:
        refuse({"--base-url": base_url, "--cache": cache}, "the rules: give --ask MODEL")
        return None
    from metaalign.generate import RemoteReader

    return RemoteReader(ask, base_url, matrix=matrix, cache=cache)


def _classify(
    classifier: str | None, label: Sequence[str] | None, threshold: float | None
) -> Callable[[str], Classified] | None:
    if classifier is None:
        without = {"--label": label or None, "--threshold": threshold}
        refuse(without, "anything but a classifier: give --classifier NAME")
        return None
    from metaalign.generate import TextClassifier

    # Whether the kinds are kinds is checked together with the labels.
    pairs = [split(one, _LABEL) for one in label or []]
    labels = named([(name, cast(Kind, means)) for name, means in pairs])
    return TextClassifier.load(classifier, labels, 0.5 if threshold is None else threshold).classify


def _as_json(resolution: Resolution, applied: Any) -> str:
    """The record for audit; with what was applied beside it, if anything was."""
    import msgspec

    from metaalign.policy import audit

    record = audit(resolution)
    if applied is not None:
        both = {"resolution": msgspec.Raw(record), "applied": applied}
        record = msgspec.json.format(msgspec.json.encode(both), indent=2)
    return record.decode()


def _show(resolution: Resolution, applied: Any) -> None:
    from metaalign import terminal
    from metaalign.policy import explain

    if resolution.decisions:
        terminal.show(terminal.decision_table(resolution))
    typer.echo("\n".join(explain(resolution)))
    if applied is None:
        return
    typer.echo("\nMeta-Prompt:")
    for said in applied.dialogue.meta_prompt.tiers:
        typer.echo(f"[{said.tier}]\n{said.text}")
    for preference in applied.removed:
        typer.echo(f"taken out: {preference.wording!r}")
    for kept in applied.kept:
        typer.echo(f"left in: {kept.preference.wording!r}: {kept.reason}")
    for note in applied.notes:
        typer.echo(f"note: {note}")
