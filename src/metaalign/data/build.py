"""From published files to a dataset folder: read, cut, split, write."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from metaalign.data.draw import digest
from metaalign.data.manifest import Manifest, fingerprint, hash_file, is_done
from metaalign.data.sources import SOURCES, Skipped, count_records
from metaalign.data.splits import FRACTIONS, split_groups
from metaalign.data.store import check_dataset, write_dataset
from metaalign.schema import Event, Group, Progress, UserError, silent

_REPORT_EVERY = 500


def parse_source(text: str) -> tuple[str, Path]:
    """``habermas=PATH`` as name and path; ``UserError`` if either is not there."""
    name, _, path = text.partition("=")
    known = ", ".join(SOURCES)
    if name not in SOURCES:
        raise UserError(
            f"unknown source {name!r}: write NAME=PATH, with NAME one of {known}, "
            "or leave --source out (or write sandbox) for the sandbox"
        )
    if not path:
        raise UserError(f"the source {name} needs a file: write {name}=PATH")
    if not Path(path).is_file():
        raise UserError(f"{path} is not a file: give the published file of {name}")
    return name, Path(path)


def build_dataset(
    sources: Mapping[str, Path],
    out: Path,
    *,
    seed: int,
    limit: int | None = None,
    max_chars: int | None = None,
    fractions: Mapping[str, float] = FRACTIONS,
    by: str = "query",
    progress: Progress = silent,
) -> Manifest:
    """Build one dataset from the published files in ``sources`` (name to path) and write it.

    ``limit`` keeps that many groups of every source, drawn by hash over the whole file.
    ``max_chars`` leaves out groups whose talk and longest candidate have more characters.
    ``fractions`` and ``by`` are those of ``split_groups``. What is left out is counted by source
    and reason in the manifest, under ``skipped.``.

    A dataset that is already there, whole and made from the same, is not built again. Raises
    ``UserError`` for what is wrong with a file, an option or ``out``.
    """
    _check_options(sources, limit, max_chars)
    inputs = {name: hash_file(path) for name, path in sources.items()}
    settings = {
        "sources": list(sources),
        "limit": limit,
        "max_chars": max_chars,
        "fractions": dict(fractions),
        "by": by,
    }
    if is_done(out, fingerprint(settings, inputs, seed=seed)):
        try:
            return check_dataset(out)
        except UserError:
            pass  # a file of it is gone or damaged: build it again
    skipped: Counter[str] = Counter()
    groups: list[Group] = []
    for name, path in sources.items():
        own = Skipped()
        found = _read(name, path, seed, limit, max_chars, own, progress)
        if not found:
            raise UserError(_nothing_in(name, path, own))
        groups += found
        skipped.update({f"{name}: {reason}": n for reason, n in own.items()})
    # So that the first rows of a split show every source, and every topic of a sorted file.
    groups.sort(key=lambda group: digest("order", seed, group.id))
    splits = split_groups(groups, fractions, seed, by)
    _check_sizes(splits, fractions)
    return write_dataset(
        out,
        splits,
        settings=settings,
        seed=seed,
        inputs=inputs,
        sources_licences={name: SOURCES[name].licence for name in sources},
        skipped=skipped,
        progress=progress,
    )


def _check_options(sources: Mapping[str, Path], limit: int | None, max_chars: int | None) -> None:
    known = ", ".join(SOURCES)
    if not sources:
        raise UserError(f"no source: give at least one NAME=PATH, with NAME one of {known}")
    for name in sources:
        if name not in SOURCES:
            raise UserError(f"unknown source {name!r}: known are {known}")
    for option, value in {"limit": limit, "max_chars": max_chars}.items():
        if value is not None and value < 1:
            raise UserError(f"{option} is {value}: it must be at least 1")


def _nothing_in(name: str, path: Path, skipped: Skipped) -> str:
    if not skipped:
        return f"{path} is empty: it holds no record of {name}"
    reasons = ", ".join(f"{n} {reason}" for reason, n in skipped.items())
    return f"no group of {name} is left of {path}; left out: {reasons}"


def _check_sizes(splits: Mapping[str, list[Group]], fractions: Mapping[str, float]) -> None:
    total = sum(map(len, splits.values()))
    for name, groups in splits.items():
        if not groups and fractions[name] > 0:
            raise UserError(
                f"the split {name} came out empty: {total} groups are too few for the fractions "
                f"{dict(fractions)}; raise the limit or give larger files"
            )


def _read(
    name: str,
    path: Path,
    seed: int,
    limit: int | None,
    max_chars: int | None,
    skipped: Skipped,
    progress: Progress,
) -> list[Group]:
    """The groups of one source after the cuts."""
    groups = []
    total = count_records(path)
    for group in SOURCES[name].read(path, seed=seed, skipped=skipped):
        if max_chars is None or _characters(group) <= max_chars:
            groups.append(group)
        else:
            skipped[f"longer than {max_chars} characters"] += 1
        done = len(groups) + skipped.total()
        if done % _REPORT_EVERY == 0 and done < total:
            progress(Event(f"read {name}", done, total, "record"))
    progress(Event(f"read {name}", total, total, "record"))
    if limit is None or len(groups) <= limit:
        return groups
    skipped[f"over the limit of {limit} groups"] += len(groups) - limit
    # By hash and not the first ones: published files are often sorted by topic.
    return sorted(groups, key=lambda group: digest("limit", seed, group.id))[:limit]


def _characters(group: Group) -> int:
    """Length of the talk with the longest candidate."""
    talk = sum(len(turn.text) for turn in group.turns)
    return talk + max(len(candidate.text) for candidate in group.candidates)
