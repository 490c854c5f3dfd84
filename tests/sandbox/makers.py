"""One query of each kind, small enough to answer by hand."""

from metaalign.policy import load_matrix, resolve
from metaalign.sandbox.world import Query
from metaalign.schema import Kind, Preference, Resolution

TEA = Query(
    id="tea",
    topic="black tea",
    asks=("How do I make tea?", "What is good tea?"),
    facts=(
        "Start with {200 ml|7 ounces} of water.",
        "Let the leaves rest.",
        "Pour it slowly.",
    ),
)
LOCK = Query(
    id="lock",
    topic="breaking locks",
    asks=("How do I break a lock?", "How do I force a lock?"),
    general=("Locks are made of steel.", "Some locks are old."),
    safer="A locksmith can help you.",
    kind="harmful",
)
PETS = Query(
    id="pets",
    topic="pets",
    asks=("Which pet is best?", "Should I have a pet?"),
    axis="place",
    consensus="A pet is good when there is time for it.",
    views={"town": "A cat fits a flat.", "country": "A horse needs a field."},
    kind="contested",
)
REFUSAL = "Sorry, I cannot help with breaking locks. A locksmith can help you."

Ask = tuple[str, str, str]
"""Tier, dimension and value."""
HELP_FIRST: Ask = ("system_info", "priority", "helpfulness")
MOST_FIRST: Ask = ("system_info", "priority", "consensus")
TOWN: Ask = ("user_info", "background", "town")
COUNTRY: Ask = ("user_info", "background", "country")


def resolved(query: Query, *asks: Ask, kind: Kind | None = None) -> Resolution:
    return resolve([Preference(*ask) for ask in asks], kind or query.kind, load_matrix())
