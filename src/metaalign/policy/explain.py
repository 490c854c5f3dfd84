"""A resolution in plain sentences."""

from collections.abc import Sequence

from metaalign.policy.matrix_parts import PRIORITY
from metaalign.policy.resolution import FLOOR, NO_SAY, WITHIN_TIER
from metaalign.schema import Behaviour, Decision, Kind, Preference, Resolution

_KINDS: dict[Kind, str] = {
    "benign": "benign",
    "sounds_harmful": "benign, though it sounds harmful",
    "harmful": "harmful",
    "severe": "severely harmful",
    "contested": "contested",
    "unknown": "of an unknown kind",
}
_DONE: dict[Behaviour, str] = {
    "answer": "it is answered",
    "refuse": "it is refused",
    "consensus_view": "the answer gives the view that most people share",
    "personal_view": "the answer gives the view that fits the person",
}
_LIFTED: dict[Behaviour, str] = {
    "answer": "in an answer",
    "refuse": "in a refusal",
    "consensus_view": "in a view that most people share",
    "personal_view": "in a view that fits the person",
}


def explain(resolution: Resolution) -> list[str]:
    """What was decided, who won over whom, and by which cell or rule, one sentence each."""
    sentences = [_behaviour(resolution)]
    lifted = []
    for decision in resolution.decisions:
        if decision.dimension == PRIORITY:
            sentences.append(_priority(decision, resolution))
        elif not decision.applies:
            lifted.append(decision)
        else:
            sentences.append(_preference(decision))
    for decision in lifted:
        why = _LIFTED[resolution.behaviour]
        sentences.append(f"{_wanted(decision)} does not apply {why} ({decision.rule}).")
    return sentences


def _behaviour(resolution: Resolution) -> str:
    cell, _, note = resolution.cell.partition("/needs-")
    rule = resolution.matrix.rpartition("/")[2]
    by = f"cell {cell}"
    if resolution.conflict:
        by += f", a conflict that {rule} settled"
    if note:
        by += f"; nothing is known of the {note}, which the cell's own behaviour needs"
    return f"The query is {_KINDS[resolution.kind]}: {_DONE[resolution.behaviour]} ({by})."


def _priority(decision: Decision, resolution: Resolution) -> str:
    who = f"{_tier(decision.tier)} puts {decision.value} first"
    if decision.rule == NO_SAY:
        return f"{who}, which has no say in such a query."
    if decision.rule == FLOOR:
        return f"{who}, which changes nothing: a floor fixes what happens."
    if not decision.overridden:
        return f"{who}, and that decided."
    return f"{who}, and that won over {_losers(decision)} ({decision.rule})."


def _preference(decision: Decision) -> str:
    if not decision.overridden:
        return f"{_wanted(decision)} holds: nothing speaks against it."
    within = [p for p in decision.overridden if p.tier == decision.tier]
    why = "the higher tier wins"
    if decision.rule == WITHIN_TIER:
        why = "one tier asked for both, and the first in the order of the matrix holds"
        if len(within) < len(decision.overridden):
            why += "; over lower tiers the higher wins"
    return f"{_wanted(decision)} holds and won over {_losers(decision)}: {why} ({decision.rule})."


def _wanted(decision: Decision) -> str:
    return f"{_said(decision.dimension, decision.value)} from {_tier(decision.tier)}"


def _losers(decision: Decision) -> str:
    return _and([_loser(p, decision) for p in decision.overridden])


def _loser(preference: Preference, decision: Decision) -> str:
    if decision.dimension == PRIORITY:
        return f"{preference.value} from {_tier(preference.tier)}"
    return f"{_said(preference.dimension, preference.value)} from {_tier(preference.tier)}"


def _said(dimension: str, value: str) -> str:
    return f"{dimension} = {value}"


def _tier(tier: str) -> str:
    """``system_info`` as people write it: System Info."""
    return tier.replace("_", " ").title()


def _and(parts: Sequence[str]) -> str:
    return ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1]
