"""Who wins: from the preferences of all tiers to one decision for each dimension.

Every rule below depends on the set of preferences only, never on the order in which they come.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from metaalign.policy.extraction import read as read_by_rules
from metaalign.policy.kinds import classify as classify_by_rules
from metaalign.policy.matrix import Outcome, PriorityMatrix
from metaalign.policy.matrix_parts import PRIORITY, UNSTATED, Dimension
from metaalign.schema import (
    Ambiguity,
    Classified,
    Decision,
    Dialogue,
    Kind,
    Preference,
    Reading,
    Resolution,
    UserError,
)

UNOPPOSED = "unopposed"
"""Nobody asked for anything else."""
HIGHER_TIER = "higher-tier"
"""A lower tier asked for something else; the higher one wins."""
TIGHTENED = "tightened"
"""In an ordered dimension: a lower tier asked for more than a higher one did, and gets it."""
LATER_TURN = "later-turn"
"""One tier asked for something else before; what it said in a later turn of the talk holds."""
WITHIN_TIER = "within-tier"
"""One tier asked for two things at once; the first in the matrix's list of values holds, or the
first in the alphabet where any value is allowed."""
NO_SAY = "no-say"
"""A priority that this kind of query does not react to."""
FLOOR = "floor"
"""A priority stated for a kind of query whose behaviour a floor fixes."""

_Entry = tuple[int, int, int | str, Preference]
"""(rank of the tier, age: the less the later its turn, what values of the dimension are compared
and sorted by, the preference)"""


_NOBODY: Sequence[_Entry] = ()


class Reader(Protocol):
    """Finds what the texts of a dialogue ask for."""

    def __call__(self, dialogue: Dialogue, *, talk_tier: str | None) -> Reading:
        """What the user's turns ask for belongs to ``talk_tier``; None: they are not read."""


Classifier = Callable[[str], Classified]
"""Tells of what kind a query is."""


def resolve(
    preferences: Iterable[Preference],
    kind: Kind,
    matrix: PriorityMatrix,
    *,
    kind_by: str = "given",
    ambiguous: Iterable[Ambiguity] = (),
) -> Resolution:
    """Settle what the tiers ask for, for a query of ``kind``.

    Total and deterministic; independent of the order of ``preferences`` and of ``ambiguous``, which
    is told and decides nothing. The decisions stand in the matrix's order of dimensions, the
    priority first. ``kind_by`` says who decided the kind. Raises ``UserError`` for a tier, a
    dimension, a value or a kind that the matrix does not know.
    """
    if kind not in matrix.tables:
        raise UserError(f"no kind of query is called {kind!r}: use {', '.join(matrix.tables)}")
    asked = _by_dimension(preferences, matrix)
    outcome, decisions = _priority(asked, kind, matrix)
    lifted = matrix.lifted[outcome.behaviour]
    for name, dimension in matrix.dimensions.items():
        entries = asked.get(name)
        if entries is None:
            continue
        lift = lifted.get(name)
        if dimension.conflict == "additive":
            opposed, first = _NOBODY, False
            if dimension.opposes in asked:
                opposed = asked[dimension.opposes]
                first = matrix.places[name] < matrix.places[dimension.opposes]
            decisions += _additive(name, entries, opposed, first, lift)
        else:
            decisions.append(_one_holds(name, dimension, entries, lift))
    return Resolution(
        matrix.label,
        kind,
        outcome.behaviour,
        outcome.cell,
        outcome.conflict,
        tuple(decisions),
        kind_by,
        _left_open(ambiguous, matrix) if ambiguous else (),
        matrix.tiers,
        matrix.content_hash,
    )


def resolve_dialogue(
    dialogue: Dialogue,
    matrix: PriorityMatrix,
    kind: Kind | None = None,
    *,
    read: Reader | None = None,
    classify: Classifier | None = None,
) -> Resolution:
    """Read the preferences and the kind of the query from the dialogue's text and settle them.

    ``read`` and ``classify`` are the rules of the lexicons if not given; ``kind``, if given, stands
    in place of what would be classified. What the turns ask for belongs to the matrix's ``talk``. A
    tier that the matrix does not know raises ``UserError`` if it asks for anything.
    """
    reading = (read or read_by_rules)(dialogue, talk_tier=matrix.talk)
    if kind is not None:
        return resolve(reading.preferences, kind, matrix, ambiguous=reading.ambiguous)
    found = (classify or classify_by_rules)(dialogue.query)
    return resolve(
        reading.preferences, found.kind, matrix, kind_by=found.by, ambiguous=reading.ambiguous
    )


