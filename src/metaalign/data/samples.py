"""From groups to the paper's samples, and what a set of groups holds in numbers."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from metaalign.schema import Group, Sample

_NOT_A_WORD = re.compile(r"[\W_]+")


def samples_of(group: Group) -> Iterator[Sample]:
    """One sample for every view of ``group`` that puts one candidate before another.

    Chosen is the view's best candidate, the first listed of equals. Rejected is, of those that the
    view puts after it, the one that most other views put *before* it: the counterfactual, which
    only the Meta-Prompt can tell from the chosen one. Among equals it is the worst ranked, then
    the first listed; so a group without flips pairs its best with its worst.
    """
    pairs = [set(view.pairs()) for view in group.views]
    for index, view in enumerate(group.views):
        if not pairs[index]:
            continue  # write_dataset counts the views that order nothing
        rank = {i: r for i, r in enumerate(view.ranks) if r is not None}
        best = min(rank, key=lambda i: (rank[i], i))
        worse = [j for i, j in pairs[index] if i == best]

        def order(candidate: int) -> tuple[int, int, int]:
            flips = sum((candidate, best) in other for other in pairs)  # noqa: B023 (used at once)
            return flips, rank[candidate], -candidate  # noqa: B023

        yield Sample(
            group_id=group.id,
            view=index,
            source=group.source,
            family=group.family,
            kind=group.kind,
            meta_prompt=view.meta_prompt,
            turns=group.turns,
            chosen=group.candidates[best].text,
            rejected=group.candidates[max(worse, key=order)].text,
        )


def normalised(wording: str) -> str:
    """``wording`` without case, punctuation and repeated space: what counts as the same words."""
    return _NOT_A_WORD.sub(" ", wording.casefold()).strip()


class Census:
    """Counts what groups hold, one group at a time, without keeping the groups."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._preferences: set[tuple[str, str]] = set()
        self._wordings: set[str] = set()

    def add(self, group: Group, split: str = "") -> None:
        """Count ``group``, and under ``split`` if one is named."""
        orders = sum(bool(view.pairs()) for view in group.views)
        found = {
            "groups": 1,
            "samples": orders,
            "views": len(group.views),
            "views_that_order_nothing": len(group.views) - orders,
            "flips": len(group.flips()),
            f"family.{group.family}": orders,
            f"kind.{group.kind}": orders,
            f"source.{group.source}": orders,
        }
        if split:
            found |= {f"groups.{split}": 1, f"samples.{split}": orders}
        self._counts.update(found)
        for view in group.views:
            for preference in view.preferences:
                self._preferences.add((preference.dimension, preference.value))
                self._wordings.add(normalised(preference.wording))

    def counts(self) -> dict[str, int]:
        """Numbers by name; families, kinds and sources are counted in samples."""
        distinct = {
            "distinct_preferences": len(self._preferences),
            "distinct_wordings": len(self._wordings - {""}),
        }
        return dict(self._counts) | distinct


def distinct_preferences(groups: Iterable[Group]) -> dict[str, int]:
    """How many different preferences ``groups`` ask for.

    ``distinct_preferences`` counts pairs of dimension and value, ``distinct_wordings`` the
    different words that ask for them, after ``normalised``.
    """
    census = Census()
    for group in groups:
        census.add(group)
    return {name: n for name, n in census.counts().items() if name.startswith("distinct_")}
