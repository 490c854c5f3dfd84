"""How tiers say what they want: the packaged wordings, checked when they are first used."""

import tomllib
from functools import cache
from importlib import resources

import msgspec
from msgspec import Struct

FILE_NAME = "wordings.toml"


class Pool(Struct, frozen=True, forbid_unknown_fields=True):
    """The wordings of one value: those that any tier can use, and those of one tier alone."""

    any: tuple[str, ...] = ()
    system_info: tuple[str, ...] = ()
    user_info: tuple[str, ...] = ()


class Wordings(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    roles: tuple[str, ...]
    """What a provider says of its assistant that asks for nothing."""
    asides: tuple[str, ...]
    """What a person says of themselves that has no bearing on anything."""
    values: dict[str, dict[str, Pool]]
    """dimension -> value -> how it is asked for."""
    questions: dict[str, tuple[str, ...]]
    """How a query is made of what a source states, by what is asked."""
    answers: dict[str, tuple[tuple[str, ...], ...]]
    """The candidates of such queries: each entry is one set of them."""

    def of(self, dimension: str, value: str, tier: str) -> tuple[str, ...]:
        """How ``tier`` can ask for ``value``; ``KeyError`` for a value without wordings."""
        pool = self.values[dimension][value]
        return pool.any + (pool.system_info if tier == "system_info" else pool.user_info)


@cache
def wordings() -> Wordings:
    """The wordings that come with the package."""
    text = resources.files(__package__).joinpath(FILE_NAME).read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), Wordings)
