"""Preferences, the Priority Matrix, and who wins."""

from metaalign.policy.explain import explain
from metaalign.policy.extraction import extract
from metaalign.policy.kinds import classify_query
from metaalign.policy.matrix import PriorityMatrix, load_matrix
from metaalign.policy.resolution import resolve, resolve_dialogue

__all__ = [
    "PriorityMatrix",
    "classify_query",
    "explain",
    "extract",
    "load_matrix",
    "resolve",
    "resolve_dialogue",
]
