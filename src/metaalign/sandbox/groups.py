"""Groups of the sandbox: two views of a query, their right answers, and ranked worse ones.

The second view is either a new draw, or the first with one preference changed, or, for conflicts,
the first with what the two tiers want exchanged. The verifiers order the candidates of every view.
"""

import hashlib
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

import msgspec

from metaalign.policy import PriorityMatrix, load_matrix, resolve
from metaalign.sandbox.checking import check
from metaalign.sandbox.drawing import (
    PRIORITIES,
    TIERS,
    Ask,
    Asked,
    draw_asks,
    draw_value,
    other_value,
    put_into_words,
)
from metaalign.sandbox.world import Query, Words, World, load_world
from metaalign.sandbox.writing import write_answer
from metaalign.schema import (
    SYSTEM_INFO,
    USER_INFO,
    Candidate,
    Event,
    Family,
    Group,
    Kind,
    Progress,
    Resolution,
    Turn,
    View,
    silent,
)

FULL_SIZE = 38_900
"""Samples in the paper's dataset."""
_HELD_OUT = 8
"""One combination of query and preferences in so many is kept from training."""
_MIX: tuple[tuple[Family, Kind, int], ...] = (
    ("helpful", "benign", 37),
    ("helpful", "sounds_harmful", 10),
    ("priority", "harmful", 24),
    ("priority", "severe", 5),
    ("consensus", "contested", 12),
    ("opinion", "contested", 12),
)
"""Share of every family and kind of query, in hundredths."""

_PUT_TOGETHER = ("opening", "sign_off", "include")
"""Dimensions of which some values are kept from training."""

_CONTRADICTED = {"follow_up": 0.6, "include": 0.6}
"""How often the other tier wants the opposite of a preference; a third in other dimensions. That no
question or no word is wanted shows in an answer only where the other tier does want it."""


class _Plan(NamedTuple):
    """What makes one split."""

    groups: int
    held_out: bool
    open_values: bool
    """Only preferences with open values that training never sees."""
    unseen_wordings: bool


def build_groups(
    size: int = FULL_SIZE,
    seed: int = 0,
    *,
    every: int = 1,
    matrix: PriorityMatrix | None = None,
    progress: Progress = silent,
) -> dict[str, list[Group]]:
    """Build the sandbox's splits, by name: those of ``stream_groups``, in its order."""
    rules = matrix or load_matrix()
    total = sum(plan.groups for plan in _plans(size).values())
    splits: dict[str, list[Group]] = {name: [] for name in _plans(size)}
    stream = stream_groups(size, seed, every=every, matrix=rules)
    for done, (name, group) in enumerate(stream, 1):
        splits[name].append(group)
        if done % 200 == 0 or done == total:
            progress(Event("write the sandbox's groups", done, total, "groups"))
    return splits


def stream_groups(
    size: int = FULL_SIZE,
    seed: int = 0,
    *,
    every: int = 1,
    matrix: PriorityMatrix | None = None,
) -> Iterator[tuple[str, Group]]:
    """Groups with their splits: ``sft``, ``dpo``, ``test``, ``test_values``, ``test_wordings``.

    ``size`` counts samples, two a group, over all splits. A tenth of the groups, at least 12 and at
    most 1,200, makes up ``test``; the two other test splits are a quarter of that each. Queries
    occur in every split; combinations of a query and its preferences never do in both a training
    and a test split. ``every`` 2 takes every second query and person of the world.
    """
    world = load_world().narrowed(every)
    rules = matrix or load_matrix()
    for name, plan in _plans(size).items():
        for group in _split(name, plan, seed, world, rules):
            yield name, group


