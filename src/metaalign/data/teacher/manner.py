"""How a server is asked: servers differ in what they accept, and say so in words."""

from typing import Literal

import msgspec
from msgspec import Struct

from metaalign.policy.asking import Question

Form = Literal["json_schema", "json_object", "words"]


class Manner(Struct, frozen=True):
    """How a server is asked; what it refuses is left out from then on."""

    form: Form = "json_schema"
    """How the reply is held to its form; without a schema, it is spelled out in the messages."""
    temperature: bool = True
    """Whether to ask for a temperature."""
    seed: bool = True
    """Whether to send a seed."""
    limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What the length of the reply is called."""

    def without(self, complaint: str) -> "Manner | None":
        """What to try next after a server has refused; None if there is nothing left."""
        change = msgspec.structs.replace
        if self.temperature and "temperature" in complaint:
            return change(self, temperature=False)
        if self.limit == "max_tokens" and "max_completion_tokens" in complaint:
            return change(self, limit="max_completion_tokens")
        if self.seed and "seed" in complaint:
            return change(self, seed=False)
        if self.form == "json_schema":
            return change(self, form="json_object")
        if self.form == "json_object":
            return change(self, form="words")
        return None

    def held(self, question: Question) -> dict[str, object]:
        """The fields ``messages`` and ``response_format`` of a request, as far as they are needed.

        A question without a schema is only its messages.
        """
        if not question.schema:
            return {"messages": msgspec.to_builtins(question.messages)}
        if self.form == "json_schema":
            schema = msgspec.json.decode(question.schema)
            held = {"name": question.name, "strict": True, "schema": schema}
            return {
                "messages": msgspec.to_builtins(question.messages),
                "response_format": {"type": "json_schema", "json_schema": held},
            }
        made: dict[str, object] = {"messages": msgspec.to_builtins(question.spelled_out())}
        if self.form == "json_object":
            made["response_format"] = {"type": "json_object"}
        return made
