"""Groups that mean the same as another, in other words."""

from collections.abc import Iterable, Sequence
from typing import Annotated

from msgspec import Meta, Struct

from metaalign.data.filters.meaning import (
    TFIDF,
    Rows,
    embedded,
    load_encoder,
    same_meaning,
    weighted,
)
from metaalign.data.filters.near import TEXTS, By
from metaalign.data.filters.signed import numpy
from metaalign.schema import Group, UserError

_BY_MODEL, _BY_TEXT = b"m", b"t"
"""How a signature begins: a vector follows, or the text itself."""


class SemanticDuplicates(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="name",
    tag="semantic-duplicates",
):
    """Drops groups that mean the same as one that is kept and comes before, by id.

    Meaning is the cosine of embeddings. Where ``model`` cannot be loaded it is that of TF-IDF
    vectors, which sees the same words and no synonyms; the log says so and why, and every reason
    says by what. Every group is held in memory: a vector of 2 bytes a dimension, or its text and
    about twelve times the number of its words. All are compared with all up to 50,000; beyond
    that, those of one cell of a k-means clustering (Abbas et al. 2023, SemDeDup).
    """

    by: By = "query"
    """What is compared, as in ``NearDuplicates``; the Meta-Prompts are not looked at."""
    threshold: Annotated[float, Meta(ge=0.1, le=1)] = 0.9
    """Cosine from which two mean the same."""
    model: str = "minishlab/potion-base-8M"
    """A static embedding model (Model2Vec) on the hub, or its folder; ``tf-idf`` asks for none."""

    def sign(self, groups: Sequence[Group]) -> list[bytes]:
        texts = [TEXTS[self.by](group).strip() for group in groups]
        encoder = None if self.model == TFIDF else load_encoder(self.model)
        if encoder is None:
            return [_BY_TEXT + text.encode("utf-8", "replace") if text else b"" for text in texts]
        vectors = embedded(encoder, texts)
        signatures = zip(texts, vectors, strict=True)
        return [_BY_MODEL + vector.tobytes() if text else b"" for text, vector in signatures]

    def decide(self, signed: Iterable[tuple[str, bytes]]) -> dict[str, str]:
        ids: list[str] = []
        rows, by = _read(signed, ids)
        if not ids:
            return {}
        said = TFIDF.upper() if by == _BY_TEXT else self.model
        return {
            ids[index]: f"same meaning: {ids[kept]}, {alike:.2f} by {said}"
            for index, kept, alike in same_meaning(rows, self.threshold)
        }


def _read(signed: Iterable[tuple[str, bytes]], ids: list[str]) -> tuple[Rows, bytes]:
    """The vectors of all that have something to compare, whose ids go to ``ids``; and by what."""
    kinds: set[bytes] = set()
    found = []
    for name, signature in signed:
        if signature:
            ids.append(name)
            kinds.add(signature[:1])
            found.append(signature[1:])
    if len(kinds) > 1:
        raise UserError(
            "semantic-duplicates: the embedding model could be loaded by some processes and not "
            "by others: give a folder that all can read, or model = 'tf-idf'"
        )
    if not found:
        return None, b""
    if _BY_TEXT in kinds:
        return weighted([text.decode("utf-8") for text in found]), _BY_TEXT
    np = numpy()
    return np.frombuffer(b"".join(found), dtype=np.float16).reshape(len(ids), -1), _BY_MODEL
