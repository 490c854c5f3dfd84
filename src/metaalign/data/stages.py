"""What a build does between reading and writing: plain functions over batches of groups.

A stage knows of no engine. It is handed batches of any size, in this process or in many others,
so what it says of a group must not depend on the other groups of the batch. The three shapes:

- a ``Filter`` judges every group alone,
- a ``Comparison`` judges groups by all others: it signs each alone, and decides in one place,
- a ``Transform`` changes what is in a group, never its id.

Settings are the fields of a stage, which is a frozen ``Struct`` tagged with its name: the recipe's
table is decoded into it. Heavy state (an index, a model) is made when it is first needed, and never
travels between processes.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

from metaalign.schema import Group


@runtime_checkable
class Filter(Protocol):
    """Drops groups for what they are."""

    def reasons(self, groups: Sequence[Group]) -> list[str]:
        """For every group in a few words why it is dropped; empty if it is kept."""
        ...


@runtime_checkable
class Comparison(Protocol):
    """Drops groups for what others are."""

    def sign(self, groups: Sequence[Group]) -> list[bytes]:
        """What ``decide`` needs to know of every group, as small as it can be."""
        ...

    def decide(self, signed: Iterable[tuple[str, bytes]]) -> dict[str, str]:
        """Why which groups are dropped, by id; who is kept is absent.

        ``signed`` holds id and signature of every group, in the order of the ids, once.
        """
        ...


@runtime_checkable
class Transform(Protocol):
    """Changes groups."""

    def apply(self, groups: Sequence[Group]) -> list[Group]:
        """The groups in the same order, each with the same id."""
        ...


Stage = Filter | Comparison | Transform


def stage_name(stage: object) -> str:
    """The stage's name in a recipe, by which reports call it."""
    config = getattr(type(stage), "__struct_config__", None)
    return str(getattr(config, "tag", None) or type(stage).__name__)
