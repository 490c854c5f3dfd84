"""Small datasets for the tests of the tools, sound and damaged."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
from tests.data.makers import make_group

from metaalign.data.store import write_dataset
from metaalign.schema import (
    SYSTEM_INFO,
    USER_INFO,
    Annotation,
    Candidate,
    Group,
    MetaPrompt,
    Preference,
    Turn,
    View,
)

HOSTILE = (
    "</script><script>document.title='hacked'</script>",
    "<img src=x onerror=\"document.title='hacked'\">",
    "<!--<script>",
    "{{ 7*7 }} {% raw %}",
    "&lt;b&gt; \u2028 \u2029 \x1b[31m \u202e",
    "'\"`${1}",
)
"""Texts that would be more than text where something is not escaped."""


def write(out: Path, splits: dict[str, list[Group]] | None = None, **more: Any) -> Path:
    """A dataset of three groups to train on and two to test with, or of ``splits``."""
    if splits is None:
        splits = {
            "sft": [make_group("s0"), make_group("s1")],
            "dpo": [make_group("d0", family="opinion", kind="contested")],
            "test": [make_group("t0"), make_group("t1")],
        }
    given = {"settings": {"split.by": ["query"]}, "sources_licences": {"made": "mit"}, "seed": 0}
    write_dataset(out, splits, **{**given, **more})
    return out


def annotated(name: str) -> Group:
    """A group whose one view three people ordered, two of them alike."""
    ranks: list[tuple[int | None, ...]] = [(0, 1, 2), (0, 1, 2), (2, 1, 0)]
    orders = tuple(Annotation(f"human:{i}", own) for i, own in enumerate(ranks))
    said = MetaPrompt.of("Be brief.", "I keep bees 🐝 and like brief answers.")
    asks = (
        Preference(SYSTEM_INFO, "length", "short", "Be brief.", span=(0, 9)),
        Preference(USER_INFO, "background", "bees", "I keep bees 🐝", explicit=False, span=(0, 13)),
    )
    view = View(said, (0, 1, 2), "human", asks, orders)
    answers = tuple(Candidate(text, "model") for text in ("One.", "One, two.", "One, two, three."))
    return make_group(name, views=(view,), candidates=answers)


def hostile(name: str, text: str) -> Group:
    """A group in which everything says ``text``."""
    asks = (Preference(USER_INFO, text, text, text, span=(0, len(text))),)
    views = tuple(View(MetaPrompt.of(text, text), ranks, text, asks) for ranks in ((0, 1), (1, 0)))
    return make_group(
        name,
        source=text,
        query_id=text,
        turns=(Turn("user", text),),
        candidates=(Candidate(text, text), Candidate(text + "!", text)),
        views=views,
    )


def change(path: Path, edit: Callable[[list[dict[str, Any]]], object]) -> None:
    """Rewrite a Parquet file after ``edit`` has changed its rows."""
    table = pq.read_table(path)
    rows = table.to_pylist()
    edit(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
