"""The folder ``answers/``: what every model said, and whether it can be used again."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, TypeVar
from urllib.parse import quote

import msgspec

from metaalign.data.manifest import writing
from metaalign.evaluate.records import Answer, Likelihood, Run

FOLDER = "answers"

T = TypeVar("T")


class Recorded(NamedTuple):
    """All that is kept of one model."""

    run: Run
    answers: tuple[Answer, ...]
    likelihoods: tuple[Likelihood, ...]


def answers_path(out: Path, name: str) -> Path:
    """The answers of the model called ``name``, one JSON record a line."""
    return out / FOLDER / f"{quote(name, safe=' ')}.jsonl"


def record(
    out: Path, run: Run, answers: Iterable[Answer], likelihoods: Iterable[Likelihood]
) -> None:
    """Write the three files of one model; ``MODEL.run.json`` comes last and makes them valid."""
    answers_file = answers_path(out, run.name)
    with writing(answers_file):
        answers_file.parent.mkdir(parents=True, exist_ok=True)
        _run_file(answers_file).unlink(missing_ok=True)
        write_bytes(answers_file, _lines(answers))
        write_bytes(_likelihoods_file(answers_file), _lines(likelihoods))
        write_bytes(_run_file(answers_file), msgspec.json.encode(run) + b"\n")


def recall(out: Path, name: str, fingerprint: str) -> Recorded | None:
    """What was recorded of ``name``, or None if it is missing, incomplete or of another plan."""
    answers_file = answers_path(out, name)
    try:
        run = msgspec.json.decode(_run_file(answers_file).read_bytes(), type=Run)
        answers = tuple(_read(answers_file, Answer))
        likelihoods = tuple(_read(_likelihoods_file(answers_file), Likelihood))
    except (OSError, msgspec.MsgspecError):
        return None
    found = (run.fingerprint, run.answers, run.likelihoods)
    if found != (fingerprint, len(answers), len(likelihoods)):
        return None
    return Recorded(run, answers, likelihoods)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file in one step, so that a reader never sees half of it."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with writing(path):
        try:
            partial.write_bytes(data)
            os.replace(partial, path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def _likelihoods_file(answers_file: Path) -> Path:
    return answers_file.with_suffix(".likelihoods.jsonl")


def _run_file(answers_file: Path) -> Path:
    return answers_file.with_suffix(".run.json")


def _lines(records: Iterable[msgspec.Struct]) -> bytes:
    return b"".join(msgspec.json.encode(one) + b"\n" for one in records)


def _read(path: Path, kind: type[T]) -> list[T]:
    return [msgspec.json.decode(line, type=kind) for line in path.read_bytes().splitlines()]
