"""Similarities by counting, to compare estimates with."""


def shingles(text: str, size: int = 5) -> set[str]:
    return {text[at : at + size] for at in range(max(1, len(text) - size + 1))}


def jaccard(some: str, other: str, size: int = 5) -> float:
    mine, theirs = shingles(some, size), shingles(other, size)
    return len(mine & theirs) / len(mine | theirs)
