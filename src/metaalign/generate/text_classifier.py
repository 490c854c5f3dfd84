"""The kind of a query by a Hugging Face text classifier.

A classifier knows its own labels. Those that are called like a kind mean it; every other one has to
be mapped to a kind, since nobody can guess what ``LABEL_1`` stands for.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, cast, get_args

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel

from metaalign.generate.opening import (
    check_name,
    check_weights,
    hub_answers,
    opening,
    place_on,
    without_bars,
)
from metaalign.schema import Classified, Kind, UserError

BATCH = 32
KINDS: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
SHOWN = 5
"""Labels that an error names; some classifiers have hundreds."""


class _Encoded(NamedTuple):
    ids: list[int]
    cut: bool
    """The query was longer than the model reads."""


class TextClassifier:
    """A classifier that is loaded: ``classify`` fits ``policy.resolve_dialogue``. See ``load``."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: Any,
        name: str,
        kinds: Sequence[Kind],
        threshold: float,
    ) -> None:
        """``kinds`` has the kind of every label, in the model's order."""
        self.name = name
        self.threshold = threshold
        self._model = model
        self._tokenizer = tokenizer
        self._kinds = kinds
        self._longest = _longest(model, tokenizer)

    @classmethod
    def load(
        cls,
        name_or_folder: str | Path,
        labels: Mapping[str, Kind] | None = None,
        threshold: float = 0.5,
        device: str | None = None,
    ) -> "TextClassifier":
        """Open a sequence classification model, from a folder or from the hub.

        ``labels`` maps the model's labels to kinds; those that are called like a kind, in any case
        and with spaces or hyphens for ``_``, map by themselves. Below ``threshold`` the kind is
        ``unknown``. Raises ``UserError`` for a model that cannot be opened, a label that maps to
        nothing, and a mapping of a label that the model does not have.
        """
        if not 0 <= threshold <= 1:
            raise UserError(f"the threshold {threshold:g} is no probability: use 0 to 1")
        name, folder = str(name_or_folder), Path(name_or_folder)
        local = folder.is_dir()
        if not local:
            check_name(name, folder)
        place = place_on(device)
        offline = not local and not hub_answers()
        with opening(name, local=local, offline=offline), without_bars():
            tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=local or offline)
            opened: Any = AutoModelForSequenceClassification.from_pretrained(
                name, local_files_only=local or offline, output_loading_info=True
            )
        model, info = opened
        # A model of another sort is opened with a head of random numbers: that is no classifier.
        check_weights(name, info)
        kinds = _kinds_of(_labels(model), labels or {}, name)
        shown = folder.resolve().name if local else name
        return cls(model.to(place).eval(), tokenizer, shown, kinds, threshold)

    def classify(self, query: str) -> Classified:
        """The kind of ``query``, and the classifier's name with the probability of that kind.

        ``unknown`` if no kind reaches the threshold or there is nothing to read. A query that is
        longer than the model reads is judged by its beginning, and the name says so.
        """
        return self.classify_all([query])[0]

    def classify_all(self, queries: Iterable[str], batch_size: int = BATCH) -> list[Classified]:
        """The kinds of ``queries``, in their order: as ``classify`` has them, but in batches."""
        found: list[Classified] = []
        for batch in _batches(queries, batch_size):
            asked = [self._encode(query) for query in batch if query.strip()]
            answers = iter(self._decide(asked))
            found += [
                next(answers) if query.strip() else self._said("unknown", "nothing to read")
                for query in batch
            ]
        return found

    def _encode(self, query: str) -> _Encoded:
        whole = self._tokenizer(query)["input_ids"]
        if self._longest is None or len(whole) <= self._longest:
            return _Encoded(whole, False)
        cut = self._tokenizer(query, truncation=True, max_length=self._longest)
        return _Encoded(cut["input_ids"], True)

    @torch.inference_mode()
    def _decide(self, asked: Sequence[_Encoded]) -> list[Classified]:
        if not asked:
            return []
        if self._tokenizer.pad_token is None and len(asked) > 1:
            return [answer for one in asked for answer in self._decide([one])]
        ids = {"input_ids": [one.ids for one in asked]}
        if len(asked) > 1:
            inputs = self._tokenizer.pad(ids, return_tensors="pt")
        else:
            inputs = {"input_ids": torch.tensor(ids["input_ids"])}
        logits = self._model(**{k: v.to(self._model.device) for k, v in inputs.items()}).logits
        rows = self._probabilities(logits.float()).tolist()
        return [self._decided(row, one.cut) for row, one in zip(rows, asked, strict=True)]

    def _probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """[n, labels] logits to probabilities: of each label by itself, or of one among all."""
        return logits.sigmoid() if self._each_by_itself else logits.softmax(dim=-1)

    @property
    def _each_by_itself(self) -> bool:
        config = self._model.config
        return len(self._kinds) == 1 or config.problem_type == "multi_label_classification"

    def _decided(self, row: Sequence[float], cut: bool) -> Classified:
        """``row`` holds the probability of every label."""
        by_kind: dict[Kind, float] = defaultdict(float)
        for kind, share in zip(self._kinds, row, strict=True):
            # Labels that exclude each other add up; of the others, the surest speaks.
            added = max(by_kind[kind], share) if self._each_by_itself else by_kind[kind] + share
            by_kind[kind] = added
        kind, share = max(by_kind.items(), key=lambda item: item[1])
        note = f"{share:.2f}" + (f", first {self._longest} tokens" if cut else "")
        if share < self.threshold:
            return self._said("unknown", f"{kind} only {note}")
        return self._said(kind, note)

    def _said(self, kind: Kind, note: str) -> Classified:
        return Classified(kind, f"{self.name} ({note})")


