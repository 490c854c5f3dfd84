"""What a resolution asks of a response, in words for whoever writes, checks or ranks it.

The Priority Matrix decides; here its outcome is only put into words (``prompts/brief.toml``).
"""

import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

import msgspec
from msgspec import UNSET, Struct, UnsetType

from metaalign.data.writing.prompts import prompt_text
from metaalign.policy.matrix_parts import PRIORITY
from metaalign.schema import Behaviour, Decision, Preference, Resolution

OTHER = "other"
"""The dimension of wishes that no dimension of a matrix is for; their value is the wish itself."""
BACKGROUND = "background"

Wish = tuple[str, str]
"""A dimension and a value."""


class Target(Struct, frozen=True):
    """What a response is written for: all that is wanted of it. Hashable."""

    behaviour: Behaviour
    wishes: tuple[Wish, ...] = ()
    """What holds in the answer, sorted; the background only where the view is the person's."""

    def meets(self, wanted: "Target") -> bool:
        """Whether a response written for this does all that ``wanted`` asks for."""
        return self.behaviour == wanted.behaviour and set(wanted.wishes) <= set(self.wishes)

    def distance(self, wanted: "Target") -> int:
        """0 if this meets ``wanted``; 1 if a wish is missed; 2 if it gives another answer at all:
        of another behaviour, or the view of somebody else."""
        if self.meets(wanted):
            return 0
        same = self.behaviour == wanted.behaviour and self._backgrounds == wanted._backgrounds
        return 1 if same else 2

    @property
    def _backgrounds(self) -> set[Wish]:
        return {wish for wish in self.wishes if wish[0] == BACKGROUND}

    def without(self, wish: Wish) -> "Target":
        """The target of a response that is to ignore ``wish``."""
        return Target(self.behaviour, tuple(one for one in self.wishes if one != wish))


def target_of(resolution: Resolution, preferences: Iterable[Preference]) -> Target:
    """What is wanted under ``resolution``; of ``preferences`` those are added that no matrix knows,
    which are asked for in one tier alone."""
    wishes = {(d.dimension, d.value) for d in resolution.decisions if _holds(d)}
    wishes |= {(p.dimension, p.value) for p in preferences if p.dimension == OTHER}
    return Target(resolution.behaviour, tuple(sorted(wishes)))


class Point(Struct, frozen=True):
    """One entry of a brief."""

    what: str
    words: str | UnsetType = UNSET
    """Words of somebody else that the entry is about."""


class Brief(NamedTuple):
    """What a response has to do, and what it must not do."""

    must: tuple[Point, ...]
    must_not: tuple[Point, ...]

    def material(self) -> dict[str, object]:
        """As fields of a prompt."""
        return {
            "must": [msgspec.to_builtins(point) for point in self.must],
            "must_not": [msgspec.to_builtins(point) for point in self.must_not],
        }


class _Ways(Struct, frozen=True, forbid_unknown_fields=True):
    must: str
    must_not: str


class _More(Struct, frozen=True, forbid_unknown_fields=True):
    value: str
    overruled: str
    broken: str
    meta: str


class _Texts(Struct, frozen=True, forbid_unknown_fields=True):
    behaviours: dict[Behaviour, _Ways]
    values: dict[str, dict[str, str]]
    words: dict[str, str]
    more: _More


def brief_of(target: Target, resolution: Resolution, broken: Wish | None = None) -> Brief:
    """The brief of a response for ``target``, under a Meta-Prompt that ``resolution`` settles.

    ``broken`` is a wish of the Meta-Prompt that this response is to ignore.
    """
    texts = _texts()
    ways = texts.behaviours[target.behaviour]
    persons = [value for name, value in target.wishes if name == BACKGROUND]
    must = [Point(ways.must, persons[0] if persons else UNSET)]
    must_not = [Point(ways.must_not)]
    must += [_asked(wish) for wish in target.wishes if wish[0] != BACKGROUND]
    must_not += _overruled(resolution)
    if broken is not None:
        asked = _asked(broken)
        must_not.append(Point(texts.more.broken.replace("{what}", asked.what), asked.words))
    must_not.append(Point(texts.more.meta))
    return Brief(tuple(must), tuple(must_not))


def _holds(decision: Decision) -> bool:
    return decision.applies and decision.dimension != PRIORITY


def _asked(wish: Wish) -> Point:
    texts, (dimension, value) = _texts(), wish
    if value in texts.values.get(dimension, {}):
        return Point(texts.values[dimension][value])
    if dimension in texts.words:
        return Point(texts.words[dimension], value)
    return Point(texts.more.value.replace("{dimension}", dimension.replace("_", " ")), value)


def _overruled(resolution: Resolution) -> Iterator[Point]:
    for decision in resolution.decisions:
        if _holds(decision):
            for lost in decision.overridden:
                yield Point(_texts().more.overruled, lost.wording or lost.value)


@cache
def _texts() -> _Texts:
    return msgspec.convert(tomllib.loads(prompt_text("brief.toml")), _Texts)
