"""Groups that there is nothing to learn from."""

from collections.abc import Sequence

from msgspec import Struct

from metaalign.data.filters.texts import folded
from metaalign.schema import Group


class Informative(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="name", tag="informative"
):
    """Drops groups in which no view puts one candidate before another that reads differently."""

    def reasons(self, groups: Sequence[Group]) -> list[str]:
        return [_reason(group) for group in groups]


def _reason(group: Group) -> str:
    pairs = {pair for view in group.views for pair in view.pairs()}
    if not pairs:
        return "nothing ordered"
    texts = [folded(candidate.text) for candidate in group.candidates]
    return "" if any(texts[i] != texts[j] for i, j in pairs) else "candidates read the same"
