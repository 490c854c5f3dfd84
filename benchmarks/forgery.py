"""How often does a text forge a control token? Prints a Markdown table, and writes nothing.

    python benchmarks/forgery.py [--count N] [--seed N]

Every hostile text is put once into the user's query and once into User Info. It has forged
something if the rendered ids hold more of any control token than those of the same dialogue with a
harmless text; where a template's markers are ordinary text (Llama 2, the first Mistral), the text
that the ids stand for is searched for them as well.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

os.environ["HF_HUB_OFFLINE"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.prompt.families import FAMILIES, SPECS, fresh
from tests.prompt.hostile import hostile_dialogues, hostile_texts
from tokenizers import decoders, normalizers

from metaalign.prompt import (
    add_markers,
    chat_template,
    encode_batch,
    markers,
    parse,
    to_messages,
)
from metaalign.prompt.neutral import neutralise
from metaalign.schema import Dialogue, MetaPrompt, TierText, Turn, UserError

HARMLESS = "I keep bees."
QUERY = "How do I water a cactus?"
BATCH = 500

T = TypeVar("T")
Place = Callable[[str], Dialogue]


def in_query(text: str) -> Dialogue:
    return Dialogue.ask(text)


def in_user_info(text: str) -> Dialogue:
    return Dialogue.ask(QUERY, user_info=text)


PLACES: tuple[Place, ...] = (in_query, in_user_info)


class Subject(NamedTuple):
    """A tokenizer, and what no text may put into a dialogue that it renders."""

    name: str
    tokenizer: Any
    tokens: tuple[str, ...]
    """Control tokens."""
    plain: tuple[str, ...] = ()
    """Markers of the template that are ordinary text to the tokenizer."""
    native: bool = False
    """It has a control token for every tier."""


Render = Callable[[Subject, Sequence[Dialogue]], list[list[int]]]


class Row(NamedTuple):
    """What became of the texts with one tokenizer."""

    name: str
    template: list[int] | None
    """Forged against the chat template, in the query and in User Info; None without a template."""
    neutral: list[int] | None
    """Likewise after ``neutralise``."""
    metaalign: list[int]
    """Forged against ``metaalign.prompt.encode``."""
    changed: int
    """Dialogues that are read back otherwise than they were written."""
    unexplained: int
    """Those of them in which more was changed than the tokenizer's normaliser changes."""


def subjects() -> Iterator[Subject]:
    """Every family as it is published, and two as metaalign trains and exports them."""
    for name, family in SPECS.items():
        tokens = tuple(control.text for control in family.controls)
        yield Subject(name, FAMILIES[name](), tokens, family.plain)
    for name in ("smollm2", "llama-2"):
        tokenizer = fresh(name)
        add_markers(tokenizer)
        tokenizer.chat_template = chat_template("<s>" if name == "llama-2" else "")
        tokens = (*(control.text for control in SPECS[name].controls), *markers())
        yield Subject(f"{name}, tier markers", tokenizer, tokens, native=True)


def measure(subject: Subject, texts: Sequence[str], dialogues: Sequence[Dialogue]) -> Row:
    template = neutral = None
    if subject.tokenizer.chat_template:
        template = [forged(subject, by_template, place, texts) for place in PLACES]
        broken = [neutralise(text, "any") for text in texts]
        neutral = [forged(subject, by_template, place, broken) for place in PLACES]
    ours = [forged(subject, by_metaalign, place, texts) for place in PLACES]
    asked = [place(text) for place in PLACES for text in texts]
    return Row(
        subject.name, template, neutral, ours, *read_back(subject.tokenizer, [*asked, *dialogues])
    )


def by_template(subject: Subject, dialogues: Sequence[Dialogue]) -> list[list[int]]:
    """What a program does that puts the tiers into messages and has the template applied."""
    talks = [to_messages(d) if subject.native else fenced(d) for d in dialogues]
    ids: list[list[int]] = subject.tokenizer.apply_chat_template(talks, add_generation_prompt=True)[
        "input_ids"
    ]
    return ids


