"""The texts of a group, and where each stands."""

from collections.abc import Iterator

from metaalign.schema import Group


def folded(text: str) -> str:
    """``text`` without case and repeated space: what counts as the same text.

    Punctuation stays: two pieces of code, or two emoticons, may differ in nothing else.
    """
    return " ".join(text.casefold().split())


def talk(group: Group) -> str:
    """All that was said, one turn a line."""
    return "\n".join(turn.text for turn in group.turns)


def query(group: Group) -> str:
    """What is asked: the last turn of the user."""
    return next((turn.text for turn in reversed(group.turns) if turn.role == "user"), "")


def preferences(group: Group) -> str:
    """What the views ask for, one wording a line, each once; the Meta-Prompts where none is known.

    In alphabetical order, as the order of views says nothing.
    """
    worded = {p.wording for view in group.views for p in view.preferences if p.wording}
    said = worded or {said.text for view in group.views for said in view.meta_prompt.tiers}
    return "\n".join(sorted(said))


def content(group: Group) -> str:
    """The talk and the candidates, as they come."""
    return "\n".join([talk(group), *(candidate.text for candidate in group.candidates)])


def places(group: Group) -> Iterator[tuple[str, str]]:
    """Every text of ``group`` with its place: ``turn 1``, ``candidate 2``, ``view 1``, from 1."""
    for number, turn in enumerate(group.turns, 1):
        yield f"turn {number}", turn.text
    for number, candidate in enumerate(group.candidates, 1):
        yield f"candidate {number}", candidate.text
    for number, view in enumerate(group.views, 1):
        for said in view.meta_prompt.tiers:
            yield f"view {number}", said.text
        for preference in view.preferences:
            yield f"view {number}", preference.wording
