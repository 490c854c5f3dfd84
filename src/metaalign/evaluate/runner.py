"""Run models on the held-out dialogues, and make the report of all of them.

``evaluate`` does everything. ``evaluate_one`` (one model; may run in a process of its own) and
``assemble`` are its halves.
"""

import hashlib
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from metaalign.data import store
from metaalign.data.manifest import (
    FILE_NAME,
    Manifest,
    hash_folder,
    read_manifest,
    versions,
    write_manifest,
    writing,
)
from metaalign.data.manifest import fingerprint as manifest_fingerprint
from metaalign.evaluate.answers import Recorded, recall, record, write_bytes
from metaalign.evaluate.contracts import Irrelevant, Limits, Load, Model, Verifier
from metaalign.evaluate.plan import SPLITS, TEST, Item, Plan, build_plan
from metaalign.evaluate.records import Answer, Likelihood, Report, Run
from metaalign.evaluate.report import write_report
from metaalign.evaluate.summary import BASELINES, summarise
from metaalign.policy import PriorityMatrix, load_matrix
from metaalign.schema import (
    Dialogue,
    Event,
    Group,
    Progress,
    UserError,
    Verdict,
    View,
    silent,
)

SANDBOX = "sandbox"
SCORES_AT_ONCE = 256
"""Answers scored between two reports of progress."""

DEFAULT_LIMITS = Limits()


def evaluate(
    models: Mapping[str, str | Path],
    dataset: Path,
    out: Path,
    *,
    seed: int = 0,
    matrix: PriorityMatrix | None = None,
    verifier: Verifier | None = None,
    irrelevant: Irrelevant | None = None,
    limits: Limits = DEFAULT_LIMITS,
    load: Load | None = None,
    baselines: Mapping[str, str] = BASELINES,
    seconds: Mapping[str, float] | None = None,
    progress: Progress = silent,
) -> Report:
    """Measure every model on the held-out splits of ``dataset`` and write the report to ``out``.

    Models whose answers are already in ``out``, to the same questions, are not run again.

    Args:
        models: name -> model folder or hub name. The last one is the model under test.
        matrix: the Priority Matrix that decides what is expected; the packaged one by default.
        verifier: judges answers to all groups; by default the sandbox's judges its own groups,
            and other groups are compared by log-probabilities only.
        irrelevant: adds an irrelevant User Info to a view, for ``over_steer``.
        load: opens a model; ``generate.Engine.load`` by default.
        baselines: suffix of a win rate -> name of the model to win against.
        seconds: what earlier stages took, to stand in the report.
    """
    matrix = matrix or load_matrix()
    checks = _checks(matrix, verifier, irrelevant)
    plan = _plan(dataset, seed, matrix, limits, checks)
    for name, model in models.items():
        _run(name, model, plan, out, seed, limits, checks, load, progress)
    return _assemble(models, plan, dataset, out, seed, matrix, limits, baselines, seconds, progress)


def evaluate_one(
    name: str,
    model: str | Path,
    dataset: Path,
    out: Path,
    *,
    seed: int = 0,
    matrix: PriorityMatrix | None = None,
    verifier: Verifier | None = None,
    irrelevant: Irrelevant | None = None,
    limits: Limits = DEFAULT_LIMITS,
    load: Load | None = None,
    progress: Progress = silent,
) -> Run:
    """The first half of ``evaluate`` for one model: ask it everything and record what it says."""
    matrix = matrix or load_matrix()
    checks = _checks(matrix, verifier, irrelevant)
    plan = _plan(dataset, seed, matrix, limits, checks)
    return _run(name, model, plan, out, seed, limits, checks, load, progress)


