"""Who wins: from the preferences of all tiers to one decision for each dimension.

Every rule below depends on the set of preferences only, never on the order in which they come.
"""

from collections.abc import Iterable, Mapping

from metaalign.policy.extraction import extract
from metaalign.policy.kinds import classify_query
from metaalign.policy.matrix import PRIORITY, Outcome, PriorityMatrix
from metaalign.policy.matrix_file import UNSTATED
from metaalign.schema import Decision, Dialogue, Kind, Preference, Resolution, UserError

UNOPPOSED = "unopposed"
"""Nobody asked for anything else."""
HIGHER_TIER = "higher-tier"
"""A lower tier asked for something else; the higher one wins."""
WITHIN_TIER = "within-tier"
"""One tier asked for two things at once; the first in the matrix's list of values holds, or the
first in the alphabet where any value is allowed."""
NO_SAY = "no-say"
"""A priority that this kind of query does not react to."""
FLOOR = "floor"
"""A priority stated for a kind of query whose behaviour a floor fixes."""

_Entry = tuple[int, int | str, Preference]
"""(rank of the tier, what values of the dimension are compared and sorted by, the preference)"""


def resolve(preferences: Iterable[Preference], kind: Kind, matrix: PriorityMatrix) -> Resolution:
    """Settle what the tiers ask for, for a query of ``kind``.

    Total and deterministic; independent of the order of ``preferences``. The decisions stand in the
    matrix's order of dimensions, the priority first. Raises ``UserError`` for a tier, a dimension,
    a value or a kind that the matrix does not know.
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
        if dimension.conflict == "exclusive":
            decisions.append(_exclusive(name, entries, lift))
        else:
            opposed = asked.get(dimension.opposes or "", [])
            first = bool(opposed) and _comes_first(name, dimension.opposes or "", matrix)
            decisions += _additive(name, entries, opposed, first, lift)
    return Resolution(
        matrix.label, kind, outcome.behaviour, outcome.cell, outcome.conflict, tuple(decisions)
    )


def resolve_dialogue(
    dialogue: Dialogue, matrix: PriorityMatrix, kind: Kind | None = None
) -> Resolution:
    """Read the preferences and the kind of the query from the dialogue's text and settle them.

    ``kind``, if given, stands in place of the rules' guess. A tier that the matrix does not know
    raises ``UserError`` if it asks for anything.
    """
    found = kind if kind is not None else classify_query(dialogue.query)
    return resolve(extract(dialogue.meta_prompt), found, matrix)


def _by_dimension(
    preferences: Iterable[Preference], matrix: PriorityMatrix
) -> dict[str, list[_Entry]]:
    """dimension -> its entries, the highest tier first and the value that wins within it first."""
    ranks = matrix.tier_ranks
    values = matrix.value_ranks
    asked: dict[str, list[_Entry]] = {}
    for preference in preferences:
        rank = ranks.get(preference.tier)
        if rank is None:
            raise UserError(
                f"the tier {preference.tier!r} is unknown to {matrix.label}: "
                f"use {', '.join(matrix.tiers)}"
            )
        name = preference.dimension
        if name not in values:
            raise UserError(
                f"the dimension {name!r} is unknown to {matrix.label}: use {', '.join(values)}"
            )
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
        entry = (rank, key, preference)
        if name in asked:
            asked[name].append(entry)
        else:
            asked[name] = [entry]
    for entries in asked.values():
        if len(entries) > 1:
            entries.sort(key=_order)
    return asked


def _order(entry: _Entry) -> tuple[object, ...]:
    rank, key, preference = entry
    # Beyond rank and key only so that equal sets of preferences give equal resolutions.
    span = preference.span or (-1, -1)
    return (rank, key, preference.value, preference.wording, span, preference.explicit)


def _exclusive(name: str, entries: list[_Entry], lift: str | None) -> Decision:
    """One value holds: the highest tier's, and within that tier the first."""
    rank, key, winner = entries[0]
    if len(entries) == 1:
        return Decision(name, winner.value, winner.tier, lift or UNOPPOSED, (), lift is None)
    losers = [entry for entry in entries if entry[1] != key]
    rule = UNOPPOSED
    if losers:
        rule = WITHIN_TIER if losers[0][0] == rank else HIGHER_TIER
    return Decision(
        name, winner.value, winner.tier, lift or rule, tuple(e[2] for e in losers), lift is None
    )


