"""What evaluation asks of others: a model that answers, and a verifier that judges an answer."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from metaalign.schema import Dialogue, Group, Progress, UserError, Verdict, View, silent


class Model(Protocol):
    """A model under test. ``generate.Engine`` is one."""

    def answer(
        self,
        dialogues: Sequence[Dialogue],
        *,
        samples: int = 1,
        temperature: float = 0.0,
        max_new_tokens: int = 128,
        seed: int = 0,
        progress: Progress = silent,
    ) -> list[list[str]]:
        """``samples`` answers to every dialogue, in order; temperature 0 is greedy."""
        ...

    def logprobs(self, dialogues: Sequence[Dialogue], answers: Sequence[str]) -> list[float]:
        """The log-probability in nats, summed over tokens, of every answer to its dialogue."""
        ...


Verifier = Callable[[Group, View, str], Verdict]
"""Says what is right in one answer to the group's query under the view."""

Irrelevant = Callable[[View, int], View]
"""The same view with a User Info that has nothing to do with the answer, by seed."""

Load = Callable[[Path | str], Model]
"""Opens a model folder or a hub name."""


class Limits(Struct, frozen=True):
    """How much is asked."""

    per_metric: int = 300
    """Dialogues or pairs drawn for one metric, at most."""
    max_new_tokens: int = 128
    tie: float = 1e-3
    """Log-probabilities that differ by no more than this, in nats, are equal.

    The same tokens padded to another length give sums that differ by rounding; without this
    a model that never reads the Meta-Prompt would win half of the ``margin`` pairs by noise.
    """
    failures: int = 12
    """Failures shown in the report; the rest stays in the answers file."""
    cases: int | None = None
    """Edge cases asked, at most; None asks all that are there."""

    def __post_init__(self) -> None:
        counts = (self.per_metric, self.max_new_tokens, self.cases or 1)
        if min(counts) < 1 or self.cases == 0 or self.tie < 0 or self.failures < 0:
            raise UserError(
                f"limits {self}: per_metric, max_new_tokens and cases must be at least 1, "
                "tie and failures at least 0"
            )
