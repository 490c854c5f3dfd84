"""What tests ask of groups."""

from metaalign.schema import Group, View


def order_of(group: Group, view: View) -> list[str]:
    """The texts of the ranked candidates, the best first; of equals in the group's order."""
    ranked = [(rank, i) for i, rank in enumerate(view.ranks) if rank is not None]
    return [group.candidates[i].text for _, i in sorted(ranked)]


def best_by(group: Group, dimension: str) -> dict[str, str]:
    """What the views that ask for one value of ``dimension`` put first, by that value."""
    found = {}
    for view in group.views:
        values = {p.value for p in view.preferences if p.dimension == dimension}
        if len(values) == 1:
            found[values.pop()] = order_of(group, view)[0]
    return found
