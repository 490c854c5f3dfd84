"""Preferences, the Priority Matrix, and who wins."""

from metaalign.policy.applying import Applied, Kept, Mode, apply
from metaalign.policy.audit import audit
from metaalign.policy.diff import Difference, diff
from metaalign.policy.explain import explain
from metaalign.policy.extraction import extract, read
from metaalign.policy.kinds import classify, classify_query
from metaalign.policy.matrix import PriorityMatrix, load_matrix
from metaalign.policy.resolution import Classifier, Reader, resolve, resolve_dialogue

__all__ = [
    "Applied",
    "Classifier",
    "Difference",
    "Kept",
    "Mode",
    "PriorityMatrix",
    "Reader",
    "apply",
    "audit",
    "classify",
    "classify_query",
    "diff",
    "explain",
    "extract",
    "load_matrix",
    "read",
    "resolve",
    "resolve_dialogue",
]
