"""The dataset card: README.md with the header that ``datasets`` and the hub read."""

import json
from collections.abc import Iterable, Mapping

from metaalign.data.manifest import Manifest

TABLES = ("samples", "groups")
"""The two forms of the same data; the first is what ``load_dataset`` gives unless told."""

_SAMPLE_FIELDS = {
    "group_id": "the group that the sample was made from",
    "view": "index of the view in that group",
    "source": "where the group came from",
    "family": "`priority`, `helpful`, `consensus` or `opinion`",
    "kind": "kind of query: `benign`, `sounds_harmful`, `harmful`, `severe`, `contested`",
    "system_info": "what the provider says; empty if nothing",
    "user_info": "what the person says about themselves; empty if nothing",
    "more_tiers": "what further tiers say, as tier and text",
    "turns": "the talk so far, as role and text; the last turn is the query",
    "query": "the text of the last turn",
    "chosen": "the response that fits this Meta-Prompt best",
    "rejected": "a response that fits it less; if another view prefers one, then that one",
}
_GROUP_FIELDS = {
    "id": "name of the group",
    "turns": "the talk so far; the last turn is the query",
    "candidates": "the responses, each with who wrote it",
    "views": "Meta-Prompts, each with the rank of every candidate (0 is the best), who ordered "
    "them, and the preferences that it asks for",
    "query_id": "the source's own name for the query",
}


def dataset_card(manifest: Manifest, splits: Iterable[str], licences: Mapping[str, str]) -> str:
    """The text of README.md. It holds no time and no path, so equal data has an equal card."""
    splits = list(splits)
    counts = manifest.counts
    rows = [(name, counts[f"groups.{name}"], counts[f"samples.{name}"]) for name in splits]
    sections = [
        _header(splits, counts, licences),
        "# A MetaAlign dataset",
        "Every group is one query with several candidate responses and several views. A view is a "
        "Meta-Prompt (System Info from a provider, User Info from a person) and the order in "
        "which it puts the candidates. Where two views order the same two candidates oppositely, "
        "only the Meta-Prompt tells which is right.",
        "## What is in it",
        _table(("split", "groups", "samples"), rows),
        f"{counts['flips']:,} flips, {counts['distinct_preferences']:,} distinct preferences in "
        f"{counts['distinct_wordings']:,} distinct wordings. "
        f"{counts['views_that_order_nothing']:,} views put no candidate before another and give no "
        "sample.",
        _table(("family", "samples"), _numbers(counts, "family.")),
        _table(("kind of query", "samples"), _numbers(counts, "kind.")),
        _table(
            ("source", "samples", "licence"),
            [
                (name, n, licences.get(name, "not stated"))
                for name, n in _numbers(counts, "source.")
            ],
        ),
        "## What was left out",
        _left_out(counts),
        "## Fields of `samples`",
        _table(("field", "meaning"), _SAMPLE_FIELDS.items()),
        "## Fields of `groups`",
        "`source`, `family` and `kind` as above, and",
        _table(("field", "meaning"), _GROUP_FIELDS.items()),
        "## How to read it",
        "```python\nfrom datasets import load_dataset\n\n"
        'samples = load_dataset("PATH/TO/THIS/FOLDER")\n'
        'groups = load_dataset("PATH/TO/THIS/FOLDER", "groups")\n```',
        "## How it was made",
        f"By metaalign, fingerprint `{manifest.fingerprint}`, seed {manifest.seed}. "
        "`manifest.json` holds the settings, the hashes of what it was made from, the versions "
        "and all counts.",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _header(splits: list[str], counts: Mapping[str, int], licences: Mapping[str, str]) -> str:
    """The YAML header. Every text is written as JSON writes it, which YAML reads the same.

    A split without rows is left out: ``datasets`` cannot load one.
    """
    lines = ["---", 'pretty_name: "MetaAlign dataset"']
    names = sorted({licence.lower() for licence in licences.values()})
    if names:
        lines += ["license:", *(f"- {json.dumps(name)}" for name in names)]
    configs = []
    for table in TABLES:
        filled = [split for split in splits if counts[f"{table}.{split}"]]
        if filled:
            configs += [f"- config_name: {table}"]
            configs += ["  default: true"] if table == TABLES[0] else []
            configs += ["  data_files:"]
        for split in filled:
            configs += [f"  - split: {split}", f'    path: "{table}/{split}-*.parquet"']
    return "\n".join([*lines, *(["configs:", *configs] if configs else []), "---"])


def _numbers(counts: Mapping[str, int], prefix: str) -> list[tuple[str, int]]:
    return sorted((k.removeprefix(prefix), n) for k, n in counts.items() if k.startswith(prefix))


def _left_out(counts: Mapping[str, int]) -> str:
    skipped = _numbers(counts, "skipped.")
    return _table(("source and reason", "records"), skipped) if skipped else "Nothing."


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    """A Markdown table; nothing without rows."""
    lines = [
        "| " + " | ".join(f"{c:,}" if isinstance(c, int) else _cell(c) for c in row) + " |"
        for row in rows
    ]
    if not lines:
        return ""
    return "\n".join([f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}", *lines])


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
