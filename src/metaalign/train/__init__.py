"""From groups to a trained model.

The story reads in this order: ``recipe`` says what is done, ``stages`` does it, ``models`` and
``tokenizer`` make or load what is trained, ``sft`` and ``dpo`` turn rows into examples and name
the loss, ``pairs`` samples what DPO compares, and ``trainer`` is the one loop. ``batches``,
``scoring``, ``losses`` and ``checkpoint`` are its parts. Nothing heavy is imported here.
"""

from importlib.util import find_spec

from metaalign.schema import MissingExtra

for _module in ("torch", "transformers", "accelerate"):
    if find_spec(_module) is None:
        raise MissingExtra("train", _module)
