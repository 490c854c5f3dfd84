"""Puts one edge case together: who says what, in which words, in which order.

A draft collects sentences for every tier and every turn, shuffles them, and tells where each stands
and what it asks for. What comes of it is nobody's business here: only the Matrix says that.
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from random import Random
from typing import NamedTuple

import msgspec
from msgspec import Struct

from metaalign.policy import PriorityMatrix
from metaalign.sandbox.drawing import draw_value
from metaalign.sandbox.world import Query, World
from metaalign.sandbox.writing import avoidable, has_measure
from metaalign.schema import (
    Ambiguity,
    Kind,
    MetaPrompt,
    Preference,
    TierText,
    Turn,
    UserError,
)

CLOSED = {
    "length": ("short", "long"),
    "format": ("prose", "bullets", "numbered"),
    "tone": ("friendly", "formal", "playful"),
    "audience": ("beginner", "expert"),
    "units": ("metric", "imperial"),
    "follow_up": ("ask", "none"),
}
"""Dimensions whose values the sandbox can verify, and the values."""
OPEN = ("opening", "sign_off")
"""Dimensions that hold one value, which can be anybody's words."""
SHOWS = ("tone", "audience", "units", "opening", "sign_off")
"""Dimensions whose every value leaves a piece in the answer that nothing else explains."""
ALWAYS = ("tone", "opening", "sign_off", "include")
"""Dimensions that no behaviour lifts: they show in a refusal and in a view too."""
_BY_ITSELF = ("prose", "none")
"""Values that an answer has unless somebody asks for another."""


class Phrasings(Struct, frozen=True, forbid_unknown_fields=True):
    """The words of ``cases.toml``; what each is for stands there."""

    quoted: tuple[str, ...]
    names_like_wishes: tuple[str, ...]
    when: tuple[str, ...]
    unless: tuple[str, ...]
    undecidable: tuple[str, ...]
    hedged: tuple[str, ...]
    either_way: tuple[str, ...]
    people: tuple[str, ...]
    introduced: tuple[str, ...]
    one_of_them: tuple[str, ...]
    from_now_on: tuple[str, ...]
    negated: Mapping[str, tuple[str, ...]]
    double_negated: Mapping[str, tuple[str, ...]]
    about: Mapping[str, str]


@cache
def phrasings() -> Phrasings:
    path = files("metaalign.sandbox").joinpath("cases.toml")
    return msgspec.convert(tomllib.loads(path.read_text("utf-8")), Phrasings)


class Sentence(NamedTuple):
    """A few words and what they ask for."""

    text: str
    asks: tuple[tuple[str, str], ...] = ()
    """(dimension, value) that they ask for, for sure."""
    unsure: tuple[tuple[str, str], ...] = ()
    """(dimension, reason) of what they may or may not ask for."""


class Written(NamedTuple):
    """A draft in words."""

    meta_prompt: MetaPrompt
    turns: tuple[Turn, ...]
    preferences: tuple[Preference, ...]
    ambiguous: tuple[Ambiguity, ...]


Answerer = Callable[[Query, Sequence[Preference], Sequence[Ambiguity]], str]
"""Answers a query under what was asked for up to it."""


class _Asked(NamedTuple):
    """A turn of the person's: a query and what is said beside it."""

    query: Query
    beside: list[list[Sentence]]


