"""Groups that say the same as another."""

import hashlib
from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from metaalign.data.filters.signed import Signed, first_equals
from metaalign.data.filters.texts import folded
from metaalign.schema import Group

_WIDTH = 16


class ExactDuplicates(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="name", tag="exact-duplicates"
):
    """Drops every group but the first of those with the same talk, candidates and views.

    Case and space do not count, nor does the order in which candidates and views are listed. Who
    wrote and who ordered does not count either: it is the samples that would be the same.
    """

    def sign(self, groups: Sequence[Group]) -> list[bytes]:
        return [_digest(group) for group in groups]

    def decide(self, signed: Iterable[tuple[str, bytes]]) -> dict[str, str]:
        found = Signed(signed, _WIDTH)
        if not len(found):
            return {}
        first = first_equals(found.rows())
        copies = (int(index) for index in (first != range(len(found))).nonzero()[0])
        return {found.id(i): f"exact duplicate: {found.id(int(first[i]))}" for i in copies}


def _digest(group: Group) -> bytes:
    texts = [folded(candidate.text) for candidate in group.candidates]
    order = sorted(range(len(texts)), key=texts.__getitem__)
    views = sorted(
        (
            [(said.tier, folded(said.text)) for said in view.meta_prompt.tiers],
            # None has no place among numbers.
            [-1 if (rank := view.ranks[i]) is None else rank for i in order],
        )
        for view in group.views
    )
    turns = [(turn.role, folded(turn.text)) for turn in group.turns]
    content = msgspec.json.encode([turns, sorted(texts), views])
    return hashlib.sha256(content).digest()[:_WIDTH]
