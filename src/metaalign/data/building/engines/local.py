"""Everything in this process, one part after the other."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from metaalign.data.building.passes import Job, Pass, run_part


class LocalEngine:
    """See ``engines.Engine``."""

    def run(self, work: Pass, jobs: Sequence[Job]) -> Iterator[int]:
        for done, job in enumerate(jobs, 1):
            run_part(work, job)
            yield done


@contextmanager
def local_engine() -> Iterator[LocalEngine]:
    yield LocalEngine()
