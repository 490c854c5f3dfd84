"""Run models on the held-out dialogues, and make the report of all of them.

``evaluate`` does everything. ``evaluate_one`` (one model; may run in a process of its own) and
``assemble`` are its halves.
"""

import hashlib
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
from metaalign.evaluate.asking import ask_everything
from metaalign.evaluate.contracts import Irrelevant, Limits, Load, Model, Verifier
from metaalign.evaluate.edge import hash_of, matrices_of, with_cases
from metaalign.evaluate.plan import SPLITS, TEST, Item, Plan, build_plan
from metaalign.evaluate.records import Report, Run
from metaalign.evaluate.report import write_report
from metaalign.evaluate.summary import BASELINES, summarise
from metaalign.policy import PriorityMatrix, load_matrix
from metaalign.sandbox.cases import Case, verify_resolved
from metaalign.schema import (
    Event,
    Group,
    Progress,
    UserError,
    Verdict,
    View,
    silent,
)

SANDBOX = "sandbox"

DEFAULT_LIMITS = Limits()


def evaluate(
    models: Mapping[str, str | Path],
    dataset: Path | None,
    out: Path,
    *,
    cases: Sequence[Case] = (),
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

    Edge cases are asked besides; without a dataset they are all that is asked.

    Models whose answers are already in ``out``, to the same questions, are not run again.

    Args:
        models: name -> model folder or hub name. The last one is the model under test.
        cases: edge cases of the sandbox; what each expects was decided when it was made.
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
    plan = _plan(dataset, cases, seed, matrix, limits, checks)
    for name, model in models.items():
        _run(name, model, plan, out, seed, limits, checks, load, progress)
    facts = _facts(dataset, cases)
    label = matrix.label if dataset else ", ".join(matrices_of(cases))
    return _assemble(models, plan, facts, out, seed, label, limits, baselines, seconds, progress)


def evaluate_one(
    name: str,
    model: str | Path,
    dataset: Path | None,
    out: Path,
    *,
    cases: Sequence[Case] = (),
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
    plan = _plan(dataset, cases, seed, matrix, limits, checks)
    return _run(name, model, plan, out, seed, limits, checks, load, progress)


def assemble(
    models: Mapping[str, str | Path],
    dataset: Path | None,
    out: Path,
    *,
    cases: Sequence[Case] = (),
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
    plan = _plan(dataset, cases, seed, matrix, limits, _checks(matrix, verifier, irrelevant))
    facts = _facts(dataset, cases)
    label = matrix.label if dataset else ", ".join(matrices_of(cases))
    return _assemble(models, plan, facts, out, seed, label, limits, baselines, seconds, progress)


class _Checks(NamedTuple):
    """Who judges, and which groups can be judged."""

    verify: Verifier
    irrelevant: Irrelevant | None
    source: str | None
    """The source whose groups can be judged; None if all can."""

    def verdict(self, item: Item, answer: str) -> Verdict:
        if item.case:
            return verify_resolved(item.group, item.resolution, answer)
        return self.verify(item.group, item.view, answer)

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
    dataset: Path | None,
    cases: Sequence[Case],
    seed: int,
    matrix: PriorityMatrix,
    limits: Limits,
    checks: _Checks,
) -> Plan:
    if dataset is None:
        if not cases:
            raise UserError("there is nothing to ask: give a dataset, edge cases, or both")
        plan = Plan((), (), (), (), ())
    else:
        plan = _plan_of(dataset, seed, matrix, limits, checks)
        if others := [label for label in matrices_of(cases) if label != matrix.label]:
            note = f"edge_cases: what they expect is by {', '.join(others)}, not {matrix.label}"
            plan = msgspec.structs.replace(plan, notes=(*plan.notes, note))
    return with_cases(plan, cases, seed=seed, limit=limits.cases)


def _plan_of(
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
    said = ask_everything(
        name, engine, plan, checks.verdict, seed=seed, limits=limits, progress=progress
    )
    run = Run(
        name,
        str(model),
        fingerprint,
        len(said.answers),
        len(said.likelihoods),
        round(time.perf_counter() - started, 3),
        said.broken,
        versions(),
        said.too_long,
    )
    record(out, run, said.answers, said.likelihoods)
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


def _assemble(
    models: Mapping[str, str | Path],
    plan: Plan,
    dataset: Mapping[str, str],
    out: Path,
    seed: int,
    matrix: str,
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
        matrix=matrix,
        dataset=dataset,
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
    settings = {"limits": msgspec.to_builtins(limits), "matrix": matrix}
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


def _facts(dataset: Path | None, cases: Sequence[Case]) -> dict[str, str]:
    """What the report says of the data and the edge cases."""
    facts = {"name": "edge cases"}
    if dataset is not None:
        manifest = read_manifest(dataset)
        counts = {n: str(c) for n, c in manifest.counts.items() if n.startswith("groups")}
        facts = {"name": dataset.name, "fingerprint": manifest.fingerprint, **counts}
    if cases:
        facts |= {"edge cases": str(len(cases)), "edge cases' fingerprint": hash_of(cases)}
    return facts
