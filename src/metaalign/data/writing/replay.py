"""What a teacher has said already, from its journal: for runs that may cost nothing."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

from metaalign.data.teacher.counting import estimated_in
from metaalign.data.teacher.dry import Planned
from metaalign.data.teacher.journal import Journal, Kept
from metaalign.data.teacher.requests import Outcome, ReplyError, Request
from metaalign.data.teacher.settings import Settings
from metaalign.data.writing.tasks import Asked

T = TypeVar("T")


class Replay:
    """The replies of one model that a journal holds; of no journal, none."""

    def __init__(self, journal: Journal | None, model: str) -> None:
        self._journal = journal
        self._model = model

    def outcome(self, asked: Asked[T]) -> Outcome[T] | None:
        """What became of a question; None if it is still to be asked."""
        kept = self._kept(asked.request)
        if kept is None:
            return None
        value = self._value(asked, kept)
        return Outcome(asked.request, "", "malformed" if value is None else "answered", value)

    def _value(self, asked: Asked[T], kept: Kept, repairs: int = 1) -> T | None:
        """What the teacher made of a reply, perhaps by its repair."""
        if kept.status != "answered":
            return None
        try:
            return asked.check(kept.text)
        except ReplyError as error:
            repair = self._kept(asked.request.repaired(kept.text, error)) if repairs else None
        return None if repair is None else self._value(asked, repair, repairs - 1)

    def _kept(self, request: Request) -> Kept | None:
        return None if self._journal is None else self._journal.get(request.key(self._model))


class GroupReplay:
    """Answers the questions about one group, by stand-ins where it must, and notes them all."""

    def __init__(self, replay: Replay) -> None:
        self.asked: list[Request | Planned] = []
        self._replay = replay
        self._guessed = False
        """Whether some answer was a stand-in: from then on nobody knows what is asked."""

    async def __call__(self, asked: Asked[T], /) -> Outcome[T]:
        request = asked.request
        known = self._replay.outcome(asked)
        if known is not None:
            self.asked.append(request)
            return known
        exact = request.task == "write" or not self._guessed
        planned = Planned(request.task, estimated_in(request), request.max_tokens)
        self.asked.append(request if exact else planned)
        self._guessed = True
        return Outcome(request, "", "answered", asked.stand_in)


@contextmanager
def replaying(settings: Settings) -> Iterator[Replay]:
    """The replies of the journal that ``settings`` name, which need not be there."""
    path = Path(settings.journal)
    if not path.exists():
        yield Replay(None, settings.model)
        return
    with closing(Journal(path)) as journal:
        yield Replay(journal, settings.model)
