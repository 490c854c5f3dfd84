"""A resolution put into the dialogue that it is about: noted in System Info, cleared of what lost.

``audit`` leaves the text as it is. ``annotate`` adds one line to the highest tier that states what
was settled. ``strict`` also takes out of User Info what a higher tier has overridden.
"""

import re
from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from metaalign.policy.extraction import read_text
from metaalign.policy.matrix import BOTH_SIDES, PRIORITY
from metaalign.policy.removal import Span, without
from metaalign.schema import (
    SYSTEM_INFO,
    USER_INFO,
    Decision,
    Dialogue,
    MetaPrompt,
    Preference,
    Resolution,
    TierText,
    UserError,
)

Mode = Literal["audit", "annotate", "strict"]

MARK = "[metaalign]"
"""Begins the line that is added. In anybody's own words its brackets become round ones."""
MOST_TRIED = 40
"""So many places of a text are tried one by one: nobody asks for more, unless to keep us busy."""
_SAID = f"{MARK} Settled for this query: "
_ANY_MARK = re.compile(r"\[(\s*metaalign\s*)\]", re.IGNORECASE)
_LINE = re.escape(_SAID) + r"behaviour = \w+(?:; priority = [\w-]+ \([\w-]+\))?"
_LINES = re.compile(rf"\A(?:{_LINE}(?:\n|\Z))+|(?:\n{_LINE})+(?=\n|\Z)")


class Kept(Struct, frozen=True):
    """What was overridden and is still in the text."""

    preference: Preference
    reason: str


class Applied(Struct, frozen=True):
    """A dialogue to which a resolution was applied."""

    mode: Mode
    dialogue: Dialogue
    line: str = ""
    """The line that states what was settled; empty in the mode ``audit``."""
    removed: tuple[Preference, ...] = ()
    """Whose words were taken out of the text."""
    kept: tuple[Kept, ...] = ()
    """What ``strict`` could not take out, and why."""
    notes: tuple[str, ...] = ()
    """What else there is to know: words that looked like the line."""


def apply(dialogue: Dialogue, resolution: Resolution, mode: Mode) -> Applied:
    """``dialogue`` as it is to be sent on, and what became of what was overridden.

    ``resolution`` must be the one of this dialogue: the words of every preference with a span are
    looked up, and ``UserError`` is raised where others stand. ``strict`` takes out only what User
    Info asks for below the tier that won, and only where the rest is still read as before; what
    stays is told with its reason. To apply the resolution of the outcome changes nothing more.
    """
    _check_spans(dialogue, resolution)
    highest = resolution.tiers[0] if resolution.tiers else SYSTEM_INFO
    notes = tuple(_marks(dialogue, highest))
    if mode == "audit":
        return Applied(mode, dialogue, notes=notes)
    texts = {said.tier: said.text for said in dialogue.meta_prompt.tiers}
    removed: tuple[Preference, ...] = ()
    kept: tuple[Kept, ...] = ()
    if mode == "strict":
        texts[USER_INFO], removed, kept = _cleared(texts.get(USER_INFO, ""), resolution)
    line = settled_line(resolution)
    texts = {highest: texts.pop(highest, ""), **texts} if highest not in texts else texts
    texts[highest] = _without_lines(texts[highest], highest)
    texts = {tier: _ANY_MARK.sub(r"(\1)", text) for tier, text in texts.items()}
    texts[highest] = f"{texts[highest]}\n{line}" if texts[highest] else line
    tiers = tuple(TierText(tier, text) for tier, text in texts.items() if text)
    return Applied(mode, Dialogue(MetaPrompt(tiers), dialogue.turns), line, removed, kept, notes)


def settled_line(resolution: Resolution) -> str:
    """The line that states how the query is answered, and which priority of which tier decided.

    It holds names of the matrix alone, never a tier's words, and the rules read nothing in it. What
    lost is not named: without its words the line must stay the same.
    """
    line = f"{_SAID}behaviour = {resolution.behaviour}"
    for decision in resolution.decisions:
        if decision.dimension == PRIORITY and decision.applies:
            line += f"; priority = {_name(decision.value)} ({_name(decision.tier)})"
    return line


def _name(name: str) -> str:
    return re.sub(r"[^\w-]+", "_", name)


def _check_spans(dialogue: Dialogue, resolution: Resolution) -> None:
    for decision in resolution.decisions:
        for preference in (*decision.asked, *decision.overridden):
            if preference.span is None:
                continue
            where, text = preference.tier, dialogue.meta_prompt.text(preference.tier)
            if preference.turn is not None:
                where = f"turn {preference.turn}"
                known = preference.turn in range(len(dialogue.turns))
                text = dialogue.turns[preference.turn].text if known else ""
            start, end = preference.span
            if not 0 <= start <= end <= len(text) or text[start:end] != preference.wording:
                raise UserError(
                    f"{where} does not say {preference.wording!r} at {start} to {end}: apply a "
                    "resolution to the dialogue that it was made of"
                )


