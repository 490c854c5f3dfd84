"""The charts of the report, drawn once for light and once for dark pages, wide and narrow."""

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from metaalign.evaluate.goals import LOWER_IS_BETTER
from metaalign.evaluate.records import Estimate, Report
from metaalign.schema import MissingExtra

try:
    import matplotlib
    from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgb
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle
except ModuleNotFoundError as error:
    raise MissingExtra("eval", "matplotlib") from error

if TYPE_CHECKING:
    from matplotlib.axes import Axes

METRIC_ORDER = (
    "follow",
    "follow_unseen_values",
    "follow_unseen_wordings",
    "obey_harmful",
    "obey_conflict",
    "flip",
    "margin",
    "order",
    "benign_win_rate_vs_vanilla",
    "benign_win_rate_vs_aligned",
    "over_refusal",
    "over_steer",
    "edge_cases",
)
SHORT = {
    "follow": "Follows",
    "follow_unseen_values": "Follows, unseen values",
    "follow_unseen_wordings": "Follows, unseen wordings",
    "obey_harmful": "Obeys on harmful",
    "obey_conflict": "Obeys in conflicts",
    "flip": "Flip",
    "margin": "Margin",
    "order": "Order",
    "over_refusal": "Over-refusal",
    "over_steer": "Over-steering",
    "edge_cases": "Edge cases",
}
"""Metric -> a name for axes and table rows."""

_PNG_DPI = 160
_HEAT = LinearSegmentedColormap.from_list(
    "obedience",
    [(0.0, "#8f2d12"), (0.5, "#dd7f45"), (0.8, "#f5e3cd"), (0.92, "#b5d8dc"), (1.0, "#17627a")],
)


class Theme(NamedTuple):
    """Colours for one kind of page; all have a contrast of 3 or more on it."""

    ink: str
    quiet: str
    grid: str
    accent: str
    """The model under test."""
    others: tuple[str, ...]
    ground: str


LIGHT = Theme(
    "#1c2128", "#59636e", "#dfe3e8", "#3b4cca",
    ("#87919c", "#bf7a12", "#14907f", "#b1427a", "#5f7d1d"), "#ffffff",
)  # fmt: skip
DARK = Theme(
    "#e8ebef", "#a3adb8", "#39414b", "#97a3ff",
    ("#8d98a4", "#e0a347", "#45bfab", "#e58bb8", "#a9c463"), "#15181d",
)  # fmt: skip


class Grid(NamedTuple):
    """One square table of the Priority Matrix, filled with obedience."""

    kind: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: Mapping[tuple[str, str], Estimate]


_CELL = re.compile(r"(?P<kind>\w+)\[(?P<row>[^,\]]+), (?P<column>[^,\]]+)\]")
_PRIORITIES = ("-", "safety", "helpfulness", "consensus", "background")


def _style() -> AbstractContextManager[None]:
    return matplotlib.rc_context(
        {
            # Names of models and sources come from people: a dollar sign is no formula.
            "text.parse_math": False,
            "svg.fonttype": "path",
            "svg.hashsalt": "metaalign",
            "font.family": ["DejaVu Sans"],
            "font.size": 9.5,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.spines.left": False,
            "hatch.linewidth": 0.6,
        }
    )


def ordered_metrics(report: Report) -> list[str]:
    """All metrics that any model has, the known ones first."""
    found = {metric for measured in report.models.values() for metric in measured}
    known = [metric for metric in METRIC_ORDER if metric in found]
    return known + sorted(found - set(known))


def label(metric: str) -> str:
    """A metric's name for people."""
    if metric.startswith("benign_win_rate_vs_"):
        return f"Win rate vs {metric.removeprefix('benign_win_rate_vs_')}"
    return SHORT.get(metric, metric)


def best_model(report: Report) -> str:
    """The model with the highest ``follow``; without it the model under test."""
    measured = {m: v["follow"].value for m, v in report.models.items() if "follow" in v}
    return max(measured, key=lambda m: (measured[m], m == report.focus), default=report.focus)


def grids(report: Report, model: str) -> list[Grid]:
    """The heat maps of one model: one for every kind of query that was measured by cell."""
    by_kind: dict[str, dict[tuple[str, str], Estimate]] = {}
    for name, estimate in report.breakdown.get(model, {}).get("cell", {}).items():
        if found := _CELL.fullmatch(name):
            cell = (found["row"], found["column"])
            by_kind.setdefault(found["kind"], {})[cell] = estimate
    order = ("harmful", "contested", "severe")
    kinds = sorted(by_kind, key=lambda k: (order.index(k) if k in order else len(order), k))
    return [
        Grid(
            kind,
            _axis(row for row, _ in by_kind[kind]),
            _axis(column for _, column in by_kind[kind]),
            by_kind[kind],
        )
        for kind in kinds
    ]


def _axis(stated: Iterable[str]) -> tuple[str, ...]:
    names = set(stated)
    known = [p for p in _PRIORITIES if p in names]
    return tuple(known + sorted(names - set(known)))


