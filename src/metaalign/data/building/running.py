"""A build up to its last pass: every input staged, and every part taken through the stages."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from metaalign import __version__
from metaalign.data.building import staging
from metaalign.data.building.comparing import decide, marks_path
from metaalign.data.building.dropped import Tally
from metaalign.data.building.engines import Engine
from metaalign.data.building.index import BUCKET_GROUPS
from metaalign.data.building.inputs import Input
from metaalign.data.building.keys import KeySettings
from metaalign.data.building.passes import BATCH_GROUPS, Job, Pass
from metaalign.data.building.reading import read_input
from metaalign.data.manifest import fingerprint
from metaalign.data.recipe import Recipe
from metaalign.data.stages import Comparison, Stage, stage_name
from metaalign.policy.matrix_file import is_packaged
from metaalign.schema import Event, Progress

_Numbered = tuple[int, Stage]


class Sizes(Struct, frozen=True):
    """How much is done at a time. Nothing of the result depends on it."""

    part: int = staging.PART_GROUPS
    """Groups that a worker takes."""
    batch: int = BATCH_GROUPS
    """Groups that a stage is handed."""
    bucket: int = BUCKET_GROUPS
    """Groups that are put into order in memory."""


class Run:
    """What a build has staged: its parts, and what was left out on the way.

    What is staged is named by all that decided it, so that nothing else is ever taken for it.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        sizes: Sizes,
        progress: Progress,
        content: Sequence[str] = (),
    ) -> None:
        """``content`` has hashes of what the stages compare with."""
        self._recipe, self._folder, self._content = recipe, folder, content
        self._sizes, self._progress = sizes, progress
        self.parts: list[Path] = []
        self.beside: list[Path] = []
        """What the last pass wrote beside every part: the keys of the split."""
        self.tally = Tally(recipe.stages)
        self.skipped: Counter[str] = Counter()
        """Records that became no group, by source and reason."""
        self.costs: Counter[str] = Counter()
        """What the inputs took, such as calls of a teacher."""
        self.damaged: list[str] = []
        """Records that could not be read, with file and line; the first of every source."""
        self.keys = KeySettings(
            tuple(one for one in recipe.split.by if one != "given"),
            recipe.matrix if is_packaged(recipe.matrix) else str(Path(recipe.matrix).absolute()),
            talks=bool(recipe.split.near),
        )
        self._thresholds: list[int | None] = []
        self._groups = 0
        self._chain = [__version__, str(sizes.part)]

    def read(self, inputs: Sequence[Input]) -> None:
        """Stage every input."""
        for number, one in enumerate(inputs):
            name = self._name(str(number), self._recipe.order, one.fingerprint(self._recipe.seed))
            folder = self._folder / f"read-{name}"
            done = read_input(one, number, self._recipe, folder, self._sizes.part, self._progress)
            paths = staging.part_paths(folder)
            self.parts += paths
            self._thresholds += [done.threshold] * len(paths)
            self._groups += done.groups
            self.skipped.update({f"{one.name}: {why}": n for why, n in done.skipped.items()})
            self.damaged += done.damaged
            self.costs.update(done.costs)
            self._chain.append(name)

    def pass_all(self, engine: Engine) -> None:
        """Take the parts through all stages, from comparison to comparison."""
        marked_by: _Numbered | None = None
        marks: Path | None = None
        for stages, comparison in _passes(self._recipe.stages):
            work = Pass(
                stages,
                marked_by,
                comparison[1] if comparison else None,  # type: ignore[arg-type]  # it is one
                None if comparison else self.keys,
                self._recipe.seed,
                self._sizes.batch,
            )
            self._pass(engine, work, marks)
            if comparison:
                marks = self._folder / f"marks-{self._chain[-1]}"
                self._decide(*comparison, marks)
            marked_by = comparison
        self._thresholds = []

    def _pass(self, engine: Engine, work: Pass, marks: Path | None) -> None:
        decides = [stage_name(stage) + repr(stage) for _, stage in work.stages]
        decides += [*self._content, repr(work.marked_by), repr(work.signs or work.keys)]
        self._chain.append(self._name(*decides))
        folder = self._folder / f"pass-{self._chain[-1]}"
        jobs = [
            Job(
                before=str(part),
                after=str(staging.part_path(folder, number)),
                beside=str(folder / f"beside-{number:05d}.parquet"),
                marks=str(marks_path(marks, number)) if marks else "",
                threshold=self._thresholds[number] if self._thresholds else None,
            )
            for number, part in enumerate(self.parts)
        ]
        missing = [job for job in jobs if not job.done]
        task = (
            f"stages: {', '.join(stage_name(s) for _, s in work.stages)}"
            if work.stages
            else ("stages")
        )
        for done in engine.run(work, missing):
            self._progress(Event(task, len(jobs) - len(missing) + done, len(jobs), "part"))
        self._thresholds = []  # applied: the parts that follow hold nothing beyond them
        self.parts = [Path(job.after) for job in jobs]
        self.beside = [Path(job.beside) for job in jobs]
        self.tally.add_parts(self.parts)

    def _decide(self, number: int, stage: Stage, folder: Path) -> None:
        assert isinstance(stage, Comparison)
        self._progress(Event(f"compare: {stage_name(stage)}", 0, 1, "comparison"))
        decide(stage, self.beside, folder)
        self._progress(Event(f"compare: {stage_name(stage)}", 1, 1, "comparison"))

    def _name(self, *decides: str) -> str:
        return fingerprint({"before": self._chain, "decides": list(decides)})

    def counts(self) -> dict[str, int]:
        """Groups into and out of every stage, and what the inputs took; for a manifest."""
        counts, groups = {"groups_read": self._groups}, self._groups
        for number, stage in enumerate(self._recipe.stages):
            name = f"stage.{number}.{stage_name(stage)}"
            counts[f"{name}.in"] = groups
            groups -= self.tally.of_stage(number)
            counts[f"{name}.out"] = groups
        return counts | {f"teacher.{name}": n for name, n in self.costs.items()}


def _passes(
    stages: Sequence[Stage],
) -> Iterator[tuple[tuple[_Numbered, ...], _Numbered | None]]:
    """The filters and transforms of every pass, and the comparison that ends all but the last."""
    own: list[_Numbered] = []
    for number, stage in enumerate(stages):
        if isinstance(stage, Comparison):
            yield tuple(own), (number, stage)
            own = []
        else:
            own.append((number, stage))
    yield tuple(own), None
