"""Asking a model behind an OpenAI-compatible API what a dialogue asks for, and of what kind it is.

``policy.asking`` has the questions and checks the replies; here they travel. What can go wrong on
the way ends in one line that says what to do. Nothing is guessed: a reply that cannot be used is
sent back once to be repaired, and if that fails the kind is ``unknown`` and reading is an error.
"""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeVar, cast
from urllib.parse import urlsplit

import msgspec
import openai
from msgspec import Struct
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam

from metaalign.generate.replies import Replies, key_of
from metaalign.policy.asking import (
    ASKING_VERSION,
    Heard,
    Message,
    Question,
    ReplyError,
    kind_question,
    preferences_question,
    read_kind,
    read_preferences,
)
from metaalign.policy.matrix import PriorityMatrix
from metaalign.schema import USER_INFO, Classified, Dialogue, Kind, Reading, UserError

KEY = "OPENAI_API_KEY"
URL = "OPENAI_BASE_URL"
NO_KEY = "none"
"""Sent to servers that need no key: the client insists on one."""
NOT_UNDERSTOOD = "reply not understood"

_T = TypeVar("_T")


class Manner(Struct, frozen=True):
    """How a server is asked; what it refuses is left out from then on."""

    form: Literal["json_schema", "json_object", "words"] = "json_schema"
    """How the reply is held to its form; without a schema, it is spelled out in the messages."""
    temperature: bool = True
    """Whether to ask for temperature 0."""

    def without(self, complaint: str) -> "Manner | None":
        """What to try next after a server has refused; None if there is nothing left."""
        if self.temperature and "temperature" in complaint:
            return Manner(self.form, False)
        if self.form == "json_schema":
            return Manner("json_object", self.temperature)
        if self.form == "json_object":
            return Manner("words", self.temperature)
        return None


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
        base_url = base_url or os.environ.get(URL) or None
        if base_url is not None and urlsplit(base_url).scheme not in ("http", "https"):
            raise UserError(
                f"{base_url!r} is no address of a server: it is like http://HOST:PORT/v1"
            )
        key = os.environ.get(KEY) or None
        if key is None and base_url is None:
            raise UserError(f"no key for OpenAI: set {KEY}, or name another server by its base URL")
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
            api_key=key or NO_KEY, base_url=base_url, timeout=timeout, max_retries=retries
        )

    @property
    def name(self) -> str:
        """Who is asked: ``MODEL at HOST``."""
        return f"{self.model} at {self.host}"

    @property
    def host(self) -> str:
        """Host and port of the server; its address may hold more, such as a password."""
        parts = urlsplit(str(self._client.base_url))
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)

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
                    raise UserError(f"{self.name} refuses the request: {_line(error)}") from error
                manner = simpler
            except openai.OpenAIError as error:
                raise self._error(error) from error
            except ValueError as error:  # what should be JSON is none
                raise self._no_such_server() from error
            else:
                # Only what has worked is kept: a text that is too long is refused in any manner.
                self._manner = manner
                self.asked += 1
                return self._text(completion)

    def _send(self, question: Question, manner: Manner) -> object:
        schema = msgspec.json.decode(question.schema, type=dict[str, object])
        messages = question.messages if manner.form == "json_schema" else question.spelled_out()
        more: dict[str, object] = {"temperature": 0} if manner.temperature else {}
        if manner.form == "json_schema":
            held = {"name": question.name, "strict": True, "schema": schema}
            more["response_format"] = {"type": "json_schema", "json_schema": held}
        elif manner.form == "json_object":
            more["response_format"] = {"type": "json_object"}
        # The body goes past the client's types: they name one server's fields.
        return self._client.chat.completions.create(
            model=self.model, messages=[_param(message) for message in messages], extra_body=more
        )

    def _text(self, completion: object) -> str:
        # The client checks nothing of what a server has sent.
        try:
            return str(cast(ChatCompletion, completion).choices[0].message.content or "")
        except (AttributeError, IndexError, TypeError) as error:
            raise self._no_such_server() from error

    def _no_such_server(self) -> UserError:
        return UserError(
            f"{self.host} did not answer as an OpenAI-compatible server does: "
            "check the base URL, it mostly ends in /v1"
        )

    def _error(self, error: openai.OpenAIError) -> UserError:
        """What went wrong, in one line."""
        tries = f"{self._retries + 1} tries"
        if isinstance(error, openai.APITimeoutError):
            return UserError(
                f"{self.name} did not answer within {self._timeout:g} s in {tries}: "
                "try again later, or allow more time"
            )
        if isinstance(error, openai.APIConnectionError):
            return UserError(
                f"cannot reach {self.host}: is the server running, and is the base URL right?"
            )
        if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
            return UserError(
                f"{self.host} refuses the key: set {KEY} to one that may use {self.model}"
            )
        if isinstance(error, openai.NotFoundError):
            return UserError(
                f"{self.host} has no model {self.model}, or its base URL is another, "
                f"mostly one that ends in /v1: {_line(error)}"
            )
        if isinstance(error, openai.RateLimitError):
            return UserError(
                f"{self.host} is too busy, in {tries}, or the quota is spent: {_line(error)}"
            )
        return UserError(f"{self.host} failed, in {tries}: {_line(error)}: try again later")


def _param(message: Message) -> ChatCompletionMessageParam:
    return cast(ChatCompletionMessageParam, {"role": message.role, "content": message.content})


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