def _batches(queries: Iterable[str], size: int) -> Iterator[list[str]]:
    rest = iter(queries)
    while batch := list(islice(rest, size)):
        yield batch


def _labels(model: PreTrainedModel) -> list[str]:
    named: Mapping[int, str] = cast(Any, model.config).id2label
    return [str(named[number]) for number in sorted(named)]


def _kinds_of(labels: Sequence[str], given: Mapping[str, Kind], name: str) -> list[Kind]:
    """The kind of every label."""
    strange = [label for label in given if label not in labels]
    if strange:
        raise UserError(f"{name} has no label {strange[0]!r}: its labels are {_some(labels)}")
    wrong = [kind for kind in given.values() if kind not in KINDS]
    if wrong:
        raise UserError(f"no kind of query is called {wrong[0]!r}: use {', '.join(KINDS)}")
    found = [given.get(label) or KINDS.get(_plain(label)) for label in labels]
    left = [label for label, kind in zip(labels, found, strict=True) if kind is None]
    if left:
        raise UserError(
            f"{name} has labels that are called like no kind: {_some(left)}; map each, "
            f"as in --label {left[0]}=harmful, to one of {', '.join(KINDS)}"
        )
    return [kind for kind in found if kind is not None]


def _some(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - SHOWN} more" if len(labels) > SHOWN else ""
    return ", ".join(labels[:SHOWN]) + more


def _plain(label: str) -> str:
    return label.strip().lower().replace(" ", "_").replace("-", "_")


def _longest(model: PreTrainedModel, tokenizer: Any) -> int | None:
    """Tokens that the model reads at most, None if nobody says."""
    limits = []
    if tokenizer.model_max_length < 1e9:  # an enormous number stands for "not known"
        limits.append(int(tokenizer.model_max_length))
    positions = getattr(model.config, "max_position_embeddings", None)
    if isinstance(positions, int) and positions > 0:
        # RoBERTa's positions begin after the one for padding.
        offset = "roberta" in model.config.model_type and (model.config.pad_token_id or 0) + 1
        limits.append(positions - int(offset))
    return min(limits, default=None)
