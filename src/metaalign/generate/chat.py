"""A talk with a model, line by line: what ``metaalign chat`` does, without the terminal."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from metaalign.policy import PriorityMatrix, explain, load_matrix, resolve_dialogue
from metaalign.schema import SYSTEM_INFO, USER_INFO, Dialogue, MetaPrompt, Turn, UserError

if TYPE_CHECKING:
    from metaalign.generate.engine import Engine

HELP = """\
/system TEXT   set System Info; without a text show it, with a single - clear it
/user TEXT     set User Info, likewise
/explain       say who wins what for your last query, and why
/new           forget the turns so far
/help          show this
/quit          end the talk
Anything else is a query."""

_CLEAR = "-"


class Conversation:
    """A Meta-Prompt and the turns so far. Feed it lines; it gives back text to show.

    Args:
        engine: answers the queries.
        matrix: what ``/explain`` goes by; the packaged one by default.
        temperature, top_p, max_new_tokens, seed: as for ``Engine.stream``. Where the context has no
            room for the whole talk, the oldest turns are left out, and the answer is told so; where
            it has none for ``max_new_tokens`` either, a shorter answer is asked for.
    """

    def __init__(
        self,
        engine: "Engine",
        meta_prompt: MetaPrompt | None = None,
        matrix: PriorityMatrix | None = None,
        *,
        temperature: float = 0.0,
        top_p: float = 1.0,
        max_new_tokens: int = 256,
        seed: int = 0,
    ) -> None:
        self.dialogue = Dialogue(meta_prompt or MetaPrompt(), ())
        self.over = False
        """True after ``/quit``."""
        self._engine = engine
        self._matrix = matrix
        self._temperature = temperature
        self._top_p = top_p
        self._max_new_tokens = max_new_tokens
        self._seed = seed

    def say(self, line: str) -> Iterator[str]:
        """What to show after ``line``, piece by piece: an answer, or the outcome of a command.

        What a person can put right is told in a line, and the talk stands as it was before. A query
        whose answer is not read to its end leaves no turn either.
        """
        try:
            yield from self._said(line.strip())
        except UserError as error:
            yield str(error)

    def _said(self, line: str) -> Iterator[str]:
        if not line:
            return
        if not line.startswith("/"):
            yield from self._answer(line)
            return
        command, _, text = line.partition(" ")
        text = text.strip()
        if command == "/system":
            yield self._tier("System Info", SYSTEM_INFO, text)
        elif command == "/user":
            yield self._tier("User Info", USER_INFO, text)
        elif text or command not in ("/explain", "/new", "/help", "/quit"):
            yield f"{line!r} is no command: /help shows them all"
        elif command == "/explain":
            yield "\n".join(self._explanation())
        elif command == "/new":
            self.dialogue = Dialogue(self.dialogue.meta_prompt, ())
            yield "The turns are forgotten; the Meta-Prompt stays."
        elif command == "/help":
            yield HELP
        else:
            self.over = True

    def _answer(self, query: str) -> Iterator[str]:
        asked = Dialogue(self.dialogue.meta_prompt, (*self.dialogue.turns, Turn("user", query)))
        fitted = self._engine.fit(asked, self._max_new_tokens)
        if fitted.dropped:
            turns = "turn" if len(fitted.dropped) == 1 else f"{len(fitted.dropped)} turns"
            yield f"(The oldest {turns} had to be left out: the model reads no more.)\n"
        pieces = []
        for piece in self._engine.stream(
            fitted.dialogue,
            temperature=self._temperature,
            top_p=self._top_p,
            max_new_tokens=self._room(len(fitted.encoded.ids)),
            seed=self._seed,
        ):
            if piece:
                pieces.append(piece)
                yield piece
        self.dialogue = asked.answered("".join(pieces))

    def _room(self, prompt: int) -> int:
        """How long the answer may be: what is wanted, or what is left of the context."""
        context = self._engine.context
        return (
            self._max_new_tokens if context is None else min(self._max_new_tokens, context - prompt)
        )

    def _tier(self, name: str, tier: str, text: str) -> str:
        """Show, clear or set what one tier says."""
        said = self.dialogue.meta_prompt
        if not text:
            return f"{name}: {said.text(tier)}" if said.text(tier) else f"{name} is empty."
        new = "" if text == _CLEAR else text
        texts = {one.tier: one.text for one in said.tiers} | {tier: new}
        self.dialogue = Dialogue(MetaPrompt.of(**texts), self.dialogue.turns)
        return f"{name} is set." if new else f"{name} is empty now."

    def _explanation(self) -> list[str]:
        if not self.dialogue.query:
            raise UserError("there is no query to explain yet: ask something first")
        if self._matrix is None:
            self._matrix = load_matrix()
        return explain(resolve_dialogue(self.dialogue, self._matrix))


def converse(
    conversation: Conversation, lines: Iterable[str], write: Callable[[str], None]
) -> None:
    """Feed ``lines`` to the conversation until they end or it is over, and write what it shows."""
    for line in lines:
        piece = ""
        for piece in conversation.say(line):
            write(piece)
        if conversation.over:
            return
        if piece:
            write("\n")
