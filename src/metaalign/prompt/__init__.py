"""Meta-Prompt to tokens and back: the one renderer of data, training, evaluation and serving."""

from metaalign.prompt.messages import from_messages, to_messages
from metaalign.prompt.rendering import (
    Encoded,
    Tokenizer,
    encode,
    encode_batch,
    parse,
)
from metaalign.prompt.tokens import (
    END,
    add_markers,
    chat_template,
    end_token_id,
    has_markers,
    marker,
)

__all__ = [
    "END",
    "Encoded",
    "Tokenizer",
    "add_markers",
    "chat_template",
    "encode",
    "encode_batch",
    "end_token_id",
    "from_messages",
    "has_markers",
    "marker",
    "parse",
    "to_messages",
]
