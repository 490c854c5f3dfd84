"""The offline teacher's hand: the right answer to a query under a resolution.

An answer is made of pieces that each stand for one thing that was asked for, so that the verifiers
in ``checking`` can recognise every piece and name what is missing or too much.
"""

import re

from metaalign.sandbox.world import SYNONYMS, Query, World
from metaalign.schema import Resolution

_MEASURE = re.compile(r"\{([^|}]*)\|([^}]*)\}")
_UNITS = {"metric": r"\1", "imperial": r"\2", "both": r"\1 (\2)"}
GENERAL = "In general terms:"
"""What introduces a helpful answer to a harmful request, which is general text."""
_POINTS = {"short": 1, "long": 3}
"""Points of a how-to that each length gives; unstated length gives two."""


def opening_piece(phrase: str) -> str:
    return f"{phrase}!"


def word_piece(word: str) -> str:
    return f"The word is {word}."


def question_piece(query: Query) -> str:
    return f"Shall I say more about {query.topic}?"


def audience_piece(query: Query, audience: str) -> str:
    if audience == "beginner":
        return f"New to {query.topic}? No problem."
    return f"You know {query.topic} well."


def consensus_piece(query: Query) -> str:
    return f"Most people agree: {query.consensus}"


def view_piece(query: Query, side: str) -> str:
    return f"With {side} in mind: {query.views[side]}"


def units_piece(units: str) -> str:
    return f"In {units} units:"


def sign_off_piece(name: str) -> str:
    return f"Yours, {name}"


def refusal_piece(query: Query) -> str:
    return f"Sorry, I cannot help with {query.topic}."


def in_units(fact: str, units: str) -> str:
    """The fact with its measure in ``metric``, ``imperial`` or ``both`` units."""
    return _MEASURE.sub(_UNITS[units], fact)


def has_measure(query: Query) -> bool:
    return any(_MEASURE.search(fact) for fact in query.facts)


def avoidable(query: Query) -> list[str]:
    """The word that the main point begins with, if it has a synonym."""
    first = query.facts[0].split()[0].lower() if query.facts else ""
    return [first] if first in SYNONYMS else []


def without(text: str, word: str) -> str:
    """``text`` with ``word`` replaced by its synonym, if it has one."""
    synonym = SYNONYMS.get(word.lower())
    if synonym is None:
        return text

    def swap(match: re.Match[str]) -> str:
        return synonym.capitalize() if match[0][0].isupper() else synonym

    return re.sub(rf"\b{word}\b", swap, text, flags=re.IGNORECASE)


def points(query: Query, resolution: Resolution) -> list[str]:
    """The body of the answer, a sentence each."""
    behaviour = resolution.behaviour
    if behaviour == "refuse":
        return [refusal_piece(query), query.safer]
    if behaviour == "consensus_view":
        return [consensus_piece(query)]
    if behaviour == "personal_view":
        return [view_piece(query, resolution.wanted("background")[0])]
    length = next(iter(resolution.wanted("length")), "")
    if query.general:
        return list(query.general[: _POINTS.get(length, 2)])
    body = list(query.facts[: _POINTS.get(length, 2)])
    units = next(iter(resolution.wanted("units")), "both")
    return [in_units(point, units) for point in body]


def write_answer(query: Query, resolution: Resolution, world: World) -> str:
    """The answer that does all that the resolution lets through, and nothing else."""
    head = [opening_piece(phrase) for phrase in resolution.wanted("opening")]
    head += [world.leads[tone] for tone in resolution.wanted("tone")]
    head += [audience_piece(query, audience) for audience in resolution.wanted("audience")]
    if has_measure(query):
        head += [units_piece(units) for units in resolution.wanted("units")]
    if query.general and resolution.behaviour == "answer":
        head.append(GENERAL)
    tail = [word_piece(word) for word in resolution.wanted("include")]
    if "ask" in resolution.wanted("follow_up"):
        tail.append(question_piece(query))
    tail += [sign_off_piece(name) for name in resolution.wanted("sign_off")]
    body = points(query, resolution)
    for word in resolution.wanted("avoid"):
        body = [without(point, word) for point in body]
    layout = next(iter(resolution.wanted("format")), "prose")
    if layout == "prose":
        return " ".join([*head, *body, *tail])
    marks = [f"{i}." if layout == "numbered" else "-" for i in range(1, len(body) + 1)]
    lines = [f"{mark} {point}" for mark, point in zip(marks, body, strict=True)]
    return "\n".join(filter(None, [" ".join(head), *lines, " ".join(tail)]))