def _by_dimension(
    preferences: Iterable[Preference], matrix: PriorityMatrix
) -> dict[str, list[_Entry]]:
    """dimension -> its entries: the highest tier first, of a tier the latest turn, of a turn the
    value that wins."""
    ranks = matrix.tier_ranks
    values = matrix.value_ranks
    asked: dict[str, list[_Entry]] = {}
    for preference in preferences:
        rank = ranks.get(preference.tier)
        if rank is None:
            raise _unknown_tier(preference.tier, matrix)
        name = preference.dimension
        if name not in values:
            raise _unknown_dimension(name, matrix)
        closed = values[name]
        if closed is None:
            key: int | str | None = preference.value.casefold()
        else:
            key = closed.get(preference.value)
        if key is None:
            raise UserError(
                f"{name} has no value {preference.value!r} in {matrix.label}: "
                f"use {', '.join(closed or ())}"
            )
        turn = preference.turn
        entry = (rank, 1 if turn is None else -turn, key, preference)
        if name in asked:
            asked[name].append(entry)
        else:
            asked[name] = [entry]
    for entries in asked.values():
        if len(entries) > 1:
            entries.sort(key=_order)
    return asked


def _unknown_tier(tier: str, matrix: PriorityMatrix) -> UserError:
    return UserError(
        f"the tier {tier!r} is unknown to {matrix.label}: use {', '.join(matrix.tiers)}"
    )


def _unknown_dimension(name: str, matrix: PriorityMatrix) -> UserError:
    known = ", ".join(matrix.value_ranks)
    return UserError(f"the dimension {name!r} is unknown to {matrix.label}: use {known}")


def _order(entry: _Entry) -> tuple[object, ...]:
    rank, age, key, preference = entry
    # Beyond rank, age and key only so that equal sets of preferences give equal resolutions.
    span = preference.span or (-1, -1)
    return (rank, age, key, preference.value, preference.wording, span, preference.explicit)


def _left_open(ambiguous: Iterable[Ambiguity], matrix: PriorityMatrix) -> tuple[Ambiguity, ...]:
    """What stays open, in the order of the tiers and of the matrix's dimensions."""
    places = matrix.places
    found = []
    for item in ambiguous:
        if item.tier not in matrix.tier_ranks:
            raise _unknown_tier(item.tier, matrix)
        if item.dimension not in places:
            raise _unknown_dimension(item.dimension, matrix)
        turn = -1 if item.turn is None else item.turn
        order = (matrix.tier_ranks[item.tier], turn, places[item.dimension])
        found.append((order, item.span or (-1, -1), item.wording, item.reason, item))
    return tuple(item for *_, item in sorted(found, key=lambda entry: entry[:-1]))


def _most_demanding(entries: list[_Entry]) -> _Entry:
    """In an ordered dimension: the most demanding of what the tiers ask for in their last word.

    So the value that holds is never less than what any tier asks for, the highest above all.
    """
    voices: dict[int, _Entry] = {}
    for entry in entries:
        voices.setdefault(entry[0], entry)
    return min(voices.values(), key=lambda entry: (entry[2], entry[0]))


def _why(winner: _Entry, loser: _Entry) -> str:
    """The rule by which ``winner`` holds, and not ``loser``."""
    if winner[0] != loser[0]:
        return HIGHER_TIER if winner[0] < loser[0] else TIGHTENED
    return WITHIN_TIER if winner[1] == loser[1] else LATER_TURN


def _one_holds(
    name: str, dimension: Dimension, entries: list[_Entry], lift: str | None
) -> Decision:
    """The decision about a dimension of which one value holds."""
    if len(entries) == 1:
        return _held(name, entries[0], entries, [], lift)
    winner = _most_demanding(entries) if dimension.conflict == "ordered" else entries[0]
    same = [entry for entry in entries if entry[2] == winner[2]]
    losers = [entry for entry in entries if entry[2] != winner[2]]
    return _held(name, winner, same, losers, lift)


def _held(
    name: str, winner: _Entry, same: list[_Entry], losers: list[_Entry], lift: str | None
) -> Decision:
    """``winner`` holds, with ``same`` for it and ``losers`` against it, the strongest first."""
    rule = _why(winner, losers[0]) if losers else UNOPPOSED
    return Decision(
        name,
        winner[3].value,
        winner[3].tier,
        lift or rule,
        tuple([entry[3] for entry in losers]),
        lift is None,
        tuple([entry[3] for entry in same]),
    )


