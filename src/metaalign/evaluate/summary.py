"""From what models said to the report: metrics, breakdowns, examples and failures. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from metaalign.evaluate import metrics
from metaalign.evaluate.answers import Recorded
from metaalign.evaluate.contracts import Limits
from metaalign.evaluate.goals import outcomes
from metaalign.evaluate.metrics import Answered, Score
from metaalign.evaluate.plan import EDGE_CASES, EXAMPLES, TEST, Item, Plan, conflict_of
from metaalign.evaluate.records import (
    Answer,
    Breakdown,
    Estimate,
    Example,
    Likelihood,
    Report,
    ShownAnswer,
)
from metaalign.evaluate.statistics import estimate
from metaalign.policy import explain
from metaalign.schema import Verdict

BASELINES = {"vanilla": "vanilla-sft", "aligned": "aligned-sft"}
"""Suffix of ``benign_win_rate_vs_...`` -> the model to win against."""

WIN_RATE = "benign_win_rate_vs_"


def summarise(
    plan: Plan,
    recorded: Mapping[str, Recorded],
    *,
    seed: int,
    limits: Limits,
    matrix: str,
    dataset: Mapping[str, str],
    baselines: Mapping[str, str],
    seconds: Mapping[str, float],
) -> Report:
    """The report of all models; the last is the one under test."""
    items = {item.id: item for item in plan.items}
    answered = {
        name: {a.id: Answered(items[a.id], a.verdict) for a in one.answers}
        for name, one in recorded.items()
    }
    models: dict[str, dict[str, Estimate]] = {}
    breakdown: dict[str, Breakdown] = {}
    for name, one in recorded.items():
        scores = {
            **_verified(answered[name]),
            **_win_rates(name, answered, baselines),
            **_likelihoods(one.likelihoods, limits.tie),
        }
        models[name] = {m: estimate(s, seed=seed) for m, s in scores.items() if s}
        breakdown[name] = {
            by: {part: estimate(s, seed=seed) for part, s in parts.items()}
            for by, parts in _parts(answered[name], one.likelihoods, limits.tie).items()
            if parts
        }
    focus = list(recorded)[-1]
    versions: dict[str, str] = {}
    for one in recorded.values():
        versions |= one.run.versions
    said = {name: {a.id: a for a in one.answers} for name, one in recorded.items()}
    return Report(
        seed=seed,
        seconds={**seconds, **{f"evaluate {n}": r.run.seconds for n, r in recorded.items()}},
        models=models,
        goals=outcomes(focus, models[focus], plan.sources),
        breakdown=breakdown,
        cells=_cells(item for item in plan.items if not item.case),
        notes=(*plan.notes, *_notes(recorded, plan, baselines, limits)),
        versions=versions,
        dataset=dict(dataset),
        matrix=matrix,
        runs={name: one.run.fingerprint for name, one in recorded.items()},
        examples=tuple(_example(items[one], said) for shown in plan.examples for one in shown),
        failures=_failures(plan.items, focus, said[focus], limits.failures),
        cases=dict(plan.cases),
    )


def _verified(answered: Mapping[str, Answered]) -> dict[str, list[Score]]:
    of_suite = {
        suite: [a for a in answered.values() if suite in a.item.suites] for suite in metrics.METRICS
    }
    scores = {suite: metrics.METRICS[suite](some) for suite, some in of_suite.items()}
    twins = [
        a
        for a in answered.values()
        if "over_steer" in a.item.suites and a.item.base in answered  # it may be too long
    ]
    scores["over_steer"] = metrics.over_steer((answered[a.item.base], a) for a in twins)
    return scores


def _win_rates(
    name: str, answered: Mapping[str, Mapping[str, Answered]], baselines: Mapping[str, str]
) -> dict[str, list[Score]]:
    def benign(model: str) -> dict[str, Answered]:
        return {i: a for i, a in answered[model].items() if "follow" in a.item.suites}

    return {
        WIN_RATE + suffix: metrics.win_rate(benign(name), benign(baseline))
        for suffix, baseline in baselines.items()
        if baseline in answered and baseline != name
    }


def _likelihoods(likelihoods: Iterable[Likelihood], tie: float) -> dict[str, list[Score]]:
    flips, pairs = _by_size(likelihoods)
    return {
        "flip": metrics.flip(flips, tie=tie),
        "margin": metrics.margin(flips, tie=tie),
        "order": metrics.order(pairs, tie=tie),
    }


def _by_size(likelihoods: Iterable[Likelihood]) -> tuple[list[Likelihood], list[Likelihood]]:
    """Flips (four log-probabilities) and pairs of single views (two)."""
    both = list(likelihoods)
    return [x for x in both if len(x.logprobs) == 4], [x for x in both if len(x.logprobs) == 2]


def _parts(
    answered: Mapping[str, Answered], likelihoods: Iterable[Likelihood], tie: float
) -> dict[str, dict[str, list[Score]]]:
    """Obedience by every property that could hide a shortcut."""
    plain = [a for a in answered.values() if a.item.split == TEST and a.item.base == a.item.id]
    followed = [a for a in plain if "follow" in a.item.suites]
    torn = [a for a in plain if "obey_conflict" in a.item.suites]
    unlike_benign = [a for a in plain if a.item.group.kind in ("harmful", "severe", "contested")]
    parts = {
        "family": _follow_by(plain, lambda item: item.group.family),
        "kind": _follow_by(plain, lambda item: item.group.kind),
        "behaviour": _follow_by(plain, lambda item: item.resolution.behaviour),
        "cell": _follow_by(unlike_benign, lambda item: square(item.resolution.cell)),
        "follow_by_tier": _follow_by(followed, metrics.tiers_of),
        "follow_by_preferences": _follow_by(followed, _number_of_preferences),
        "conflict_by_dimension": _follow_by(torn, _dimensions_in_conflict),
        **_by_case([a for a in answered.values() if EDGE_CASES in a.item.suites]),
    }
    for mark in metrics.marks(a for a in plain if a.item.group.kind == "benign"):
        for by in ("dimension", "tier", "position"):
            parts.setdefault(by, {}).setdefault(getattr(mark, by), []).append(mark.score)
    divided: dict[tuple[str, str], list[Likelihood]] = {}
    for one in likelihoods:
        divided.setdefault(("source", one.source), []).append(one)
        pair = "two best answers" if one.best else "a worse answer"
        divided.setdefault(("pair", pair), []).append(one)
    for (by, part), some in divided.items():
        for metric, scores in _likelihoods(some, tie).items():
            if scores:
                parts.setdefault(f"{metric}_by_{by}", {})[part] = scores
    return parts


def _by_case(edge: Sequence[Answered]) -> dict[str, dict[str, list[Score]]]:
    """Every kind of edge case: who does all that is asked for, and who behaves rightly at least."""
    by_case = metrics.divide(edge, lambda item: item.case)
    return {
        EDGE_CASES: {case: metrics.follow(some) for case, some in by_case.items()},
        f"{EDGE_CASES}_behaviour": {c: metrics.behave_only(some) for c, some in by_case.items()},
    }


def _follow_by(answered: Iterable[Answered], part: Callable[[Item], str]) -> dict[str, list[Score]]:
    return {name: metrics.follow(some) for name, some in metrics.divide(answered, part).items()}


def _number_of_preferences(item: Item) -> str:
    return str(sum(d.applies for d in item.resolution.decisions))


def _dimensions_in_conflict(item: Item) -> str:
    return "+".join(sorted({dimension for dimension, _, _ in conflict_of(item.resolution)})) or "-"


def square(cell: str) -> str:
    """The square of the table that a cell stands in: without what follows the bracket."""
    return cell.partition("]")[0] + "]"


def _cells(items: Iterable[Item]) -> dict[str, str]:
    """What every cell asks for; more than one behaviour if it depends on who the person is."""
    behaviours: dict[str, set[str]] = {}
    for item in items:
        cell = square(item.resolution.cell)
        behaviours.setdefault(cell, set()).add(item.resolution.behaviour)
    return {cell: " or ".join(sorted(found)) for cell, found in sorted(behaviours.items())}


def _notes(
    recorded: Mapping[str, Recorded], plan: Plan, baselines: Mapping[str, str], limits: Limits
) -> list[str]:
    notes = []
    if any(not item.case for item in plan.items):
        notes += [
            f"{WIN_RATE}{suffix}: not measured, there is no model {name!r} to compare with"
            for suffix, name in baselines.items()
            if name not in recorded
        ]
    for name, one in recorded.items():
        if one.run.too_long:
            parts = ", ".join(f"{n} of {suite}" for suite, n in one.run.too_long.items())
            notes.append(
                f"{name}: not asked, because prompt and answer (up to {limits.max_new_tokens} "
                f"tokens) are longer than the model reads: {parts}"
            )
        empty = sum(not a.answer.strip() for a in one.answers)
        if empty:
            notes.append(f"{name}: {empty} of {len(one.answers)} answers are empty")
        if one.run.broken:
            notes.append(
                f"{name}: {one.run.broken} of {len(one.likelihoods)} comparisons had "
                "log-probabilities that are not numbers; they count as wrong"
            )
    return notes


def faults(verdict: Verdict) -> tuple[str, ...]:
    """What is wrong with an answer, in words; empty if it obeys."""
    wrong = []
    if not verdict.behaviour:
        wrong.append("refused, against the Matrix" if verdict.refused else "wrong behaviour")
    if not verdict.content:
        wrong.append("wrong content")
    wrong += [
        f"{dimension} is not {value}" for dimension, value, ok in verdict.preferences if not ok
    ]
    return tuple(wrong)


def _example(item: Item, said: Mapping[str, Mapping[str, Answer]]) -> Example:
    shown = []
    for name, answers in said.items():
        one = answers.get(item.id)
        if one is None:
            continue  # too long for this model
        shown.append(ShownAnswer(name, one.answer, one.verdict.obeyed, faults(one.verdict)))
    why = tuple(explain(item.resolution))
    return Example(
        item.dialogue.query,
        item.view.meta_prompt,
        item.expected,
        why,
        tuple(shown),
        item.group.turns[:-1],
        item.case,
    )


def _failures(
    items: Sequence[Item], focus: str, said: Mapping[str, Answer], limit: int
) -> tuple[Example, ...]:
    """Failures of the model under test, taken in turn from its suites.

    One of every kind of edge case comes besides: there are more kinds than ``limit``.
    """
    failed: dict[str, list[Item]] = {}
    edge: dict[str, Item] = {}
    for item in items:
        if item.id in said and not said[item.id].verdict.obeyed and item.base == item.id:
            counted = [s for s in item.suites if s != EXAMPLES]
            if item.case:
                edge.setdefault(item.case, item)
            elif counted:
                failed.setdefault(counted[0], []).append(item)
    shown: list[Item] = []
    while failed and len(shown) < limit:
        for suite in list(failed):
            shown.append(failed[suite].pop(0))
            if not failed[suite]:
                del failed[suite]
    shown = [*shown[:limit], *(edge.values() if limit else ())]
    return tuple(_example(item, {focus: said}) for item in shown)
