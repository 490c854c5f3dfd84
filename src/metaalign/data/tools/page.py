"""The inspect page: one HTML file with charts, tables and groups to browse, for use offline.

No text of a dataset can become markup or script. What the server side writes is escaped by Jinja;
the groups are JSON in a block that no browser runs, without any character that could end it, and
the script puts them on the page as text. The policy in the page's head allows that script and that
style alone, by their hashes, and no connection to anywhere.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

from metaalign import __version__
from metaalign.data import licences as law
from metaalign.data.manifest import writing
from metaalign.data.tools import telling
from metaalign.data.tools.charts import pictures
from metaalign.data.tools.looking import looking_at
from metaalign.data.tools.preview import groups_by_id, order_of, why
from metaalign.data.tools.summary import Summary
from metaalign.policy import PriorityMatrix, load_matrix
from metaalign.schema import Group, MissingExtra, Preference, View

try:
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup
except ModuleNotFoundError as error:
    raise MissingExtra("curate", "jinja2") from error

SAMPLE = 120
"""Groups that the page holds unless told, drawn by hash, as many of each family and split."""
_TEXT = 2_000
"""Characters of a text that the page holds."""

Segment = tuple[str, list[int]]
"""A stretch of text, and the numbers of the preferences that it words."""


def write_page(
    dataset: Path,
    summary: Summary,
    out: Path,
    *,
    sample: int = SAMPLE,
    matrix: PriorityMatrix | None = None,
) -> None:
    """Write the page of ``dataset``, of which ``summary`` was made, to the file ``out``."""
    matrix = matrix or load_matrix()
    page = render(summary, [entry(group, matrix) for group in sampled(dataset, sample)])
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(page.encode("utf-8", "replace"))


def sampled(dataset: Path, count: int) -> list[Group]:
    """About ``count`` groups by hash, of every family and split alike; at least one of each."""
    with looking_at(dataset) as looking:
        strata = looking.ask("SELECT count(*) FROM (SELECT DISTINCT family, split FROM groups)")
        each = max(1, count // max(1, strata.rows[0][0]))
        rows = looking.ask(
            "SELECT id FROM groups QUALIFY row_number() OVER "
            "(PARTITION BY family, split ORDER BY md5(id)) <= $each ORDER BY md5(id)",
            {"each": each},
        ).rows
        return groups_by_id(looking, [one for (one,) in rows])


def render(summary: Summary, entries: Sequence[dict[str, Any]]) -> str:
    """The page as text."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    script, style = _packaged("inspect.js"), _packaged("inspect.css")
    return environment.from_string(_packaged("inspect.html")).render(
        summary=summary,
        facts=telling.facts(summary),
        pictures=pictures(summary),
        families=telling.by_family(summary),
        dimensions=telling.dimensions(summary),
        checks=telling.checks(summary),
        agreement=telling.agreement(summary),
        diverse=list(telling.diverse(summary)),
        counted=[t for t in telling.counted(summary) if "by family" not in t.title
                 and "dimension" not in t.title and "source" not in t.title],
        histograms=[telling.histogram(one) for one in summary.histograms],
        licences=list(_licences(summary)),
        strict=[n for n, licence in summary.licences.items() if law.is_non_commercial(licence)],
        unknown=[n for n, licence in summary.licences.items() if law.is_unknown(licence)],
        whole=law.of_the_whole(summary.licences.values()),
        unfair=[one for one in summary.checks if not one.fair],
        percent=telling.percent,
        version=__version__,
        entries=Markup(in_block(entries)),  # it holds no markup: see there
        shown=len(entries),
        script=Markup(script),
        style=Markup(style),
        policy="default-src 'none'; img-src data:; "
        f"style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'",
    )  # fmt: skip


def in_block(value: object) -> str:
    """``value`` as JSON that a block of HTML holds without an end: no ``<``, ``>`` or ``&``."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def entry(group: Group, matrix: PriorityMatrix) -> dict[str, Any]:
    """What the page holds of a group."""
    return {
        "id": group.id,
        "family": group.family,
        "split": group.split,
        "kind": group.kind,
        "source": group.source,
        "turns": [[turn.role, cut(turn.text)] for turn in group.turns],
        "candidates": [[one.source, cut(one.text)] for one in group.candidates],
        "views": [_view(view, group, matrix) for view in group.views],
        "flips": list(map(list, group.flips())),
    }


def _view(view: View, group: Group, matrix: PriorityMatrix) -> dict[str, Any]:
    return {
        "by": view.ordered_by,
        "order": order_of(view),
        "ranks": list(view.ranks),
        "tiers": [
            [said.tier, segments(cut(said.text), spans_of(view.preferences, said.tier))]
            for said in view.meta_prompt.tiers
        ],
        "asks": [
            [p.tier, p.dimension, cut(p.value), p.explicit, cut(p.wording), p.turn]
            for p in view.preferences
        ],
        "annotations": [
            [one.by, order_of(View(view.meta_prompt, one.ranks, ""))] for one in view.annotations
        ],
        "why": [cut(sentence) for sentence in why(view, group, matrix)],
    }


def spans_of(preferences: Sequence[Preference], tier: str) -> list[tuple[int, int, int]]:
    """(start, end, number of the preference) of all that the text of ``tier`` words."""
    return [
        (*p.span, number)
        for number, p in enumerate(preferences)
        if p.tier == tier and p.turn is None and p.span is not None
    ]


def segments(text: str, spans: Sequence[tuple[int, int, int]]) -> list[Segment]:
    """``text`` in stretches, each with the preferences whose spans hold it.

    Cut here and not by the script, because spans count characters and JavaScript counts halves of
    some. What a damaged span points to outside the text is passed over.
    """
    borders = {0, len(text)} | {
        place for start, end, _ in spans for place in (start, end) if 0 <= place <= len(text)
    }
    places = sorted(borders)
    return [
        (text[start:end], [n for s, e, n in spans if s <= start and end <= e])
        for start, end in pairwise(places)
    ]


def cut(text: str) -> str:
    """``text``, or its beginning if it is very long."""
    return text if len(text) <= _TEXT else text[: _TEXT - 1] + "…"


def _licences(summary: Summary) -> Iterator[tuple[str, str, str, str, str]]:
    for name, licence in summary.licences.items():
        count = f"{summary.sources.get(name, 0):,}"
        yield name, count, telling.marked(licence), law.link(licence), law.origin(name)


def _packaged(name: str) -> str:
    return files("metaalign.data.tools").joinpath(f"templates/{name}").read_text("utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
