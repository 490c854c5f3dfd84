"""Preferences, the Priority Matrix, and who wins."""

from metaalign.policy.explain import explain
from metaalign.policy.extraction import extract, read
from metaalign.policy.kinds import classify, classify_query
from metaalign.policy.matrix import PriorityMatrix, load_matrix
from metaalign.policy.resolution import Classifier, Reader, resolve, resolve_dialogue

__all__ = [
    "Classifier",
    "PriorityMatrix",
    "Reader",
    "classify",
    "classify_query",
    "explain",
    "extract",
    "load_matrix",
    "read",
    "resolve",
    "resolve_dialogue",
]
