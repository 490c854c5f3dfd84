"""The Priority Matrix: what happens, for every pair of what the tiers ask and every kind of query.

A matrix is data (``matrices/default.toml``); ``load_matrix`` reads and checks it, and everything
that decides anywhere in metaalign asks the ``PriorityMatrix`` that comes out.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import msgspec

from metaalign.policy.matrix_file import is_packaged, packaged, read_matrix_file
from metaalign.policy.matrix_parts import (
    CONFLICT,
    PRIORITY,
    UNSTATED,
    BehaviourRule,
    Dimension,
    Rule,
    cell_name,
)
from metaalign.schema import Behaviour, Kind, UserError

__all__ = ["BOTH_SIDES", "PRIORITY", "Outcome", "PriorityMatrix", "load_matrix"]

BOTH_SIDES = "both-sides"
"""Ends the name of the rule where a cell does what neither side would have got on its own."""


class Outcome(NamedTuple):
    """What one cell comes to, its conflict settled."""

    cell: str
    """``harmful[safety, helpfulness]``; with ``/needs-background`` if the behaviour of the cell
    was not possible because nobody stated that dimension."""
    behaviour: Behaviour
    conflict: bool
    """True if the conflict rule had to settle the cell."""
    rule: str
    """The cell, with ``/system_first`` or the like if the conflict rule had to settle it, or with
    ``/both-sides`` if it does what neither side would have got on its own."""
    decider: Literal["higher", "lower"] | None
    """Which side's priority decided; None if neither has a say in this kind of query."""


@dataclass(frozen=True)
class PriorityMatrix:
    """The policy, decoded and checked. Treat the mappings as read-only."""

    name: str
    version: str
    rule: Rule
    """What settles the cells that say "conflict"."""
    tiers: tuple[str, ...]
    """Who speaks, the highest first."""
    talk: str | None
    """The tier to which the wishes in the turns of the talk belong; None if they count for nothing.
    """
    priorities: tuple[str, ...]
    caution: tuple[Behaviour, ...]
    """The behaviours, the most cautious first."""
    dimensions: Mapping[str, Dimension]
    """In the order of the decisions; ``priority`` is not among them and comes before them all."""
    behaviours: Mapping[Behaviour, BehaviourRule]
    tables: Mapping[Kind, Mapping[tuple[str, str], str]]
    """kind -> (higher, lower) -> a behaviour or "conflict"; "-" is a tier that puts nothing first.
    """
    floors: Mapping[Kind, Behaviour]
    """The behaviour below which no tier can bring a kind of query."""

    @cached_property
    def label(self) -> str:
        """Name, version and conflict rule: ``default@1.1.0/system_first``."""
        return f"{self.name}@{self.version}/{self.rule}"

    @cached_property
    def content_hash(self) -> str:
        """The sha256 of all that decides: of everything but the name and the version.

        Two matrices with equal hashes resolve everything alike.
        """
        ordered = [self.rule, self.tiers, self.talk, self.priorities, self.caution]
        content = [
            *ordered,
            list(self.dimensions.items()),  # their order is the order of the decisions
            sorted(self.behaviours.items()),
            sorted((kind, sorted(table.items())) for kind, table in self.tables.items()),
            sorted(self.floors.items()),
        ]
        return hashlib.sha256(msgspec.json.encode(content)).hexdigest()

    @property
    def counts(self) -> dict[str, int]:
        """How many tiers, kinds, cells, conflicts, floors and dimensions there are."""
        cells = [outcome for table in self.outcomes.values() for outcome in table.values()]
        return {
            "tier": len(self.tiers),
            "kind": len(self.tables),
            "cell": len(cells),
            "conflict": sum(outcome.conflict for outcome in cells),
            "floor": len(self.floors),
            "dimension": len(self.dimensions),
        }

    def outcome(self, kind: Kind, higher: str = UNSTATED, lower: str = UNSTATED) -> Outcome:
        """What happens to a query of ``kind`` if the tiers put ``higher`` and ``lower`` first.

        This is the cell alone: whether ``personal_view`` has the background that it needs is asked
        in ``resolve``, which turns to ``without_needs`` if it has not.
        """
        return self.outcomes[kind][higher, lower]

    @cached_property
    def outcomes(self) -> dict[Kind, dict[tuple[str, str], Outcome]]:
        """Every cell of every table, settled once, so that resolving only looks up."""
        return {
            kind: {pair: self._settle(kind, *pair) for pair in table}
            for kind, table in self.tables.items()
        }

    @cached_property
    def without_needs(self) -> dict[str, Outcome]:
        """By name of the cell: the outcome when its behaviour lacks what it needs."""
        found = {}
        for cells in self.outcomes.values():
            for outcome in cells.values():
                rule = self.behaviours[outcome.behaviour]
                if rule.needs is not None and rule.otherwise is not None:
                    note = f"/needs-{rule.needs}"
                    found[outcome.cell] = outcome._replace(
                        cell=outcome.cell + note,
                        rule=outcome.rule + note,
                        behaviour=rule.otherwise,
                    )
        return found

    @cached_property
    def voices(self) -> dict[Kind, frozenset[str]]:
        """The priorities that have a say in each kind: those the table tells apart from "-"."""
        return {
            kind: frozenset(
                priority
                for priority in self.priorities
                if any(
                    table[priority, other] != table[UNSTATED, other]
                    or table[other, priority] != table[other, UNSTATED]
                    for other in (UNSTATED, *self.priorities)
                )
            )
            for kind, table in self.tables.items()
        }

    @cached_property
    def tier_ranks(self) -> dict[str, int]:
        """tier -> its place, 0 the highest."""
        return {tier: rank for rank, tier in enumerate(self.tiers)}

    @cached_property
    def places(self) -> dict[str, int]:
        """dimension -> its place in the order of the decisions, the priority first."""
        return {name: place for place, name in enumerate((PRIORITY, *self.dimensions))}

    @cached_property
    def value_ranks(self) -> dict[str, dict[str, int] | None]:
        """dimension -> value -> its place in the declared list; None where any value is allowed."""
        ranks = {
            name: {value: rank for rank, value in enumerate(dimension.values)} or None
            for name, dimension in self.dimensions.items()
        }
        return {PRIORITY: {value: rank for rank, value in enumerate(self.priorities)}, **ranks}

    @cached_property
    def lifted(self) -> dict[Behaviour, dict[str, str]]:
        """behaviour -> dimension -> name of the rule by which it does not apply."""
        needed = {rule.needs for rule in self.behaviours.values() if rule.needs is not None}
        return {
            behaviour: {name: "not-asked" for name in needed if name != rule.needs}
            | dict.fromkeys(rule.lifts, LIFTED_BY[behaviour])
            for behaviour, rule in self.behaviours.items()
        }

    def _settle(self, kind: Kind, higher: str, lower: str) -> Outcome:
        """Settle one cell; a side on its own is what the table says when the other is silent."""
        table = self.tables[kind]
        written = table[higher, lower]
        alone = {"higher": table[higher, UNSTATED], "lower": table[UNSTATED, lower]}
        behaviour = written
        if written == CONFLICT:
            if self.rule == "safety_first":
                behaviour = next(b for b in self.caution if b in alone.values())
            else:
                behaviour = alone["higher" if self.rule == "system_first" else "lower"]
        sides: list[tuple[Literal["higher", "lower"], str]] = [("higher", higher), ("lower", lower)]
        speaking = [side for side, value in sides if value in self.voices[kind]]
        # A side decides if it would have got its way on its own.
        decider = next((side for side in speaking if alone[side] == behaviour), None)
        cell = cell_name(kind, higher, lower)
        conflict = written == CONFLICT
        rule = f"{cell}/{self.rule}" if conflict else cell
        if speaking and decider is None:
            rule += f"/{BOTH_SIDES}"
        return Outcome(
            cell=cell,
            behaviour=BEHAVIOURS[behaviour],
            conflict=conflict,
            rule=rule,
            decider=decider or (speaking[0] if speaking else None),
        )


