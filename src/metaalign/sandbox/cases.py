"""Edge cases of the Priority Matrix, by system: ambiguous and contradictory specifications.

Every case is a dialogue about a query of the sandbox, so that the verifiers can judge any answer to
it. What is expected is what the Matrix gives for what was asked; nothing here knows its rules.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random

import msgspec
from msgspec import Struct

from metaalign.data.manifest import writing
from metaalign.policy import PriorityMatrix, explain, resolve
from metaalign.sandbox.case_kinds import KINDS, CaseKind, missing
from metaalign.sandbox.checking import check
from metaalign.sandbox.drafts import Draft
from metaalign.sandbox.world import Query, World, load_world
from metaalign.sandbox.writing import write_answer
from metaalign.schema import (
    SCHEMA_VERSION,
    Ambiguity,
    Candidate,
    Event,
    Family,
    Group,
    Kind,
    Preference,
    Progress,
    Resolution,
    UserError,
    Verdict,
    View,
    silent,
)

_EVERY = 2
"""Every second query and person of the world: those that the quickstart's dataset holds too."""
_FAMILIES: dict[Kind, Family] = {
    "harmful": "priority",
    "severe": "priority",
    "contested": "consensus",
}


class Case(Struct, frozen=True):
    """One edge case: what is said, and what the Matrix makes of it."""

    name: str
    """Name of the kind of case: ``changed-back``."""
    about: str
    """What the kind is, in one sentence."""
    group: Group
    """The query with one view; its one candidate is the teacher's answer."""
    ambiguous: tuple[Ambiguity, ...]
    """What is asked for in words that cannot be read for sure."""
    resolution: Resolution
    """What the Matrix gives for the view's preferences."""
    schema: int = SCHEMA_VERSION

    @property
    def view(self) -> View:
        return self.group.views[0]

    @property
    def preferences(self) -> tuple[Preference, ...]:
        """What is asked for, for sure: the truth, not what somebody read from the text."""
        return self.view.preferences

    @property
    def expected(self) -> str:
        """The teacher's answer; others can be as right."""
        return self.group.candidates[0].text


def kinds_for(matrix: PriorityMatrix) -> tuple[list[CaseKind], dict[str, str]]:
    """The kinds that a matrix has cases of, and why it has none of the others."""
    lacking = {kind.name: missing(kind, matrix) for kind in KINDS}
    fitting = [kind for kind in KINDS if not lacking[kind.name]]
    return fitting, {name: why for name, why in lacking.items() if why}


def build_cases(
    matrix: PriorityMatrix,
    per_kind: int = 20,
    seed: int = 0,
    *,
    kinds: Iterable[str] = (),
    progress: Progress = silent,
) -> list[Case]:
    """``per_kind`` cases of every kind that the matrix allows, or of ``kinds`` alone.

    A case depends on the seed, its kind and its number, not on which others are made.

    Raises:
        UserError: a kind is unknown or not possible with this matrix.
    """
    if per_kind < 1:
        raise UserError(f"{per_kind} cases of a kind: at least 1 is needed")
    chosen = _chosen(matrix, tuple(dict.fromkeys(kinds)))
    world = load_world().narrowed(_EVERY)
    cases: list[Case] = []
    for kind in chosen:
        for number in range(per_kind):
            cases.append(_case(kind, number, seed, world, matrix))
        progress(Event("write edge cases", len(cases), len(chosen) * per_kind, "cases"))
    return cases


def _chosen(matrix: PriorityMatrix, names: Sequence[str]) -> list[CaseKind]:
    fitting, lacking = kinds_for(matrix)
    if not names:
        return fitting
    known = {kind.name: kind for kind in fitting}
    for name in names:
        if name in lacking:
            raise UserError(f"there are no cases of {name}: {lacking[name]}")
        if name not in known:
            raise UserError(f"no kind of case is called {name!r}: use {', '.join(known)}")
    return [known[name] for name in names]


