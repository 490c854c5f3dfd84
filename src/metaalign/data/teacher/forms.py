"""Replies that are held to a type: the JSON schema that is sent, and the check."""

from typing import Any, Generic, TypeVar, cast

import msgspec

from metaalign.policy.asking import decoded

T = TypeVar("T")

_DEFS = "#/$defs/"


class Form(Generic[T]):
    """The form of a reply, from a ``msgspec.Struct`` whose fields may have bounds (``Meta``).

    ``Form(Draft).schema`` goes into a ``Request``, ``Form(Draft).read`` is its check.
    """

    def __init__(self, kind: type[T]) -> None:
        self.kind = kind
        self.schema: bytes = msgspec.json.encode(strict_schema(kind))

    def read(self, text: str) -> T:
        """The record in ``text``, which may stand in a fence or after thoughts.

        Raises ``ReplyError``, with the field, if it is not of the form.
        """
        return decoded(text, self.kind)


def strict_schema(kind: type) -> dict[str, object]:
    """The JSON schema of ``kind`` as servers want it that hold a model to it.

    References are written out, every property is required and no other allowed.
    """
    whole = msgspec.json.schema(kind)
    parts = cast(dict[str, Any], whole.pop("$defs", {}))
    return cast(dict[str, object], _written_out(whole, parts))


def _written_out(part: Any, parts: dict[str, Any]) -> Any:
    if isinstance(part, list):
        return [_written_out(one, parts) for one in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _written_out(parts[part["$ref"].removeprefix(_DEFS)], parts)
    made = {name: _written_out(one, parts) for name, one in part.items() if name != "default"}
    if isinstance(made.get("properties"), dict):
        made |= {"required": list(made["properties"]), "additionalProperties": False}
    return made
