"""From a trained model to answers, and to what other models say of a dialogue.

``opening`` and ``loading`` open a model folder, ``decoding`` is the loop that writes answers,
``writing`` turns tokens into text as they come, ``engine`` puts them together, and ``chat`` is a
talk in the terminal. ``remote`` asks a model behind an OpenAI-compatible API what a dialogue asks
for and what kind its query is, ``replies`` keeps what it said, and ``text_classifier`` tells the
kind by a Hugging Face classifier.

The parts need different libraries, so each is imported when it is first named.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from metaalign.schema import MissingExtra

if TYPE_CHECKING:
    from metaalign.generate.chat import Conversation, converse
    from metaalign.generate.decoding import Sampling
    from metaalign.generate.engine import Answer, AnswerStream, ContextOverflow, Engine
    from metaalign.generate.remote import RemoteReader
    from metaalign.generate.text_classifier import TextClassifier

__all__ = [
    "Answer",
    "AnswerStream",
    "ContextOverflow",
    "Conversation",
    "Engine",
    "RemoteReader",
    "Sampling",
    "TextClassifier",
    "converse",
]

_HOMES = {
    "Answer": "engine",
    "AnswerStream": "engine",
    "ContextOverflow": "engine",
    "Conversation": "chat",
    "Engine": "engine",
    "RemoteReader": "remote",
    "Sampling": "decoding",
    "TextClassifier": "text_classifier",
    "converse": "chat",
}
_LOCAL = ("serve", ("torch", "transformers"))
_NEEDS = {"remote": ("remote", ("openai",))}
"""module -> (the extra, what it brings); the others need ``_LOCAL``."""


def __getattr__(name: str) -> object:
    """Import what is called ``name``; ``MissingExtra`` if what it needs is not installed."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    extra, modules = _NEEDS.get(home, _LOCAL)
    for module in modules:
        if find_spec(module) is None:
            raise MissingExtra(extra, module)
    return getattr(import_module(f"{__name__}.{home}"), name)