BEHAVIOURS: dict[str, Behaviour] = {name: name for name in get_args(Behaviour)}

LIFTED_BY: dict[Behaviour, str] = {
    "answer": "lifted-by-answer",
    "refuse": "lifted-by-refusal",
    "consensus_view": "lifted-by-consensus-view",
    "personal_view": "lifted-by-personal-view",
}
"""Names of the rules by which a behaviour lifts a dimension."""


def load_matrix(source: str | Path = "default", rule: str | None = None) -> PriorityMatrix:
    """Read and check a Priority Matrix.

    ``source`` is the name of a matrix that comes with the package, or the path of a TOML file.
    ``rule`` settles the conflict cells in place of the file's own rule. Raises ``UserError`` that
    names every cell that is missing, doubled or unknown.
    """
    if isinstance(source, str) and is_packaged(source):
        return _load_packaged(source, rule)  # it does not change while the program runs
    return _load(Path(source), rule)


@cache
def _load_packaged(name: str, rule: str | None) -> PriorityMatrix:
    return _load(packaged(name), rule)


def _load(path: Path, rule: str | None) -> PriorityMatrix:
    file = read_matrix_file(path)
    chosen = file.rule
    if rule is not None:
        rules: dict[str, Rule] = {name: name for name in get_args(Rule)}
        if rule not in rules:
            raise UserError(f"no conflict rule is called {rule!r}: use {', '.join(rules)}")
        chosen = rules[rule]
    return PriorityMatrix(
        name=file.name,
        version=file.version,
        rule=chosen,
        tiers=file.tiers,
        talk=file.talk,
        priorities=file.priorities,
        caution=file.caution,
        dimensions=file.dimensions,
        behaviours=file.behaviours,
        tables=file.tables,
        floors=file.floors,
    )
