"""A summary as tables of text, for a terminal or a page: title, columns, rows."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from metaalign.data import licences as law
from metaalign.data.tools.summary import FAIR, Check, Histogram, Summary

_BAR = 28
"""Characters of the longest bar."""
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_DIMENSIONS = 20
"""Rows of a table at most; the rest is summed up in one."""
_EXCERPT = 100


class Told(NamedTuple):
    """A table."""

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, ...]]
    numbers: bool = True
    """Whether all columns but the first are numbers."""


def facts(summary: Summary) -> list[tuple[str, str]]:
    """The numbers to begin with."""
    counts = summary.counts
    names = {
        "groups": "groups",
        "samples": "samples",
        "views": "views",
        "flips": "flips",
        "distinct_preferences": "distinct preferences",
        "distinct_wordings": "distinct wordings",
        "views_that_order_nothing": "views that order nothing",
    }
    return [(said, f"{counts[name]:,}") for name, said in names.items() if name in counts]


def tables_of(summary: Summary) -> Iterator[Told]:
    """All that a terminal shows of a summary."""
    yield Told("", ("", ""), facts(summary))
    yield from counted(summary)
    yield from map(histogram, summary.histograms)
    yield checks(summary)
    if summary.agreement:
        yield agreement(summary)
    yield from diverse(summary)
    if summary.dropped:
        yield dropped(summary)


def counted(summary: Summary) -> Iterator[Told]:
    """Who and what there is how often."""
    yield by_family(summary)
    yield _shares("kind of query", "samples", summary.kinds)
    yield sources(summary)
    yield _shares("ordered by", "views", summary.ordered_by)
    yield _shares("written by", "candidates", _at_most(summary.written_by))
    yield _shares("asked by", "preferences", summary.tiers)
    yield _shares("said how", "preferences", summary.explicit)
    yield dimensions(summary)


def by_family(summary: Summary) -> Told:
    """Samples by family and split, with flips."""
    splits = list(summary.splits)
    names = list(dict.fromkeys(one.family for one in summary.families))
    cells = {(one.family, one.split): one for one in summary.families}
    rows = []
    for name in names:
        own = [cells.get((name, split)) for split in splits]
        there = [one for one in own if one]
        rows.append(
            (
                name,
                *(f"{one.samples:,}" if one else "-" for one in own),
                f"{sum(one.samples for one in there):,}",
                f"{sum(one.flips for one in there):,}",
            )
        )
    totals = [samples for _, samples in summary.splits.values()]
    flips = sum(one.flips for one in summary.families)
    rows.append(("all", *(f"{n:,}" for n in totals), f"{sum(totals):,}", f"{flips:,}"))
    return Told("samples by family and split", ("", *splits, "samples", "flips"), rows)


def sources(summary: Summary) -> Told:
    """Samples by source, with licences."""
    rows = [
        (name, f"{n:,}", marked(summary.licences.get(name, law.UNKNOWN)))
        for name, n in summary.sources.items()
    ]
    return Told("samples by source", ("", "samples", "licence"), rows)


def marked(licence: str) -> str:
    """A licence, with what must be seen of it."""
    return f"{licence} (non-commercial)" if law.is_non_commercial(licence) else licence


def dimensions(summary: Summary) -> Told:
    """Preferences by dimension and tier."""
    tiers = list(dict.fromkeys(t for own in summary.dimensions.values() for t in own))
    tiers.sort(key=lambda tier: -summary.tiers[tier])
    rows = [
        (name, *(f"{own.get(tier, 0):,}" for tier in tiers), f"{summary.values.get(name, 0):,}")
        for name, own in list(summary.dimensions.items())[:_DIMENSIONS]
    ]
    if more := list(summary.dimensions.values())[_DIMENSIONS:]:
        sums = (f"{sum(own.get(tier, 0) for own in more):,}" for tier in tiers)
        rows.append((f"{len(more)} more", *sums, ""))
    return Told("preferences by dimension", ("", *tiers, "distinct values"), rows)


def _shares(title: str, of: str, counts: Mapping[str, int]) -> Told:
    total = sum(counts.values()) or 1
    rows = [(name or "-", f"{n:,}", percent(n / total)) for name, n in counts.items()]
    return Told(title, ("", of, "share"), rows)


def _at_most(counts: Mapping[str, int]) -> Mapping[str, int]:
    """The first of many names, and the rest in one."""
    if len(counts) <= _DIMENSIONS:
        return counts
    names = list(counts)
    rest = names[_DIMENSIONS:]
    return {n: counts[n] for n in names[:_DIMENSIONS]} | {
        f"{len(rest)} more": sum(counts[n] for n in rest)
    }


def histogram(one: Histogram) -> Told:
    """One row for every bin, with a bar."""
    most = max(found.count for found in one.bins)
    rows = [
        (one.label(number), f"{found.count:,}", bar(found.count, most))
        for number, found in enumerate(one.bins)
    ]
    return Told(one.name, ("", f"{one.of}s", spread(one)), rows, numbers=False)


def spread(one: Histogram) -> str:
    """Median, mean and the high end in words."""
    middle = f"median {one.median:,.0f}, mean {one.mean:,.1f}"
    return f"{middle}, 95 % up to {one.p95:,.0f}, most {one.most:,}"


def bar(count: int, most: int) -> str:
    """A bar as long as ``count`` of ``most``; what is not zero can be seen."""
    eighths = round(8 * _BAR * count / most) if most else 0
    eighths = max(eighths, count > 0)
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (_EIGHTHS[rest] if rest else "")


def checks(summary: Summary) -> Told:
    """The health checks, each with its verdict."""
    rows = [
        (
            one.name,
            one.family,
            percent(one.share),
            f"{percent(one.interval[0])}–{percent(one.interval[1])}",
            f"{one.n:,}",
            verdict(one),
        )
        for one in summary.checks
    ]
    head = ("", "family", "share", "95 %", "pairs", "")
    return Told("shortcuts: where nothing can be learned from it, a share is 50 %", head, rows)


def verdict(check: Check) -> str:
    """What a share means."""
    if check.fair:
        return "fair"
    low, high = percent(0.5 - FAIR, 0), percent(0.5 + FAIR, 0)
    return f"told: outside {low}–{high}, so this alone predicts the order"


def agreement(summary: Summary) -> Told:
    """Annotators' agreement by source."""
    rows = [
        (
            one.source,
            "not defined" if one.alpha is None else f"{one.alpha:.3f}",
            f"{one.views:,}",
            f"{one.used:,}",
        )
        for one in summary.agreement
    ]
    head = ("", "alpha", "views with several annotators", "estimated by")
    return Told("agreement of annotators (Krippendorff, ordinal: 1 full, 0 chance)", head, rows)


