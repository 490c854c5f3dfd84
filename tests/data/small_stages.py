"""Stages small enough to know by hand what they do, and one that brings its worker down."""

import os
import re
import signal
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from metaalign.schema import Group, Turn, UserError


class TooShort(Struct, frozen=True, tag_field="name", tag="too-short", forbid_unknown_fields=True):
    """Drops queries of fewer than ``characters``."""

    characters: int

    def reasons(self, groups: Sequence[Group]) -> list[str]:
        return [
            "the query is short" if len(g.turns[-1].text) < self.characters else "" for g in groups
        ]


class Loud(Struct, frozen=True, tag_field="name", tag="loud", forbid_unknown_fields=True):
    """Writes queries in capitals."""

    def apply(self, groups: Sequence[Group]) -> list[Group]:
        return [
            replace(g, turns=(*g.turns[:-1], Turn("user", g.turns[-1].text.upper())))
            for g in groups
        ]


class SameEnd(Struct, frozen=True, tag_field="name", tag="same-end", forbid_unknown_fields=True):
    """Of all queries whose last ``digits`` are the same only the one with the first id stays."""

    digits: int

    def sign(self, groups: Sequence[Group]) -> list[bytes]:
        return [re.sub("[^0-9]", "", g.turns[-1].text)[-self.digits :].encode() for g in groups]

    def decide(self, signed: Iterable[tuple[str, bytes]]) -> dict[str, str]:
        seen: set[bytes] = set()
        found: dict[str, str] = {}
        last = ""
        for name, end in signed:
            assert last < name, "every id once, in order"
            last = name
            if end in seen:
                found[name] = "another query ends so"
            seen.add(end)
        return found


class Deadly(Struct, frozen=True, tag_field="name", tag="deadly", forbid_unknown_fields=True):
    """Kills its own process once, at the group ``at``; ``marker`` remembers that it did."""

    marker: str
    at: str

    def reasons(self, groups: Sequence[Group]) -> list[str]:
        if any(g.id == self.at for g in groups) and not Path(self.marker).exists():
            Path(self.marker).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return [""] * len(groups)


class Refusing(Struct, frozen=True, tag_field="name", tag="refusing", forbid_unknown_fields=True):
    """Finds something that a person has to put right."""

    def reasons(self, groups: Sequence[Group]) -> list[str]:
        raise UserError("the list of words is not there: give one")


STAGES: dict[str, type[Struct]] = {
    "too-short": TooShort,
    "loud": Loud,
    "same-end": SameEnd,
    "deadly": Deadly,
    "refusing": Refusing,
}