def fenced(dialogue: Dialogue) -> list[dict[str, str]]:
    """User Info above the query, as there is no role for it."""
    info = dialogue.meta_prompt.user_info
    above = f"<user_info>\n{info}\n</user_info>\n\n" if info else ""
    return [{"role": "user", "content": above + dialogue.query}]


def by_metaalign(subject: Subject, dialogues: Sequence[Dialogue]) -> list[list[int]]:
    return [list(encoded.ids) for encoded in encode_batch(dialogues, subject.tokenizer)]


def forged(subject: Subject, render: Render, place: Place, texts: Sequence[str]) -> int:
    """How many texts bring a control token or a marker with them."""
    usual = controls(subject, render(subject, [place(HARMLESS)])[0])
    return sum(
        bool(controls(subject, ids) - usual)
        for some in batches(texts)
        for ids in render(subject, [place(text) for text in some])
    )


def controls(subject: Subject, ids: Sequence[int]) -> Counter[str]:
    """How often each control token is in ``ids``, and each marker in the text they stand for."""
    names = {subject.tokenizer.convert_tokens_to_ids(token): token for token in subject.tokens}
    found = Counter(names[index] for index in ids if index in names)
    if subject.plain:
        text = subject.tokenizer.decode(ids)
        found.update({mark: text.count(mark) for mark in subject.plain})
    return found


def read_back(tokenizer: Any, dialogues: Sequence[Dialogue]) -> tuple[int, int]:
    """How many dialogues are read back changed, and how many of them for no known reason."""
    changed = unexplained = 0
    known = normaliser(tokenizer)
    for some in batches(dialogues):
        for dialogue, encoded in zip(some, encode_batch(some, tokenizer), strict=True):
            try:
                found = parse(encoded.ids, tokenizer)
            except UserError:
                found = None
            changed += found != dialogue
            unexplained += found != dialogue and found != rewritten(dialogue, known)
    return changed, unexplained


def normaliser(tokenizer: Any) -> Callable[[str], str]:
    """What a tokenizer itself makes of a text before it reads it, and after."""
    raw = tokenizer.backend_tokenizer
    nfc = raw.normalizer if isinstance(raw.normalizer, normalizers.NFC) else None
    # SentencePiece writes a space as "▁" and so reads "▁" as a space; the "a" keeps the first one.
    spaces = None if isinstance(raw.decoder, decoders.ByteLevel) else raw.decoder

    def change(text: str) -> str:
        text = nfc.normalize_str(text) if nfc else text
        return spaces.decode(["a" + text])[1:] if spaces else text

    return change


def rewritten(dialogue: Dialogue, change: Callable[[str], str]) -> Dialogue:
    return Dialogue(
        MetaPrompt(tuple(TierText(t.tier, change(t.text)) for t in dialogue.meta_prompt.tiers)),
        tuple(Turn(turn.role, change(turn.text)) for turn in dialogue.turns),
    )


def batches(items: Sequence[T]) -> Iterable[Sequence[T]]:
    return (items[start : start + BATCH] for start in range(0, len(items), BATCH))


def cells(row: Row) -> list[str]:
    pairs = (row.template, row.neutral, row.metaalign)
    counts = [" / ".join(map("{:,}".format, pair)) if pair else "no template" for pair in pairs]
    return [row.name, *counts, f"{row.changed:,}", f"{row.unexplained:,}"]


def main() -> None:
    arguments = argparse.ArgumentParser(description="How often does a text forge a control token?")
    arguments.add_argument("--count", type=int, default=10_000, help="number of hostile texts")
    arguments.add_argument("--seed", type=int, default=0, help="seed of the hostile texts")
    given = arguments.parse_args()
    texts = hostile_texts(given.count + 1, given.seed)[1:]  # the first one is empty
    dialogues = hostile_dialogues(given.count, given.seed)
    print(
        f"{len(texts):,} hostile texts; forged in the query / in User Info. Of "
        f"{len(PLACES) * len(texts) + len(dialogues):,} dialogues, read back changed:\n"
    )
    print(
        "| tokenizer | apply_chat_template | the same after neutralise | metaalign "
        "| read back changed | not by the normaliser |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for subject in subjects():
        print(f"| {' | '.join(cells(measure(subject, texts, dialogues)))} |", flush=True)


if __name__ == "__main__":
    main()
