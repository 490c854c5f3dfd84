"""Groups, and queries, that are nearly the same as others."""

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from metaalign.data.draw import digest
from metaalign.data.filters.minhash import connected, estimate, sketches
from metaalign.data.filters.signed import Signed, numpy
from metaalign.data.filters.texts import content, folded, preferences, query, talk
from metaalign.schema import Group

By = Literal["group", "talk", "query", "preferences"]

TEXTS: Mapping[By, Callable[[Group], str]] = {
    "group": content,
    "talk": talk,
    "query": query,
    "preferences": preferences,
}
_PERMUTATIONS = 128
_SHINGLE = 5
_BATCH = 4_096
_COMPARED = 1_024
"""With how many kept members of its set a group is compared, the last first."""


class NearDuplicates(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="name",
    tag="near-duplicates",
):
    """Drops groups that are nearly the same as one that is kept and comes before, by id.

    Nothing is dropped for being like something that is dropped itself, so a chain of small changes
    does not take its far end along. A group without the text that is compared is kept.
    """

    by: By = "group"
    """What is compared: ``group`` (talk and candidates, of groups with the same Meta-Prompts),
    ``talk``, ``query`` (the last turn), or ``preferences`` (the wordings of all views)."""
    threshold: Annotated[float, Meta(ge=0.1, le=1)] = 0.8
    """Jaccard similarity from which two are nearly the same, as MinHash estimates it."""
    permutations: Annotated[int, Meta(ge=16, le=1024, multiple_of=8)] = _PERMUTATIONS
    """The more, the better the estimate; a signature has so many bytes."""
    shingle: Annotated[int, Meta(ge=1, le=8)] = _SHINGLE
    """Characters of a shingle, after case and repeated space are gone."""

    def sign(self, groups: Sequence[Group]) -> list[bytes]:
        texts = [folded(TEXTS[self.by](group)) for group in groups]
        salts = [_meta_prompts(group) for group in groups] if self.by == "group" else None
        return _signatures(texts, self.permutations, self.shingle, salts)

    def decide(self, signed: Iterable[tuple[str, bytes]]) -> dict[str, str]:
        found = Signed(signed, self.permutations)
        if not len(found):
            return {}
        near = _dropped(found.rows(), self.threshold)
        return {
            found.id(index): f"near-duplicate: {found.id(kept)}, {alike:.2f}"
            for index, kept, alike in near
        }


def near_links(texts: Iterable[tuple[int, str]], threshold: float) -> Iterator[tuple[int, int]]:
    """Which texts belong together because they are nearly the same.

    Args:
        texts: the name of every text, below 2^64, and the text; each name once.
        threshold: as in ``NearDuplicates``.

    Yields:
        Pairs of names. All texts that similar ones join, one by one, are paired with the first.
    """
    names, rows = array("Q"), bytearray()
    remaining = iter(texts)
    while batch := list(islice(remaining, _BATCH)):
        signatures = _signatures([folded(text) for _, text in batch], _PERMUTATIONS, _SHINGLE)
        for (name, _), signature in zip(batch, signatures, strict=True):
            if signature:
                names.append(name)
                rows += signature
    if names:
        np = numpy()
        sketch = np.frombuffer(rows, dtype=np.uint8).reshape(len(names), _PERMUTATIONS)
        for index, lead in enumerate(connected(sketch, threshold).tolist()):
            if lead != index:
                yield names[lead], names[index]


def _meta_prompts(group: Group) -> int:
    """Sixty-four bits that stand for the Meta-Prompts of all views, in whatever order."""
    prompts = {
        tuple((said.tier, folded(said.text)) for said in view.meta_prompt.tiers)
        for view in group.views
    }
    return int(digest(*sorted(prompts)), 16)


def _signatures(
    texts: Sequence[str], permutations: int, shingle: int, salts: Sequence[int] | None = None
) -> list[bytes]:
    """The sketch of every text; nothing for an empty one."""
    some = [index for index, text in enumerate(texts) if text]
    signatures = [b""] * len(texts)
    if some:
        own = numpy().array([salts[i] for i in some], dtype="u8") if salts else None
        found = sketches([texts[i] for i in some], permutations, shingle, own)
        for index, sketch in zip(some, found, strict=True):
            signatures[index] = sketch.tobytes()
    return signatures


def _dropped(sketch: Any, threshold: float) -> Iterator[tuple[int, int, float]]:
    """Who is dropped, for whom, and how alike the two are."""
    for members in _sets(connected(sketch, threshold)):
        kept = members[:1]
        for index in members[1:]:
            others = kept[-_COMPARED:]
            alike = estimate(sketch[others], sketch[index])
            best = int(alike.argmax())
            if alike[best] >= threshold:
                yield index, others[best], float(alike[best])
            else:
                kept.append(index)


def _sets(lead: Any) -> Iterator[list[int]]:
    """The members of every set of more than one, in order."""
    np = numpy()
    order = np.argsort(lead, kind="stable").astype(np.int32)
    starts = np.flatnonzero(np.diff(lead[order], prepend=-1)).astype(np.int32)
    sizes = np.diff(starts, append=len(order))
    several = sizes > 1
    for start, size in zip(starts[several].tolist(), sizes[several].tolist(), strict=True):
        yield order[start : start + size].tolist()