def diverse(summary: Summary) -> Iterator[Told]:
    """How many different things are asked for, and which cells of the Matrix decide a view."""
    for title, columns, rows in summary.diversity.tables():
        if not title.startswith("by "):  # those are counted above
            yield Told(title, columns, rows, numbers=title == "diversity")


def dropped(summary: Summary) -> Told:
    """What stages left out, with an example of each reason."""
    rows = [
        (
            "split" if one.stage is None else f"{one.stage + 1}",
            one.reason,
            f"{one.groups:,}",
            excerpt(one.examples[0].query) if one.examples else "",
        )
        for one in summary.dropped
    ]
    return Told("left out by a stage", ("stage", "reason", "groups", "for example"), rows, False)


def excerpt(text: str, most: int = _EXCERPT) -> str:
    """The beginning of a text in one line."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= most else line[: most - 1] + "…"


def printable(text: str) -> str:
    """``text`` without characters that command a terminal or turn its lines round.

    Each becomes a picture of itself, as a dataset holds whatever somebody wrote.
    """
    return "".join(_shown(c) for c in text)


def _shown(character: str) -> str:
    code = ord(character)
    if character == "\n" or 32 <= code < 127:
        return character
    if code < 32:
        return " " if character == "\t" else chr(0x2400 + code)
    if code == 127:
        return "\u2421"
    commands = 0x80 <= code < 0xA0 or code in _TURNING or 0xD800 <= code < 0xE000
    return "\ufffd" if commands else character


_TURNING = frozenset([*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C])
"""Characters that change the direction of what stands beside them."""


def percent(share: float, digits: int = 1) -> str:
    """0.5237 as ``52.4%``."""
    return f"{100 * share:.{digits}f}%"


def indented(lines: Iterable[str], by: str) -> Iterator[str]:
    """Every line of the texts, set in."""
    for text in lines:
        for line in text.split("\n"):
            yield f"{by}{line}".rstrip()
