"""Answers measured: suites, verifiers, statistics, and one report for all models.

The story reads in this order: ``plan`` draws what is asked, ``edge`` adds the edge cases,
``runner`` asks it with ``asking``, ``answers`` keeps what was said, ``metrics`` and ``statistics``
turn it into numbers, ``summary`` into a report, and ``report`` with ``charts`` shows it.
"""

from metaalign.evaluate.contracts import Irrelevant, Limits, Load, Model, Verifier
from metaalign.evaluate.records import Estimate, Report, Run
from metaalign.evaluate.report import edge_table, read_report, table, write_report
from metaalign.evaluate.runner import assemble, evaluate, evaluate_one

__all__ = [
    "Estimate",
    "Irrelevant",
    "Limits",
    "Load",
    "Model",
    "Report",
    "Run",
    "Verifier",
    "assemble",
    "edge_table",
    "evaluate",
    "evaluate_one",
    "read_report",
    "table",
    "write_report",
]
