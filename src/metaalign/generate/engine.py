"""The engine: a trained model that answers, streams an answer, and says how likely one is."""

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from msgspec import Struct

from metaalign.generate.decoding import Control, Sampling, decode
from metaalign.generate.loading import Reads, load
from metaalign.generate.writing import Writer
from metaalign.prompt import Fitted, TooLong, encode_batch, end_token_id, fit
from metaalign.schema import Dialogue, Event, MetaPrompt, Progress, UserError, silent

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Finish = Literal["stop", "length"]

_SMALL = 100_000_000
"""Parameters up to which a large batch pays; beyond it memory comes first."""


class ContextOverflow(UserError):
    """A prompt and its answer are longer than the model's context."""


def _never() -> bool:
    return False


class Answer(Struct, frozen=True):
    """One answer and how it ended."""

    text: str
    finish: Finish
    """``stop``: by the end token or a stop string; ``length``: ``max_new_tokens`` were used up."""
    tokens: int
    """Tokens that were generated, the end token included."""


class AnswerStream:
    """The pieces of one answer as they come; ``finish`` and ``tokens`` are final after the last."""

    def __init__(self, pieces: Iterator[tuple[str, Finish]]) -> None:
        self._pieces = pieces
        self.finish: Finish = "length"
        self.tokens = 0

    def __iter__(self) -> "AnswerStream":
        return self

    def __next__(self) -> str:
        """The next piece of text; empty when a token has come that cannot be shown yet."""
        piece, self.finish = next(self._pieces)
        return piece


