"""A resolution in plain sentences."""

from collections.abc import Sequence

from metaalign.policy.matrix import BOTH_SIDES, PRIORITY
from metaalign.policy.resolution import FLOOR, NO_SAY, TIGHTENED
from metaalign.schema import Ambiguity, Behaviour, Decision, Kind, Preference, Resolution

GIVEN = "given"
"""``kind_by`` where nobody had to tell the kind."""
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
    """What was decided, who won over whom, and by which cell or rule, one sentence each.

    The last sentences are about what was left open, one for each ambiguity.
    """
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
    return sentences + [_left_open(item) for item in resolution.ambiguous]


def _behaviour(resolution: Resolution) -> str:
    cell, _, note = resolution.cell.partition("/needs-")
    rule = resolution.matrix.rpartition("/")[2]
    by = f"cell {cell}"
    if resolution.conflict:
        by += f", a conflict that {rule} settled"
    if note:
        by += f"; nothing is known of the {note}, which the cell's own behaviour needs"
    if resolution.kind_by != GIVEN:
        by += f"; kind told by {_one_line(resolution.kind_by)}"
    return f"The query is {_KINDS[resolution.kind]}: {_DONE[resolution.behaviour]} ({by})."


def _priority(decision: Decision, resolution: Resolution) -> str:
    who = f"{_tier(decision.tier)} puts {decision.value} first"
    if decision.rule == NO_SAY:
        return f"{who}, which has no say in such a query."
    if decision.rule == FLOOR:
        return f"{who}, which changes nothing: a floor fixes what happens."
    if not decision.overridden:
        return f"{who}, and that decided."
    if BOTH_SIDES in decision.rule.split("/"):
        return f"{who}; the cell also allows for {_losers(decision)} ({decision.rule})."
    return f"{who}, and that won over {_losers(decision)} ({decision.rule})."


def _preference(decision: Decision) -> str:
    if not decision.overridden:
        return f"{_wanted(decision)} holds: nothing speaks against it."
    why = "; ".join(_reasons(decision))
    return f"{_wanted(decision)} holds and won over {_losers(decision)}: {why} ({decision.rule})."


def _reasons(decision: Decision) -> list[str]:
    """Why it won: the rule names only the first of several reasons."""
    own = [p for p in decision.overridden if p.tier == decision.tier]
    # The latest turn in which its tier asked for what holds.
    last = max((_turn(p) for p in decision.asked if p.tier == decision.tier), default=-1)
    reasons = []
    if decision.rule == TIGHTENED:
        reasons.append("a lower tier may tighten what a higher one asks for, never loosen it")
    if any(_turn(p) == last for p in own):
        reasons.append("one tier asked for both, and the first in the order of the matrix holds")
    if any(_turn(p) < last for p in own):
        reasons.append("what a tier says later in the talk supersedes what it said before")
    if not reasons:
        return ["the higher tier wins"]
    if decision.rule != TIGHTENED and len(own) < len(decision.overridden):
        reasons.append("over lower tiers the higher wins")
    return reasons


def _turn(preference: Preference) -> int:
    return -1 if preference.turn is None else preference.turn


def _left_open(item: Ambiguity) -> str:
    words = _one_line(item.wording).strip()
    said = f' in "{words}"' if words else ""
    return (
        f"Left open: the {item.dimension} that {_tier(item.tier)} asks for{said} "
        f"({item.reason}), so nothing was decided from it."
    )


def _wanted(decision: Decision) -> str:
    return f"{_said(decision.dimension, decision.value)} from {_tier(decision.tier)}"


def _losers(decision: Decision) -> str:
    return _and([_loser(p, decision) for p in decision.overridden])


def _loser(preference: Preference, decision: Decision) -> str:
    if decision.dimension == PRIORITY:
        return f"{preference.value} from {_tier(preference.tier)}"
    return f"{_said(preference.dimension, preference.value)} from {_tier(preference.tier)}"


def _said(dimension: str, value: str) -> str:
    return f"{dimension} = {_one_line(value)}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _tier(tier: str) -> str:
    """``system_info`` as people write it: System Info."""
    return tier.replace("_", " ").title()


def _and(parts: Sequence[str]) -> str:
    return ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1]
