"""An OpenAI-compatible endpoint for a trained model.

``request`` reads what a client asks, ``worker`` lets the model do one thing at a time, ``app``
answers over HTTP, and ``server`` runs it.
"""

from importlib.util import find_spec

from metaalign.schema import MissingExtra

for _module in ("starlette", "uvicorn", "torch", "transformers"):
    if find_spec(_module) is None:
        raise MissingExtra("serve", _module)

from metaalign.serve.app import create_app  # noqa: E402
from metaalign.serve.server import serve  # noqa: E402

__all__ = ["create_app", "serve"]