class Engine:
    """A model with its tokenizer. Text in, text out; see the module.

    Not for several threads at once, apart from ``count_tokens`` and ``check``.
    """

    def __init__(self, model: "PreTrainedModel", tokenizer: Any, reads: Reads = "meta_prompt"):
        self.model = model
        self.tokenizer = tokenizer
        self.reads = reads
        """``query`` if the model is shown the turns only, without the Meta-Prompt."""
        # A fast tokenizer changes its settings while it encodes; two threads would clash.
        self._tokenizing = threading.Lock()
        self._control = _control(model, tokenizer)

    @classmethod
    def load(
        cls,
        model: str | Path,
        *,
        dtype: str | None = None,
        device: str | None = None,
        threads: int | None = None,
    ) -> "Engine":
        """Open a model folder, or a Hugging Face name.

        A model without tier markers, as it was published, is shown the Meta-Prompt through its own
        chat template (see ``prompt.template``).

        Args:
            dtype: ``auto`` (as it was saved), ``float32``, ``bfloat16`` or ``float16``; by default
                float32 on a CPU and ``auto`` elsewhere.
            device: such as ``cuda:1``; by default the first GPU, or the CPU if there is none.
            threads: CPU threads that torch uses, in the whole process.

        Raises:
            UserError: there is no such model, or it cannot be read.
        """
        if threads is not None:
            if threads < 1:
                raise UserError(f"threads is {threads}: it must be at least 1")
            torch.set_num_threads(threads)
        loaded = load(model, dtype, device)
        return cls(loaded.model, loaded.tokenizer, loaded.reads)

    @property
    def context(self) -> int | None:
        """Most tokens of a prompt and its answer together; None if the model sets no limit."""
        config = self.model.config.get_text_config(decoder=True)
        limit = getattr(config, "max_position_embeddings", None)
        return int(limit) if limit else None

    def count_tokens(self, dialogue: Dialogue) -> int:
        """How many tokens the model reads before it begins to answer ``dialogue``."""
        return len(self._prompts([dialogue])[0])

    def check(self, dialogue: Dialogue, max_new_tokens: int) -> int:
        """``count_tokens``, if that and an answer of ``max_new_tokens`` fit into the context.

        Raises:
            ContextOverflow: they do not; it says by how many tokens.
        """
        return self._check(self._prompts([dialogue]), max_new_tokens)

    def fit(self, dialogue: Dialogue, max_new_tokens: int) -> Fitted:
        """The dialogue without its oldest turns, if it and an answer are longer than the context.

        Where even the Meta-Prompt and the query leave no room for ``max_new_tokens``, for as much
        of an answer as there is room for.

        Raises:
            TooLong: there is room for none.
        """
        shown = self._shown(dialogue)
        limit = self.context or sys.maxsize
        with self._tokenizing:
            try:
                return fit(shown, self.tokenizer, limit, reserve=max_new_tokens)
            except TooLong:
                return fit(shown, self.tokenizer, limit, reserve=1)

    def answer(
        self,
        dialogues: Sequence[Dialogue],
        *,
        samples: int = 1,
        temperature: float = 0.0,
        top_p: float = 1.0,
        max_new_tokens: int = 128,
        seed: int = 0,
        batch_size: int | None = None,
        progress: Progress = silent,
    ) -> list[list[str]]:
        """``samples`` answers to every dialogue, in order.

        Greedy at temperature 0, where all samples are the same. What is drawn for a dialogue
        depends on the seed and the dialogue, not on the others.

        Args:
            batch_size: rows (dialogues x samples) that are written at once.
        """
        sampling = Sampling(
            temperature=temperature, top_p=top_p, max_new_tokens=max_new_tokens, seed=seed
        )
        found = self.respond(
            dialogues, sampling, samples=samples, batch_size=batch_size, progress=progress
        )
        return [[answer.text for answer in answers] for answers in found]

    def respond(
        self,
        dialogues: Sequence[Dialogue],
        sampling: Sampling,
        *,
        samples: int = 1,
        batch_size: int | None = None,
        cancelled: Callable[[], bool] = _never,
        progress: Progress = silent,
    ) -> list[list[Answer]]:
        """``answer`` with all settings, and with how each answer ended.

        Once ``cancelled()`` is true, the answers end where they are.
        """
        size = self._batch_size(batch_size)
        if samples < 1:
            raise UserError(f"samples is {samples}: it must be at least 1")
        drawn = samples if sampling.temperature > 0 else 1
        prompts = self._prompts(dialogues)
        self._check(prompts, sampling.max_new_tokens)
        found: list[list[Answer]] = [[] for _ in dialogues]
        # The longest first: what does not fit into memory fails at once, not at the end.
        order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
        at_once = max(1, size // drawn)
        for start in range(0, len(order), at_once):
            numbers = order[start : start + at_once]
            batch = self._batch([prompts[i] for i in numbers], drawn, sampling, cancelled)
            for place, i in enumerate(numbers):
                mine = batch[place * drawn : (place + 1) * drawn]
                found[i] = mine if drawn == samples else mine * samples
            progress(Event("answer", start + len(numbers), len(order), "dialogues"))
        return found

    def stream(
        self,
        dialogue: Dialogue,
        *,
        temperature: float = 0.0,
        top_p: float = 1.0,
        max_new_tokens: int = 128,
        seed: int = 0,
        stop: Sequence[str] = (),
    ) -> AnswerStream:
        """One answer piece by piece; joined, the pieces are what ``answer`` gives.

        A piece never holds half a character; it is empty while one is incomplete.
        """
        sampling = Sampling(
            temperature=temperature,
            top_p=top_p,
            max_new_tokens=max_new_tokens,
            seed=seed,
            stop=tuple(stop),
        )
        prompts = self._prompts([dialogue])
        self._check(prompts, max_new_tokens)
        stream: AnswerStream

        def pieces() -> Iterator[tuple[str, Finish]]:
            writer = self._writer(sampling.stop)
            for step in decode(self.model, prompts, 1, sampling, self._control, set()):
                token = step[0][1]
                stream.tokens += 1
                if token == self._control.end:
                    yield writer.close(), "stop"
                    return
                piece = writer.push(token)
                yield piece, "stop" if writer.stopped else "length"
                if writer.stopped:
                    return
            rest = writer.close()
            yield rest, "stop" if writer.stopped else "length"

        stream = AnswerStream(pieces())
        return stream

    def logprobs(
        self,
        dialogues: Sequence[Dialogue],
        answers: Sequence[str],
        *,
        tokens_per_batch: int = 8192,
        progress: Progress = silent,
    ) -> list[float]:
        """log p(answer | dialogue) of every pair: nats, summed over its tokens and the end token.

        Equal prompts with equal answers give equal numbers, because each is computed once.
        """
        # Not at the top: an installation that only serves has none of what training needs.
        from metaalign.train.batches import encode_examples
        from metaalign.train.scoring import AnswerModel, answer_logprobs

        pairs = list(zip(map(self._shown, dialogues), answers, strict=True))
        for dialogue, _ in pairs:
            _check_query(dialogue)
        unique = list(dict.fromkeys(pairs))
        with self._tokenizing:
            examples = encode_examples([(d, [a]) for d, a in unique], self.tokenizer)
        limit = self.context
        longest = max((example.length for example in examples), default=0)
        if limit is not None and longest > limit:
            raise ContextOverflow(_too_long(longest, 0, limit))
        found = answer_logprobs(
            AnswerModel(self.model, precision="fp32"),
            examples,
            device=self.model.device,
            tokens_per_batch=tokens_per_batch,
            progress=progress,
        )
        by_pair = {pair: sum(values) for pair, values in zip(unique, found, strict=True)}
        return [by_pair[pair] for pair in pairs]

    def _shown(self, dialogue: Dialogue) -> Dialogue:
        """What the model is shown of ``dialogue``."""
        return Dialogue(MetaPrompt(), dialogue.turns) if self.reads == "query" else dialogue

    def _prompts(self, dialogues: Sequence[Dialogue]) -> list[tuple[int, ...]]:
        for dialogue in dialogues:
            _check_query(dialogue)
        with self._tokenizing:
            return [e.ids for e in encode_batch(map(self._shown, dialogues), self.tokenizer)]

    def _check(self, prompts: Sequence[Sequence[int]], max_new_tokens: int) -> int:
        """The length of the longest prompt, if it and its answer fit into the context."""
        longest = max((len(prompt) for prompt in prompts), default=0)
        if self.context is not None and longest + max_new_tokens > self.context:
            raise ContextOverflow(_too_long(longest, max_new_tokens, self.context))
        return longest

    def _batch_size(self, asked: int | None) -> int:
        if asked is None:
            return 128 if self.model.num_parameters() <= _SMALL else 8
        if asked < 1:
            raise UserError(f"batch_size is {asked}: it must be at least 1")
        return asked

    def _batch(
        self,
        prompts: Sequence[Sequence[int]],
        samples: int,
        sampling: Sampling,
        cancelled: Callable[[], bool],
    ) -> list[Answer]:
        """Write one batch: the answers of all rows, those of a prompt next to each other."""
        writers = [self._writer(sampling.stop) for _ in range(len(prompts) * samples)]
        ids: list[list[int]] = [[] for _ in writers]
        done: set[int] = set()
        for step in decode(self.model, prompts, samples, sampling, self._control, done):
            for row, token in step:
                ids[row].append(token)
                if sampling.stop and token != self._control.end:
                    writers[row].push(token)
                    if writers[row].stopped:
                        done.add(row)
            if cancelled():
                break
        return [self._finished(*pair) for pair in zip(ids, writers, strict=True)]

    def _finished(self, ids: list[int], writer: Writer) -> Answer:
        ended = ids[-1:] == [self._control.end]
        if writer.ids:
            writer.close()
            text = writer.text
        else:
            text = self._decode(ids[:-1] if ended else ids)
        return Answer(text, "stop" if ended or writer.stopped else "length", len(ids))

    def _writer(self, stop: Sequence[str]) -> Writer:
        return Writer(self._decode, self.tokenizer.convert_ids_to_tokens, stop)

    def _decode(self, ids: Sequence[int]) -> str:
        with self._tokenizing:
            text: str = self.tokenizer.decode(
                list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
            )
        return text


def _check_query(dialogue: Dialogue) -> None:
    if not dialogue.turns or dialogue.turns[-1].role != "user":
        raise UserError("there is nothing to answer: the last turn must be the user's")


def _too_long(prompt: int, answer: int, limit: int) -> str:
    needs = f"a prompt of {prompt} tokens and an answer of up to {answer}"
    if not answer:
        needs = f"a prompt and its answer of {prompt} tokens together"
    return (
        f"{needs} are {prompt + answer - limit} more than the {limit} that the model reads: "
        "shorten the Meta-Prompt or the turns, or allow a shorter answer"
    )


def _control(model: "PreTrainedModel", tokenizer: Any) -> Control:
    end = end_token_id(tokenizer)
    special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    embeddings: Any = model.get_input_embeddings()
    nameless = set(range(embeddings.num_embeddings)) - set(tokenizer.get_vocab().values())
    banned = (special | set(tokenizer.all_special_ids) | nameless) - {end}
    return Control(end, torch.tensor(sorted(banned), device=model.device))
