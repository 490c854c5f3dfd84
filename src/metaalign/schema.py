"""The typed records that cross a boundary.

Every record is frozen and checks itself when it is decoded (``msgspec``), so a wrong field in a
file is reported with its path instead of travelling on. Nothing here knows of torch or a network.
"""

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

SCHEMA_VERSION = 2
"""Version of every file that metaalign writes; a reader refuses a newer one."""

SYSTEM_INFO = "system_info"
USER_INFO = "user_info"

Family = Literal["priority", "helpful", "consensus", "opinion"]
Kind = Literal["benign", "sounds_harmful", "harmful", "severe", "contested", "unknown"]
"""What a query is; ``unknown`` where whoever was asked could not tell."""
Behaviour = Literal["answer", "refuse", "consensus_view", "personal_view"]


class UserError(Exception):
    """Something a person can put right: one line that says what, where and what to do."""


class MissingExtra(UserError):
    """An optional part of metaalign is not installed."""

    def __init__(self, extra: str, module: str) -> None:
        super().__init__(
            f"this needs {module}, which is not installed: pip install 'metaalign[{extra}]'"
        )


class Event(Struct, frozen=True):
    """How far a long piece of work has come. Picklable, so that workers can send it."""

    task: str
    """What is being done, in words; the key under which progress is shown."""
    done: int
    total: int
    unit: str = "it"
    note: str = ""
    """A short measurement to show beside the rate, such as a loss."""


Progress = Callable[[Event], None]
"""Whoever does long work calls this; whoever shows it decides how."""


def silent(_event: Event) -> None:
    """A ``Progress`` that shows nothing."""


class TierText(Struct, frozen=True):
    """What one tier says."""

    tier: str
    text: str


class MetaPrompt(Struct, frozen=True):
    """All that conditions the answer besides the talk: who speaks, highest tier first.

    A tier that says nothing is absent, so two equal Meta-Prompts compare equal.
    """

    tiers: tuple[TierText, ...] = ()

    def __post_init__(self) -> None:
        if not all(said.text for said in self.tiers):
            raise ValueError("a tier that says nothing must be absent")
        if len({said.tier for said in self.tiers}) < len(self.tiers):
            raise ValueError("a tier speaks twice")

    @classmethod
    def of(cls, system_info: str = "", user_info: str = "", **more: str) -> "MetaPrompt":
        """Build from plain texts; ``more`` holds further declared tiers in their order."""
        texts = {SYSTEM_INFO: system_info, **more, USER_INFO: user_info}
        return cls(tuple(TierText(tier, text) for tier, text in texts.items() if text))

    def text(self, tier: str) -> str:
        """The text of ``tier``, empty if it says nothing."""
        return next((t.text for t in self.tiers if t.tier == tier), "")

    @property
    def system_info(self) -> str:
        return self.text(SYSTEM_INFO)

    @property
    def user_info(self) -> str:
        return self.text(USER_INFO)


class Turn(Struct, frozen=True):
    """One turn of the talk."""

    role: Literal["user", "assistant"]
    text: str


class Dialogue(Struct, frozen=True):
    """A Meta-Prompt and its turns. If the last turn is the user's, it is the query."""

    meta_prompt: MetaPrompt
    turns: tuple[Turn, ...]

    @classmethod
    def ask(cls, query: str, system_info: str = "", user_info: str = "") -> "Dialogue":
        """A dialogue of one query."""
        return cls(MetaPrompt.of(system_info, user_info), (Turn("user", query),))

    @property
    def query(self) -> str:
        """The text of the last user turn, empty if nobody has asked anything."""
        return next((t.text for t in reversed(self.turns) if t.role == "user"), "")

    def answered(self, text: str) -> "Dialogue":
        """The dialogue with one more assistant turn."""
        return Dialogue(self.meta_prompt, (*self.turns, Turn("assistant", text)))


class Preference(Struct, frozen=True):
    """A dimension and a value, asked for by a tier, in somebody's words."""

    tier: str
    dimension: str
    value: str
    wording: str = ""
    """The words that asked for it."""
    explicit: bool = True
    """False if it only follows from who somebody is (a zookeeper asking about animal testing)."""
    span: tuple[int, int] | None = None
    """Where the wording stands in the text of the tier or the turn: [start, end) in characters."""
    turn: int | None = None
    """Index of the turn of the talk in which it was said; None if the Meta-Prompt says it."""


class Ambiguity(Struct, frozen=True):
    """Something that a tier asks for, which nobody could say for sure: told, never guessed."""

    tier: str
    dimension: str
    wording: str
    """The words that leave it open."""
    reason: str
    """Why it is open: ``conditional``, ``both ways``, ``hedged``, ..."""
    span: tuple[int, int] | None = None
    """As in ``Preference``."""
    turn: int | None = None


class Reading(Struct, frozen=True):
    """What somebody found in the texts of a dialogue: by rules, or by asking a model."""

    preferences: tuple[Preference, ...] = ()
    ambiguous: tuple[Ambiguity, ...] = ()


class Classified(Struct, frozen=True):
    """The kind of a query, and who or what decided: the name of a rule, of a classifier, ..."""

    kind: Kind
    by: str


