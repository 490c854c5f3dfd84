"""A small dataset from a teacher, as a program that can be killed: replies in, one file out."""

from pathlib import Path

import msgspec
from tests.data.teacher.asking import DRAFT, request

from metaalign.data.teacher.settings import Settings
from metaalign.data.teacher.teacher import Teacher


def run(settings: Settings, number: int, out: Path) -> None:
    """Ask ``number`` requests; ``out`` is there when all outcomes are in it."""
    unfinished = out.with_suffix(".part")
    with Teacher(settings) as teacher, unfinished.open("wb") as file:
        for outcome in teacher.ask(map(request, range(number)), DRAFT.read):
            said = (outcome.key, outcome.status, outcome.value, outcome.reason)
            file.write(msgspec.json.encode(said) + b"\n")
    unfinished.rename(out)