def assemble(
    models: Mapping[str, str | Path],
    dataset: Path,
    out: Path,
    *,
    seed: int = 0,
    matrix: PriorityMatrix | None = None,
    verifier: Verifier | None = None,
    irrelevant: Irrelevant | None = None,
    limits: Limits = DEFAULT_LIMITS,
    baselines: Mapping[str, str] = BASELINES,
    seconds: Mapping[str, float] | None = None,
    progress: Progress = silent,
) -> Report:
    """The second half of ``evaluate``: the report from what ``evaluate_one`` recorded.

    Raises:
        UserError: the answers of a model are missing or belong to other questions.
    """
    matrix = matrix or load_matrix()
    plan = _plan(dataset, seed, matrix, limits, _checks(matrix, verifier, irrelevant))
    return _assemble(models, plan, dataset, out, seed, matrix, limits, baselines, seconds, progress)


class _Checks(NamedTuple):
    """Who judges, and which groups can be judged."""

    verify: Verifier
    irrelevant: Irrelevant | None
    source: str | None
    """The source whose groups can be judged; None if all can."""

    def verifiable(self, group: Group) -> bool:
        return self.source is None or group.source == self.source


def _checks(
    matrix: PriorityMatrix, verifier: Verifier | None, irrelevant: Irrelevant | None
) -> _Checks:
    if verifier is not None:
        return _Checks(verifier, irrelevant, None)
    from metaalign import sandbox

    def verify(group: Group, view: View, answer: str) -> Verdict:
        return sandbox.verify(group, view, answer, matrix)

    return _Checks(verify, irrelevant or sandbox.irrelevant_view, SANDBOX)


def _plan(
    dataset: Path, seed: int, matrix: PriorityMatrix, limits: Limits, checks: _Checks
) -> Plan:
    there = store.split_names(dataset)
    if TEST not in there:
        raise UserError(
            f"{dataset} has no split {TEST!r} (it has {', '.join(there) or 'none'}): "
            "evaluation needs held-out groups, build the dataset with metaalign data build"
        )
    splits = {split: store.read_groups(dataset, split) for split in SPLITS if split in there}
    return build_plan(
        splits,
        seed=seed,
        matrix=matrix,
        limits=limits,
        verifiable=checks.verifiable,
        irrelevant=checks.irrelevant,
    )


def _run(
    name: str,
    model: str | Path,
    plan: Plan,
    out: Path,
    seed: int,
    limits: Limits,
    checks: _Checks,
    load: Load | None,
    progress: Progress,
) -> Run:
    fingerprint = _fingerprint(model, plan, seed, limits)
    if (recorded := recall(out, name, fingerprint)) is not None:
        progress(Event(f"evaluate {name}", 1, 1, "model", "already done"))
        return recorded.run
    started = time.perf_counter()
    engine = (load or _load_engine)(model)
    answers = _answer(name, engine, plan.items, seed, limits, checks, progress)
    likelihoods, broken = _score(name, engine, plan, progress)
    run = Run(
        name,
        str(model),
        fingerprint,
        len(answers),
        len(likelihoods),
        round(time.perf_counter() - started, 3),
        broken,
        versions(),
    )
    record(out, run, answers, likelihoods)
    return run


def _load_engine(model: Path | str) -> Model:
    from metaalign.generate import Engine

    return Engine.load(model)


def _fingerprint(model: str | Path, plan: Plan, seed: int, limits: Limits) -> str:
    folder = Path(model)
    what = f"hub:{model}"
    if folder.is_dir():
        what = hash_folder(folder)
        # The manifest says what the model reads, and is left out of the folder's hash.
        if (folder / FILE_NAME).exists():
            what += read_manifest(folder).fingerprint
    parts = (what, plan.fingerprint(), seed, limits.max_new_tokens, versions()["metaalign"])
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:16]


