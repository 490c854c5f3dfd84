"""The miniature world: teacher and verifiers without a network."""

from random import Random

from metaalign.sandbox.checking import verify
from metaalign.sandbox.dataset import SOURCE, WORLD, aligned_answer, build_sandbox
from metaalign.sandbox.drawing import with_aside
from metaalign.sandbox.groups import FULL_SIZE, build_groups
from metaalign.sandbox.world import load_world
from metaalign.schema import View

__all__ = [
    "FULL_SIZE",
    "SOURCE",
    "WORLD",
    "aligned_answer",
    "build_groups",
    "build_sandbox",
    "irrelevant_view",
    "load_world",
    "verify",
]


def irrelevant_view(view: View, seed: int) -> View:
    """The view with one more sentence of User Info from which nothing follows."""
    return with_aside(view, load_world(), Random(f"{seed}/{view.meta_prompt}"))
