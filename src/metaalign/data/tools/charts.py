"""The charts of the inspect page, drawn for light and dark pages, wide and narrow."""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NamedTuple

from metaalign.data.tools.summary import FAIR, Histogram, Summary
from metaalign.data.tools.telling import percent, spread
from metaalign.schema import MissingExtra

try:
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import StrMethodFormatter
except ModuleNotFoundError as error:
    raise MissingExtra("curate", "matplotlib") from error

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DIMENSIONS = 14
_FEW = 6


class Theme(NamedTuple):
    """Colours for one kind of page; each has a contrast of 3 or more on it."""

    ink: str
    quiet: str
    grid: str
    accent: str
    series: tuple[str, ...]
    band: str
    """Behind what is as it should be."""


LIGHT = Theme(
    "#1c2128", "#59636e", "#dfe3e8", "#3b4cca",
    ("#3b4cca", "#14907f", "#bf7a12", "#b1427a", "#5f7d1d", "#87919c"), "#e2f4ec",
)  # fmt: skip
DARK = Theme(
    "#e8ebef", "#a3adb8", "#39414b", "#97a3ff",
    ("#97a3ff", "#45bfab", "#e0a347", "#e58bb8", "#a9c463", "#8d98a4"), "#14332a",
)  # fmt: skip


class Picture(NamedTuple):
    """One chart: as data URIs by colours and width, and in words for those who cannot see it."""

    sources: Mapping[str, str]
    alt: str


Chart = Callable[[Summary, Theme, bool], Figure]


def pictures(summary: Summary) -> dict[str, Picture]:
    """Every chart by its name. One that has nothing to show is absent."""
    found: dict[str, Picture] = {}
    if summary.families:
        found["families"] = _picture(families_chart, summary, _families_alt(summary))
    if summary.dimensions:
        found["dimensions"] = _picture(dimensions_chart, summary, _dimensions_alt(summary))
    if summary.histograms:
        found["histograms"] = _picture(histograms_chart, summary, _histograms_alt(summary))
    if summary.checks:
        found["checks"] = _picture(checks_chart, summary, _checks_alt(summary))
    return found


def _picture(chart: Chart, summary: Summary, alt: str) -> Picture:
    return Picture(
        {
            f"{colours}_{'narrow' if narrow else 'wide'}": "data:image/svg+xml;base64,"
            + base64.b64encode(to_svg(chart(summary, theme, narrow))).decode()
            for colours, theme in (("light", LIGHT), ("dark", DARK))
            for narrow in (False, True)
        },
        alt,
    )


def families_chart(summary: Summary, theme: Theme = LIGHT, narrow: bool = False) -> Figure:
    """Samples of every family, a stacked bar with a part for each split."""
    names = list(dict.fromkeys(one.family for one in summary.families))
    samples = {(one.family, one.split): one.samples for one in summary.families}
    parts = {
        split: [samples.get((name, split), 0) for name in names]
        for split in summary.splits
        if any(one.split == split for one in summary.families)
    }
    return _stacked(names, parts, theme, narrow)


def dimensions_chart(summary: Summary, theme: Theme = LIGHT, narrow: bool = False) -> Figure:
    """Preferences of every dimension, a stacked bar with a part for each tier."""
    names = list(summary.dimensions)[:_DIMENSIONS]
    parts = {
        tier.replace("_", " ").title(): [summary.dimensions[n].get(tier, 0) for n in names]
        for tier in summary.tiers
    }
    return _stacked(names, parts, theme, narrow)


def _stacked(
    names: Sequence[str], parts: Mapping[str, Sequence[int]], theme: Theme, narrow: bool
) -> Figure:
    height = 0.36 * len(names) + (1.2 if narrow else 0.9)
    with _style():
        figure = Figure(figsize=(4.3 if narrow else 8.4, height), layout="constrained")
        axis = figure.subplots()
        left = [0] * len(names)
        for number, (name, counts) in enumerate(parts.items()):
            colour = theme.series[number % len(theme.series)]
            axis.barh(range(len(names)), counts, left=left, color=colour, height=0.68, label=name)
            left = [sum(both) for both in zip(left, counts, strict=True)]
        most = max(left, default=1)
        for place, total in enumerate(left):
            axis.text(
                total + 0.012 * most, place, f"{total:,}", va="center", color=theme.ink, fontsize=8
            )
        axis.set_yticks(range(len(names)), [_short(name) for name in names], color=theme.ink)
        axis.set_ylim(len(names) - 0.4, -0.6)
        axis.set_xlim(0, 1.13 * most)
        axis.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        _quiet(axis, theme, "x")
        figure.legend(
            loc="outside upper left", ncols=2 if narrow else 5, frameon=False,
            labelcolor=theme.ink, fontsize=8.5, handlelength=1.0, handleheight=1.0,
        )  # fmt: skip
    return figure