def heat(value: float) -> tuple[str, str]:
    """Background and text colour of a cell: orange for disobedience, blue for obedience.

    Of dark and white text the one with the higher contrast is taken, so it is 4.5 or more.
    """
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(_HEAT(value))
    )
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    # WCAG 2: black and white contrast equally with a luminance of 0.179.
    return to_hex(_HEAT(value)), "#ffffff" if luminance < 0.179 else "#000000"


def metrics_chart(report: Report, theme: Theme = LIGHT, *, narrow: bool = False) -> Figure:
    """Bars side by side for all models: one group for every metric, with intervals and goals."""
    names = ordered_metrics(report)
    blocks = [
        ("Higher is better", [n for n in names if n not in LOWER_IS_BETTER]),
        ("Lower is better", [n for n in names if n in LOWER_IS_BETTER]),
    ]
    blocks = [(title, some) for title, some in blocks if some]
    step = 0.135 * len(report.models) + (0.36 if narrow else 0.16)
    rows = [len(some) for _, some in blocks] or [1]
    height = step * sum(rows) + 0.7 * len(rows) + 0.5
    with _style():
        figure = Figure(figsize=(4.3 if narrow else 8.4, height), layout="constrained")
        axes = figure.subplots(max(len(blocks), 1), 1, squeeze=False, height_ratios=rows)[:, 0]
        for axis, (title, some) in zip(axes, blocks, strict=False):
            _bars(axis, report, some, theme, narrow)
            axis.set_title(title, loc="left", color=theme.quiet, fontsize=9, pad=8)
        _legend(figure, report, theme, 2 if narrow else len(report.models))
    return figure


def _bars(axis: "Axes", report: Report, names: Sequence[str], theme: Theme, narrow: bool) -> None:
    models = list(report.models)
    goals = {g.metric: g.bound for g in report.goals}
    colours = model_colours(models, theme)
    room = 1.0 / (len(models) + (2.0 if narrow else 1.0))
    for place, metric in enumerate(names):
        top = place + (1.6 if narrow else 0.8) * room
        for i, model in enumerate(models):
            if (found := report.models[model].get(metric)) is None:
                continue
            y = top + i * room
            axis.barh(y, found.value, height=0.82 * room, color=colours[model], linewidth=0)
            low, high = found.ci95
            axis.plot([low, high], [y, y], color=theme.ink, linewidth=1.1, solid_capstyle="butt")
            weight = "bold" if model == report.focus else "normal"
            x = max(high, found.value) + 0.012
            if metric in goals and x - 0.01 < goals[metric] < x + 0.06:
                x = goals[metric] + 0.012  # not across the goal's line
            axis.text(
                x, y, f"{100 * found.value:.1f}", va="center",
                color=theme.ink, fontsize=7.5, fontweight=weight,
            )  # fmt: skip
        if metric in goals:
            ends = [top - 0.55 * room, top + (len(models) - 0.45) * room]
            axis.plot([goals[metric]] * 2, ends, color=theme.ink, linewidth=1.2, linestyle=":")
        if narrow:
            axis.text(0, place + 0.5 * room, label(metric), va="center", color=theme.ink)
    axis.set_ylim(len(names), 0)
    axis.set_xlim(0, 1.08)
    ticks = [0, 0.25, 0.5, 0.75, 1.0]
    axis.set_xticks(ticks, [f"{100 * t:.0f}%" for t in ticks], color=theme.quiet, fontsize=8)
    if narrow:
        axis.set_yticks([])
    else:
        middles = [place + 0.8 * room + (len(models) - 1) * room / 2 for place in range(len(names))]
        axis.set_yticks(middles, [label(n) for n in names], color=theme.ink)
    _quiet_axis(axis, theme, "x")


