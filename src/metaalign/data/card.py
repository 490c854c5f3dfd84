"""The dataset card: README.md with the header that ``datasets`` and the hub read."""

import json
from collections.abc import Iterable, Iterator, Mapping

from metaalign.data import licences as law
from metaalign.data.manifest import Manifest, Setting

TABLES = ("samples", "groups")
"""The two forms of the same data; the first is what ``load_dataset`` gives unless told."""

_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
    (1_000_000_000, "100M<n<1B"),
)
"""The hub's names for sizes: fewer rows than the number."""
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
    "split": "the split in which the source itself publishes the group, if it names one",
}


def dataset_card(manifest: Manifest, splits: Iterable[str], licences: Mapping[str, str]) -> str:
    """The text of README.md. It holds no time and no path, so equal data has an equal card.

    ``licences`` has the licence of every source by its name.
    """
    splits = list(splits)
    counts = manifest.counts
    known = {name: licences.get(name, law.UNKNOWN) for name, _ in _numbers(counts, "source.")}
    known |= licences
    rows = [(name, counts[f"groups.{name}"], counts[f"samples.{name}"]) for name in splits]
    sections = [
        _header(splits, counts, known),
        "# A MetaAlign dataset",
        *_warnings(known),
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
        "## Licences",
        _law(known),
        _table(("source", "samples", "licence", "its text", "where it is from"), _by_source(
            counts, known)),
        "## Where it came from",
        _table(("made from", "hash"), sorted(manifest.inputs.items())) or "Nothing was named.",
        "## How the splits were made",
        " ".join(_splitting(manifest.settings)),
        "\n".join(f"- {_cell(note)}" for note in manifest.notes),
        "## What was left out",
        _left_out(counts),
        _table(("stage", "groups in", "groups out"), _stages(counts)),
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
    ]  # fmt: skip
    return "\n\n".join(section for section in sections if section) + "\n"


def _header(splits: list[str], counts: Mapping[str, int], licences: Mapping[str, str]) -> str:
    """The YAML header. A split without rows is left out: ``datasets`` cannot load one."""
    files = [
        (table, [(split, f"{table}/{split}-*.parquet") for split in splits
                 if counts[f"{table}.{split}"]])
        for table in TABLES
    ]  # fmt: skip
    return header(licences, files, rows=counts.get("samples", 0))


def header(
    licences: Mapping[str, str],
    files: Iterable[tuple[str, Iterable[tuple[str, str]]]],
    *,
    rows: int,
) -> str:
    """The YAML header of a card. Texts are written as JSON writes them: YAML reads them the same.

    Args:
        licences: the licence of every source, by its name.
        files: the configurations, the default first: name, and of every split its name and files.
        rows: how many there are in the default.
    """
    lines = ["---", 'pretty_name: "MetaAlign dataset"']
    names = law.of_the_whole(licences.values())
    if names:
        lines += ["license:", *(f"- {json.dumps(name)}" for name in names)]
    if names == ("other",):
        lines += ['license_name: "by-source"', 'license_link: "README.md"']
    lines += ["task_categories:", '- "text-generation"', "tags:"]
    lines += [f"- {json.dumps(tag)}" for tag in _tags(licences.values())]
    lines += ["size_categories:", f"- {json.dumps(_size(rows))}", law.header_line(licences)]
    configs: list[str] = []
    for name, splits in files:
        data = [
            line
            for split, pattern in splits
            for line in (f"  - split: {split}", f"    path: {json.dumps(pattern)}")
        ]
        if data:
            default = [] if configs else ["  default: true"]
            configs += [f"- config_name: {name}", *default, "  data_files:", *data]
    return "\n".join([*lines, *(["configs:", *configs] if configs else []), "---"])


def _tags(licences: Iterable[str]) -> list[str]:
    tags = ["metaalign", "preference", "dpo"]
    return tags + ["non-commercial"] * any(map(law.is_non_commercial, licences))


def _size(rows: int) -> str:
    return next((name for end, name in _SIZES if rows < end), "n>1B")


def _warnings(licences: Mapping[str, str]) -> Iterator[str]:
    """What whoever uses the set must see first."""
    strict = sorted(n for n, licence in licences.items() if law.is_non_commercial(licence))
    if strict:
        yield (
            f"> **Non-commercial.** {_names(strict)} may not be used commercially, so neither may "
            "this set as a whole. Leave these sources out to get one that may."
        )
    unknown = sorted(name for name, licence in licences.items() if law.is_unknown(licence))
    if unknown:
        yield (
            f"> **Licence unknown.** Nobody has said under which licence {_names(unknown)} stands. "
            "Without one it may not be passed on: ask, and build again with `licence` among the "
            "options of the source."
        )


def _names(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _law(licences: Mapping[str, str]) -> str:
    """Why the header names the licence that it names."""
    names = law.of_the_whole(licences.values())
    rule = "Every part stays under the licence of its source. "
    if names == ("other",):
        return rule + "They have no single name, so the header says `other`, and this table holds."
    if names == (law.UNKNOWN,):
        return rule + "That of at least one is unknown, and so is that of the whole."
    strict = any(map(law.is_non_commercial, names))
    if strict and len({licence.lower() for licence in licences.values()}) > 1:
        return rule + "The header names the strictest, which decides how the whole may be used."
    return rule.strip() if names else "No source is named."


def _by_source(
    counts: Mapping[str, int], licences: Mapping[str, str]
) -> Iterator[tuple[object, ...]]:
    samples = dict(_numbers(counts, "source."))
    for name in sorted({*samples, *licences}):
        licence = licences[name]
        marked = f"{licence} (non-commercial)" if law.is_non_commercial(licence) else licence
        yield name, samples.get(name, 0), marked, law.link(licence) or "-", law.origin(name) or "-"


def _splitting(settings: Mapping[str, Setting]) -> Iterator[str]:
    """The settings of the split in sentences."""
    by = settings.get("split.by")
    if not isinstance(by, list):
        yield "Groups are whole: none stands in two splits."
        return
    if by == ["given"]:
        yield "As the source itself has them. Groups are whole: none stands in two splits."
        return
    shared = " or a ".join(map(str, by))
    yield f"Whole groups, drawn by hash; nothing crosses that shares a {shared}."
    near = settings.get("split.near")
    if near:
        yield f"Queries whose words are alike by {near:g} or more count as one."
    shares = [
        f"{key.removeprefix('split.fractions.')} {value:.0%}"
        for key, value in settings.items()
        if key.startswith("split.fractions.") and isinstance(value, float | int)
    ]
    layout = settings.get("split.layout")
    if layout or shares:
        yield f"Layout {layout or 'two-stage'}{': ' if shares else ''}{', '.join(shares)}."


def _stages(counts: Mapping[str, int]) -> Iterator[tuple[object, ...]]:
    for key, n in counts.items():
        kind, _, rest = key.partition(".")
        number, _, name = rest.partition(".")
        if kind == "stage" and name.endswith(".in"):
            name = name.removesuffix(".in")
            yield f"{int(number) + 1}. {name}", n, counts.get(f"stage.{number}.{name}.out", 0)


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
    return " ".join(str(value).replace("|", "\\|").replace("<", "&lt;").splitlines())
