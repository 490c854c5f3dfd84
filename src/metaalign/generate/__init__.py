"""From a trained model to answers.

``loading`` opens a model folder, ``decoding`` is the loop that writes answers, ``writing`` turns
tokens into text as they come, ``engine`` puts them together, and ``chat`` is a talk in the
terminal.
"""

from importlib.util import find_spec

from metaalign.schema import MissingExtra

for _module in ("torch", "transformers"):
    if find_spec(_module) is None:
        raise MissingExtra("serve", _module)

from metaalign.generate.chat import Conversation, converse  # noqa: E402
from metaalign.generate.decoding import Sampling  # noqa: E402
from metaalign.generate.engine import Answer, AnswerStream, ContextOverflow, Engine  # noqa: E402

__all__ = [
    "Answer",
    "AnswerStream",
    "ContextOverflow",
    "Conversation",
    "Engine",
    "Sampling",
    "converse",
]
