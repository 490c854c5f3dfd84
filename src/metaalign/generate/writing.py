"""The text of one answer while its tokens come in.

Shown at once is only what no later token can change: no half of a character, and nothing that may
be the beginning of a stop string. All pieces together are the answer, so a streamed answer and a
plain one are equal.
"""

from collections.abc import Callable, Sequence

UNFINISHED = "\ufffd"
"""What a decoder shows for bytes that are not a whole character, perhaps only not yet."""


class Writer:
    """Collects the tokens of one answer.

    Args:
        decode: token ids to text.
        piece: one token id to its entry in the vocabulary.
        stop: texts that end the answer and are not part of it.
    """

    def __init__(
        self,
        decode: Callable[[Sequence[int]], str],
        piece: Callable[[int], str],
        stop: Sequence[str] = (),
    ) -> None:
        self._decode = decode
        self._piece = piece
        self._stop = stop
        self.ids: list[int] = []
        """The tokens so far."""
        self._shown = 0
        self.text = ""
        """What has been shown so far; after ``close`` the whole answer."""
        self.stopped = False
        """A stop string came: the answer is complete."""

    def push(self, token: int) -> str:
        """Add a token and return what can be shown because of it, often nothing."""
        self.ids.append(token)
        # A tokenizer with byte fallback reads a run of byte tokens as a whole, or not at all.
        if self._piece(token).startswith("<0x"):
            return ""
        text = self._decode(self.ids)
        settled = self._cut(text.rstrip(UNFINISHED))
        if not self.stopped:
            settled = settled[: len(settled) - self._held(settled)]
        return self._show(settled)

    def close(self) -> str:
        """No token follows: return what was held back."""
        if self.stopped:
            return ""
        return self._show(self._cut(self._decode(self.ids)))

    def _cut(self, text: str) -> str:
        """``text`` up to the first stop string in it."""
        found = [at for stop in self._stop if (at := text.find(stop)) >= 0]
        if not found:
            return text
        self.stopped = True
        return text[: min(found)]

    def _held(self, text: str) -> int:
        """How many characters at the end of ``text`` may be the beginning of a stop string."""
        lengths = (
            n
            for stop in self._stop
            for n in range(min(len(stop) - 1, len(text)), 0, -1)
            if text.endswith(stop[:n])
        )
        return max(lengths, default=0)

    def _show(self, text: str) -> str:
        new = text[self._shown :]
        if new:
            self._shown = len(text)
            self.text += new
        return new