def _marks(dialogue: Dialogue, highest: str) -> Iterator[str]:
    """A note for every text that holds the mark; in the highest tier a whole line may stand."""
    for said in dialogue.meta_prompt.tiers:
        own = said.tier == highest
        if _ANY_MARK.search(_without_lines(said.text, said.tier) if own else said.text):
            yield f"{said.tier} holds the mark {MARK}, which only metaalign may write"
    for number, turn in enumerate(dialogue.turns):
        if _ANY_MARK.search(turn.text):
            yield f"turn {number} holds the mark {MARK}; the talk is left as it is"


def _without_lines(text: str, tier: str) -> str:
    """``text`` without the lines that an earlier call has added, if they say nothing else."""
    rest = _LINES.sub("", text)
    return rest if _reading(rest, tier) == _reading(text, tier) else text


def _cleared(
    text: str, resolution: Resolution
) -> tuple[str, tuple[Preference, ...], tuple[Kept, ...]]:
    """The text of User Info without what was overridden from above; what went, and what stayed."""
    kept: list[Kept] = []
    words: list[tuple[Span, Preference]] = []
    for decision in resolution.decisions:
        for preference in decision.overridden:
            reason = _must_stay(preference, decision, resolution)
            if preference.span is None or reason is not None:
                kept.append(Kept(preference, reason or "nobody says where its words stand"))
            else:
                words.append((preference.span, preference))
    groups = _apart(words)
    needed = {span: _holds_there(span, resolution) for span, _ in groups}
    rest, gone = _without_most(text, [span for span, why in needed.items() if why is None])
    removed: list[Preference] = []
    for span, preferences in groups:
        if span in gone:
            removed += preferences
        else:
            why = needed[span] or (
                "without its words the rest would be read in another way"
                if len(groups) <= MOST_TRIED
                else "so many are overridden here that none was tried alone"
            )
            kept += [Kept(preference, why) for preference in preferences]
    return rest, tuple(removed), tuple(kept)


def _without_most(text: str, spans: list[Span]) -> tuple[str, list[Span]]:
    """``text`` without as many of ``spans`` as can go, and which these are.

    Mostly all of them can. Else they are tried one by one, and one that has to stay at first may go
    once another has gone. Every try reads the text anew, so of very many none is tried alone.
    """
    if not spans:
        return text, []
    whole = _taken_out(text, spans)
    if whole is not None:
        return whole, spans
    if len(spans) > MOST_TRIED:
        return text, []
    rest, gone, before = text, list[Span](), -1
    while before < len(gone):
        before = len(gone)
        for span in spans:
            found = None if span in gone else _taken_out(text, sorted([*gone, span]))
            if found is not None:
                rest, gone = found, sorted([*gone, span])
    return rest, gone


def _must_stay(preference: Preference, decision: Decision, resolution: Resolution) -> str | None:
    """Why ``preference`` is not to be taken out, whatever its words are."""
    if preference.turn is not None:
        return "it was said in the talk, which is left as it is"
    if preference.tier != USER_INFO:
        return "only User Info is cleared"
    if preference.tier == decision.tier:
        return "the same tier asked for both"
    order = resolution.tiers
    if USER_INFO not in order or order.index(USER_INFO) <= order.index(decision.tier):
        return "the tier that won is not above it"
    if BOTH_SIDES in decision.rule.split("/"):
        return "the cell that decided allows for it"
    return None


def _apart(words: list[tuple[Span, Preference]]) -> list[tuple[Span, list[Preference]]]:
    """The spans in order, those that overlap put together."""
    groups: list[tuple[Span, list[Preference]]] = []
    for (start, end), preference in sorted(words, key=lambda each: each[0]):
        if groups and start < groups[-1][0][1]:
            (first, last), others = groups[-1]
            groups[-1] = (first, max(last, end)), [*others, preference]
        else:
            groups.append(((start, end), [preference]))
    return groups


def _holds_there(span: Span, resolution: Resolution) -> str | None:
    """Why the words at ``span`` are still needed: they ask for something that holds."""
    for decision in resolution.decisions:
        for preference in decision.asked:
            if preference.tier != USER_INFO or preference.turn is not None:
                continue
            if preference.span and preference.span[0] < span[1] and span[0] < preference.span[1]:
                return f"its words also ask for {decision.dimension} = {decision.value}"
    return None


def _taken_out(text: str, gone: list[Span]) -> str | None:
    """``text`` without the spans, if the rules read in the rest what they read there before."""
    wanted = _reading(text, USER_INFO, gone)
    return next((t for t in without(text, gone) if _reading(t, USER_INFO) == wanted), None)


def _reading(text: str, tier: str, gone: list[Span] | None = None) -> list[tuple[str, str]]:
    """What the rules find in ``text``, apart from what stands in ``gone``."""
    found = read_text(text, tier)
    items = [(p.span, p.dimension, p.value) for p in found.preferences]
    items += [(a.span, a.dimension, a.reason) for a in found.ambiguous]
    return [
        (dimension, what)
        for span, dimension, what in items
        if not any(span and start <= span[0] and span[1] <= end for start, end in gone or ())
    ]
