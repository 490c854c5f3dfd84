"""The packaged wordings, checked when they are first used."""

import tomllib
from functools import cache
from importlib import resources

import msgspec
from msgspec import Struct

FILE_NAME = "wordings.toml"


class Stances(Struct, frozen=True, forbid_unknown_fields=True):
    """How a person says that they agree or disagree, and neutral roles for the assistant."""

    agree: tuple[str, ...]
    disagree: tuple[str, ...]
    roles: tuple[str, ...]


class TierWordings(Struct, frozen=True, forbid_unknown_fields=True):
    """The same priority as a provider and as a person would say it."""

    system_info: tuple[str, ...]
    user_info: tuple[str, ...]


class Priorities(Struct, frozen=True, forbid_unknown_fields=True):
    """What comes first."""

    safety: TierWordings
    helpfulness: TierWordings


class Personas(Struct, frozen=True, forbid_unknown_fields=True):
    """How a person is described by a behavior; every wording holds ``{behavior}`` once."""

    has: tuple[str, ...]
    has_the_opposite: tuple[str, ...]


class Wordings(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    habermas: Stances
    hh_rlhf: Priorities
    persona_statements: Personas


@cache
def wordings() -> Wordings:
    """The wordings that come with the package."""
    text = resources.files(__package__).joinpath(FILE_NAME).read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), Wordings)
