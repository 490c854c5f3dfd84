"""Meta-Prompt to tokens and back: the one renderer of data, training, evaluation and serving."""

from metaalign.prompt.export import chat_template
from metaalign.prompt.messages import from_messages, to_messages
from metaalign.prompt.native import END, add_markers, has_markers, marker, markers, token_id
from metaalign.prompt.neutral import neutralise, restore
from metaalign.prompt.parts import DEFAULT_TIERS
from metaalign.prompt.rendering import (
    Encoded,
    Tokenizer,
    encode,
    encode_batch,
    end_token_id,
    layout_of,
    parse,
)
from metaalign.prompt.truncation import Fitted, TooLong, fit

__all__ = [
    "DEFAULT_TIERS",
    "END",
    "Encoded",
    "Fitted",
    "Tokenizer",
    "TooLong",
    "add_markers",
    "chat_template",
    "encode",
    "encode_batch",
    "end_token_id",
    "fit",
    "from_messages",
    "has_markers",
    "layout_of",
    "marker",
    "markers",
    "neutralise",
    "parse",
    "restore",
    "to_messages",
    "token_id",
]
