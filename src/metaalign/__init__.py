"""metaalign: one model, every preference.

A provider says in System Info what its assistant is for; a person says in User Info who they are
and what they like; the model answers accordingly, with no retraining. The folders are the stages
that the data passes: policy, prompt, data, sandbox, train, generate, evaluate, serve.

This top level holds the records that travel between them; everything else is imported from its
folder: ``from metaalign.policy import load_matrix, resolve_dialogue``.
"""

from metaalign.schema import (
    Candidate,
    Decision,
    Dialogue,
    Event,
    Group,
    MetaPrompt,
    MissingExtra,
    Preference,
    Progress,
    Resolution,
    Sample,
    TierText,
    Turn,
    UserError,
    Verdict,
    View,
)

__version__ = "0.1.0"

__all__ = [
    "Candidate",
    "Decision",
    "Dialogue",
    "Event",
    "Group",
    "MetaPrompt",
    "MissingExtra",
    "Preference",
    "Progress",
    "Resolution",
    "Sample",
    "TierText",
    "Turn",
    "UserError",
    "Verdict",
    "View",
    "__version__",
]
