"""Pairs for DPO: what the SFT model answers, against what the Meta-Prompt wants."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Literal, Protocol

import msgspec
from msgspec import Struct

from metaalign.data.manifest import writing
from metaalign.data.samples import samples_of
from metaalign.schema import (
    Dialogue,
    Event,
    Group,
    MetaPrompt,
    Progress,
    Sample,
    Turn,
    UserError,
    Verdict,
    View,
    silent,
)
from metaalign.train.recipe import Pairs

FILE_NAME = "pairs.jsonl"


class Answer(Protocol):
    """Samples answers of the SFT model; ``generate.Engine.answer`` is one."""

    def __call__(
        self,
        dialogues: Sequence[Dialogue],
        *,
        samples: int,
        temperature: float,
        max_new_tokens: int,
        seed: int,
        progress: Progress = silent,
    ) -> list[list[str]]:
        """``samples`` answers to every dialogue, in order."""
        ...


Judge = Callable[[Group, View, str], Verdict]
"""Says what is right in one answer to the group's query under the view; ``sandbox.verify``."""


class PairRow(Struct, frozen=True):
    """Two answers to one dialogue, the first preferred, and where they come from."""

    group_id: str
    view: int
    meta_prompt: MetaPrompt
    turns: tuple[Turn, ...]
    chosen: str
    rejected: str
    chosen_from: Literal["candidate", "sampled"]
    """The group's best candidate, or an answer of the SFT model that obeys."""
    rejected_from: Literal["sampled", "flip", "ranked"]
    """An answer of the SFT model that fails, a candidate that another view prefers to the chosen
    one, or else a worse candidate."""

    @property
    def dialogue(self) -> Dialogue:
        return Dialogue(self.meta_prompt, self.turns)


def make_pairs(
    groups: Sequence[Group],
    settings: Pairs,
    *,
    seed: int = 0,
    answer: Answer | None = None,
    judge: Judge | None = None,
    progress: Progress = silent,
) -> tuple[list[PairRow], dict[str, int]]:
    """Pairs for the views of ``groups`` that put one candidate before another.

    Chosen is the view's best candidate or, by ``settings.chosen``, a sampled answer that obeys.
    Rejected is a sampled answer that fails; where there is none, or by ``settings.flips`` as a
    second pair, the candidate that the view puts lower and that most other views prefer. Without
    ``answer`` and ``judge`` all pairs come from the candidates.

    Returns:
        The pairs, and how many there are of every case: ``pairs.sampled`` and so on,
        ``answers.obeyed`` and ``answers.failed``, and views ``skipped.unordered`` and
        ``skipped.not_drawn``.
    """
    counts: Counter[str] = Counter()
    views = [(group, sample) for group in groups for sample in samples_of(group)]
    counts["skipped.unordered"] = sum(len(group.views) for group in groups) - len(views)
    taken = _drawn(len(views), settings.dialogues, f"dialogues {seed}")
    counts["skipped.not_drawn"] = len(views) - len(taken)
    views = [views[i] for i in taken]
    obeying: dict[int, str] = {}
    failing: dict[int, str] = {}
    if answer is not None and judge is not None and settings.samples:
        drawn = _drawn(len(views), settings.sampled_dialogues, f"sampled {seed}")
        counts["dialogues.sampled"] = len(drawn)
        answers = answer(
            [views[i][1].dialogue for i in drawn],
            samples=settings.samples,
            temperature=settings.temperature,
            max_new_tokens=settings.max_new_tokens,
            seed=seed,
            progress=progress,
        )
        for done, (i, texts) in enumerate(zip(drawn, answers, strict=True), start=1):
            group, sample = views[i]
            for text in texts:
                obeyed = judge(group, group.views[sample.view], text).obeyed
                counts["answers.obeyed" if obeyed else "answers.failed"] += 1
                (obeying if obeyed else failing).setdefault(i, text)
            progress(Event("verify answers", done, len(drawn), "dialogues"))
    rows: list[PairRow] = []
    for i, (group, sample) in enumerate(views):
        rows += _of_view(group, sample, obeying.get(i), failing.get(i), settings)
    counts.update(f"pairs.{row.rejected_from}" for row in rows)
    counts.update(f"chosen.{row.chosen_from}" for row in rows)
    return rows, dict(sorted(counts.items()))


def _drawn(views: int, wanted: int, seed: str) -> list[int]:
    """``wanted`` numbers of views drawn by chance, in order; all if ``wanted`` is 0."""
    if not wanted or wanted >= views:
        return list(range(views))
    return sorted(Random(seed).sample(range(views), wanted))


def _of_view(
    group: Group, sample: Sample, obeying: str | None, failing: str | None, settings: Pairs
) -> list[PairRow]:
    flipped = any(
        group.candidates[a].text == sample.rejected and group.candidates[b].text == sample.chosen
        for view in group.views
        for a, b in view.pairs()
    )
    candidate = PairRow(
        group_id=sample.group_id,
        view=sample.view,
        meta_prompt=sample.meta_prompt,
        turns=sample.turns,
        chosen=sample.chosen,
        rejected=sample.rejected,
        chosen_from="candidate",
        rejected_from="flip" if flipped else "ranked",
    )
    if failing is None or failing == sample.chosen:  # a verifier may differ with a human order
        return [candidate]
    sampled = msgspec.structs.replace(candidate, rejected=failing, rejected_from="sampled")
    if settings.chosen == "sampled" and obeying is not None:
        sampled = msgspec.structs.replace(sampled, chosen=obeying, chosen_from="sampled")
    return [sampled, candidate] if settings.flips == "always" and flipped else [sampled]


def write_pairs(folder: Path, pairs: Iterable[PairRow]) -> None:
    """Write ``pairs.jsonl``, one pair a line."""
    encoder = msgspec.json.Encoder()
    path = folder / FILE_NAME
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.writelines(encoder.encode(pair) + b"\n" for pair in pairs)


def read_pairs(folder: Path) -> list[PairRow]:
    """Read what ``write_pairs`` wrote.

    Raises:
        UserError: the file is missing or damaged.
    """
    path = folder / FILE_NAME
    decoder = msgspec.json.Decoder(PairRow)
    rows = []
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    rows.append(decoder.decode(line))
                except msgspec.MsgspecError as error:
                    raise UserError(
                        f"{path}, line {number} is damaged ({error}): delete {folder} and run the "
                        "same command again"
                    ) from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    return rows
