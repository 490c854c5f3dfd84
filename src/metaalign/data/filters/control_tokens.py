"""Groups in which a model's control tokens have leaked into the text."""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from metaalign.data.filters.texts import places
from metaalign.prompt.neutral import ANY, FAMILY_NAMES, guard
from metaalign.schema import Group


class ControlTokens(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="name", tag="control-tokens"
):
    """Drops groups with a control token in any text: the rest of somebody's chat template."""

    family: str = ANY
    """Whose tokens: a family of models as ``prompt.neutral`` has it, or ``any``."""
    where: Literal["anywhere", "candidates"] = "anywhere"
    """``candidates`` leaves alone what was asked: a user may ask about ``<think>``."""

    def __post_init__(self) -> None:
        if self.family not in FAMILY_NAMES:
            raise ValueError(
                f"unknown family {self.family!r}: use one of {', '.join(FAMILY_NAMES)}"
            )

    def reasons(self, groups: Sequence[Group]) -> list[str]:
        return [self._reason(group) for group in groups]

    def _reason(self, group: Group) -> str:
        tokens = guard(self.family)
        for place, text in places(group):
            if self.where == "candidates" and not place.startswith("candidate"):
                continue
            if tokens.holds(text):
                return f"control token: {place}"
        return ""
