"""Asking a model behind an OpenAI-compatible API what a dialogue asks for, and of what kind it is.

``policy.asking`` has the questions and checks the replies; here they travel. What can go wrong on
the way ends in one line that says what to do. Nothing is guessed: a reply that cannot be used is
sent back once to be repaired, and if that fails the kind is ``unknown`` and reading is an error.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

import openai
from openai.types.chat import ChatCompletion

from metaalign.data.teacher.endpoint import Endpoint
from metaalign.data.teacher.manner import Manner
from metaalign.data.teacher.requests import key_of
from metaalign.generate.replies import Replies
from metaalign.policy.asking import (
    ASKING_VERSION,
    Heard,
    Question,
    ReplyError,
    kind_question,
    preferences_question,
    read_kind,
    read_preferences,
)
from metaalign.policy.matrix import PriorityMatrix
from metaalign.schema import USER_INFO, Classified, Dialogue, Kind, Reading, UserError

NOT_UNDERSTOOD = "reply not understood"

_T = TypeVar("_T")


class RemoteReader:
    """A model that reads dialogues: ``read`` and ``classify`` fit ``policy.resolve_dialogue``.

    ``model`` is the server's name for it. ``base_url`` is the server's address up to and including
    ``/v1``; without it OPENAI_BASE_URL holds, and without that the server of OpenAI. The key is in
    OPENAI_API_KEY; servers at other addresses may need none. ``matrix`` says what can be asked for.
    ``cache`` is a file that keeps replies which were checked. ``timeout`` is in seconds, for one
    request; one that times out, or meets a server that is busy or broken, is tried ``retries``
    times more, as long after as the server asks for.

    Raises ``UserError`` where there is no key for OpenAI, and for a cache that cannot be used.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        *,
        matrix: PriorityMatrix,
        cache: Path | None = None,
        timeout: float = 60.0,
        retries: int = 3,
    ) -> None:
        self._endpoint = Endpoint.find(model, base_url)
        self.model = model
        self.matrix = matrix
        self.dropped: Counter[str] = Counter()
        """Entries of replies that were left out, counted by reason."""
        self.asked = 0
        """Requests that were answered; those answered from the cache are not among them."""
        self._timeout = timeout
        self._retries = retries
        self._manner = Manner()
        self._replies = Replies(cache) if cache is not None else None
        self._client = openai.OpenAI(
            api_key=self._endpoint.key,
            base_url=self._endpoint.base_url,
            timeout=timeout,
            max_retries=retries,
        )

    @property
    def name(self) -> str:
        """Who is asked: ``MODEL at HOST``."""
        return self._endpoint.name

    def read(self, dialogue: Dialogue, *, talk_tier: str | None = USER_INFO) -> Reading:
        """What the texts of ``dialogue`` ask for: one request for every tier and every user turn.

        What the talk asks for belongs to ``talk_tier``; None: the talk is not read. Raises
        ``UserError`` if the server cannot be asked, and if the model twice replies something that
        cannot be used: part of a reading would pass for the whole.
        """
        texts = [(said.text, said.tier, None) for said in dialogue.meta_prompt.tiers]
        turns = enumerate(dialogue.turns) if talk_tier is not None else ()
        readings = [self._heard(*text).reading for text in texts]
        for number, turn in turns:
            if turn.role == "user" and turn.text.strip():
                readings.append(self._heard(turn.text, talk_tier or USER_INFO, number).reading)
        return Reading(
            tuple(p for reading in readings for p in reading.preferences),
            tuple(a for reading in readings for a in reading.ambiguous),
        )

    def classify(self, query: str) -> Classified:
        """The kind of ``query``, and who said so.

        ``unknown`` if there is nothing to ask about, or if the model twice replies something that
        cannot be used; many refuse to look at what is harmful. Raises ``UserError`` if the server
        cannot be asked.
        """
        if not query.strip():
            return Classified("unknown", f"{self.name}: not asked, the query is empty")
        try:
            kind: Kind = self._answer(kind_question(query), read_kind)
        except ReplyError:
            return Classified("unknown", f"{self.name}: {NOT_UNDERSTOOD}")
        return Classified(kind, self.name)

    def _heard(self, text: str, tier: str, turn: int | None) -> Heard:
        question = preferences_question(text, tier, self.matrix, turn)
        try:
            heard = self._answer(
                question, lambda reply: read_preferences(reply, text, tier, self.matrix, turn)
            )
        except ReplyError as error:
            raise UserError(
                f"{self.name} did not say in the form asked for what {tier} asks for ({error}): "
                "ask a larger model, or let the rules read it"
            ) from error
        self.dropped.update(dropped.reason for dropped in heard.dropped)
        return heard

    def _answer(self, question: Question, check: Callable[[str], _T]) -> _T:
        """The checked answer, from the cache if it is there; ``ReplyError`` if it fails twice."""
        key = key_of(ASKING_VERSION, self.model, str(self._client.base_url), question)
        kept = self._replies.get(key) if self._replies is not None else None
        if kept is not None:
            try:
                return check(kept)
            except ReplyError:
                pass  # someone else's file may hold anything: ask again
        reply = self._reply(question)
        try:
            answer = check(reply)
        except ReplyError as error:
            reply = self._reply(question.repaired(reply, error))
            answer = check(reply)
        if self._replies is not None:
            self._replies.put(key, reply)
        return answer

    def _reply(self, question: Question) -> str:
        """What the model says, empty if it says nothing; in the best manner the server accepts."""
        manner = self._manner
        while True:
            try:
                completion = self._send(question, manner)
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                simpler = manner.without(str(error))
                if simpler is None:
                    raise self._endpoint.refuses(error) from error
                manner = simpler
            except openai.OpenAIError as error:
                raise self._endpoint.failed(error, self._retries + 1, self._timeout) from error
            except ValueError as error:  # what should be JSON is none
                raise self._endpoint.no_such_server() from error
            else:
                # Only what has worked is kept: a text that is too long is refused in any manner.
                self._manner = manner
                self.asked += 1
                return self._text(completion)

    def _send(self, question: Question, manner: Manner) -> object:
        more = manner.held(question)
        if manner.temperature:
            more["temperature"] = 0
        # The body goes past the client's types: they name one server's fields.
        return self._client.chat.completions.create(model=self.model, messages=[], extra_body=more)

    def _text(self, completion: object) -> str:
        # The client checks nothing of what a server has sent.
        try:
            return str(cast(ChatCompletion, completion).choices[0].message.content or "")
        except (AttributeError, IndexError, TypeError) as error:
            raise self._endpoint.no_such_server() from error