def histograms_chart(summary: Summary, theme: Theme = LIGHT, narrow: bool = False) -> Figure:
    """Every histogram in a small panel of its own."""
    columns = 1 if narrow else 2
    rows = -(-len(summary.histograms) // columns)
    with _style():
        figure = Figure(figsize=(4.3 if narrow else 8.4, 2.15 * rows), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).flatten()
        for axis, one in zip(axes, summary.histograms, strict=False):
            _bars(axis, one, theme)
        for axis in axes[len(summary.histograms) :]:
            axis.set_axis_off()
    return figure


def _bars(axis: "Axes", one: Histogram, theme: Theme) -> None:
    places = range(len(one.bins))
    axis.bar(places, [b.count for b in one.bins], width=0.88, color=theme.accent)
    axis.set_title(one.name, loc="left", color=theme.ink, fontsize=9)
    axis.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    # One value alone is a bar and no wall.
    axis.set_xlim(-0.6, max(len(one.bins), _FEW) - 0.4)
    # Every label would not fit: the first, the last, and few between.
    shown = [p for p in places if p % max(1, -(-len(one.bins) // 6)) == 0]
    axis.set_xticks(shown, [one.label(p).split("–")[0] for p in shown], fontsize=7.5)
    _quiet(axis, theme, "y")


def checks_chart(summary: Summary, theme: Theme = LIGHT, narrow: bool = False) -> Figure:
    """Every share with its interval, on a scale with what is fair in the middle."""
    names = list(dict.fromkeys(one.name for one in summary.checks))
    height = 0.27 * len(summary.checks) + 0.45 * len(names) + 0.3
    with _style():
        figure = Figure(figsize=(4.3 if narrow else 8.4, height), layout="constrained")
        axes = figure.subplots(len(names), 1, squeeze=False, sharex=True)[:, 0]
        for axis, name in zip(axes, names, strict=True):
            own = [one for one in summary.checks if one.name == name]
            axis.axvspan(0.5 - FAIR, 0.5 + FAIR, color=theme.band, linewidth=0, zorder=0)
            axis.axvline(0.5, color=theme.quiet, linewidth=0.9, linestyle=":")
            for place, one in enumerate(own):
                colour = theme.accent if one.fair else theme.series[2]
                axis.plot(one.interval, [place, place], color=colour, linewidth=1.6)
                axis.plot([one.share], [place], "o" if one.fair else "D", color=colour, ms=5.5)
                axis.text(1.02, place, percent(one.share), va="center", color=theme.ink, fontsize=8)
            axis.set_yticks(range(len(own)), [one.family for one in own], color=theme.ink)
            axis.set_ylim(len(own) - 0.4, -0.6)
            axis.set_title(name, loc="left", color=theme.ink, fontsize=9)
            axis.set_xlim(0, 1.14)
            ticks = [0, 0.25, 0.5, 0.75, 1.0]
            axis.set_xticks(ticks, [f"{100 * t:.0f}%" for t in ticks], fontsize=8)
            _quiet(axis, theme, "x")
    return figure


def _quiet(axis: "Axes", theme: Theme, grid: str) -> None:
    axis.tick_params(length=0, labelsize=8.5)
    axis.tick_params(axis="x", colors=theme.quiet)
    if grid == "y":
        axis.tick_params(axis="y", colors=theme.quiet, labelsize=7.5)
    axis.grid(axis="x" if grid == "x" else "y", color=theme.grid, linewidth=0.7)
    axis.set_axisbelow(True)
    axis.spines["bottom"].set_color(theme.grid)


def _short(name: str) -> str:
    """A name that leaves room for the bars, in characters that the font has."""
    line = "".join(c if c.isprintable() and ord(c) < 0x2000 else "?" for c in name)
    return line if len(line) <= 24 else f"{line[:23]}…"


def _style() -> AbstractContextManager[None]:
    return matplotlib.rc_context(
        {
            # Names of sources and dimensions come from people: a dollar sign is no formula.
            "text.parse_math": False,
            "svg.fonttype": "path",
            "svg.hashsalt": "metaalign",
            "font.family": ["DejaVu Sans"],
            "font.size": 9.5,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.spines.left": False,
            "axes.formatter.use_mathtext": False,
        }
    )


def to_svg(figure: Figure) -> bytes:
    """The figure without a background, the same bytes for the same figure."""
    buffer = io.BytesIO()
    with _style():
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return buffer.getvalue()


def _families_alt(summary: Summary) -> str:
    said = [f"{one.family} {one.samples:,} in {one.split}" for one in summary.families]
    return f"Stacked bars of samples by family and split: {'; '.join(said)}."


def _dimensions_alt(summary: Summary) -> str:
    said = [
        f"{name} " + ", ".join(f"{n:,} by {tier}" for tier, n in own.items())
        for name, own in list(summary.dimensions.items())[:_DIMENSIONS]
    ]
    return f"Stacked bars of preferences by dimension and tier: {'; '.join(said)}."


def _histograms_alt(summary: Summary) -> str:
    said = [f"{one.name}: {spread(one)}" for one in summary.histograms]
    return f"Histograms. {'; '.join(said)}."


def _checks_alt(summary: Summary) -> str:
    said = [f"{one.name}, {one.family}: {percent(one.share)}" for one in summary.checks]
    return f"Shares of pairs; one half is what nothing can be learned from. {'; '.join(said)}."
