"""How much longer the renderer takes than the bare tokenizer on the same text.

    python benchmarks/render.py [--dialogues 1000] [--repeats 9]

Both read the same dialogues in one call, in turn, in one process; the bare tokenizer gets the text
that the chat template makes of each dialogue, already joined. Prints a Markdown table.
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

os.environ["TOKENIZERS_PARALLELISM"] = "false"
sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.prompt.families import FAMILIES, lines

from metaalign.prompt import add_markers, chat_template, encode, encode_batch, to_messages
from metaalign.schema import Dialogue, MetaPrompt, Turn


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


def seconds(work: Callable[[], object]) -> float:
    """Processor time: other work on the machine does not count, and there is one thread only."""
    started = time.process_time()
    work()
    return time.process_time() - started


def row(family: str, native: bool, talks: list[Dialogue], repeats: int) -> str:
    tokenizer = FAMILIES[family]()
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
    bare, ours = [], []
    for _ in range(repeats):
        bare.append(seconds(lambda: tokenizer(texts, add_special_tokens=False)))
        ours.append(seconds(lambda: encode_batch(talks, tokenizer)))
    ratios = [mine / theirs for mine, theirs in zip(ours, bare, strict=True)]
    tokens = sum(len(e.ids) for e in encode_batch(talks, tokenizer))
    middle = [statistics.median(times) * 1e6 / len(talks) for times in (bare, ours)]
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
    asked = parser.parse_args()
    talks = dialogues(asked.dialogues)
    machine = platform.processor() or platform.machine()
    print(f"{asked.dialogues} dialogues, {asked.repeats} repeats, one thread, {machine}\n")
    print("| tokenizer | layout | tokens | bare, us | renderer, us | median ratio | ratios |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for family in FAMILIES:
        if family not in ("gpt2", "base-sentencepiece"):
            print(row(family, True, talks, asked.repeats), flush=True)
    for family in FAMILIES:
        print(row(family, False, talks, asked.repeats), flush=True)


if __name__ == "__main__":
    main()