def conditional_chart(report: Report, theme: Theme = LIGHT, *, narrow: bool = False) -> Figure:
    """``flip`` and ``margin`` (or ``order``) of all models, one panel for every source."""
    models = list(report.models)
    by_source: dict[str, dict[str, dict[str, Estimate]]] = {}
    for metric in ("flip", "margin", "order"):
        for model in models:
            parts = report.breakdown.get(model, {}).get(f"{metric}_by_source", {})
            for source, found in parts.items():
                by_source.setdefault(source, {}).setdefault(metric, {})[model] = found
    panels = sorted(by_source) or [""]
    colours = model_colours(models, theme)
    across = 1 if narrow else min(len(panels), 3)
    down = -(-len(panels) // across)
    with _style():
        figure = Figure(figsize=(4.3 if narrow else 8.4, 2.9 * down + 0.4), layout="constrained")
        axes = figure.subplots(down, across, squeeze=False).ravel()
        for axis in axes[len(panels) :]:
            axis.set_axis_off()
        for axis, source in zip(axes, panels, strict=False):
            measured = by_source.get(source, {})
            room = 1 / (len(models) + 1)
            for place, metric in enumerate(measured):
                for i, model in enumerate(models):
                    if model not in measured[metric]:
                        continue
                    found = measured[metric][model]
                    x = place + (i - (len(models) - 1) / 2) * room
                    low, high = found.ci95
                    axis.bar(x, found.value, width=0.85 * room, color=colours[model], linewidth=0)
                    axis.plot([x, x], [low, high], color=theme.ink, linewidth=1.1)
                    axis.text(
                        x, max(high, found.value) + 0.02, f"{100 * found.value:.0f}",
                        ha="center", color=theme.ink, fontsize=7.5,
                    )  # fmt: skip
            names = list(map(label, measured))
            axis.set_xticks(range(len(measured)), names, color=theme.ink)
            axis.set_xlim(-0.6, max(len(measured), 1) - 0.4)
            axis.set_ylim(0, 1.12)
            ticks = [0, 0.25, 0.5, 0.75, 1.0]
            axis.set_yticks(
                ticks, [f"{100 * t:.0f}%" for t in ticks], color=theme.quiet, fontsize=8
            )
            axis.set_title(
                source if len(panels) > 1 else "", loc="left", color=theme.quiet, fontsize=9
            )
            _quiet_axis(axis, theme, "y")
        _legend(figure, report, theme, 2 if narrow else len(models))
    return figure


def matrix_chart(report: Report, theme: Theme = LIGHT) -> Figure:
    """The Priority Matrix as heat maps: obedience of the best model in every cell."""
    panels = grids(report, best_model(report)) or [Grid("", (), (), {})]
    with _style():
        figure = Figure(figsize=(5.2 * len(panels), 4.3), layout="constrained")
        figure.suptitle(
            f"Obedience of {best_model(report)} by cell, in percent", color=theme.ink, fontsize=11
        )
        for axis, grid in zip(
            figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
        ):
            for i, row in enumerate(grid.rows):
                for j, column in enumerate(grid.columns):
                    _square(axis, j, i, grid.cells.get((row, column)), theme)
            axis.set_xlim(0, max(len(grid.columns), 1))
            axis.set_ylim(max(len(grid.rows), 1), 0)
            axis.set_xticks([j + 0.5 for j in range(len(grid.columns))], grid.columns, fontsize=8)
            axis.set_yticks([i + 0.5 for i in range(len(grid.rows))], grid.rows, fontsize=8)
            axis.set_xlabel("User Info puts first", color=theme.quiet)
            axis.set_ylabel("System Info puts first", color=theme.quiet)
            axis.set_title(f"{grid.kind} queries", color=theme.ink, fontsize=10)
            axis.tick_params(length=0, colors=theme.ink)
            axis.spines["bottom"].set_visible(False)
    return figure


def _square(axis: "Axes", x: int, y: int, found: Estimate | None, theme: Theme) -> None:
    if found is None:
        axis.add_patch(
            Rectangle(
                (x + 0.02, y + 0.02), 0.96, 0.96, fill=False, hatch="///", edgecolor=theme.grid
            )
        )
        return
    ground, ink = heat(found.value)
    axis.add_patch(Rectangle((x + 0.02, y + 0.02), 0.96, 0.96, facecolor=ground, linewidth=0))
    axis.text(x + 0.5, y + 0.45, f"{100 * found.value:.0f}", ha="center", va="center", color=ink)
    axis.text(
        x + 0.5, y + 0.76, f"n = {found.n}", ha="center", va="center", color=ink, fontsize=6.5
    )


def model_colours(models: Sequence[str], theme: Theme) -> dict[str, str]:
    """The model under test (the last) in the accent, the others in turn."""
    others = theme.others
    colours = {model: others[i % len(others)] for i, model in enumerate(models)}
    return {**colours, models[-1]: theme.accent}


def _legend(figure: Figure, report: Report, theme: Theme, columns: int) -> None:
    colours = model_colours(list(report.models), theme)
    handles = [Rectangle((0, 0), 1, 1, color=colour) for colour in colours.values()]
    figure.legend(
        handles, list(colours), loc="outside upper left", ncols=columns, frameon=False,
        labelcolor=theme.ink, fontsize=9, handlelength=1.0, handleheight=1.0, columnspacing=1.4,
    )  # fmt: skip


def _quiet_axis(axis: "Axes", theme: Theme, grid: str) -> None:
    axis.tick_params(length=0)
    axis.grid(axis="x" if grid == "x" else "y", color=theme.grid, linewidth=0.7)
    axis.set_axisbelow(True)
    axis.spines["bottom"].set_color(theme.grid)


def to_svg(figure: Figure) -> bytes:
    """The figure without a background, the same bytes for the same figure."""
    buffer = io.BytesIO()
    with _style():
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return buffer.getvalue()


def to_png(figure: Figure, path: Path, theme: Theme = LIGHT) -> None:
    """Write the figure as a PNG on the page's own ground."""
    with _style():
        figure.savefig(path, format="png", dpi=_PNG_DPI, facecolor=theme.ground)
