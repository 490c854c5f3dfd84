"""What a teacher is asked, as files of their own: ``prompts/*.toml``.

What a prompt quotes (queries, preferences, responses) is data. It stands inside the strings of one
JSON object, in a message of its own, which it cannot leave whatever it contains.
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from metaalign.data.teacher.requests import Message, Request

_FOLDER = "prompts"


class Prompt(Struct, frozen=True, forbid_unknown_fields=True):
    """One file: what is asked, and the settings with which it is asked."""

    version: Annotated[int, Meta(ge=1)]
    """Goes up with every change, so that a reader of two datasets sees that they differ."""
    fields: tuple[str, ...]
    """What the JSON object of the user's message can have, in this order."""
    max_tokens: Annotated[int, Meta(ge=1)]
    """Tokens of the reply at most, unless a recipe says otherwise."""
    temperature: Annotated[float, Meta(ge=0, le=2)]
    system: str
    """The system's message; nothing is filled in."""
    about: tuple[str, ...] = ()
    """Topics, of which one is drawn for every call."""

    def request(
        self,
        task: str,
        material: Mapping[str, object],
        schema: bytes,
        *,
        max_tokens: int | None = None,
        sample: int = 0,
    ) -> Request:
        """The request of ``task`` about ``material``, whose empty fields are left out.

        Raises ``KeyError`` for material that the prompt has no field for.
        """
        unknown = material.keys() - set(self.fields)
        if unknown:
            raise KeyError(f"the prompt {task} has no field {', '.join(sorted(unknown))}")
        # Lists stay: an empty one says that there is nothing of the kind.
        said = {name: material[name] for name in self.fields if material.get(name, "") != ""}
        return Request(
            task,
            (
                Message("system", self.system.strip() + "\n"),
                Message("user", msgspec.json.encode(_sendable(said)).decode()),
            ),
            schema,
            max_tokens or self.max_tokens,
            self.temperature,
            sample,
        )


@cache
def load_prompt(name: str) -> Prompt:
    """The prompt of ``prompts/NAME.toml``."""
    return msgspec.convert(tomllib.loads(prompt_text(f"{name}.toml")), Prompt)


def prompt_text(name: str) -> str:
    """The text of a file of the folder."""
    source = files("metaalign.data.writing") / _FOLDER / name
    return source.read_text(encoding="utf-8")


@cache
def prompts_hash() -> str:
    """Changes whenever any of the files does."""
    folder = files("metaalign.data.writing") / _FOLDER
    names = sorted(file.name for file in folder.iterdir() if file.name.endswith(".toml"))
    return sha256("\0".join(f"{n}\0{prompt_text(n)}" for n in names).encode()).hexdigest()


def _sendable(value: object) -> object:
    """``value`` without the halves of characters that no encoding knows."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {key: _sendable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_sendable(one) for one in value]
    return value
