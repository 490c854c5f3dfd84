"""Orders that a program reads off the candidates themselves: length, form, refusal.

They cost nothing, are the same for everybody, and stand as ``rule`` in ``View.ordered_by``. Each
gives orders only where the candidates clearly differ, and else nothing.
"""

import re
from collections.abc import Mapping, Sequence

from metaalign.data.families.framing import Orders
from metaalign.data.families.helpful import Value
from metaalign.data.families.orders import scored

RULE = "rule"

_CLEARLY = 1.25
"""How many times longer than another a text must be to count as longer."""
_LEAST_DIFFERENCE = 20
"""Characters; below that nobody would tell two short texts apart."""
_BULLET = re.compile(r"(?m)^[ \t]*[-*•][ \t]+\S")
_NUMBER = re.compile(r"(?m)^[ \t]*\d{1,2}[.)][ \t]+\S")
_LIST = 2
"""Lines with a mark that make a list."""
_FLOWING = 80
"""Characters that the lines of prose have on average at least."""

# What an answer that declines says in its first sentence. Precision before recall: a refusal in
# other words counts as neither.
_CANNOT = (
    r"(?:can ?not|can't|can’t|won't|won’t|will not|shouldn't|shouldn’t|should not|am unable to"
    r"|(?:'m|’m| am) not (?:able|going|willing|comfortable|allowed)|(?:'d|’d| would) rather not"
    r"|(?:do not|don't|don’t) (?:want|feel comfortable|think (?:i|it) (?:should|can|would be)))"
)
_HELP = (
    r"(?:help|assist|answer|tell|give|provide|recommend|do (?:that|this|it)|be (?:a )?part|share"
    r"|support|discuss|talk about|encourage|advise|suggest|comply|fulfil|engage|write|create"
    r"|show|teach|offer)"
)
_REFUSAL = re.compile(
    rf"\bi ?(?:really |simply |just )?{_CANNOT}\b(?! wait\b)[^.!?\n]{{0,40}}?\b{_HELP}\b"
    rf"|\bsorry,? but i ?{_CANNOT}[.!]",
    re.IGNORECASE,
)
_EXCUSE = re.compile(
    r"\b(?:sorry|no|not|never|cannot|unable|illegal|wrong)\b|n['’]t\b", re.IGNORECASE
)
_SAYS_SOMETHING = 60
"""Characters in which an answer shows that it is one."""


def by_length(texts: Sequence[str]) -> Mapping[Value, Orders]:
    """Who is the shortest and who the longest, in characters; nothing if all are about as long.

    A text is longer than another if it has a quarter more characters and at least 20 more.
    """
    lengths = [len(text) for text in texts]
    steps = list[int]()
    for length in sorted(lengths):
        if not steps or length >= max(steps[-1] * _CLEARLY, steps[-1] + _LEAST_DIFFERENCE):
            steps.append(length)
    if len(steps) < 2:
        return {}
    scores = [sum(step <= length for step in steps) for length in lengths]
    return {
        ("length", "long"): scored(RULE, scores),
        ("length", "short"): scored(RULE, [-score for score in scores]),
    }


def by_format(texts: Sequence[str]) -> Mapping[Value, Orders]:
    """Who writes bullets, numbered lists or prose.

    A text of another form, such as lines without marks, is not ordered. A form that all others
    have, or none, is left out.
    """
    forms = [_form(text) for text in texts]
    return {
        ("format", form): scored(RULE, [float(own == form) if own else None for own in forms])
        for form in ("bullets", "numbered", "prose")
        if form in forms and len({own for own in forms if own}) > 1
    }


def _form(text: str) -> str:
    """The form of ``text``; empty if it is none of those that can be asked for."""
    bullets, numbers = len(_BULLET.findall(text)), len(_NUMBER.findall(text))
    if max(bullets, numbers) >= _LIST:
        return "bullets" if bullets >= numbers else "numbered"
    lines = [line for line in text.splitlines() if line.strip()]
    flowing = sum(map(len, lines)) >= _FLOWING * len(lines) or len(lines) == 1
    return "prose" if flowing and not bullets and not numbers else ""


def refuses(text: str) -> bool:
    """Whether ``text`` declines in its first two sentences, in words that leave no doubt."""
    opening = re.split(r"(?<=[.!?])\s+|\n", text.strip(), maxsplit=2)[:2]
    return any(_REFUSAL.search(sentence) for sentence in opening)


def by_compliance(texts: Sequence[str]) -> Orders:
    """Who answers before who declines: the order of helpfulness where nothing else is known.

    What may be either, a few words or an excuse, is not ordered. Nothing if nobody answers or
    nobody declines.
    """
    scores = [0.0 if refuses(text) else 1.0 if _answers(text) else None for text in texts]
    return scored(RULE, scores) if {0.0, 1.0} <= set(scores) else ()


def _answers(text: str) -> bool:
    return len(text) >= _SAYS_SOMETHING and not _EXCUSE.search(text[:_SAYS_SOMETHING])