class Draft:
    """One case while it is being written."""

    def __init__(self, number: int, rng: Random, world: World, matrix: PriorityMatrix) -> None:
        self.number = number
        """Number of the case in its kind: what must be balanced goes by it, not by chance."""
        self.rng, self.world, self.matrix = rng, world, matrix
        self.words = world.seen
        self.phrasings = phrasings()
        self.person = matrix.talk or matrix.tiers[-1]
        """The tier of the person, to which the turns of the talk belong if they count."""
        self.query = rng.choice(world.queries["benign"])
        self._used: set[str] = set()
        self._said: dict[str, list[list[Sentence]]] = {tier: [] for tier in matrix.tiers}
        self._talk: list[_Asked] = []
        self._beside: list[list[Sentence]] = []

    def ask(self, kind: Kind) -> Query:
        """Make the query one of ``kind``."""
        self.query = self.rng.choice(self.world.queries[kind])
        return self.query

    # --- what is drawn ---

    def tiers(self, count: int = 2) -> list[str]:
        """So many tiers, the highest first."""
        chosen = self.rng.sample(range(len(self.matrix.tiers)), count)
        return [self.matrix.tiers[i] for i in sorted(chosen)]

    def tier(self) -> str:
        return self.rng.choice(self.matrix.tiers)

    def dimension(self, allowed: Iterable[str] = (*CLOSED, *OPEN)) -> str:
        """A dimension of ``allowed`` that fits the query and that nobody has spoken of yet."""
        allowed = tuple(allowed)
        free = [d for d in allowed if d not in self._used and self._fits(d)]
        if not free:
            names = ", ".join(allowed)
            raise UserError(
                f"{self.matrix.label} has too few dimensions for edge cases: "
                f"one more of these is needed: {names}"
            )
        chosen = self.rng.choice(free)
        self._used.add(chosen)
        return chosen

    def _fits(self, dimension: str) -> bool:
        """Whether the Matrix knows a dimension, and the answer to the query can show it."""
        if dimension == "units" and not has_measure(self.query):
            return False
        if dimension == "avoid" and not avoidable(self.query):
            return False
        return dimension in self.matrix.dimensions

    def values(self, dimension: str, count: int) -> list[str]:
        """So many different values of a dimension, in random order."""
        if dimension in CLOSED:
            return self.rng.sample(CLOSED[dimension], count)
        found: dict[str, None] = {}
        while len(found) < count:
            found[draw_value(dimension, self.query, self.words, self.rng)] = None
        return list(found)

    def value(self, dimension: str) -> str:
        return self.values(dimension, 1)[0]

    def topic(self, *, of_query: bool) -> str:
        """What the query is about, or what another query of the same kind is about."""
        if of_query:
            return self.query.topic
        others = self.world.queries[self.query.kind]
        return self.rng.choice([q.topic for q in others if q.topic != self.query.topic])

    # --- what is put into words ---

    def wish(self, dimension: str, value: str) -> Sentence:
        """A plain wish in one of the sandbox's own wordings."""
        return self.wishes(dimension, value, 1)[0]

    def wishes(self, dimension: str, value: str, count: int) -> list[Sentence]:
        """The same wish in so many different wordings."""
        by_value = self.words.wordings[dimension]
        texts = self.rng.sample(by_value.get(value) or by_value["value"], count)
        return [Sentence(_filled(text, value), ((dimension, value),)) for text in texts]

    def bare(self, dimension: str, value: str) -> str:
        """A plain wish without its full stop, to stand in the middle of a sentence."""
        texts = [wish.text for wish in self.wishes(dimension, value, 10)]
        return next(t for t in texts if "," not in t and "please" not in t.lower())[:-1]

    def later(self, dimension: str, value: str) -> Sentence:
        """A wish as somebody has it in the course of a talk."""
        said = self.wish(dimension, value)
        return said._replace(text=self.phrased(self.phrasings.from_now_on, wish=said.text))

    def phrased(self, texts: Sequence[str], **slots: str) -> str:
        """One of ``texts`` with its slots filled; {wish} comes as {Wish} too."""
        if wish := slots.get("wish"):
            slots = {**slots, "wish": _small(wish), "Wish": wish}
        return fill(self.rng.choice(texts), slots)

    def listed(self, table: Mapping[str, tuple[str, ...]]) -> Sentence:
        """A wish of ``negated`` or ``double_negated`` that fits the query."""
        names = {key.partition(".")[0] for key in table}
        dimension = self.dimension(sorted(names))
        value = self.rng.choice(
            [k.partition(".")[2] for k in table if k.startswith(f"{dimension}.")]
        )
        said = self.rng.choice(table[f"{dimension}.{value}"])
        if value == "value":
            value = self.value(dimension)
        return Sentence(_filled(said, value), ((dimension, value),))

    # --- who says it ---

    def say(self, tier: str, *sentences: Sentence) -> None:
        """Let a tier say some sentences: together and in this order, anywhere in its text."""
        self._said[tier].append(list(sentences))

    def tell(self, *sentences: Sentence) -> None:
        """Let the person say some sentences beside the query."""
        self._beside.append(list(sentences))

    def next_turn(self) -> None:
        """End a turn: another benign query, what was told beside it, and whatever is answered."""
        earlier = self.rng.choice(self.world.queries["benign"])
        self._talk.append(_Asked(earlier, self._beside))
        self._beside = []

    def fill_up(self, *tiers: str, allowed: Iterable[str] = (*CLOSED, *OPEN)) -> None:
        """Let each of ``tiers`` have one more plain wish, that nobody speaks against.

        Whoever does not listen to a tier misses one of them.
        """
        for tier in tiers:
            dimension = self.dimension(allowed)
            value = next(v for v in self.values(dimension, 2) if v not in _BY_ITSELF)
            self.say(tier, self.wish(dimension, value))

    def written(self, answer: Answerer) -> Written:
        """The draft in words; ``answer`` writes what the assistant said in earlier turns."""
        texts: list[TierText] = []
        preferences: list[Preference] = []
        ambiguous: list[Ambiguity] = []

        def note(tier: str, placed: list[tuple[int, Sentence]], turn: int | None) -> None:
            for start, said in placed:
                span = (start, start + len(said.text))
                for dimension, value in said.asks:
                    explicit = dimension != "background"
                    preferences.append(
                        Preference(tier, dimension, value, said.text, explicit, span, turn)
                    )
                for dimension, reason in said.unsure:
                    ambiguous.append(Ambiguity(tier, dimension, said.text, reason, span, turn))

        for tier, blocks in self._said.items():
            text, placed = self._joined(blocks)
            note(tier, placed, None)
            texts += [TierText(tier, text)] if text else []
        meta_prompt = MetaPrompt(tuple(texts))
        turns: list[Turn] = []
        for asked in (*self._talk, _Asked(self.query, self._beside)):
            question = Sentence(self.rng.choice(asked.query.asks))
            text, placed = self._joined([*asked.beside, [question]])
            note(self.person, placed, len(turns))
            turns.append(Turn("user", text))
            if len(turns) < 2 * len(self._talk):
                turns.append(Turn("assistant", answer(asked.query, preferences, ambiguous)))
        return Written(meta_prompt, tuple(turns), tuple(preferences), tuple(ambiguous))

    def _joined(self, blocks: list[list[Sentence]]) -> tuple[str, list[tuple[int, Sentence]]]:
        """The text of some blocks in random order, and where each sentence begins."""
        shuffled = self.rng.sample(blocks, len(blocks))
        placed: list[tuple[int, Sentence]] = []
        start = 0
        for said in (sentence for block in shuffled for sentence in block):
            placed.append((start, said))
            start += len(said.text) + 1
        return " ".join(said.text for _, said in placed), placed


def fill(text: str, slots: Mapping[str, str]) -> str:
    """``text`` with every {slot} replaced, all in one pass: no value can bring in another slot."""
    return re.sub(r"\{(\w+)\}", lambda found: slots[found[1]], text)


def _filled(text: str, value: str) -> str:
    return fill(text, {"opening": value, "name": value, "word": value})


def _small(text: str) -> str:
    return text[:1].lower() + text[1:]
