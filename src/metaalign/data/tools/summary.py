"""What a dataset holds, in numbers: counts, distributions, and what a shortcut would show in."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from metaalign.data.building.dropped import Dropped
from metaalign.data.diversity import Diversity, diversity
from metaalign.data.families.orders import agreement
from metaalign.data.filters.meaning import TFIDF
from metaalign.data.licences import licences_of
from metaalign.data.store import (
    DROPPED_NAME,
    iter_groups,
    read_dataset_manifest,
    read_report,
)
from metaalign.data.tools.looking import Looking, looking_at
from metaalign.schema import SCHEMA_VERSION, Annotation, MetaPrompt, View

_BINS = 12
_ANNOTATED_VIEWS = 20_000
"""Views by which agreement is estimated, of each source, drawn by hash."""
_COMPARED, _VENDI = 5_000, 1_000
"""Distinct texts of which diversity is measured: a few seconds."""
FAIR = 0.1
"""How far from one half the share of a health check may be before it is told."""
_Z = 1.959964
"""Of a 95 % interval."""


class Cross(Struct, frozen=True):
    """Samples by family and split."""

    family: str
    split: str
    samples: int
    flips: int


class Bin(Struct, frozen=True):
    """Values from ``low`` on and below the next one's; the last has no end."""

    low: int
    count: int


class Histogram(Struct, frozen=True):
    """How a whole number is distributed."""

    name: str
    of: str
    """What was measured: one value each."""
    bins: tuple[Bin, ...]
    n: int
    median: float
    mean: float
    p95: float
    most: int

    def label(self, number: int) -> str:
        """The range of a bin, as ``200–399`` or ``2,000+``."""
        low = self.bins[number].low
        if number + 1 == len(self.bins):
            return f"{low:,}+" if low < self.most else f"{low:,}"
        last = self.bins[number + 1].low - 1
        return f"{low:,}" if last == low else f"{low:,}–{last:,}"


