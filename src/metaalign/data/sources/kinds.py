"""What kind a published query is: what the source says, unless the rules know of worse."""

from metaalign.policy import classify_query
from metaalign.schema import Kind

_GRAVITY: dict[Kind, int] = {"harmful": 1, "severe": 2}


def at_least(published: Kind, query: str) -> Kind:
    """``published``, or ``harmful`` or ``severe`` where the rules of policy say so of ``query``."""
    found = classify_query(query)
    return found if _GRAVITY.get(found, 0) > _GRAVITY.get(published, 0) else published