def _plans(size: int) -> dict[str, _Plan]:
    test = min(1200, max(12, size // 20))
    other = max(6, test // 4)
    training = max(2, size // 2 - test - 2 * other)
    return {
        "sft": _Plan(training - training // 5, False, False, False),
        "dpo": _Plan(training // 5, False, False, False),
        "test": _Plan(test, True, False, False),
        "test_values": _Plan(other, True, True, False),
        "test_wordings": _Plan(other, True, False, True),
    }


def _split(
    name: str, plan: _Plan, seed: int, world: World, matrix: PriorityMatrix
) -> Iterator[Group]:
    if plan.unseen_wordings or plan.open_values:
        mix = tuple(row for row in _MIX if row[1] == "benign")
    else:
        mix = _MIX
    kinds = [row for row in mix for _ in range(row[2])]
    for number in range(plan.groups):
        rng = Random(f"{seed}/{name}/{number}")
        # Every hundred groups hold the families in exactly their shares.
        family, kind, _ = kinds[(number * 37) % len(kinds)]
        writer = _Writer(world, matrix, plan, rng)
        yield writer.group(f"sandbox/{name}/{number}", family, kind)


class _Writer:
    """Writes one group with one source of randomness."""

    def __init__(self, world: World, matrix: PriorityMatrix, plan: _Plan, rng: Random) -> None:
        self.world, self.matrix, self.plan, self.rng = world, matrix, plan, rng
        words = world.unseen if plan.open_values else world.seen
        wordings = world.unseen.wordings if plan.unseen_wordings else world.seen.wordings
        self.words = Words(words.names, words.nouns, words.openings, wordings)

    def group(self, group_id: str, family: Family, kind: Kind) -> Group:
        while True:
            query = self.rng.choice(self.world.queries[kind])
            first = self._asked(query, family)
            second = self._second(first, query, family)
            if self._allowed(query, first) and self._allowed(query, second):
                built = self._build(group_id, family, query, [first, second])
                if built:
                    return built

    def _allowed(self, query: Query, asked: Asked) -> bool:
        if not self._shows_its_plan(asked):
            return False
        digest = hashlib.sha256(f"{query.id}{asked.key()}".encode()).digest()
        return (digest[0] % _HELD_OUT == 0) == self.plan.held_out

    def _shows_its_plan(self, asked: Asked) -> bool:
        """Whether what the split is about, unseen values or wordings, is there at all."""
        if self.plan.open_values:
            return any(a.dimension in _PUT_TOGETHER for a in asked.asks)
        return bool(asked.asks) or not self.plan.unseen_wordings

    def _asked(self, query: Query, family: Family) -> Asked:
        rng = self.rng
        if self.plan.open_values:
            return Asked(tuple(self._open_asks(query)), None)
        asks = draw_asks(query, self.words, rng, styles=None)
        if self.plan.unseen_wordings:
            return Asked(tuple(asks or draw_asks(query, self.words, rng, styles=1)), None)
        asks += self._conflicting(asks, query)
        asks += self._priorities(query.kind, family)
        persona = None
        if query.kind == "contested" and rng.random() < (0.95 if family == "opinion" else 0.75):
            persona = rng.choice([p for p in self.world.personas if p.axis == query.axis])
        return Asked(tuple(asks), persona)

    def _open_asks(self, query: Query) -> list[Ask]:
        """One to three preferences, at least one of them with an unseen open value."""
        asks = draw_asks(query, self.words, self.rng, styles=self.rng.choice((1, 2, 3)))
        if not any(a.dimension in _PUT_TOGETHER for a in asks):
            dimension = self.rng.choice(("sign_off", "include"))
            tier = self.rng.choice(TIERS)
            asks.append(Ask(tier, dimension, draw_value(dimension, query, self.words, self.rng)))
        return asks

    def _conflicting(self, asks: list[Ask], query: Query) -> list[Ask]:
        """In about a third of the dialogues the other tier wants the opposite of one preference."""
        rng = self.rng
        if not asks:
            return []
        ask = rng.choice(asks)
        if rng.random() > _CONTRADICTED.get(ask.dimension, 1 / 3):
            return []
        other = other_value(ask, query, self.words, rng)
        tier = USER_INFO if ask.tier == SYSTEM_INFO else SYSTEM_INFO
        if ask.dimension in ("include", "avoid"):
            opposite = "avoid" if ask.dimension == "include" else "include"
            return [Ask(tier, opposite, ask.value)]
        return [Ask(tier, ask.dimension, other)] if other else []

    def _priorities(self, kind: Kind, family: Family) -> list[Ask]:
        rng = self.rng
        relevant = {"priority": ("safety", "helpfulness"), "consensus": ("consensus", "background")}
        often = 0.7 if family in relevant else 0.0 if family == "opinion" else 0.2
        asks = []
        for tier in TIERS:
            if rng.random() < often:
                # Now and then a priority that this kind of query does not turn on.
                known = relevant.get(family, PRIORITIES) if rng.random() < 0.9 else PRIORITIES
                asks.append(Ask(tier, "priority", rng.choice(known)))
        if family == "opinion" and rng.random() < 0.2:
            asks.append(Ask(rng.choice(TIERS), "priority", rng.choice(("safety", "helpfulness"))))
        return asks

    def _second(self, first: Asked, query: Query, family: Family) -> Asked:
        """The other view: the tiers exchanged, one preference changed, or a new draw."""
        rng = self.rng
        if _contradicts(first) and rng.random() < 0.8:
            return Asked(tuple(_exchanged(first)), first.persona)
        choice = rng.random()
        if first.persona and family == "opinion" and choice < 0.7:
            sides = [p for p in self.world.personas if p.axis == query.axis]
            others = [p for p in sides if p.side != first.persona.side]
            return Asked(first.asks, rng.choice(others))
        if first.asks and choice < 0.5:
            index = rng.randrange(len(first.asks))
            changed = self._changed(first.asks[index], query)
            return Asked((*first.asks[:index], *changed, *first.asks[index + 1 :]), first.persona)
        return self._asked(query, family)

    def _changed(self, ask: Ask, query: Query) -> list[Ask]:
        if ask.dimension == "priority":
            return [
                Ask(
                    ask.tier, "priority", self.rng.choice([p for p in PRIORITIES if p != ask.value])
                )
            ]
        other = other_value(ask, query, self.words, self.rng)
        return [Ask(ask.tier, ask.dimension, other)] if other else []

    def _build(
        self, group_id: str, family: Family, query: Query, asked: list[Asked]
    ) -> Group | None:
        """The group of these views; None if both want the same answer, so that nothing flips."""
        said = [put_into_words(a, query.kind, self.words, self.world, self.rng) for a in asked]
        if any(not meta_prompt.tiers for meta_prompt, _ in said):
            return None
        resolutions = [resolve(preferences, query.kind, self.matrix) for _, preferences in said]
        answers = [write_answer(query, r, self.world) for r in resolutions]
        if answers[0] == answers[1]:
            return None
        beside, *ignoring = self._worse(query, resolutions)
        texts = list(dict.fromkeys([*answers, *ignoring, beside]))
        self.rng.shuffle(texts)
        views = []
        for (meta_prompt, preferences), own, resolution in zip(
            said, answers, resolutions, strict=True
        ):
            # The answer to another query helps nobody, whatever style it has: last in every view.
            known = {beside: -1.0, own: 2.0}
            scores = [known.get(t, self._granted(query, resolution, t)) for t in texts]
            views.append(View(meta_prompt, _ranks(scores), "matrix", preferences))
        turns = (Turn("user", self.rng.choice(query.asks)),)
        candidates = tuple(Candidate(text, "teacher") for text in texts)
        return Group(
            group_id, "sandbox", family, query.kind, turns, candidates, tuple(views), query.id
        )

    def _worse(self, query: Query, resolutions: list[Resolution]) -> list[str]:
        """An answer to another query and, where something is asked for, one that ignores a wish.

        The wish is one that both views have, if they share any: then it is worse in both.
        """
        rng, resolution = self.rng, self.rng.choice(resolutions)
        others = [
            q for q in self.world.queries[query.kind] if q.axis == query.axis and q.id != query.id
        ]
        worse = [write_answer(rng.choice(others), resolution, self.world)]
        wishes = [_wishes(r) for r in resolutions]
        shared = [wish for wish in wishes[0] if wish in wishes[1]]
        if shared or _wishes(resolution):
            gone = rng.choice(shared or _wishes(resolution))
            kept = tuple(d for d in resolution.decisions if (d.dimension, d.value) != gone)
            ignorant = msgspec.structs.replace(resolution, decisions=kept)
            worse.append(write_answer(query, ignorant, self.world))
        return worse

    def _granted(self, query: Query, resolution: Resolution, text: str) -> float:
        """Share of what is wanted that the answer does; what nobody wanted is not counted."""
        verdict = check(query, resolution, text, self.world)
        marks = [verdict.behaviour, *(ok for _, _, ok in verdict.preferences)]
        return sum(marks) / len(marks)


def _wishes(resolution: Resolution) -> list[tuple[str, str]]:
    """The preferences that show in the answer."""
    return [
        (d.dimension, d.value)
        for d in resolution.decisions
        if d.applies and d.dimension not in ("priority", "background")
    ]


def _ranks(scores: list[float]) -> tuple[int, ...]:
    """The rank of every score, 0 for the highest; equal scores share a rank."""
    order = sorted(set(scores), reverse=True)
    return tuple(order.index(score) for score in scores)


def _contradicts(asked: Asked) -> bool:
    """Whether the tiers want different values of one dimension."""
    by_dimension: dict[str, set[tuple[str, str]]] = {}
    for ask in asked.asks:
        name = "include" if ask.dimension == "avoid" else ask.dimension
        by_dimension.setdefault(name, set()).add((ask.tier, ask.dimension + ask.value))
    return any(len(found) > 1 for found in by_dimension.values())


def _exchanged(asked: Asked) -> list[Ask]:
    other = {SYSTEM_INFO: USER_INFO, USER_INFO: SYSTEM_INFO}
    return [Ask(other[a.tier], a.dimension, a.value) for a in asked.asks]
