"""Ask a model everything in a plan: answers and log-probabilities.

What is longer than the model reads is left out and counted, whichever suite it belongs to.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from metaalign.evaluate.contracts import Limits, Model
from metaalign.evaluate.plan import Item, Plan
from metaalign.evaluate.records import Answer, Likelihood
from metaalign.schema import Dialogue, Event, Progress, UserError, Verdict

SCORES_AT_ONCE = 256
"""Answers scored between two reports of progress."""

T = TypeVar("T")
R = TypeVar("R")


class Said(NamedTuple):
    """What a model said to all of a plan."""

    answers: tuple[Answer, ...]
    likelihoods: tuple[Likelihood, ...]
    broken: int
    """Comparisons whose log-probabilities were not numbers."""
    too_long: dict[str, int]
    """Suite, or ``flip`` or ``order`` -> how many of it are longer than the model reads."""


def ask_everything(
    name: str,
    engine: Model,
    plan: Plan,
    verify: Callable[[Item, str], Verdict],
    *,
    seed: int,
    limits: Limits,
    progress: Progress,
) -> Said:
    """Ask all dialogues and score all comparisons of a plan."""
    too_long: Counter[str] = Counter()
    texts = _texts(name, engine, plan.items, seed, limits, progress)
    answers = []
    for item in plan.items:
        text = texts.get(item.dialogue)
        if text is None:
            too_long.update(item.suites)
        else:
            verdict = verify(item, text)
            answers.append(Answer(item.id, item.index, item.suites, item.dialogue, text, verdict))
    likelihoods, broken = _likelihoods(name, engine, plan, too_long, progress)
    return Said(tuple(answers), tuple(likelihoods), broken, dict(sorted(too_long.items())))


def _texts(
    name: str,
    engine: Model,
    items: Sequence[Item],
    seed: int,
    limits: Limits,
    progress: Progress,
) -> dict[Dialogue, str]:
    """The answer to every dialogue that the model can read; each distinct one is asked once."""

    def relay(event: Event) -> None:
        progress(msgspec.structs.replace(event, task=f"answers of {name}"))

    def answer(dialogues: Sequence[Dialogue]) -> list[str]:
        said = engine.answer(
            dialogues, max_new_tokens=limits.max_new_tokens, seed=seed, progress=relay
        )
        if len(said) != len(dialogues) or not all(said):
            raise UserError(
                f"{name} gave {len(said)} answers to {len(dialogues)} dialogues: "
                "every dialogue needs one, check the engine that loads it"
            )
        return [_clean(samples[0]) for samples in said]

    dialogues = list(dict.fromkeys(item.dialogue for item in items))
    return within(answer, dialogues, length=_length) if dialogues else {}


def _likelihoods(
    name: str, engine: Model, plan: Plan, too_long: Counter[str], progress: Progress
) -> tuple[list[Likelihood], int]:
    """The log-probabilities of every comparison, and how many were not numbers."""

    def score(pairs: Sequence[tuple[Dialogue, str]]) -> list[float]:
        return engine.logprobs([d for d, _ in pairs], [text for _, text in pairs])

    wanted = list(dict.fromkeys(s for c in plan.comparisons for s in c.scored()))
    scores: dict[tuple[Dialogue, str], float] = {}
    for start in range(0, len(wanted), SCORES_AT_ONCE):
        some = wanted[start : start + SCORES_AT_ONCE]
        scores |= within(score, some, length=lambda pair: _length(pair[0]) + len(pair[1]))
        done = min(start + SCORES_AT_ONCE, len(wanted))
        progress(Event(f"log-probabilities of {name}", done, len(wanted), "answers"))
    likelihoods, broken = [], 0
    for c in plan.comparisons:
        if not all(pair in scores for pair in c.scored()):
            too_long["flip" if len(c.views) == 2 else "order"] += 1
            continue
        values = [scores[s] for s in c.scored()]
        if not all(map(math.isfinite, values)):
            # JSON has no NaN. Equal numbers are a tie, and a tie is wrong.
            values = [0.0] * len(values)
            broken += 1
        likelihoods.append(Likelihood(c.id, c.group.source, c.cluster, tuple(values), c.best))
    return likelihoods, broken


def within(
    ask: Callable[[Sequence[T]], list[R]], things: Sequence[T], *, length: Callable[[T], int]
) -> dict[T, R]:
    """What ``ask`` gives for all things but those that are too long for the model.

    If everything fits, ``ask`` is called once, with the things in their order. Else they are
    halved, the long ones apart from the short ones, until only what does not fit is left.
    """
    try:
        return dict(zip(things, ask(things), strict=True))
    except UserError as error:
        if not _is_too_long(error):
            raise
    if len(things) == 1:
        return {}
    ordered = sorted(things, key=length)
    middle = len(ordered) // 2
    return within(ask, ordered[:middle], length=length) | within(
        ask, ordered[middle:], length=length
    )


def _is_too_long(error: UserError) -> bool:
    # Not at the top: it brings torch, which a report that is put together anew does not need.
    from metaalign.generate.engine import ContextOverflow

    return isinstance(error, ContextOverflow)


def _length(dialogue: Dialogue) -> int:
    """Characters of a dialogue: near enough to its tokens to tell the long from the short."""
    tiers = sum(len(said.text) for said in dialogue.meta_prompt.tiers)
    return tiers + sum(len(turn.text) for turn in dialogue.turns)


def _clean(text: str) -> str:
    """The text without lone surrogates, which no file can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")
