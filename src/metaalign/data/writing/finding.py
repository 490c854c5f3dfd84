"""New preferences and people: a teacher is asked in rounds, and what is new is kept.

Every round shows the teacher some of what is known, drawn by hash, and a topic. What comes back is
read by the rules of policy, and compared with all that is known: by its words, and by its meaning.
A round is asked for at most twice as much as is known, so what was found leads to more. Given the
same replies, the same is found, whatever the order in which they came.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta, Struct

from metaalign.data.building.staging import appearing
from metaalign.data.draw import digest, pick
from metaalign.data.families.wordings import wordings
from metaalign.data.filters.meaning import TFIDF, embedded, load_encoder, same_meaning, weighted
from metaalign.data.samples import normalised
from metaalign.data.sources.place import Place
from metaalign.data.sources.records import read_records
from metaalign.data.teacher.counting import estimated_in
from metaalign.data.teacher.dry import Estimate, Planned, estimate
from metaalign.data.teacher.forms import Form
from metaalign.data.teacher.requests import Outcome, Request
from metaalign.data.teacher.settings import Settings
from metaalign.data.writing.brief import BACKGROUND, OTHER
from metaalign.data.writing.pools import Found
from metaalign.data.writing.prompts import load_prompt
from metaalign.data.writing.replay import replaying
from metaalign.data.writing.tasks import Asked
from metaalign.data.writing.writer import open_teacher
from metaalign.policy import PriorityMatrix
from metaalign.policy.extraction import read_text
from metaalign.schema import SYSTEM_INFO, USER_INFO, silent

What = Literal["preferences", "personas"]

SAME_WORDS = "the same words were there before"
SAME_MEANING = "the same was there in other words"
OPEN = "its words leave open what they ask for"
SEVERAL = "it asks for several things at once"
TWO_WAYS = "its two wordings ask for different things"
A_WISH = "a person who asks for something"

_SHOWN = 12
"""Of what is known, so much is shown in every call."""
_FIRST = 8
"""Calls of a round at least, unless less is wanted."""
_LITTLE = 0.05
"""A round of which less than this share is new was the last."""

_Text = Annotated[str, Meta(min_length=3, max_length=600)]


class Hunt(Struct, frozen=True, kw_only=True):
    """What is looked for."""

    what: What = "preferences"
    want: Annotated[int, Meta(ge=1)]
    """How many new ones."""
    per_call: Annotated[int, Meta(ge=1, le=50)] = 10
    """How many the teacher is asked for at once."""
    threshold: Annotated[float, Meta(ge=0.1, le=1)] = 0.85
    """Cosine from which two mean the same."""
    model: str = "minishlab/potion-base-8M"
    """The embedding model that compares, as in the stage ``semantic-duplicates``; TF-IDF stands in
    where it cannot be loaded."""
    seed: int = 0


class Person(Struct, frozen=True):
    """Somebody in words of their own."""

    text: str


class Round(NamedTuple):
    """What one round brought."""

    number: int
    """From 1."""
    calls: int
    new: int
    kept: Sequence[Found | Person]
    """All that was found so far, of this round and those before."""
    dropped: Counter[str]
    """What came back and is not kept, by reason; of this round."""


class _Preferences(Struct, frozen=True, forbid_unknown_fields=True):
    preferences: "tuple[_Preference, ...]"


class _Preference(Struct, frozen=True, forbid_unknown_fields=True):
    text: _Text
    user_info: _Text
    system_info: _Text


class _Persons(Struct, frozen=True, forbid_unknown_fields=True):
    personas: "tuple[_Person, ...]"


class _Person(Struct, frozen=True, forbid_unknown_fields=True):
    text: _Text


_Entry = _Preference | _Person
_Entries = tuple[_Entry, ...]
AskAll = Callable[[Iterable[Asked[_Entries]]], Iterable[Outcome[_Entries]]]
"""Asks questions and gives what became of them, in their order."""

_PREFERENCES, _PERSONS = Form(_Preferences), Form(_Persons)


def find(hunt: Hunt, seeds: Iterable[str], matrix: PriorityMatrix, ask: AskAll) -> Iterator[Round]:
    """Look for what is new, a round at a time, until there is as much as is wanted.

    It ends earlier with a round that brings too little. ``seeds`` are known before: they are shown
    to the teacher, and nothing like them is kept.
    """
    known = _Known(hunt, seeds)
    number = 0
    while len(known.kept) < hunt.want:
        number += 1
        calls = known.next_calls()
        dropped: Counter[str] = Counter()
        entries: list[_Entry] = []
        for outcome in ask([known.question(number, call) for call in range(calls)]):
            entries += outcome.value or ()
            dropped[f"a reply was {outcome.status}"] += outcome.status != "answered"
        new = known.add(entries, calls, matrix, dropped)
        yield Round(number, calls, new, tuple(known.kept), +dropped)
        if new < _LITTLE * calls * hunt.per_call:
            break


def find_and_write(
    hunt: Hunt, seeds: Iterable[str], matrix: PriorityMatrix, settings: Settings, out: Path
) -> Iterator[str]:
    """Look with the teacher of ``settings``, and write what was found to ``out`` after every round.

    Yields what there is to tell of every round, and of the whole. Raises ``UserError`` where the
    budget is spent or the server cannot be asked: ``out`` then has the rounds before.
    """
    kept: Sequence[Found | Person] = ()
    with open_teacher(settings, silent) as teacher:

        async def call(asked: Asked[_Entries]) -> Outcome[_Entries]:
            return await teacher.call(asked.request, asked.check)

        for one in find(hunt, seeds, matrix, lambda questions: teacher.each(questions, call)):
            kept = one.kept
            with appearing(out) as file:
                file.write_bytes(b"".join(record_lines(kept)))
            yield _line(one, hunt)
    read = Counter(found.dimension for found in kept if isinstance(found, Found))
    told = "".join(f", {name} {n:,}" for name, n in read.most_common())
    yield f"{len(kept):,} {hunt.what} are in {out}{told.replace(', ', ': ', 1)}"
    if len(kept) < hunt.want:
        yield "the last round brought too little that is new: other --seeds may lead further"


def estimate_finding(
    hunt: Hunt, seeds: Iterable[str], matrix: PriorityMatrix, settings: Settings
) -> Estimate:
    """What ``find`` would cost, if all that comes back is new. Nothing is sent."""
    with replaying(settings) as replay:
        asked: list[Request | Planned] = []

        def ask(questions: Iterable[Asked[_Entries]]) -> Iterator[Outcome[_Entries]]:
            unknown = 0
            for question in questions:
                asked.append(question.request)
                outcome = replay.outcome(question)
                unknown += outcome is None
                if outcome is not None:
                    yield outcome
            if unknown:
                raise _Unknown(unknown)

        found: Sequence[Found | Person] = ()
        try:
            for one in find(hunt, seeds, matrix, ask):
                found = one.kept
        except _Unknown as error:
            left = hunt.want - len(found) - error.calls * hunt.per_call
            request = asked[-1]
            if left > 0 and isinstance(request, Request):
                calls = -(-left // hunt.per_call)
                tokens = estimated_in(request)
                asked.append(Planned(request.task, tokens, request.max_tokens, calls))
        return estimate(asked, settings)


def known_seeds(hunt: Hunt, matrix: PriorityMatrix, place: Place | None = None) -> list[str]:
    """What is known before the first round: the values that the Matrix and the packaged wordings
    have, in words, and the texts of a file of seeds (records with ``text``)."""
    seeds = [] if hunt.what == "personas" else list(_taxonomy(matrix))
    if place is not None:
        seeds += [record.text for record in read_records(place, Person)]
    return seeds


class _Unknown(Exception):
    """So many calls of a round are not in the journal."""

    def __init__(self, calls: int) -> None:
        super().__init__(calls)
        self.calls = calls


class _Known:
    """All that is known, and what of it was found."""

    def __init__(self, hunt: Hunt, seeds: Iterable[str]) -> None:
        self.kept: list[Found | Person] = []
        self._hunt = hunt
        self._texts = list(dict.fromkeys(seed.strip() for seed in seeds if seed.strip()))
        self._words = {normalised(text) for text in self._texts}
        self._new_per_call = float(hunt.per_call)
        """Of the last round."""

    def next_calls(self) -> int:
        """How many calls the next round has: what is missing, if as much of it is new as before."""
        missing = self._hunt.want - len(self.kept)
        most = max(_FIRST, len(self._texts) // self._hunt.per_call)
        return min(math.ceil(missing / max(1.0, self._new_per_call)), most)

    def question(self, number: int, call: int) -> Asked[_Entries]:
        """One call of a round."""
        prompt, hunt = load_prompt(self._hunt.what), self._hunt
        name = (hunt.seed, hunt.what, number, call)
        drawn = (pick(self._texts, *name, i) for i in range(_SHOWN)) if self._texts else ()
        material = {
            "known": list(dict.fromkeys(drawn)),
            "about": pick(prompt.about, *name),
            "count": hunt.per_call,
        }
        schema = (_PREFERENCES if hunt.what == "preferences" else _PERSONS).schema
        return Asked(prompt.request(hunt.what, material, schema), _READERS[hunt.what], ())

    def add(
        self,
        entries: Sequence[_Entry],
        calls: int,
        matrix: PriorityMatrix,
        dropped: Counter[str],
    ) -> int:
        """Keep what is new of ``entries``, as far as it is wanted; the number of it."""
        read: list[Found | Person] = []
        for entry in entries:
            found = _read(entry, matrix)
            words = normalised(entry.text)
            if isinstance(found, str):
                dropped[found] += 1
            elif words in self._words or not words:
                dropped[SAME_WORDS] += 1
            else:
                self._words.add(words)
                read.append(found)
        new = list(self._of_new_meaning(read, dropped))
        self._new_per_call = len(new) / calls
        taken = new[: self._hunt.want - len(self.kept)]
        self.kept += taken
        self._texts += [one.text for one in taken]
        return len(taken)

    def _of_new_meaning(
        self, read: Sequence[Found | Person], dropped: Counter[str]
    ) -> Iterator[Found | Person]:
        before = len(self._texts)
        texts = [*self._texts, *(one.text for one in read)]
        old = {row - before for row, _, _ in _alike(texts, self._hunt)} if read else set()
        for number, one in enumerate(read):
            if number in old:
                dropped[SAME_MEANING] += 1
            else:
                yield one


def _alike(texts: Sequence[str], hunt: Hunt) -> Iterator[tuple[int, int, float]]:
    encoder = None if hunt.model == TFIDF else load_encoder(hunt.model)
    rows = weighted(texts) if encoder is None else embedded(encoder, texts)
    return same_meaning(rows, hunt.threshold)


def _preferences_in(reply: str) -> _Entries:
    return _PREFERENCES.read(reply).preferences


def _persons_in(reply: str) -> _Entries:
    return _PERSONS.read(reply).personas


_READERS: Mapping[What, Callable[[str], _Entries]] = {
    "preferences": _preferences_in,
    "personas": _persons_in,
}


def _read(entry: _Entry, matrix: PriorityMatrix) -> Found | Person | str:
    """What ``entry`` asks for by the rules, or why it cannot be used."""
    if isinstance(entry, _Person):
        asked, sure = _stated(entry.text, USER_INFO, matrix)
        return A_WISH if asked or not sure else Person(entry.text.strip())
    said, meant = (
        _stated(text, tier, matrix)
        for text, tier in ((entry.system_info, SYSTEM_INFO), (entry.user_info, USER_INFO))
    )
    if not (said[1] and meant[1]):
        return OPEN
    if said[0] != meant[0]:
        return TWO_WAYS
    if len(said[0]) > 1:
        return SEVERAL
    text = entry.text.strip()
    dimension, value = next(iter(said[0]), (OTHER, text))
    return Found(text, dimension, value, entry.system_info.strip(), entry.user_info.strip())


def _stated(text: str, tier: str, matrix: PriorityMatrix) -> tuple[set[tuple[str, str]], bool]:
    """What ``text`` asks for in the dimensions of ``matrix``; and whether nothing is left open."""
    reading = read_text(text, tier)
    asked = {
        (p.dimension, p.value)
        for p in reading.preferences
        if p.dimension in matrix.places and p.dimension != BACKGROUND
    }
    return asked, not reading.ambiguous


def _taxonomy(matrix: PriorityMatrix) -> Iterator[str]:
    """Every closed value of the Matrix: by its name, or in packaged words."""
    worded = wordings()
    for name, dimension in matrix.dimensions.items():
        for value in dimension.values:
            if value in worded.values.get(name, {}):
                options = sorted(worded.of(name, value, USER_INFO), key=lambda t: digest("seed", t))
                yield options[0]
            else:
                yield f"{name.replace('_', ' ')}: {value}"


def _line(one: Round, hunt: Hunt) -> str:
    asked = one.calls * hunt.per_call
    told = "; ".join(f"{n:,} {reason}" for reason, n in one.dropped.most_common())
    return f"round {one.number}: asked for {asked:,}, {one.new:,} are new" + (
        f" ({told})" if told else ""
    )


def record_lines(found: Iterable[Found | Person]) -> Iterator[bytes]:
    """One record a line, as ``[[write]]`` reads them."""
    for one in found:
        yield msgspec.json.encode(one) + b"\n"
