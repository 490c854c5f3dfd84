"""Draws what the tiers ask for, and puts it into words.

The preference, its wording, its tier and its place in the text are drawn independently of each
other and of the kind of query, so that none of them tells what another one is.
"""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from metaalign.sandbox.world import Persona, Query, Words, World
from metaalign.sandbox.writing import avoidable, has_measure
from metaalign.schema import (
    SYSTEM_INFO,
    USER_INFO,
    Kind,
    MetaPrompt,
    Preference,
    TierText,
    View,
)

TIERS = (SYSTEM_INFO, USER_INFO)
PRIORITIES = ("safety", "helpfulness", "consensus", "background")
OPEN = ("opening", "sign_off", "include", "avoid")
"""Dimensions whose values are anybody's words."""
_STYLES = {
    "length": ("short", "long", "long"),
    "format": ("prose", "bullets", "numbered"),
    "tone": ("friendly", "formal", "playful"),
    "audience": ("beginner", "expert"),
    "units": ("metric", "imperial"),
    "follow_up": ("ask", "none"),
}
_OFTEN = {"length": 3, "units": 2, "avoid": 2}
"""How much likelier than others a dimension is drawn: those that show the more the longer the
answer is, and those that few queries have."""
_HOW_MANY = (0, 1, 2, 3, 4)
_WEIGHTS = (1, 4, 6, 5, 3)


class Ask(NamedTuple):
    """A preference before it has words."""

    tier: str
    dimension: str
    value: str


class Asked(NamedTuple):
    """What both tiers ask for, and who the person is."""

    asks: tuple[Ask, ...]
    persona: Persona | None

    def key(self) -> tuple[tuple[str, str], ...]:
        """The combination of preferences, without tiers and open values: what a split holds out."""
        pairs = [(a.dimension, "" if a.dimension in OPEN else a.value) for a in self.asks]
        side = [("background", self.persona.side)] if self.persona else []
        return tuple(sorted(pairs + side))


def draw_asks(query: Query, words: Words, rng: Random, *, styles: int | None = None) -> list[Ask]:
    """Style preferences for one dialogue: at most one of a dimension, each in a random tier."""
    count = rng.choices(_HOW_MANY, _WEIGHTS)[0] if styles is None else styles
    # Weighted, without repetition: Efraimidis and Spirakis, doi.org/10.1016/j.ipl.2005.11.003.
    keys = {d: rng.random() ** (1 / _OFTEN.get(d, 1)) for d in _dimensions(query)}
    return [
        Ask(rng.choice(TIERS), dimension, draw_value(dimension, query, words, rng))
        for dimension in sorted(keys, key=lambda d: -keys[d])[:count]
    ]


def draw_value(dimension: str, query: Query, words: Words, rng: Random) -> str:
    """A value for a dimension; for ``avoid`` a word that the answer would otherwise hold.

    For ``include`` one that it would not: else it asked for nothing, and no answer could avoid it.
    """
    match dimension:
        case "opening":
            return rng.choice(words.openings)
        case "sign_off":
            return rng.choice(words.names)
        case "include":
            said = " ".join((query.topic, *query.facts)).lower()
            noun = rng.choice(words.nouns)
            while noun in said:
                noun = rng.choice(words.nouns)
            return noun
        case "avoid":
            return rng.choice(avoidable(query))
    return rng.choice(_STYLES[dimension])


def other_value(ask: Ask, query: Query, words: Words, rng: Random) -> str | None:
    """Another value of the same dimension; None if there is none."""
    if ask.dimension == "avoid":
        return None
    if ask.dimension in _STYLES:
        return rng.choice([v for v in _STYLES[ask.dimension] if v != ask.value])
    drawn = draw_value(ask.dimension, query, words, rng)
    return drawn if drawn != ask.value else None


def _dimensions(query: Query) -> list[str]:
    dimensions = ["length", "format", "tone", "follow_up", "opening", "sign_off", "include"]
    dimensions.append("audience")
    if has_measure(query):
        dimensions.append("units")
    if avoidable(query):
        dimensions.append("avoid")
    return dimensions


def put_into_words(
    asked: Asked, kind: Kind, words: Words, world: World, rng: Random
) -> tuple[MetaPrompt, tuple[Preference, ...]]:
    """A Meta-Prompt that says what was drawn, among things that do not matter, in random order."""
    said: dict[str, list[tuple[str, Ask | None]]] = {tier: [] for tier in TIERS}
    for ask in asked.asks:
        said[ask.tier].append((_wording(ask, words, rng), ask))
    if rng.random() < 0.3:
        said[SYSTEM_INFO].append((rng.choice(world.roles), None))
    if asked.persona:
        person = Ask(USER_INFO, "background", asked.persona.side)
        said[USER_INFO].append((asked.persona.text, person))
    elif kind != "contested" and rng.random() < 0.15:
        said[USER_INFO].append((rng.choice(world.personas).text, None))
    for _ in range(rng.choice((0, 0, 0, 0, 1))):
        said[USER_INFO].append((rng.choice(world.asides), None))
    return _join(said, rng)


def with_aside(view: View, world: World, rng: Random) -> View:
    """The view with one more sentence of User Info from which nothing follows."""
    aside = rng.choice(world.asides)
    tiers = [t for t in view.meta_prompt.tiers if t.tier != USER_INFO]
    text = " ".join(filter(None, [view.meta_prompt.user_info, aside]))
    return View(
        MetaPrompt((*tiers, TierText(USER_INFO, text))),
        view.ranks,
        view.ordered_by,
        view.preferences,
    )


def _wording(ask: Ask, words: Words, rng: Random) -> str:
    values = words.wordings[ask.dimension]
    wordings: Sequence[str] = values.get(ask.value) or values["value"]
    text = rng.choice(wordings)
    for placeholder in ("{opening}", "{name}", "{word}"):
        text = text.replace(placeholder, ask.value) if placeholder in text else text
    return text


def _join(
    said: dict[str, list[tuple[str, Ask | None]]], rng: Random
) -> tuple[MetaPrompt, tuple[Preference, ...]]:
    tiers, preferences = [], []
    for tier, sentences in said.items():
        rng.shuffle(sentences)
        start = 0
        for text, ask in sentences:
            if ask:
                explicit = ask.dimension != "background"
                span = (start, start + len(text))
                preferences.append(Preference(tier, ask.dimension, ask.value, text, explicit, span))
            start += len(text) + 1
        if sentences:
            tiers.append(TierText(tier, " ".join(text for text, _ in sentences)))
    return MetaPrompt(tuple(tiers)), tuple(preferences)
