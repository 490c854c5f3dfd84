"""The same work on Ray Data: on this machine's cores, or on the cluster that RAY_ADDRESS names.

Paths travel, groups do not: every worker reads its part and writes what becomes of it, so the
staging must lie where all machines see it. A worker that dies costs the part it was at: Ray gives
it to another one.
"""

import logging
import os
import pickle
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from metaalign.data.building.passes import Job, Pass, run_part
from metaalign.schema import MissingExtra, UserError

_SECONDS = 10.0
"""How long a cluster may take to answer at all."""


class RayEngine:
    """See ``engines.Engine``."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray

    def run(self, work: Pass, jobs: Sequence[Job]) -> Iterator[int]:
        if not jobs:
            return
        packed = pickle.dumps(work)
        rows = [{"job": pickle.dumps(job)} for job in jobs]

        def do(batch: dict[str, Any]) -> dict[str, list[str]]:
            return {"error": [_do(packed, job) for job in batch["job"]]}

        data = self._ray.data.from_items(rows, override_num_blocks=len(rows))
        done = data.map_batches(do, batch_size=1)
        for number, row in enumerate(done.iter_rows(), 1):
            if row["error"]:
                raise UserError(row["error"])
            yield number


def _do(packed: bytes, job: bytes) -> str:
    """Runs in a worker. An error for people comes back as its line."""
    try:
        run_part(_unpacked(packed), pickle.loads(job))
    except UserError as error:
        return str(error)
    return ""


@lru_cache(maxsize=4)
def _unpacked(packed: bytes) -> Pass:
    """The same stages for all parts of a worker: what is costly in them is made once."""
    work: Pass = pickle.loads(packed)
    return work


@contextmanager
def ray_engine() -> Iterator[RayEngine]:
    """A running Ray is used and left running; one that is started here is ended."""
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtra("ray", "ray") from error
    _quiet(ray)
    started = not ray.is_initialized()
    if started:
        _start(ray)
    try:
        yield RayEngine(ray)
    finally:
        if started:
            ray.shutdown()


def _start(ray: Any) -> None:
    address = os.environ.get("RAY_ADDRESS", "")
    where = f"the cluster at RAY_ADDRESS={address}" if address else "Ray on this machine"
    # Ray takes RAY_ADDRESS by itself; only a Ray of one's own has a dashboard to leave out.
    own = {} if address else {"include_dashboard": False, "num_cpus": os.cpu_count()}
    try:
        _knock(address)
        ray.init(logging_level=logging.ERROR, log_to_driver=False, **own)
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"cannot reach {where} ({reason}); --engine local needs none") from error


def _knock(address: str) -> None:
    """``OSError`` if nobody listens at HOST:PORT: Ray itself would try for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), _SECONDS).close()


def _quiet(ray: Any) -> None:
    """Errors come as exceptions and progress from the build; Ray's own lines are for its makers."""
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