class Decision(Struct, frozen=True):
    """What became of one dimension."""

    dimension: str
    value: str
    tier: str
    """The tier that won."""
    rule: str
    """Name of the Matrix's cell or rule that decided."""
    overridden: tuple[Preference, ...] = ()
    applies: bool = True
    """False if the behaviour lifts it: a refusal has no number of steps."""
    asked: tuple[Preference, ...] = ()
    """All that ask for this value, in whatever tier: the words for what holds."""


class Resolution(Struct, frozen=True):
    """The outcome of the Priority Matrix for one dialogue."""

    matrix: str
    """Name, version and conflict rule of the Matrix: ``default@1.1.0/system_first``."""
    kind: Kind
    behaviour: Behaviour
    """How the query is answered."""
    cell: str
    """The cell of the priority table that decided: ``harmful[safety, helpfulness]``."""
    conflict: bool = False
    """True if the cell is one of those that the conflict rule had to settle."""
    decisions: tuple[Decision, ...] = ()
    kind_by: str = "given"
    """Who or what decided the kind: a rule of the lexicon, a classifier's name, or ``given``."""
    ambiguous: tuple[Ambiguity, ...] = ()
    """What was asked for in words that could not be read for sure; none of it is in ``decisions``.
    """
    tiers: tuple[str, ...] = ()
    """Who could speak, the highest first."""
    matrix_hash: str = ""
    """The Matrix's ``content_hash``: its label says which it is, this that it was not changed."""

    def wanted(self, dimension: str) -> tuple[str, ...]:
        """The values that hold for ``dimension`` in the answer, in order."""
        return tuple(d.value for d in self.decisions if d.dimension == dimension and d.applies)


class Candidate(Struct, frozen=True):
    """One response to a group's query."""

    text: str
    source: str
    """Who wrote it: ``teacher``, ``human``, ``rule``, or a model's name."""


class Annotation(Struct, frozen=True):
    """How one annotator ordered a group's candidates under one view."""

    by: str
    """Who: ``human``, ``teacher``, ``rule``; where it is known which one, ``human:ID``,
    ``teacher:MODEL``."""
    ranks: tuple[int | None, ...]
    """As in ``View``."""


class View(Struct, frozen=True):
    """One Meta-Prompt and the order in which it puts the group's candidates."""

    meta_prompt: MetaPrompt
    ranks: tuple[int | None, ...]
    """Rank of every candidate, 0 the best; equal ranks tie; None where nobody ordered it."""
    ordered_by: str
    """Who ordered: ``human``, ``teacher``, ``matrix``, ``rule``; several joined by ``+``."""
    preferences: tuple[Preference, ...] = ()
    """What the Meta-Prompt asks for, as far as it is known."""
    annotations: tuple[Annotation, ...] = ()
    """Every single order that ``ranks`` was made from, where more than one is known."""

    def pairs(self) -> list[tuple[int, int]]:
        """All (better, worse) index pairs of candidates under this view."""
        ranked = [(r, i) for i, r in enumerate(self.ranks) if r is not None]
        return [(i, j) for r, i in ranked for q, j in ranked if r < q]


class Group(Struct, frozen=True):
    """The unit of data: one query, its candidates, and the views that order them."""

    id: str
    source: str
    """Name of the source the group came from: ``sandbox``, ``habermas``, ..."""
    family: Family
    kind: Kind
    turns: tuple[Turn, ...]
    """The talk so far; the last turn is the query."""
    candidates: tuple[Candidate, ...]
    views: tuple[View, ...]
    query_id: str = ""
    """The source's own name for the query."""
    split: str = ""
    """The split in which the source itself publishes the group, if it names one."""

    def dialogue(self, view: View) -> Dialogue:
        return Dialogue(view.meta_prompt, self.turns)

    def flips(self) -> list[tuple[int, int, int, int]]:
        """All flips as (view v, view w, candidate a, candidate b): v puts a before b, w b before a.

        Each flip is listed once, with v < w.
        """
        found = []
        for v, view in enumerate(self.views):
            mine = set(view.pairs())
            for w in range(v + 1, len(self.views)):
                theirs = set(self.views[w].pairs())
                found += [(v, w, a, b) for a, b in sorted(mine) if (b, a) in theirs]
        return found


class Sample(Struct, frozen=True):
    """The paper's unit, made from a group: Meta-Prompt, query, chosen, rejected."""

    group_id: str
    view: int
    source: str
    family: Family
    kind: Kind
    meta_prompt: MetaPrompt
    turns: tuple[Turn, ...]
    chosen: str
    rejected: str

    @property
    def dialogue(self) -> Dialogue:
        return Dialogue(self.meta_prompt, self.turns)


class Verdict(Struct, frozen=True):
    """What verifiers found in one answer."""

    content: bool
    """The answer says what is true of this query, all of it and nothing else."""
    behaviour: bool
    """It was answered, refused or argued as the Matrix says."""
    preferences: tuple[tuple[str, str, bool], ...] = ()
    """(dimension, value, satisfied) for every preference that the Matrix lets through."""
    refused: bool = False
    """The answer is a refusal, asked for or not."""

    @property
    def obeyed(self) -> bool:
        """Everything at once: content, behaviour and every preference."""
        return self.content and self.behaviour and all(ok for _, _, ok in self.preferences)

    @property
    def share(self) -> float:
        """Share of what was asked for that is there; content and behaviour count as one each."""
        marks = [self.content, self.behaviour, *(ok for _, _, ok in self.preferences)]
        return sum(marks) / len(marks)