def _additive(
    name: str, entries: list[_Entry], opposed: Sequence[_Entry], first: bool, lift: str | None
) -> list[Decision]:
    """Every value holds, unless the opposing dimension asks for the same word from higher up, or
    from the same tier in a later turn.

    ``first`` settles it when one tier asks for both at once: True if this dimension is the one that
    holds.
    """
    decisions = []
    seen = set()
    for winner in entries:
        key = winner[2]
        if key in seen:
            continue
        seen.add(key)
        losers = [entry for entry in opposed if entry[2] == key]
        if losers:
            against = losers[0][:2]
            if against < winner[:2] or (against == winner[:2] and not first):
                continue  # told as overridden by the other dimension's decision
        same = [entry for entry in entries if entry[2] == key]
        decisions.append(_held(name, winner, same, losers, lift))
    return decisions


def _priority(
    asked: Mapping[str, list[_Entry]], kind: Kind, matrix: PriorityMatrix
) -> tuple[Outcome, list[Decision]]:
    """The cell for what the tiers put first, and the decisions about it, the deciding one first."""
    entries = asked.get(PRIORITY)
    if entries is None:
        return _possible(matrix.outcomes[kind][UNSTATED, UNSTATED], asked, matrix), []
    voices = matrix.voices[kind]
    # Each tier speaks with one voice: the first of its priorities that has a say here.
    spoken: dict[int, _Entry] = {}
    for entry in entries:
        rank = entry[0]
        if rank not in spoken or (entry[3].value in voices and spoken[rank][3].value not in voices):
            spoken[rank] = entry
    higher, lower = _sides(list(spoken.values()), voices, matrix)
    pair = (higher[3].value if higher else UNSTATED, lower[3].value if lower else UNSTATED)
    outcome = _possible(matrix.outcomes[kind][pair], asked, matrix)
    winner = {"higher": higher, "lower": lower}.get(outcome.decider or "")
    decisions = []
    if winner is not None:
        decisions.append(_priority_won(winner, entries, voices, outcome))
    silent = FLOOR if kind in matrix.floors else NO_SAY
    unheard: dict[int | str, list[Preference]] = {}
    for _, _, key, preference in entries:
        if preference.value not in voices:
            unheard.setdefault(key, []).append(preference)
    for same in unheard.values():
        decisions.append(
            Decision(PRIORITY, same[0].value, same[0].tier, silent, (), False, tuple(same))
        )
    return outcome, decisions


def _priority_won(
    winner: _Entry, entries: list[_Entry], voices: frozenset[str], outcome: Outcome
) -> Decision:
    """``winner`` decided, over all others that have a say."""
    same: list[Preference] = []
    losers: list[Preference] = []
    rule = outcome.rule
    for entry in entries:
        if entry[2] == winner[2]:
            same.append(entry[3])
        elif entry[3].value in voices:
            losers.append(entry[3])
            if entry[0] == winner[0] and rule is outcome.rule:
                rule = f"{rule}/{_why(winner, entry)}"
    return Decision(
        PRIORITY, winner[3].value, winner[3].tier, rule, tuple(losers), True, tuple(same)
    )


def _sides(
    spoken: list[_Entry], voices: frozenset[str], matrix: PriorityMatrix
) -> tuple[_Entry | None, _Entry | None]:
    """The two sides that the table is asked for, of any number of tiers.

    With at most two tiers speaking these are they. Of more, those that have a say in this kind of
    query: the highest of them, and the nearest below it that says something else. ``user_first``
    looks from the other end: the lowest, and the nearest above it that says something else.
    """
    if len(spoken) > 2:
        spoken = [s for s in spoken if s[3].value in voices] or spoken
    if len(spoken) == 1:
        (only,) = spoken
        rank = only[0]
        lowest = rank == len(matrix.tiers) - 1 and rank > 0
        return (None, only) if lowest else (only, None)
    if matrix.rule == "user_first":
        lower, *above = reversed(spoken)
        return next((e for e in above if e[2] != lower[2]), above[0]), lower
    higher, *below = spoken
    return higher, next((e for e in below if e[2] != higher[2]), below[0])


def _possible(
    outcome: Outcome, asked: Mapping[str, list[_Entry]], matrix: PriorityMatrix
) -> Outcome:
    """The outcome, or what is done otherwise if nobody stated what its behaviour needs."""
    needed = matrix.behaviours[outcome.behaviour].needs
    if needed is None or needed in asked:
        return outcome
    return matrix.without_needs[outcome.cell]
