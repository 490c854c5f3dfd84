"""The report for people: ``report.html``, the PNG charts, and rows for the terminal."""

import base64
from collections.abc import Iterable
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import msgspec

from metaalign.evaluate import charts
from metaalign.evaluate.answers import write_bytes
from metaalign.evaluate.charts import DARK, LIGHT, Grid, best_model, label, ordered_metrics
from metaalign.evaluate.goals import LOWER_IS_BETTER
from metaalign.evaluate.records import Estimate, Example, Outcome, Report
from metaalign.schema import SCHEMA_VERSION, MissingExtra, UserError

try:
    from jinja2 import Environment, StrictUndefined
except ModuleNotFoundError as error:
    raise MissingExtra("eval", "jinja2") from error

CHARTS = {
    "metrics": charts.metrics_chart,
    "conditional": charts.conditional_chart,
}
HEADLINE = (
    "follow",
    "obey_conflict",
    "flip",
    "benign_win_rate_vs_vanilla",
    "benign_win_rate_vs_aligned",
    "margin",
    "order",
    "edge_cases",
)
"""What the page begins with: the first few of these that were measured."""
HEADLINES = 5
MEANING = {
    "follow": "benign dialogues with the right content and every preference that the Matrix "
    "lets through",
    "follow_unseen_values": "the same with values that training never saw",
    "follow_unseen_wordings": "the same in words that training never saw together",
    "obey_harmful": "harmful dialogues answered or refused as the Matrix says",
    "obey_conflict": "dialogues in which the tiers contradict each other, both ways round",
    "flip": "pairs of views that order two answers oppositely, both in the right order",
    "margin": "the same pairs: the log-probability ratio moves the right way",
    "order": "two answers under a single view in the right order",
    "over_refusal": "harmless queries that sound harmful, refused",
    "over_steer": "verdicts that an irrelevant User Info changes",
    "edge_cases": "ambiguous and contradictory specifications, all that the Matrix gives",
}


class Tile(NamedTuple):
    """One number of the headline."""

    label: str
    meaning: str
    value: str
    interval: str
    n: int
    goal: Outcome | None


def read_report(path: Path) -> Report:
    """Read ``report.json``; ``UserError`` if it is missing, damaged or newer than this version."""
    try:
        report = msgspec.json.decode(path.read_bytes(), type=Report)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise UserError(f"{path} is no report: {error}; run the evaluation again") from error
    if report.schema > SCHEMA_VERSION:
        raise UserError(
            f"{path} has schema {report.schema}, this metaalign reads up to {SCHEMA_VERSION}: "
            "install a newer metaalign"
        )
    return report


def write_report(report: Report, out: Path) -> None:
    """Write ``report.html``, ``metrics.png``, ``matrix.png`` and ``conditional.png`` to ``out``."""
    for name, chart in CHARTS.items():
        charts.to_png(chart(report), out / f"{name}.png")
    charts.to_png(charts.matrix_chart(report), out / "matrix.png")
    write_bytes(out / "report.html", render(report).encode("utf-8", "replace"))


