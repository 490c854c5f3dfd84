"""What the tests of the teacher share: requests, settings, and what counts calls."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from msgspec import Struct

from metaalign.data.teacher.forms import Form
from metaalign.data.teacher.journal import Journal
from metaalign.data.teacher.requests import Message, Outcome, Request
from metaalign.data.teacher.settings import Settings
from metaalign.data.teacher.teacher import Teacher


class Draft(Struct, frozen=True, forbid_unknown_fields=True):
    text: str
    score: int


DRAFT = Form(Draft)


def request(number: int | str, **more: Any) -> Request:
    """A request for a draft; ``schema=None`` for free words."""
    fields = {"schema": DRAFT.schema, "max_tokens": 500, **more}
    return Request("write", (Message("user", f"number {number}"),), **fields)


def settings(folder: Path, url: str | None, **more: Any) -> Settings:
    fields = {"model": "mock", "timeout": 10.0, "poll_seconds": 0.02, **more}
    return Settings(journal=str(folder / "journal.sqlite"), base_url=url, **fields)


def ask_all(given: Settings, requests: Iterable[Request], **more: Any) -> list[Outcome[Draft]]:
    """What one run makes of ``requests``."""
    with Teacher(given, **more) as teacher:
        return list(teacher.ask(requests, DRAFT.read))


def journal_of(given: Settings) -> Journal:
    return Journal(Path(given.journal))


def free(text: str) -> str:
    """The check of a reply in free words."""
    return text
