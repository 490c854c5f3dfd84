"""The whole story in the sandbox: dataset, four models, report.

Models are trained side by side, one in each worker process with its share of the cores: for models
of this size that is nearly twice as fast as one after another on all cores.
"""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from metaalign import sandbox
from metaalign.data.manifest import read_manifest
from metaalign.schema import Event, Progress, UserError, silent

if TYPE_CHECKING:
    from metaalign.evaluate import Report

RECIPES = {
    "vanilla-sft": "vanilla-sft",
    "aligned-sft": "aligned-sft",
    "metaalign-sft": "one-stage",
    "metaalign-dpo": "two-stage",
}
"""Model -> recipe, in the order of the report; the last one is the model under test."""
LANES = 2
"""Models trained at a time."""


class Scale(Struct, frozen=True):
    """How much is done. Every model reads the same number of tokens in training."""

    samples: int
    every: int
    """2 takes every second query and person of the sandbox's world, 1 takes all."""
    tokens: int
    """Training tokens of each model, padding excluded."""
    dpo_tokens: int
    """Of these, what the two-stage model reads in its second stage."""
    paired_dialogues: int
    """Dialogues that pairs are made for: about what the second stage has time to read."""
    sampled_dialogues: int
    """Of these, the dialogues that the SFT model answers."""
    per_metric: int


SCALES = {
    "full": Scale(34_000, 2, 2_100_000, 100_000, 700, 400, 300),
    "test": Scale(600, 2, 30_000, 6_000, 40, 12, 12),
}


class _Job(Struct, frozen=True):
    """One model: what its worker needs to train and measure it."""

    name: str
    dataset: str
    models: str
    report: str
    seed: int
    threads: int
    scale: Scale


def quickstart(
    out: Path, *, seed: int = 0, scale: str = "full", progress: Progress = silent
) -> "Report":
    """Build the dataset, train and measure the four models, and write ``out/report``.

    What a former call with the same ``out`` and ``seed`` has finished is not done again.

    Args:
        out: gets ``dataset/``, ``models/`` and ``report/``.
        scale: ``full``, or ``test`` for a run of seconds whose models have learned nothing.

    Raises:
        UserError: a stage cannot go on; what was finished stays.
    """
    from metaalign.evaluate import Limits, assemble

    chosen = SCALES[scale]
    dataset, models, report = out / "dataset", out / "models", out / "report"
    started = time.monotonic()
    sandbox.build_sandbox(dataset, chosen.samples, seed, every=chosen.every, progress=progress)
    seconds = {"dataset": time.monotonic() - started}
    lanes = min(LANES, os.cpu_count() or 1)
    threads = max(1, (os.cpu_count() or 1) // lanes)
    jobs = [
        _Job(name, str(dataset), str(models), str(report), seed, threads, chosen)
        for name in reversed(RECIPES)  # the longest first
    ]
    seconds |= _side_by_side(jobs, lanes, progress)
    seconds["total"] = time.monotonic() - started
    return assemble(
        {name: models / name for name in RECIPES},
        dataset,
        report,
        seed=seed,
        irrelevant=sandbox.irrelevant_view,
        limits=Limits(per_metric=chosen.per_metric),
        seconds={stage: round(taken, 1) for stage, taken in seconds.items()},
        progress=progress,
    )


def _side_by_side(jobs: list[_Job], lanes: int, progress: Progress) -> dict[str, float]:
    """Train and measure every model, ``lanes`` at a time; seconds by stage and model."""
    from metaalign.terminal import from_processes

    context = multiprocessing.get_context("spawn")
    with from_processes(progress, context) as events:
        pool = ProcessPoolExecutor(lanes, context, initializer=_listen, initargs=(events,))
        try:
            futures = [pool.submit(_train_and_measure, job) for job in jobs]
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            return {stage: taken for future in done for stage, taken in _result(future).items()}
        except BaseException:
            _end_workers()
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _end_workers(patience: float = 20.0) -> None:
    """After an error or Ctrl-C the other models are given up once their checkpoints are written."""
    workers = multiprocessing.active_children()
    for worker in workers:
        worker.terminate()
    deadline = time.monotonic() + patience
    for worker in workers:
        worker.join(max(0.0, deadline - time.monotonic()))
        worker.kill()


def _result(future: "Future[dict[str, float] | str]") -> dict[str, float]:
    outcome = future.result()
    if isinstance(outcome, str):
        raise UserError(outcome)
    return outcome


_progress: Callable[[Event], None] = silent
"""Where this worker process sends its events."""


_working = False


def _listen(events: "multiprocessing.Queue[Event | None]") -> None:
    """Begin a worker: Ctrl-C is for the parent, which ends its workers by SIGTERM."""
    global _progress
    _progress = events.put
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)


def _stop(*_: object) -> None:
    if not _working:
        os._exit(130)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _train_and_measure(job: _Job) -> dict[str, float] | str:
    """Runs in a worker. An error for people comes back as its line: it may not survive pickling."""
    global _working
    _working = True
    try:
        return _work(job)
    except UserError as error:
        return str(error)
    except KeyboardInterrupt:
        os._exit(130)  # not back to the pool, which would hand out the next model
    finally:
        _working = False


def _work(job: _Job) -> dict[str, float]:
    import torch

    from metaalign.evaluate import Limits, evaluate_one
    from metaalign.generate import Engine
    from metaalign.train.stages import train

    torch.set_num_threads(job.threads)

    def progress(event: Event) -> None:
        _progress(msgspec.structs.replace(event, task=f"{job.name}: {event.task}"))

    dataset, folder = Path(job.dataset), Path(job.models) / job.name
    train(
        RECIPES[job.name],
        dataset,
        "scratch:tiny",
        folder,
        seed=job.seed,
        overrides=_budget(RECIPES[job.name], job.scale),
        answerer_factory=lambda path: Engine.load(path).answer,
        judge=sandbox.verify,
        fixed_answer=sandbox.aligned_answer,
        progress=progress,
    )
    started = time.monotonic()
    evaluate_one(
        job.name,
        folder,
        dataset,
        Path(job.report),
        seed=job.seed,
        irrelevant=sandbox.irrelevant_view,
        limits=Limits(per_metric=job.scale.per_metric),
        progress=progress,
    )
    return {
        f"train {job.name}": read_manifest(folder).seconds,
        f"measure {job.name}": time.monotonic() - started,
    }


def _budget(recipe: str, scale: Scale) -> Mapping[str, int | float]:
    """The recipe's keys that give every model the same number of training tokens."""
    if recipe != "two-stage":
        return {"sft.epochs": 0, "sft.max_tokens": scale.tokens}
    return {
        "sft.epochs": 0,
        "sft.max_tokens": scale.tokens - scale.dpo_tokens,
        "pairs.dialogues": scale.paired_dialogues,
        "pairs.sampled_dialogues": scale.sampled_dialogues,
        "dpo.epochs": 0,
        "dpo.max_tokens": scale.dpo_tokens,
    }