def _answer(
    name: str,
    engine: Model,
    items: Sequence[Item],
    seed: int,
    limits: Limits,
    checks: _Checks,
    progress: Progress,
) -> list[Answer]:
    if not items:
        return []
    # Suites overlap and views can coincide: each distinct dialogue is asked once.
    dialogues = list(dict.fromkeys(item.dialogue for item in items))

    def relay(event: Event) -> None:
        progress(msgspec.structs.replace(event, task=f"answers of {name}"))

    said = engine.answer(dialogues, max_new_tokens=limits.max_new_tokens, seed=seed, progress=relay)
    if len(said) != len(dialogues) or not all(said):
        raise UserError(
            f"{name} gave {len(said)} answers to {len(dialogues)} dialogues: "
            "every dialogue needs one, check the engine that loads it"
        )
    texts = {d: _clean(samples[0]) for d, samples in zip(dialogues, said, strict=True)}
    answers = []
    for item in items:
        text = texts[item.dialogue]
        verdict = checks.verify(item.group, item.view, text)
        answers.append(Answer(item.id, item.index, item.suites, item.dialogue, text, verdict))
    return answers


def _score(
    name: str, engine: Model, plan: Plan, progress: Progress
) -> tuple[list[Likelihood], int]:
    """The log-probabilities of every comparison, and how many were not numbers."""
    wanted = list(dict.fromkeys(s for c in plan.comparisons for s in c.scored()))
    scores: dict[tuple[Dialogue, str], float] = {}
    for start in range(0, len(wanted), SCORES_AT_ONCE):
        some = wanted[start : start + SCORES_AT_ONCE]
        values = engine.logprobs([d for d, _ in some], [text for _, text in some])
        scores.update(zip(some, values, strict=True))
        progress(Event(f"log-probabilities of {name}", len(scores), len(wanted), "answers"))
    likelihoods, broken = [], 0
    for c in plan.comparisons:
        values = [scores[s] for s in c.scored()]
        if not all(map(math.isfinite, values)):
            # JSON has no NaN. Equal numbers are a tie, and a tie is wrong.
            values = [0.0] * len(values)
            broken += 1
        likelihoods.append(Likelihood(c.id, c.group.source, c.cluster, tuple(values), c.best))
    return likelihoods, broken


def _clean(text: str) -> str:
    """The text without lone surrogates, which no file can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _assemble(
    models: Mapping[str, str | Path],
    plan: Plan,
    dataset: Path,
    out: Path,
    seed: int,
    matrix: PriorityMatrix,
    limits: Limits,
    baselines: Mapping[str, str],
    seconds: Mapping[str, float] | None,
    progress: Progress,
) -> Report:
    if not models:
        raise UserError("no model to evaluate: give at least one --model")
    progress(Event("report", 0, 2, "step"))
    recorded: dict[str, Recorded] = {}
    for name, model in models.items():
        found = recall(out, name, _fingerprint(model, plan, seed, limits))
        if found is None:
            raise UserError(
                f"{out} has no complete answers of {name} to these questions: evaluate it first"
            )
        recorded[name] = found
    report = summarise(
        plan,
        recorded,
        seed=seed,
        limits=limits,
        matrix=matrix.label,
        dataset=_dataset_facts(dataset),
        baselines=baselines,
        seconds=seconds or {},
    )
    progress(Event("report", 1, 2, "step"))
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    write_bytes(
        out / "report.json", msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"
    )
    write_report(report, out)
    settings = {"limits": msgspec.to_builtins(limits), "matrix": matrix.label}
    inputs = {"dataset": report.dataset.get("fingerprint", ""), **report.runs}
    write_manifest(
        out,
        Manifest(
            kind="report",
            fingerprint=manifest_fingerprint(settings, inputs, seed=seed),
            seed=seed,
            settings=settings,
            inputs=inputs,
            versions=report.versions,
            counts={
                "dialogues": len(plan.items),
                "comparisons": len(plan.comparisons),
            },
            notes=report.notes,
            seconds=sum(r.run.seconds for r in recorded.values()),
        ),
    )
    progress(Event("report", 2, 2, "step"))
    return report


def _dataset_facts(dataset: Path) -> dict[str, str]:
    manifest = read_manifest(dataset)
    counts = {name: str(n) for name, n in manifest.counts.items() if name.startswith("groups")}
    return {"name": dataset.name, "fingerprint": manifest.fingerprint, **counts}