def render(report: Report) -> str:
    """The report as one self-contained HTML page. All text from data is escaped."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = files("metaalign.evaluate").joinpath("templates/report.html").read_text("utf-8")
    goals = {goal.metric: goal for goal in report.goals}
    return environment.from_string(source).render(
        report=report,
        others=list(report.models)[:-1],
        verdict=verdict(report),
        tiles=[_tile(metric, report, goals.get(metric)) for metric in _headline(report)],
        metrics=_rows(report),
        goals=goals,
        lower=LOWER_IS_BETTER,
        best=best_model(report),
        best_values={metric: _best(report, metric) for metric in _rows(report)},
        grids=charts.grids(report, best_model(report)),
        pictures={name: _pictures(report, name) for name in CHARTS},
        alts={name: _alt(report, name) for name in CHARTS},
        examples=_by_query(report.examples),
        breakdown=_controls(report),
        edge=edge_rows(report),
        measured_by_likelihood=any({"flip", "order"} & set(m) for m in report.models.values()),
        label=label,
        meaning=meaning,
        percent=percent,
        interval=interval,
        heat=charts.heat,
        asked=_asked,
        tier_name=tier_name,
    )


def table(report: Report) -> list[tuple[str, ...]]:
    """Rows for the terminal, the header first: metric, every model, and the goal if any."""
    goals = {goal.metric: goal for goal in report.goals}
    models = list(report.models)
    rows = [("metric", *models, *(["goal"] if goals else []))]
    for metric in _rows(report):
        cells = [_cell(report.models[model].get(metric)) for model in models]
        rows.append((metric, *cells, *([_goal(goals.get(metric))] if goals else [])))
    return rows


class EdgeRow(NamedTuple):
    """One kind of edge case."""

    case: str
    about: str
    n: int
    behaves: str
    """Share of the model under test with the right behaviour, whatever else is wrong."""
    obeys: tuple[str, ...]
    """Share of every model that does all that is asked for."""


def edge_rows(report: Report) -> list[EdgeRow]:
    """The kinds of edge cases that the model under test was asked, in the order of the suite."""
    found = report.breakdown.get(report.focus, {})
    behaved, obeyed = found.get("edge_cases_behaviour", {}), found.get("edge_cases", {})
    by_model = [report.breakdown.get(m, {}).get("edge_cases", {}) for m in report.models]
    return [
        EdgeRow(
            case,
            about,
            obeyed[case].n,
            percent(behaved[case].value),
            tuple(percent(some[case].value) if case in some else "–" for some in by_model),
        )
        for case, about in report.cases.items()
        if case in obeyed
    ]


def edge_table(report: Report) -> list[tuple[str, ...]]:
    """Rows for the terminal, the header first; nothing but the header without edge cases."""
    head = ("edge cases", "n", *(f"{m} obeys" for m in report.models), f"{report.focus} behaves")
    return [head, *((r.case, str(r.n), *r.obeys, r.behaves) for r in edge_rows(report))]


def verdict(report: Report) -> str:
    """One sentence on the model under test."""
    measured = [goal for goal in report.goals if goal.met is not None]
    if not measured:
        return f"{report.focus}, measured on {_where(report)}."
    missed = [label(goal.metric) for goal in measured if not goal.met]
    said = f"{report.focus} meets {len(measured) - len(missed)} of {len(measured)} goals"
    return f"{said}. Missed: {', '.join(missed)}." if missed else f"{said}."


def percent(value: float, digits: int = 1) -> str:
    """0.9731 as ``97.3%``. What is below 100 is never shown as 100, nor what is above 0 as 0."""
    step = 10.0**-digits
    shown = round(100 * value, digits)
    if 0 < value < 1:
        shown = min(max(shown, step), 100 - step)
    return f"{shown:.{digits}f}%"


def interval(found: Estimate) -> str:
    """The 95 % interval as ``96.0–98.4``."""
    low, high = found.ci95
    return f"{percent(low).rstrip('%')}–{percent(high).rstrip('%')}"


def meaning(metric: str) -> str:
    """What a metric counts, in words."""
    if metric.startswith("benign_win_rate_vs_"):
        return "benign dialogues in which more of what was asked for is there; ties count half"
    return MEANING.get(metric, "")


def tier_name(tier: str) -> str:
    """``system_info`` as ``System Info``."""
    return tier.replace("_", " ").title()


def _where(report: Report) -> str:
    return report.dataset.get("name", "the dataset")


def _headline(report: Report) -> list[str]:
    there = report.models[report.focus]
    return [metric for metric in HEADLINE if metric in there][:HEADLINES]


def _tile(metric: str, report: Report, goal: Outcome | None) -> Tile:
    found = report.models[report.focus][metric]
    return Tile(
        label(metric), meaning(metric), percent(found.value), interval(found), found.n, goal
    )


def _rows(report: Report) -> list[str]:
    """The metrics of the table: those that were measured, then goals that were not."""
    measured = ordered_metrics(report)
    return measured + [goal.metric for goal in report.goals if goal.metric not in measured]


def _best(report: Report, metric: str) -> float | None:
    values = [found[metric].value for found in report.models.values() if metric in found]
    best = min if metric in LOWER_IS_BETTER else max
    return best(values, default=None)


def _cell(found: Estimate | None) -> str:
    return "–" if found is None else f"{percent(found.value)} ({interval(found)})"


def _goal(goal: Outcome | None) -> str:
    if goal is None:
        return ""
    state = {True: "met", False: "missed", None: "not measured"}[goal.met]
    return f"{'≥' if goal.at_least else '≤'} {percent(goal.bound)} {state}"


def _pictures(report: Report, name: str) -> dict[str, str]:
    """The chart as data URIs for light and dark, wide and narrow pages."""
    return {
        f"{colours}_{'narrow' if narrow else 'wide'}": "data:image/svg+xml;base64,"
        + base64.b64encode(charts.to_svg(CHARTS[name](report, theme, narrow=narrow))).decode()
        for colours, theme in (("light", LIGHT), ("dark", DARK))
        for narrow in (False, True)
    }


def _alt(report: Report, name: str) -> str:
    """What a chart shows, for those who cannot see it."""
    wanted = ("flip", "margin", "order") if name == "conditional" else ordered_metrics(report)
    said = [
        f"{model}: "
        + ", ".join(f"{label(m)} {percent(found[m].value)}" for m in wanted if m in found)
        for model, found in report.models.items()
    ]
    return "Bar chart. " + "; ".join(said) + "."


def _by_query(examples: Iterable[Example]) -> list[tuple[str, list[Example]]]:
    return [(query, list(some)) for query, some in groupby(examples, key=lambda e: e.query)]


def _controls(report: Report) -> list[tuple[str, list[tuple[str, Estimate]]]]:
    """The breakdowns of the model under test that show whether a shortcut was taken."""
    titles = {
        "follow_by_tier": "Follows, by the tier that asks",
        "follow_by_preferences": "Follows, by number of preferences",
        "position": "Preference satisfied, by its place in the text",
        "dimension": "Preference satisfied, by dimension",
        "conflict_by_dimension": "Obeys in conflicts, by dimension",
        "behaviour": "Obeys, by behaviour asked for",
        "family": "Obeys, by family",
        "flip_by_pair": "Flip, by what is compared",
    }
    found = report.breakdown.get(report.focus, {})
    return [(title, sorted(found[by].items())) for by, title in titles.items() if by in found]


def _asked(grid: Grid, row: str, column: str, report: Report) -> str:
    """The behaviour that a cell asks for, in few words."""
    return report.cells.get(f"{grid.kind}[{row}, {column}]", "").replace("_view", "")
