"""How much longer the renderer takes than the bare tokenizer on the same text.

    python benchmarks/render.py [--dialogues 1000] [--repeats 9] [--families gemma-2 gemma-3]

Both read the same dialogues, 50 of them in one call, in turn, in one process; the bare tokenizer
gets the text that the chat template makes of each dialogue, already joined. Prints a Markdown
table, of processor time.
"""

import argparse
import copy
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["TOKENIZERS_PARALLELISM"] = "false"
sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.prompt.families import FAMILIES, lines

from metaalign.prompt import add_markers, chat_template, encode, encode_batch, to_messages
from metaalign.schema import Dialogue, MetaPrompt, Turn

CALL = 50
"""Dialogues in one call. The two take turns so often that other work slows them down alike."""


def dialogues(count: int) -> list[Dialogue]:
    """Meta-Prompts and talks of one to three exchanges, the last one answered."""
    draw = random.Random(0)
    words = [line.strip() for line in lines()]
    made = []
    for _ in range(count):
        talk = [
            Turn(role, " ".join(draw.sample(words, 3)))
            for _ in range(draw.randint(1, 3))
            for role in ("user", "assistant")
        ]
        made.append(
            Dialogue(
                MetaPrompt.of(" ".join(draw.sample(words, 2)), draw.choice(words)), tuple(talk)
            )
        )
    return made


def seconds(work: Callable[..., object], *given: object, **more: object) -> float:
    """Processor time: what other work takes of it does not count, and there is one thread only."""
    started = time.process_time()
    work(*given, **more)
    return time.process_time() - started


def both(
    tokenizer: Any, texts: list[str], talks: list[Dialogue], bare_first: bool
) -> tuple[float, float]:
    """Seconds of the bare tokenizer and of the renderer for all dialogues."""
    bare, ours = 0.0, 0.0
    for start in range(0, len(talks), CALL):
        said, some = texts[start : start + CALL], talks[start : start + CALL]
        for bare_now in (bare_first, not bare_first):
            if bare_now:
                bare += seconds(tokenizer, said, add_special_tokens=False)
            else:
                ours += seconds(encode_batch, some, tokenizer)
    return bare, ours


def row(family: str, native: bool, talks: list[Dialogue], repeats: int) -> str:
    tokenizer: Any = FAMILIES[family]()
    if native:
        tokenizer = copy.deepcopy(tokenizer)
        add_markers(tokenizer)
        start = encode(talks[0], tokenizer)
        bos = str(tokenizer.bos_token) if start.tiers[0] == "start" else ""
        tokenizer.chat_template = chat_template(bos)
        texts = [tokenizer.apply_chat_template(to_messages(d), tokenize=False) for d in talks]
    else:
        # What the tokenizer would be given if nobody cared for control tokens.
        texts = [tokenizer.decode(list(e.ids)) for e in encode_batch(talks, tokenizer)]
    encode_batch(talks, tokenizer)  # the templates are rendered and the copy is made once
    times = [both(tokenizer, texts, talks, bool(number % 2)) for number in range(repeats)]
    ratios = [ours / bare for bare, ours in times]
    tokens = sum(len(e.ids) for e in encode_batch(talks, tokenizer))
    middle = [statistics.median(one) * 1e6 / len(talks) for one in zip(*times, strict=True)]
    cells = [
        family,
        "native" if native else "compatible",
        f"{tokens / len(talks):.0f}",
        *(f"{microseconds:.0f}" for microseconds in middle),
        f"{statistics.median(ratios):.2f}",
        f"{min(ratios):.2f} to {max(ratios):.2f}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dialogues", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    asked = parser.parse_args()
    talks = dialogues(asked.dialogues)
    machine = platform.processor() or platform.machine()
    print(f"{asked.dialogues} dialogues, {asked.repeats} repeats, one thread, {machine}\n")
    print("| tokenizer | layout | tokens | bare, us | renderer, us | median ratio | ratios |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for family in asked.families:
        if family not in ("gpt2", "base-sentencepiece"):
            print(row(family, True, talks, asked.repeats), flush=True)
    for family in asked.families:
        print(row(family, False, talks, asked.repeats), flush=True)


if __name__ == "__main__":
    main()