class Check(Struct, frozen=True):
    """A share that is one half where nothing can be learned from it."""

    name: str
    family: str
    """Of which family; ``all`` for all together."""
    share: float
    n: int

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of ``share`` (Wilson's), as if pairs were independent."""
        if not self.n:
            return 0.0, 1.0
        spread = _Z * _Z / self.n
        middle = (self.share + spread / 2) / (1 + spread)
        half = math.sqrt(self.share * (1 - self.share) / self.n + spread / (4 * self.n))
        return max(0.0, middle - _Z * half / (1 + spread)), min(
            1.0, middle + _Z * half / (1 + spread)
        )

    @property
    def fair(self) -> bool:
        """True if the share cannot be told from one that is within ``FAIR`` of one half."""
        low, high = self.interval
        return low <= 0.5 + FAIR and high >= 0.5 - FAIR


class Agreement(Struct, frozen=True):
    """How far the annotators of one source agree."""

    source: str
    alpha: float | None
    """Krippendorff's, of ordinal ranks; None where it is not defined."""
    views: int
    """With more than one annotator."""
    used: int
    """Of these, by how many it was estimated."""


class Summary(Struct, frozen=True, kw_only=True):
    """All that ``inspect`` tells. Counts are in samples where nothing else is said."""

    schema: int = SCHEMA_VERSION
    name: str
    fingerprint: str
    seed: int
    counts: dict[str, int]
    """As the manifest has them."""
    families: tuple[Cross, ...]
    kinds: dict[str, int]
    sources: dict[str, int]
    licences: dict[str, str]
    """By source."""
    ordered_by: dict[str, int]
    """Views by who ordered them."""
    written_by: dict[str, int]
    """Candidates by who wrote them."""
    tiers: dict[str, int]
    """Preferences by the tier that asks."""
    explicit: dict[str, int]
    """Preferences that say what they want, and those that only follow from who somebody is."""
    dimensions: dict[str, dict[str, int]]
    """Preferences by dimension and tier, the most frequent first."""
    values: dict[str, int]
    """Distinct values by dimension."""
    histograms: tuple[Histogram, ...]
    checks: tuple[Check, ...]
    agreement: tuple[Agreement, ...]
    diversity: Diversity
    """Distinct words and meanings, by TF-IDF: it needs no model, and is the same everywhere."""
    dropped: tuple[Dropped, ...]
    notes: tuple[str, ...]

    @property
    def splits(self) -> dict[str, tuple[int, int]]:
        """Groups and samples by split."""
        names = [k.removeprefix("groups.") for k in self.counts if k.startswith("groups.")]
        return {n: (self.counts[f"groups.{n}"], self.counts[f"samples.{n}"]) for n in names}


HISTOGRAMS: Mapping[str, tuple[str, str]] = {
    "characters in a Meta-Prompt": (
        "view",
        "SELECT list_sum(list_transform(tiers, lambda t: len(t.text)))::BIGINT AS x FROM views "
        "WHERE len(tiers) > 0",
    ),
    "characters in a query": ("sample", "SELECT len(query) AS x FROM samples"),
    "characters in a response": ("candidate", "SELECT len(text) AS x FROM candidates"),
    "preferences in a view": ("view", "SELECT len(preferences) AS x FROM views"),
    "views in a group": ("group", "SELECT len(views) AS x FROM groups"),
    "candidates in a group": ("group", "SELECT len(candidates) AS x FROM groups"),
}
"""What is measured -> of what, and the question that gives one ``x`` for each."""

CHECKS: Mapping[str, str] = {
    "the better response is longer": "CASE WHEN better_length > worse_length THEN 1.0 "
    "WHEN better_length = worse_length THEN 0.5 ELSE 0.0 END",
    "the better response is listed first": "CASE WHEN better < worse THEN 1.0 ELSE 0.0 END",
}
"""Health check -> what counts for a pair; equal lengths count one half."""


def summarise(dataset: Path) -> Summary:
    """The summary of a dataset folder, in bounded memory.

    Raises ``UserError`` for a folder that is no whole dataset, or of a newer metaalign.
    """
    manifest = read_dataset_manifest(dataset)
    with looking_at(dataset) as looking:
        sources = _counted(looking, "samples", "source")
        return Summary(
            name=dataset.absolute().name,
            fingerprint=manifest.fingerprint,
            seed=manifest.seed,
            counts=manifest.counts,
            families=_families(looking),
            kinds=_counted(looking, "samples", "kind"),
            sources=sources,
            licences=licences_of(dataset, sources),
            ordered_by=_counted(looking, "views", "ordered_by"),
            written_by=_counted(looking, "candidates", "written_by"),
            tiers=_counted(looking, "preferences", "tier"),
            explicit=_counted(
                looking, "preferences", "CASE WHEN explicit THEN 'explicit' ELSE 'implicit' END"
            ),
            dimensions=_dimensions(looking),
            values=dict(
                looking.ask(
                    "SELECT dimension, count(DISTINCT value) FROM preferences GROUP BY 1 "
                    "ORDER BY 2 DESC, 1"
                ).rows
            ),
            histograms=tuple(
                histogram
                for name, (of, sql) in HISTOGRAMS.items()
                if (histogram := _histogram(looking, name, of, sql)) is not None
            ),
            checks=_checks(looking),
            agreement=_agreement(looking),
            diversity=diversity(
                iter_groups(dataset), model=TFIDF, compared=_COMPARED, sample=_VENDI
            ),
            dropped=read_dropped(dataset),
            notes=manifest.notes,
        )


def read_dropped(dataset: Path) -> tuple[Dropped, ...]:
    """What the stages of the build left out, as it wrote it beside the dataset."""
    return read_report(dataset, DROPPED_NAME, Dropped)


def _counted(looking: Looking, table: str, what: str) -> dict[str, int]:
    """Rows of ``table`` by ``what``, the most frequent first."""
    return dict(
        looking.ask(
            f"SELECT {what} AS what, count(*) FROM {table} GROUP BY 1 ORDER BY 2 DESC, 1"
        ).rows
    )


def _families(looking: Looking) -> tuple[Cross, ...]:
    """Samples and flips. Only pairs of one group are joined, so few rows meet."""
    samples = {
        (family, split): n
        for family, split, n in looking.ask(
            "SELECT family, split, count(*) FROM samples GROUP BY ALL"
        ).rows
    }
    flips = {
        (family, split): n
        for family, split, n in looking.ask(
            "SELECT a.family, a.split, count(*) FROM pairs a JOIN pairs b ON "
            "a.group_id = b.group_id AND a.better = b.worse AND a.worse = b.better "
            "AND a.view < b.view GROUP BY ALL"
        ).rows
    }
    keys = sorted(samples)
    return tuple(Cross(*key, samples=samples[key], flips=flips.get(key, 0)) for key in keys)


def _dimensions(looking: Looking) -> dict[str, dict[str, int]]:
    rows = looking.ask(
        "SELECT *, sum(n) OVER (PARTITION BY dimension) AS total FROM ("
        "SELECT dimension, tier, count(*) AS n FROM preferences GROUP BY ALL) "
        "ORDER BY total DESC, dimension, tier DESC"
    ).rows
    found: dict[str, dict[str, int]] = {}
    for dimension, tier, n, _ in rows:
        found.setdefault(dimension, {})[tier] = n
    return found


def _histogram(looking: Looking, name: str, of: str, sql: str) -> Histogram | None:
    facts = looking.ask(
        "SELECT count(x), median(x), avg(x), quantile_cont(x, 0.95), max(x), min(x), "
        f"quantile_disc(x, 0.99) FROM ({sql})"
    ).rows[0]
    n, median, mean, p95, most, least, nearly_all = facts
    if not n:
        return None
    width, first = step(least, nearly_all)
    counted = dict(
        looking.ask(
            f"SELECT least((x - {first}) // {width}, {_BINS - 1})::BIGINT, count(*) "
            f"FROM ({sql}) GROUP BY 1"
        ).rows
    )
    bins = tuple(
        Bin(first + number * width, counted.get(number, 0)) for number in range(max(counted) + 1)
    )
    return Histogram(name, of, bins, n, float(median), float(mean), float(p95), int(most))


def step(least: int, most: int) -> tuple[int, int]:
    """A round width of bins, and where the first begins, so that few bins reach ``most``."""
    for exponent in range(12):
        for factor in (1, 2, 5):
            width = factor * 10**exponent
            first = least // width * width
            if (most - first) // width < _BINS:
                return width, first
    return most, 0  # no text is so long


def _checks(looking: Looking) -> tuple[Check, ...]:
    found: list[Check] = []
    for name, counts in CHECKS.items():
        rows = looking.ask(
            f"SELECT coalesce(family, 'all'), avg({counts}), count(*) FROM pairs "
            "GROUP BY GROUPING SETS ((), (family)) HAVING count(*) > 0 "
            "ORDER BY family IS NOT NULL, family"
        ).rows
        found += [Check(name, family, float(share), n) for family, share, n in rows]
    return tuple(found)


def _agreement(looking: Looking) -> tuple[Agreement, ...]:
    """By source, as annotators and scales differ between them."""
    counted = looking.ask(
        "SELECT source, count(*) FROM views WHERE len(annotations) > 1 GROUP BY 1 ORDER BY 1"
    ).rows
    found = []
    for source, views in counted:
        rows = looking.ask(
            "SELECT annotations FROM views WHERE len(annotations) > 1 AND source = $source "
            f"ORDER BY md5(group_id), view LIMIT {_ANNOTATED_VIEWS}",
            {"source": source},
        ).rows
        alpha = agreement(_view(annotations) for (annotations,) in rows)
        found.append(Agreement(source, alpha, views, len(rows)))
    return tuple(found)


def _view(annotations: Sequence[Mapping[str, object]]) -> View:
    made = tuple(msgspec.convert(one, Annotation) for one in annotations)
    return View(MetaPrompt(), made[0].ranks, "", annotations=made)
