"""A tokenizer that knows no control tokens: whatever a text holds, it is read as ordinary text.

Hugging Face tokenizers look every text up among their added tokens first, so ``<|im_start|>`` in
somebody's words becomes the real thing; their ``split_special_tokens`` spares those that are marked
special, and many are not (``<think>``, the ``<|im_start|>`` of many fine-tunes). Here the control
tokens are taken out of a copy of the tokenizer, and what remains cannot produce them.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from metaalign.prompt.widths import steps, widths_of
from metaalign.schema import UserError

_SHAPE = re.compile(r"<\S+>|\[\S+\]|｜\S+｜")
_HTML = re.compile(
    r"</?(?:table|caption|thead|tbody|tfoot|tr|th|td|h[1-6]|blockquote|strong|em|b|i|u|sub|sup|"
    r"code|p|br|hr|ul|ol|li|a|img|span|div)>"
)
"""Plain mark-up that some vocabularies hold as whole tokens; it controls nothing. ``</s>`` is not
among it: it ends a text in many of them."""


class Tokens(NamedTuple):
    """A stretch of text as tokens."""

    ids: list[int]
    cuts: list[int]
    """For every border that was asked for, how many tokens come before it. A space that leads a
    word is one token with it, and comes after a border between the two."""


class ControlToken(NamedTuple):
    """A token that only the renderer may write."""

    id: int
    content: str
    lstrip: bool
    """The tokenizer swallows the white space before it when it reads a text that holds it."""
    rstrip: bool
    """Likewise after it."""


def control_tokens(tokenizer: Any) -> dict[str, ControlToken]:
    """The control tokens of a Hugging Face tokenizer, by what they look like.

    These are its special tokens, and those added tokens that look like one (``<think>``,
    ``[TOOL]``), plain HTML and runs of white space excepted.
    """
    found = {}
    for index, token in tokenizer.added_tokens_decoder.items():
        text = str(token.content)
        looks = _SHAPE.fullmatch(text.strip()) is not None and _HTML.fullmatch(text) is None
        if token.special or looks:
            found[text] = ControlToken(int(index), text, token.lstrip, token.rstrip)
    return found


class PlainText:
    """The tokenizer without its control tokens.

    A text is read as it is read in the middle of a prompt: tokenizers that put a space before the
    first word of everything, and before that alone, do not put it here.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.control = control_tokens(tokenizer)
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise UserError(
                f"{type(tokenizer).__name__} is no fast tokenizer: load the model's tokenizer with "
                "AutoTokenizer and the tokenizers library installed"
            )
        self._ids = frozenset(token.id for token in self.control.values())
        data = _without(backend, self._ids)
        self._backend = type(backend).from_str(json.dumps(data))
        self._widths = widths_of(self._backend, data)
        halves = "|".join(re.escape(text) for text in self.control if len(text) > 1)
        self._whole = re.compile(halves, re.IGNORECASE) if halves else None

    def encode(
        self, texts: Sequence[str], borders: Sequence[Sequence[int]] | None = None
    ) -> list[Tokens]:
        """Every text as ordinary tokens, none of them a control token.

        Args:
            borders: for every text the places, in characters, ascending and within it, to be found
                again among its tokens.

        Raises:
            UserError: a text is not valid Unicode.
        """
        _check(texts)
        if borders is None:
            borders = [()] * len(texts)
        if self._widths is None and any(borders):
            found = self._backend.encode_batch(texts, add_special_tokens=False)
        else:
            found = self._backend.encode_batch_fast(texts, add_special_tokens=False)
        return [self._tokens(*one) for one in zip(texts, found, borders, strict=True)]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ordinary tokens."""
        text: str = self._backend.decode(list(ids), skip_special_tokens=False)
        return text

    def _tokens(self, text: str, found: Any, borders: Sequence[int]) -> Tokens:
        """What the tokenizer found in a text, and the borders in it."""
        ids: list[int] = found.ids
        if not self._ids.isdisjoint(ids):
            return self._apart(text, borders)
        if not borders:
            return Tokens(ids, [])
        if self._widths is not None:
            cuts = self._widths.cuts(text, ids, borders)
            if cuts is not None:
                return Tokens(ids, cuts)
            found = self._backend.encode(text, add_special_tokens=False)
        return Tokens(ids, [_first_token(found, border) for border in borders])

    def _apart(self, text: str, borders: Sequence[int]) -> Tokens:
        """Some vocabularies spell a control token among their words: read the text in pieces.

        Every control token in it is cut after its first character. If that is not enough, the text
        is read character by character; a character that is itself a control token is refused.
        """
        cuts = [m.start() + 1 for m in self._whole.finditer(text)] if self._whole else []
        for places in ({0, *cuts, *borders, len(text)}, range(len(text) + 1)):
            ids: list[int] = []
            counts = {0: 0}
            for start, end in pairwise(sorted(places)):
                ids += self._backend.encode(text[start:end], add_special_tokens=False).ids
                counts[end] = len(ids)
            if self._ids.isdisjoint(ids):
                return Tokens(ids, [counts[border] for border in borders])
        raise UserError(
            "a text holds a character that this tokenizer knows as a control token only: "
            f"{text[:40]!a}"
        )


_plain: WeakKeyDictionary[Any, tuple[int, PlainText]] = WeakKeyDictionary()


def plain_text(tokenizer: Any) -> PlainText:
    """The ``PlainText`` of a tokenizer, made once; anew if tokens were added to it since."""
    size = len(tokenizer)
    known = _plain.get(tokenizer)
    if known is None or known[0] != size:
        known = _plain[tokenizer] = size, PlainText(tokenizer)
    return known[1]


def _without(backend: Any, control: frozenset[int]) -> dict[str, Any]:
    """A ``tokenizers.Tokenizer`` without these added tokens, as JSON that was read."""
    data: dict[str, Any] = json.loads(backend.to_str())
    data["added_tokens"] = [t for t in data["added_tokens"] if t["id"] not in control]
    data |= {"post_processor": None, "truncation": None, "padding": None}
    before = steps(data.get("pre_tokenizer"))
    if any(step.get("prepend_scheme") == "first" for step in before):
        # Only the first word of everything gets a space before it, and no text here is that.
        data["decoder"] = _keeping_spaces(data["decoder"])
        before += steps(data["decoder"])
        for step in before:
            if step.get("prepend_scheme") == "first":
                step["prepend_scheme"] = "never"
    for step in before:
        if step.get("type") == "ByteLevel" and step.get("add_prefix_space"):
            step["add_prefix_space"] = False
    return data


def _first_token(encoding: Any, border: int) -> int:
    """The first token that holds what stands at ``border`` or later: the rest comes before it."""
    token = encoding.char_to_token(border)
    if token is None:  # a normaliser took the character away
        token = bisect_right([end for _, end in encoding.offsets], border)
    return int(token)


def _keeping_spaces(decoder: Any) -> Any:
    """A decoder that does not take the first space away, since none was put there."""
    if decoder is not None and decoder.get("type") == "Sequence":
        kept = [d for d in decoder["decoders"] if (d["type"], d.get("content")) != ("Strip", " ")]
        return {**decoder, "decoders": kept}
    return decoder


def _check(texts: Sequence[str]) -> None:
    try:
        for text in texts:
            text.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"a text is not valid Unicode at character {error.start} "
            f"({error.object[error.start]!a}): replace it before it is sent"
        ) from None
