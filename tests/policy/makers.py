"""Preferences for the tests of who wins: by hand, and any set of them."""

from pathlib import Path
from typing import get_args

from hypothesis import strategies as st

from metaalign.policy import PriorityMatrix, load_matrix
from metaalign.policy.matrix_file import packaged_names
from metaalign.schema import SYSTEM_INFO, USER_INFO, Decision, Kind, Preference, Resolution

MATRIX = load_matrix()
RULE_NAMES = ("system_first", "safety_first", "user_first")
SHIPPED = [load_matrix(name, rule) for name in packaged_names() for rule in RULE_NAMES]
"""Every matrix that comes with the package, under every conflict rule."""
OPEN_VALUES = ["moss", "Moss", "lamp", "Ada"]

KINDS = st.sampled_from(get_args(Kind))
RULES = st.sampled_from(RULE_NAMES)


def system(dimension: str, value: str) -> Preference:
    return Preference(SYSTEM_INFO, dimension, value)


def user(dimension: str, value: str, turn: int | None = None) -> Preference:
    return Preference(USER_INFO, dimension, value, turn=turn)


def decision(resolution: Resolution, dimension: str) -> Decision:
    (found,) = [d for d in resolution.decisions if d.dimension == dimension]
    return found


def values(dimension: str) -> list[str]:
    if dimension == "priority":
        return list(MATRIX.priorities)
    return list(MATRIX.dimensions[dimension].values) or OPEN_VALUES


def preferences(
    tiers: tuple[str, ...] = MATRIX.tiers, talk: str | None = USER_INFO
) -> st.SearchStrategy[list[Preference]]:
    """Any set of preferences, with wordings, spans and turns as reading gives them."""
    pairs = [(d, v) for d in ("priority", *MATRIX.dimensions) for v in values(d)]
    one = st.builds(
        lambda tier, pair, wording, span, turn: Preference(
            tier, pair[0], pair[1], wording, True, span, turn if tier == talk else None
        ),
        st.sampled_from(tiers),
        st.sampled_from(pairs),
        st.sampled_from(["", "a", "b"]),
        st.sampled_from([None, (0, 1), (2, 5)]),
        st.sampled_from([None, 0, 2]),
    )
    return st.lists(one, max_size=12)


def in_matrix() -> st.SearchStrategy[tuple[PriorityMatrix, list[Preference]]]:
    """Any shipped matrix, and any set of preferences of its tiers."""
    return st.sampled_from(SHIPPED).flatmap(
        lambda matrix: preferences(matrix.tiers, matrix.talk).map(lambda asked: (matrix, asked))
    )


def neither_side(folder: Path) -> PriorityMatrix:
    """The default, but a contested query is refused if consensus stands against background."""
    stated = ("-", *MATRIX.priorities)
    cells = {**MATRIX.tables["contested"], ("consensus", "background"): "refuse"}
    rows = [["higher / lower", *stated]]
    rows += [[higher, *(cells[higher, lower] for lower in stated)] for higher in stated]
    path = folder / "neither.toml"
    head = 'extends = "default"\nname = "mine"\nversion = "1"\n[kinds.contested]\ntable = '
    path.write_text(head + str(rows), encoding="utf-8")
    return load_matrix(path)
