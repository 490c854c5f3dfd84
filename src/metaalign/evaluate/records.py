"""The records of evaluation: what is kept of every answer, and what the report holds."""

from msgspec import Struct

from metaalign.schema import SCHEMA_VERSION, Dialogue, MetaPrompt, Turn, Verdict


class Answer(Struct, frozen=True):
    """One answer of one model, as it stands in ``answers/MODEL.jsonl``."""

    id: str
    """Name of the dialogue: ``SPLIT/GROUP/VIEW``, with ``/irrelevant`` for the steered twin."""
    view: int
    suites: tuple[str, ...]
    """What the answer is counted for."""
    dialogue: Dialogue
    answer: str
    verdict: Verdict


class Likelihood(Struct, frozen=True):
    """The log-probabilities behind one ``flip`` or ``order`` item."""

    id: str
    """``SPLIT/GROUP/VIEW,VIEW/CANDIDATE,CANDIDATE``; a single view for ``order``."""
    source: str
    cluster: str
    """The query: items of one query stand or fall together."""
    logprobs: tuple[float, ...]
    """In nats: logp(a|v), logp(b|v) and, for a flip, logp(a|w), logp(b|w). v puts a before b."""
    best: bool = False
    """Every one of the two answers is the best under a view; otherwise a worse one is compared."""


class Run(Struct, frozen=True):
    """What one model did, as it stands in ``answers/MODEL.run.json``; written last."""

    name: str
    model: str
    fingerprint: str
    """Hash of the model, the dialogues and the limits. Another hash means: run it again."""
    answers: int
    likelihoods: int
    seconds: float
    broken: int = 0
    """Items whose log-probabilities were not numbers; they count as wrong."""
    versions: dict[str, str] = {}
    too_long: dict[str, int] = {}
    """Suite, or ``flip`` or ``order`` -> how many of it were not asked, because prompt and answer
    are longer than the model reads."""


class Estimate(Struct, frozen=True):
    """A mean over ``n`` items with its 95 % interval."""

    value: float
    ci95: tuple[float, float]
    n: int


Breakdown = dict[str, dict[str, Estimate]]
"""How it divides (``kind``, ``cell``, ...) -> part -> estimate."""


class Goal(Struct, frozen=True):
    """A threshold that a model must reach on data of one source."""

    metric: str
    bound: float
    at_least: bool = True
    """False if the value must stay at or below the bound."""
    source: str = "sandbox"


class Outcome(Struct, frozen=True):
    """What became of one goal."""

    metric: str
    model: str
    bound: float
    at_least: bool
    value: float | None
    """None if it could not be measured; the notes say why."""
    met: bool | None


class ShownAnswer(Struct, frozen=True):
    """One model's answer to an example dialogue."""

    model: str
    text: str
    obeyed: bool
    faults: tuple[str, ...] = ()


class Example(Struct, frozen=True):
    """One dialogue with what was expected and what every model said."""

    query: str
    meta_prompt: MetaPrompt
    expected: str
    why: tuple[str, ...]
    """How the Priority Matrix came to it, in sentences."""
    answers: tuple[ShownAnswer, ...]
    earlier: tuple[Turn, ...] = ()
    """The turns before the query."""
    case: str = ""
    """Kind of edge case; empty for all others."""


class Report(Struct, frozen=True, kw_only=True):
    """All that ``report.json`` holds and ``report.html`` shows."""

    schema: int = SCHEMA_VERSION
    seed: int
    seconds: dict[str, float]
    models: dict[str, dict[str, Estimate]]
    goals: tuple[Outcome, ...] = ()
    """For the last model: the one under test."""
    breakdown: dict[str, Breakdown] = {}
    cells: dict[str, str] = {}
    """Cell of the Matrix -> the behaviour that it asks for."""
    notes: tuple[str, ...] = ()
    """What is missing or needs a word of care, with the reason."""
    versions: dict[str, str] = {}
    dataset: dict[str, str] = {}
    matrix: str = ""
    """Name, version and conflict rule of the Priority Matrix that decided."""
    runs: dict[str, str] = {}
    """Model -> fingerprint of its run."""
    examples: tuple[Example, ...] = ()
    failures: tuple[Example, ...] = ()
    cases: dict[str, str] = {}
    """Kind of edge case -> what it is, in a sentence."""

    @property
    def focus(self) -> str:
        """The model under test: the last one, the others being its baselines."""
        return list(self.models)[-1]
