"""Groups that are written in other languages than those that were asked for."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Annotated, Any

from msgspec import Meta, Struct

from metaalign.data.filters.texts import talk
from metaalign.schema import Group, MissingExtra, UserError

_LONGEST = 2_000
"""Characters of a text that are looked at."""


class Language(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="name", tag="language"
):
    """Drops groups whose talk, or a candidate, is in a language that was not asked for.

    Each text is judged for itself. Those with few letters are joined and judged together; if they
    still have few, nobody could tell, and they are let through, as is what py3langid is not sure
    of. It decides among all the languages that it knows: restricted to those that were asked for,
    it would find no other.
    """

    languages: Annotated[tuple[str, ...], Meta(min_length=1)] = ("en",)
    """ISO 639-1 codes."""
    confidence: Annotated[float, Meta(gt=0, le=1)] = 0.5
    """The probability of a single other language, from which a text is dropped."""
    min_letters: Annotated[int, Meta(ge=1)] = 40
    """Letters from which a text can be told on its own."""

    def __post_init__(self) -> None:
        for code in self.languages:
            if not (code.isascii() and code.islower() and 2 <= len(code) <= 3):
                raise ValueError(f"{code!r} is no code of a language: write en, de, zh, ...")

    def reasons(self, groups: Sequence[Group]) -> list[str]:
        identifier = _identifier(self.languages)
        return [next(self._found(group, identifier), "") for group in groups]

    def _found(self, group: Group, identifier: Any) -> Iterator[str]:
        for place, text in self._judged(group):
            language, share = identifier.classify(text)
            if language not in self.languages and share >= self.confidence:
                yield f"language: {place} is {language}, {share:.2f}"

    def _judged(self, group: Group) -> Iterator[tuple[str, str]]:
        """What can be told: long texts, and the short ones together."""
        short = []
        candidates = (candidate.text for candidate in group.candidates)
        for number, text in enumerate((talk(group), *candidates)):
            text = text[:_LONGEST]
            if self._tells(text):
                yield f"candidate {number}" if number else "talk", text
            else:
                short.append(text)
        if self._tells(joined := "\n".join(short)):
            yield "short texts", joined

    def _tells(self, text: str) -> bool:
        return sum(map(str.isalpha, text)) >= self.min_letters


@cache
def _identifier(languages: tuple[str, ...]) -> Any:
    """Raises ``UserError`` for a language that py3langid does not know."""
    try:
        from py3langid.langid import (  # type: ignore[import-untyped]
            MODEL_FILE,
            LanguageIdentifier,
        )
    except ImportError as error:
        raise MissingExtra("curate", "py3langid") from error
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    known = set(identifier.labels)
    for code in languages:
        if code not in known:
            raise UserError(
                f"language: {code!r} is not known; known are {', '.join(sorted(known))}"
            )
    return identifier
