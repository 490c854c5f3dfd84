"""Builders of the four families: judged material in, groups out; the Priority Matrix settles all.

``priority``, ``consensus``, ``opinion`` and ``helpful`` each take ``Material`` (a query and its
candidates) and the orders that are known of it, by people, models or rules (``orders``).
"""

from metaalign.data.families.consensus import consensus_group
from metaalign.data.families.framing import Material, Orders, Person
from metaalign.data.families.helpful import Value, helpful_group
from metaalign.data.families.opinion import opinion_group, stances
from metaalign.data.families.orders import agreement, combine, opposite, ranks_of, scored
from metaalign.data.families.priority import priority_group

__all__ = [
    "Material",
    "Orders",
    "Person",
    "Value",
    "agreement",
    "combine",
    "consensus_group",
    "helpful_group",
    "opinion_group",
    "opposite",
    "priority_group",
    "ranks_of",
    "scored",
    "stances",
]
