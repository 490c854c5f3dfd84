"""Groups whose annotators do not agree."""

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta, Struct

from metaalign.data.families.orders import agreement
from metaalign.schema import Group


class Agreement(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="name", tag="agreement"
):
    """Drops groups whose annotators agree too little: Krippendorff's alpha, ordinal.

    It is 1 where all agree and 0 where they agree as much as chance would have it. Where it is not
    defined, because fewer than two ordered a candidate or all ranks are equal, ``unmeasured``
    decides.
    """

    min_alpha: Annotated[float, Meta(ge=-1, le=1)] = 0.0
    of: Literal["view", "group"] = "view"
    """Whether every view must reach it, or all views of a group together."""
    unmeasured: Literal["keep", "drop"] = "keep"

    def reasons(self, groups: Sequence[Group]) -> list[str]:
        return [self._reason(group) for group in groups]

    def _reason(self, group: Group) -> str:
        parts = [(view,) for view in group.views] if self.of == "view" else [group.views]
        measured = [alpha for part in parts if (alpha := agreement(part)) is not None]
        if not measured:
            return "" if self.unmeasured == "keep" else "agreement unknown: too few orders"
        lowest = min(measured)
        return f"too little agreement: alpha {lowest:.2f}" if lowest < self.min_alpha else ""
