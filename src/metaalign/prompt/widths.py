"""Where the parts of a text meet among its tokens, without asking the tokenizer for offsets.

Offsets cost a tokenizer up to a third of its time. Most tokenizers lose no byte of a text, and
each of their tokens stands for as many bytes as its string has: its width. Then adding up says
where every token ends.

Why this is exact: no width is more than the bytes that its token stands for, and a token for which
this is not known (the unknown token, some added ones) has a width that no text reaches. So if the
widths add up to the bytes of the text, each of them is right; if not, no answer is given.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any

_BAR = "▁"
"""What a space becomes in SentencePiece."""
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
"""A token that stands for one byte of a character which is not in the vocabulary."""
_NEVER = 1 << 60
_GROWTH = len(_BAR.encode()) - len(" ")
_BEGIN = {"type": "Prepend", "prepend": _BAR}
_SPACES = {"type": "Replace", "pattern": {"String": " "}, "content": _BAR}
_SPLIT = ("ByteLevel", "Digits", "Punctuation", "Split")
"""Pre-tokenizers that only split; what some take away is missed when the widths are added up."""
_CHANGES = ("dropout", "continuing_subword_prefix", "end_of_word_suffix")
"""Settings of a BPE by which a token's string is not its text, or not always the same."""


class Widths:
    """The width of every token of one tokenizer.

    Args:
        widths: for every id, how many bytes of a text it stands for.
        spaced: a space becomes ``▁``.
        begun: a ``▁`` is put before the text.
        normalise: what else the tokenizer does to a text that is not ASCII.
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        spaced: bool = False,
        begun: bool = False,
        normalise: Callable[[str], str] | None = None,
    ) -> None:
        self._widths = widths
        self._spaced = spaced
        self._first = _bytes(_BAR) if begun else 0
        self._normalise = normalise

    def cuts(self, text: str, ids: Sequence[int], borders: Sequence[int]) -> list[int] | None:
        """For every border of ``text``, how many of its tokens end before it or at it.

        Args:
            ids: all tokens of ``text``.
            borders: places in characters, ascending.

        Returns:
            None if the widths do not say.
        """
        if self._normalise and not text.isascii() and self._normalise(text) != text:
            return None
        ends = list(accumulate(map(self._widths.__getitem__, ids)))
        cuts: list[int] = []
        place, start = self._first, 0
        for border in (*borders, len(text)):
            place += _bytes(text[start:border], self._spaced)
            cuts.append(bisect_right(ends, place))
            start = border
        if not ends or ends[-1] != place:
            return None
        cuts.pop()
        return cuts


def widths_of(backend: Any, data: Mapping[str, Any]) -> Widths | None:
    """The widths of a ``tokenizers.Tokenizer``; None if it is not known to lose no byte.

    Args:
        data: the same as JSON, read.
    """
    model = data["model"]
    normaliser, splitters = steps(data.get("normalizer")), steps(data.get("pre_tokenizer"))
    if model["type"] != "BPE" or any(map(model.get, _CHANGES)) or not all(map(_plain, splitters)):
        return None
    kinds = [step["type"] for step in splitters]
    if "ByteLevel" not in kinds:
        return _of_characters(data, normaliser, "Metaspace" in kinds)
    if kinds.count("ByteLevel") > 1 or "Metaspace" in kinds or model.get("byte_fallback"):
        return None
    if not normaliser:
        return Widths(_table(data, len, _bytes))
    if [step["type"] for step in normaliser] != ["NFC"]:
        return None
    return Widths(_table(data, len, _bytes), normalise=backend.normalizer.normalize_str)


def steps(part: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The steps of a normaliser, a pre-tokenizer or a decoder, those of sequences one by one."""
    if part is None:
        return []
    for inner in ("normalizers", "pretokenizers", "decoders"):
        if inner in part:
            return [step for one in part[inner] for step in steps(one)]
    return [part if isinstance(part, dict) else dict(part)]


def _of_characters(
    data: Mapping[str, Any], normaliser: list[dict[str, Any]], metaspace: bool
) -> Widths | None:
    """The widths of a tokenizer whose tokens are characters, or single bytes of rare ones."""
    if normaliser not in ([], [_SPACES], [_BEGIN, _SPACES]):
        return None
    spaced, begun = metaspace or _SPACES in normaliser, _BEGIN in normaliser
    singles = bool(data["model"].get("byte_fallback"))

    def width(token: str) -> int:
        return 1 if singles and _BYTE.fullmatch(token) else _bytes(token, spaced)

    def added(token: str) -> int:
        # After an added token another ▁ is put before the text.
        return _NEVER if begun else _bytes(token, spaced)

    return Widths(_table(data, width, added), spaced=spaced, begun=begun)


def _table(
    data: Mapping[str, Any], width: Callable[[str], int], added: Callable[[str], int]
) -> list[int]:
    """The width of every id: of the words by one rule, of the added tokens by another."""
    found = {index: width(token) for token, index in data["model"]["vocab"].items()}
    unknown = data["model"]["vocab"].get(data["model"].get("unk_token"))
    if unknown is not None:
        found[unknown] = _NEVER
    for token in data["added_tokens"]:
        # Those that are looked for in the normalised text may stand for another text than theirs.
        changed = token["normalized"] and data.get("normalizer") is not None
        found[token["id"]] = _NEVER if changed else added(token["content"])
    return [found.get(index, _NEVER) for index in range(max(found, default=-1) + 1)]


def _plain(step: Mapping[str, Any]) -> bool:
    """Whether a pre-tokenizer puts nothing into a text, but for ``▁`` in place of spaces."""
    if step["type"] == "Metaspace":
        return (step["replacement"], step["prepend_scheme"]) == (_BAR, "never")
    return step["type"] in _SPLIT and not step.get("add_prefix_space")


def _bytes(text: str, spaced: bool = False) -> int:
    size = len(text) if text.isascii() else len(text.encode())
    return size + _GROWTH * text.count(" ") if spaced else size