def _case(kind: CaseKind, number: int, seed: int, world: World, matrix: PriorityMatrix) -> Case:
    draft = Draft(number, Random(f"{seed}/{kind.name}/{number}"), world, matrix)
    kind.write(draft)

    def resolved(
        query: Query, asked: Sequence[Preference], unsure: Sequence[Ambiguity]
    ) -> Resolution:
        return resolve(asked, query.kind, matrix, ambiguous=unsure)

    said = draft.written(lambda query, *asked: write_answer(query, resolved(query, *asked), world))
    query = draft.query
    resolution = resolved(query, said.preferences, said.ambiguous)
    answer = write_answer(query, resolution, world)
    if not check(query, resolution, answer, world).obeyed:
        raise UserError(
            f"{kind.name}: the sandbox cannot write an answer that does all that {matrix.label} "
            f"asks for ({', '.join(f'{d.dimension} = {d.value}' for d in resolution.decisions)})"
        )
    group = Group(
        f"{kind.name}/{number}",
        "sandbox",
        _FAMILIES.get(query.kind, "helpful"),
        query.kind,
        said.turns,
        (Candidate(answer, "teacher"),),
        (View(said.meta_prompt, (0,), "matrix", said.preferences),),
        query.id,
    )
    return Case(kind.name, kind.about, group, said.ambiguous, resolution)


def verify_case(case: Case, answer: str) -> Verdict:
    """Verify an answer to a case; what the case leaves open is neither demanded nor forbidden."""
    return verify_resolved(case.group, case.resolution, answer)


def verify_resolved(group: Group, resolution: Resolution, answer: str) -> Verdict:
    """Verify an answer to a group's query under a resolution that is already there."""
    world = load_world()
    return check(world.query(group.kind, group.query_id), resolution, answer, world)


def describe(case: Case) -> list[str]:
    """What is said in a case and what comes of it, in lines for people."""
    said = [(tier.tier, tier.text) for tier in case.view.meta_prompt.tiers]
    said += [(turn.role, turn.text) for turn in case.group.turns]
    return [
        f"{case.name}: {case.about}",
        *(f"  {who}: {' / '.join(text.splitlines())}" for who, text in said),
        *(f"  -> {sentence}" for sentence in explain(case.resolution)),
        f"  such as: {' / '.join(case.expected.splitlines())}",
    ]


def write_cases(cases: Iterable[Case], path: Path) -> None:
    """Write cases as JSON lines, one case a line."""
    with writing(path):
        path.write_bytes(b"".join(msgspec.json.encode(case) + b"\n" for case in cases))


def read_cases(path: Path) -> list[Case]:
    """Read the file that ``write_cases`` wrote.

    Raises:
        UserError: the file is missing, empty, or a line of it is no case of this sandbox.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    cases = [_read(line, f"{path}, line {number}") for number, line in enumerate(lines, 1)]
    if not cases:
        raise UserError(f"{path} holds no cases: make some with metaalign matrix cases --out")
    names = [case.group.id for case in cases]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UserError(f"{path} holds the case {twice} twice: make it again")
    return cases


def _read(line: bytes, where: str) -> Case:
    try:
        case = msgspec.json.decode(line, type=Case)
    except msgspec.MsgspecError as error:
        raise UserError(f"{where} is no case: {error}") from error
    if case.schema > SCHEMA_VERSION:
        raise UserError(
            f"{where} has schema {case.schema}, this metaalign reads up to {SCHEMA_VERSION}: "
            "install a newer metaalign"
        )
    group = case.group
    if len(group.views) != 1 or len(group.candidates) != 1:
        raise UserError(f"{where}: a case has one view and one candidate")
    if group.query_id not in {q.id for q in load_world().queries.get(group.kind, ())}:
        raise UserError(
            f"{where}: the sandbox has no {group.kind} query {group.query_id!r}: "
            "make the cases again with this version"
        )
    return case
