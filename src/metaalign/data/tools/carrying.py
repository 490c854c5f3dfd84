"""What of a dataset travels on into another that is made from it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from metaalign.data.build import HeldOutValue
from metaalign.data.building.dropped import Dropped
from metaalign.data.licences import UNKNOWN, is_unknown, licences_of
from metaalign.data.manifest import Manifest
from metaalign.data.store import DROPPED_NAME, HELD_OUT_NAME, read_report
from metaalign.data.tools.summary import read_dropped

_PATH_COUNTS = ("groups_read", "stage", "teacher")
"""Counts of how the groups came to be, which making another dataset of them does not change."""


class Carried(Struct, frozen=True, kw_only=True):
    """As ``write_dataset`` takes it."""

    inputs: dict[str, str]
    licences: dict[str, str]
    skipped: Counter[str]
    counts: dict[str, int]
    notes: list[str]
    dropped: tuple[Dropped, ...] = ()
    held_out: tuple[HeldOutValue, ...] = ()

    @property
    def reports(self) -> dict[str, Sequence[Struct]]:
        return {DROPPED_NAME: self.dropped, HELD_OUT_NAME: self.held_out}


def carried(dataset: Path, manifest: Manifest) -> Carried:
    """What ``dataset`` hands on. Raises ``UserError`` for a report that cannot be read."""
    sources = [k.removeprefix("source.") for k in manifest.counts if k.startswith("source.")]
    return Carried(
        inputs=dict(manifest.inputs),
        licences=licences_of(dataset, sources),
        skipped=Counter(
            {
                k.removeprefix("skipped."): n
                for k, n in manifest.counts.items()
                if k.startswith("skipped.")
            }
        ),
        counts={k: n for k, n in manifest.counts.items() if k.partition(".")[0] in _PATH_COUNTS},
        notes=list(manifest.notes),
        dropped=read_dropped(dataset),
        held_out=read_held_out(dataset),
    )


def read_held_out(dataset: Path) -> tuple[HeldOutValue, ...]:
    """The values that only the test of ``dataset`` may ask for."""
    return read_report(dataset, HELD_OUT_NAME, HeldOutValue)


def joined(several: Iterable[Carried]) -> Carried:
    """What several datasets hand on to one.

    Two inputs of one name and different content are both kept, the later with its hash in its name;
    of two licences that a source is said to have, the one that is known, or both.
    """
    whole = Carried(inputs={}, licences={}, skipped=Counter(), counts={}, notes=[])
    counts: Counter[str] = Counter()
    dropped: list[Dropped] = []
    held_out: dict[HeldOutValue, None] = {}
    for one in several:
        for name, content in one.inputs.items():
            taken = whole.inputs.get(name, content) != content
            whole.inputs[f"{name} ({content[:8]})" if taken else name] = content
        for source, licence in one.licences.items():
            whole.licences[source] = _both(whole.licences.get(source, licence), licence)
        whole.skipped.update(one.skipped)
        # A stage is counted by its place in one recipe: two recipes have no places in common.
        counts.update({k: n for k, n in one.counts.items() if not k.startswith("stage.")})
        whole.notes.extend(note for note in one.notes if note not in whole.notes)
        dropped += one.dropped
        held_out |= dict.fromkeys(one.held_out)
    return msgspec.structs.replace(
        whole, counts=dict(counts), dropped=tuple(dropped), held_out=tuple(held_out)
    )


def _both(one: str, other: str) -> str:
    if is_unknown(one) or is_unknown(other):
        return one if is_unknown(other) else other or UNKNOWN
    return one if one.lower() == other.lower() else " and ".join(sorted((one, other)))
