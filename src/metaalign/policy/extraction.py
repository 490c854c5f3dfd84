"""What free texts ask for, by the rules of ``lexicons/preferences.toml``.

The rules look at one sentence at a time: ``reading`` finds what it may ask for, ``ambiguity`` parts
what is meant for sure from what stays open.
"""

import multiprocessing
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice

from metaalign.policy.ambiguity import settle
from metaalign.policy.lexicon import lower, plain
from metaalign.policy.person import about
from metaalign.policy.reading import Sentence, clause, finds, look
from metaalign.policy.referring import NOTHING_BEFORE, Before
from metaalign.policy.rules import Rules, rules
from metaalign.policy.splitting import sentences
from metaalign.schema import (
    USER_INFO,
    Ambiguity,
    Dialogue,
    MetaPrompt,
    Preference,
    Reading,
)

BACKGROUND = "background"
_AT_ONCE = 256
"""Texts that a process of ``read_texts`` takes at a time."""
_SHORT = 60
"""Characters of a sentence that only says yes or no to the one before."""
_ASKED = 5
"""Words of a question that somebody asks to answer it themselves."""


def extract(meta_prompt: MetaPrompt) -> tuple[Preference, ...]:
    """The preferences that the tiers state, in the order of the text: the short form of ``read``.

    Every preference carries its tier, the words that asked for it (its sentence, or its clause if
    the sentence asks for more than one thing) and their span. What a tier says of the person in
    passing comes as one implicit ``background``.
    """
    return read(Dialogue(meta_prompt, ()), talk_tier=None).preferences


def read(dialogue: Dialogue, *, talk_tier: str | None = USER_INFO) -> Reading:
    """All that the texts of a dialogue ask for, and what of it could not be read for sure.

    Of the talk only the user's sentences that speak of how to answer from now on count; what they
    ask for belongs to ``talk_tier``. None: the talk is not read.
    """
    readings = [read_text(said.text, said.tier) for said in dialogue.meta_prompt.tiers]
    if talk_tier is not None:
        for number, turn in enumerate(dialogue.turns):
            if turn.role == "user":
                readings.append(_read(turn.text, talk_tier, number))
    return Reading(
        tuple(p for reading in readings for p in reading.preferences),
        tuple(a for reading in readings for a in reading.ambiguous),
    )


def read_text(text: str, tier: str) -> Reading:
    """What ``text`` asks for in the name of ``tier``, in the order of the text."""
    return _read(text, tier, None)


def read_texts(texts: Iterable[tuple[str, str]], processes: int = 1) -> Iterator[Reading]:
    """``read_text`` of many (text, tier), in their order, by several processes.

    The texts are streamed: each process has a few hundred of them at a time.
    """
    stream = iter(texts)
    batches = iter(lambda: list(islice(stream, _AT_ONCE)), [])
    if processes == 1:
        for batch in batches:
            yield from _read_batch(batch)
        return
    # Not forked: whoever asks may have threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=rules) as pool:
        waiting = [pool.submit(_read_batch, batch) for batch in islice(batches, 2 * processes)]
        while waiting:
            yield from waiting.pop(0).result()
            waiting += [pool.submit(_read_batch, batch) for batch in islice(batches, 1)]


def _read_batch(batch: list[tuple[str, str]]) -> list[Reading]:
    return [read_text(text, tier) for text, tier in batch]


def _read(text: str, tier: str, turn: int | None) -> Reading:
    known = rules()
    asked: list[Preference] = []
    left: list[Ambiguity] = []
    person: list[tuple[int, int]] = []
    of_person = turn is None and tier in known.person_tiers
    said = list(sentences(plain(text)))
    before = NOTHING_BEFORE
    for number, (start, written) in enumerate(said):
        if turn is not None and not _speaks_of_answers(written, known):
            continue
        following = said[number + 1][1] if number + 1 < len(said) else ""
        sentence = _look(written, following, known, before)
        found = finds(sentence, known)
        who = about(sentence, found, known) if of_person else []
        before = Before(sentence.lowered, sentence.hits.get("named", ()), bool(who))
        person += [(start + begin, start + end) for begin, end in who]
        if not found:
            continue
        sure, unsure = settle(sentence, found)
        alone = len(sure) + len(unsure) == 1 and not who
        for find in sure:
            span = _span(sentence, start, find.start, find.end, alone)
            words = text[slice(*span)]
            asked.append(Preference(tier, find.dimension, find.value, words, True, span, turn))
        for find, reason in unsure:
            span = _span(sentence, start, 0, len(written), alone=True)
            words = text[slice(*span)]
            left.append(Ambiguity(tier, find.dimension, words, reason, span, turn))
    if person:
        # The clauses are facts of one person and do not contradict each other: one background.
        span = (person[0][0], person[-1][1])
        value = "; ".join(text[begin:end].rstrip(".!? ") for begin, end in person)
        asked.append(Preference(tier, BACKGROUND, value, text[slice(*span)], False, span))
    asked.sort(key=lambda preference: preference.span or (0, 0))
    return Reading(tuple(asked), tuple(left))


def _look(written: str, following: str, known: Rules, before: Before) -> Sentence:
    """The sentence, as the ones beside it mean it to be read."""
    if not following or len(following) > _SHORT:
        return look(written, known, before)
    then = lower(following)
    if known.taken_back.match(then):
        return look(written, known, before)._replace(taken_back=True)
    if written.endswith("?") and written.count(" ") < _ASKED:
        # "Bullets? No thanks." and "Bullets? Yes please." are wishes.
        if known.no.match(then):
            return look(f"{written[:-1]}.", known, before)._replace(taken_back=True)
        if known.yes.match(then):
            return look(f"{written[:-1]}.", known, before)
    return look(written, known, before)


def _span(sentence: Sentence, offset: int, start: int, end: int, alone: bool) -> tuple[int, int]:
    begin, stop = (0, len(sentence.text)) if alone else clause(sentence, start, end)
    return offset + begin, offset + stop


def _speaks_of_answers(written: str, known: Rules) -> bool:
    lowered = lower(written)
    return known.talk.search(lowered) is not None and not known.not_talk.search(lowered)
