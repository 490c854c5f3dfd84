"""A tokenizer for models from scratch."""

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from metaalign.prompt import END, add_markers
from metaalign.schema import UserError

PAD = "<|pad|>"
_CONTROL_TOKENS = 6
"""The pad token, and the five markers that ``add_markers`` puts after the vocabulary."""


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE on ``texts``; the same texts in any order give the same tokenizer.

    Every byte is a token, so any text can be encoded and comes back unchanged.

    Args:
        texts: what to learn from.
        vocab_size: number of tokens, the control tokens included; fewer if the texts hold too
            little to merge.

    Raises:
        UserError: ``vocab_size`` has no room for the 256 bytes and the control tokens.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    if vocab_size < len(alphabet) + _CONTROL_TOKENS:
        raise UserError(
            f"a vocabulary of {vocab_size} is too small: "
            f"the bytes and the control tokens alone need {len(alphabet) + _CONTROL_TOKENS}"
        )
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocab_size - _CONTROL_TOKENS + 1,
            initial_alphabet=alphabet,
            special_tokens=[PAD],
            show_progress=False,
        ),
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, pad_token=PAD)  # type: ignore[no-untyped-call]
    add_markers(tokenizer)
    tokenizer.eos_token = END
    return tokenizer
