"""Where the passes of a build run: in this process, or on Ray, here or on a cluster.

An engine is handed a pass and the parts that it has to go through. What a part becomes does not
depend on the engine, on the order of the parts, or on how often one was begun.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Literal, Protocol, get_args

from metaalign.data.building.passes import Job, Pass
from metaalign.schema import UserError

EngineName = Literal["local", "ray"]


class Engine(Protocol):
    """Does the jobs of a pass."""

    def run(self, work: Pass, jobs: Sequence[Job]) -> Iterator[int]:
        """Do all ``jobs``; yields how many are done, whenever one more is."""
        ...


def open_engine(name: str) -> AbstractContextManager[Engine]:
    """The engine ``name``; leaving the context ends what it has started.

    Raises ``UserError`` for an unknown name, and ``MissingExtra`` if Ray is not installed.
    """
    if name not in get_args(EngineName):
        raise UserError(f"no engine is called {name!r}: use {' or '.join(get_args(EngineName))}")
    return _openers()[name]()


def _openers() -> dict[str, Callable[[], AbstractContextManager[Engine]]]:
    from metaalign.data.building.engines.local import local_engine
    from metaalign.data.building.engines.ray import ray_engine

    return {"local": local_engine, "ray": ray_engine}