def _additive(
    name: str, entries: list[_Entry], opposed: list[_Entry], first: bool, lift: str | None
) -> list[Decision]:
    """Every value holds, unless the opposing dimension asks for the same word from higher up.

    ``first`` settles it when one tier asks for both: True if this dimension is the one that holds.
    """
    decisions = []
    seen = set()
    for rank, key, preference in entries:
        if key in seen:
            continue
        seen.add(key)
        losers = [entry for entry in opposed if entry[1] == key]
        rule = UNOPPOSED
        if losers:
            against = losers[0][0]
            if against < rank or (against == rank and not first):
                continue  # told as overridden by the other dimension's decision
            rule = WITHIN_TIER if against == rank else HIGHER_TIER
        decisions.append(
            Decision(
                name,
                preference.value,
                preference.tier,
                lift or rule,
                tuple(e[2] for e in losers),
                lift is None,
            )
        )
    return decisions


def _comes_first(name: str, other: str, matrix: PriorityMatrix) -> bool:
    return next(d for d in matrix.dimensions if d in (name, other)) == name


def _priority(
    asked: Mapping[str, list[_Entry]], kind: Kind, matrix: PriorityMatrix
) -> tuple[Outcome, list[Decision]]:
    """The cell for what the tiers put first, and the decisions about it, the deciding one first."""
    entries = asked.get(PRIORITY)
    if entries is None:
        return _possible(matrix.outcomes[kind][UNSTATED, UNSTATED], asked, matrix), []
    voices = matrix.voices[kind]
    # Each tier speaks with one voice: the first of its priorities that has a say here.
    spoken: dict[int, Preference] = {}
    for rank, _, preference in entries:
        if rank not in spoken or (preference.value in voices and spoken[rank].value not in voices):
            spoken[rank] = preference
    higher, lower = _sides(list(spoken.items()), voices, matrix)
    pair = (higher.value if higher else UNSTATED, lower.value if lower else UNSTATED)
    outcome = _possible(matrix.outcomes[kind][pair], asked, matrix)
    winner = {"higher": higher, "lower": lower}.get(outcome.decider or "")
    decisions = []
    if winner is not None:
        losers = tuple(p for _, _, p in entries if p.value in voices and p.value != winner.value)
        within = any(p.tier == winner.tier for p in losers)
        rule = f"{outcome.rule}/{WITHIN_TIER}" if within else outcome.rule
        decisions.append(Decision(PRIORITY, winner.value, winner.tier, rule, losers))
    silent = FLOOR if kind in matrix.floors else NO_SAY
    told = set()
    for _, key, preference in entries:
        if preference.value not in voices and key not in told:
            told.add(key)
            decisions.append(
                Decision(PRIORITY, preference.value, preference.tier, silent, (), False)
            )
    return outcome, decisions


def _sides(
    spoken: list[tuple[int, Preference]], voices: frozenset[str], matrix: PriorityMatrix
) -> tuple[Preference | None, Preference | None]:
    """The two sides that the table is asked for, of any number of tiers.

    With at most two tiers speaking these are they. Of more, those that have a say in this kind of
    query: the highest of them, and the nearest below it that says something else. ``user_first``
    looks from the other end: the lowest, and the nearest above it that says something else.
    """
    if len(spoken) > 2:
        spoken = [s for s in spoken if s[1].value in voices] or spoken
    if len(spoken) == 1:
        rank, only = spoken[0]
        lowest = rank == len(matrix.tiers) - 1 and rank > 0
        return (None, only) if lowest else (only, None)
    ordered = [preference for _, preference in spoken]
    if matrix.rule == "user_first":
        lower, *above = reversed(ordered)
        return next((p for p in above if p.value != lower.value), above[0]), lower
    higher, *below = ordered
    return higher, next((p for p in below if p.value != higher.value), below[0])


def _possible(
    outcome: Outcome, asked: Mapping[str, list[_Entry]], matrix: PriorityMatrix
) -> Outcome:
    """The outcome, or what is done otherwise if nobody stated what its behaviour needs."""
    needed = matrix.behaviours[outcome.behaviour].needs
    if needed is None or needed in asked:
        return outcome
    return matrix.without_needs[outcome.cell]
