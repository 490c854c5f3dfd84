"""What a free text asks for."""

import random
import time
import tomllib
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.policy.sentences import AMBIGUOUS, SENTENCES, TALK

from metaalign.policy import extract, load_matrix, resolve
from metaalign.policy.extraction import read, read_text, read_texts
from metaalign.sandbox.world import load_world
from metaalign.schema import (
    SYSTEM_INFO,
    USER_INFO,
    Ambiguity,
    Dialogue,
    MetaPrompt,
    Preference,
    Reading,
    Turn,
)

SLOTS = {"opening": "opening", "sign_off": "name", "include": "word", "avoid": "word"}


def asked(text: str, tier: str = USER_INFO) -> set[tuple[str, str]]:
    return {(p.dimension, p.value) for p in extract(MetaPrompt.of(**{tier: text}))}


@pytest.mark.parametrize(("text", "wanted"), SENTENCES)
def test_a_sentence_asks_for(text: str, wanted: set[tuple[str, str]]) -> None:
    assert asked(text) == wanted


def left_open(text: str, tier: str = USER_INFO) -> set[tuple[str, str]]:
    return {(a.dimension, a.reason) for a in read_text(text, tier).ambiguous}


@pytest.mark.parametrize(("text", "wanted"), AMBIGUOUS)
def test_what_is_not_meant_for_sure_is_told_and_not_guessed(
    text: str, wanted: set[tuple[str, str]]
) -> None:
    assert left_open(text) == wanted
    assert asked(text) == set()


@pytest.mark.parametrize(("text", "wanted"), SENTENCES)
def test_what_is_meant_for_sure_leaves_nothing_open(
    text: str, wanted: set[tuple[str, str]]
) -> None:
    assert left_open(text) == set()


def test_two_sentences_that_contradict_each_other_are_two_wishes() -> None:
    text = "Be brief. Explain everything in depth."
    assert read_text(text, USER_INFO).ambiguous == ()
    assert asked(text) == {("length", "short"), ("length", "long")}


def test_a_condition_reaches_over_its_part_of_the_sentence() -> None:
    text = "Be friendly, but if it is about medicine, be formal."
    found = read_text(text, USER_INFO)
    assert [(p.dimension, p.value) for p in found.preferences] == [("tone", "friendly")]
    assert found.ambiguous == (Ambiguity(USER_INFO, "tone", text, "conditional", (0, len(text))),)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('You keep saying "marvellous". Stop it.', {("avoid", "marvellous")}),
        ("You always end by asking something. Drop that.", {("follow_up", "none")}),
        ("Bullets? Yes please.", {("format", "bullets")}),
        ("Swearing? Never.", {("profanity", "none")}),
    ],
)
def test_the_next_sentence_tells_how_one_is_meant(text: str, wanted: set[tuple[str, str]]) -> None:
    assert asked(text) == wanted


def test_what_may_be_need_not_be() -> None:
    assert asked('Feel free to use the word "marvellous".') == set()
    assert asked('You may leave out the word "marvellous".') == set()


@pytest.mark.parametrize(
    "text",
    [
        "A reply that does not end with a question is incomplete.",
        "Never sign off without asking how it went.",
        "No answer leaves the shop without a closing question.",
    ],
)
def test_two_negations_ask_for_it(text: str) -> None:
    assert asked(text, SYSTEM_INFO) == {("follow_up", "ask")}


def test_a_condition_inside_the_words_of_a_wish_is_part_of_it() -> None:
    text = "If usefulness and caution disagree, caution wins."
    assert asked(text) == {("priority", "safety")}
    assert left_open(text) == set()


def test_the_items_of_a_list_are_one_sentence() -> None:
    (found,) = read_text("Rank them: 1. caution 2. usefulness 3. style.", USER_INFO).preferences
    assert (found.value, found.span) == ("safety", (0, 45))


def test_what_stands_in_a_condition_is_no_wish() -> None:
    assert left_open("If I ask for details, use bullet points.") == {("format", "conditional")}


def test_reading_tells_where_the_words_stand() -> None:
    text = "I keep bees. Maybe a list? Be brief."
    found = read_text(text, USER_INFO)
    assert [(a.wording, a.span) for a in found.ambiguous] == [("Maybe a list?", (13, 26))]
    assert [(p.wording, p.span) for p in found.preferences] == [
        ("I keep bees.", (0, 12)),
        ("Be brief.", (27, 36)),
    ]


def talk(*texts: str) -> Dialogue:
    turns = [Turn("assistant" if i % 2 else "user", text) for i, text in enumerate(texts)]
    return Dialogue(MetaPrompt.of("Be formal."), tuple(turns))


@pytest.mark.parametrize(("text", "wanted"), TALK)
def test_the_talk_is_read_where_it_speaks_of_the_answers(
    text: str, wanted: set[tuple[str, str]]
) -> None:
    found = [p for p in read(talk(text)).preferences if p.turn is not None]
    assert {(p.dimension, p.value) for p in found} == wanted


def test_a_wish_of_the_talk_has_a_tier_a_turn_and_a_span() -> None:
    text = "What is moss? From now on, be brief."
    found = read(talk("Hi.", "Hello.", text), talk_tier="talk")
    assert found.preferences == (
        Preference(SYSTEM_INFO, "tone", "formal", "Be formal.", True, (0, 10)),
        Preference("talk", "length", "short", "From now on, be brief.", True, (14, 36), 2),
    )


def test_what_the_talk_leaves_open_has_its_turn() -> None:
    (found,) = read(talk("From now on, maybe shorter answers?")).ambiguous
    assert (found.dimension, found.reason, found.turn) == ("length", "hedged", 0)


def test_what_the_assistant_says_is_not_read() -> None:
    assert read(talk("Hi.", "From now on, I will be brief.")).preferences[1:] == ()


def test_nobody_has_a_background_in_the_talk() -> None:
    assert read(talk("I am a nurse. Answer me briefly from now on.")).preferences[1:] == (
        Preference(
            USER_INFO, "length", "short", "Answer me briefly from now on.", True, (14, 44), 0
        ),
    )


def test_without_a_tier_the_talk_is_not_read() -> None:
    said = talk("From now on, be brief. Maybe in bullets from now on?")
    assert read(said, talk_tier=None) == read_text("Be formal.", SYSTEM_INFO)
    assert read(said, talk_tier=None).preferences == extract(said.meta_prompt)


def test_an_empty_text_says_nothing() -> None:
    assert read_text("", USER_INFO) == Reading()


def _sandbox_sentences() -> list[tuple[str, tuple[str, str]]]:
    """Every wording of the sandbox, those with a slot filled with three values each."""
    world, rng = load_world(), random.Random(0)
    found = []
    for words in (world.seen, world.unseen):
        values = {"name": words.names, "word": words.nouns, "opening": words.openings}
        for dimension, by_value in words.wordings.items():
            for value, wordings in by_value.items():
                for wording in wordings:
                    if dimension not in SLOTS:
                        found.append((wording, (dimension, value)))
                        continue
                    slot = SLOTS[dimension]
                    for filling in rng.sample(values[slot], 3):
                        text = wording.format(**{slot: filling})
                        found.append((text[0].upper() + text[1:], (dimension, filling)))
    return found


def test_the_wordings_of_the_sandbox_are_read_exactly() -> None:
    sentences = _sandbox_sentences()
    wrong = []
    for text, (dimension, value) in sentences:
        found = {(d, v.casefold()) for d, v in asked(text)}
        if found != {(dimension, value.casefold())}:
            wrong.append((text, found))
    assert len(sentences) > 400
    assert len(wrong) <= 0.02 * len(sentences), wrong


def test_the_small_talk_and_the_roles_of_the_sandbox_ask_for_nothing() -> None:
    styles = tomllib.loads(
        (files("metaalign.sandbox") / "world" / "styles.toml").read_text(encoding="utf-8")
    )
    assert [t for t in styles["asides"] if asked(t)] == []
    assert [t for t in styles["roles"] if asked(t, SYSTEM_INFO)] == []


def test_people_of_the_sandbox_are_recognised_by_how_they_live() -> None:
    """A floor, not a promise: 'I own a cellar full of wines' reads like 'I own an umbrella'."""
    texts = [persona.text for persona in load_world().personas]
    known = [t for t in texts if asked(t) == {("background", t.rstrip("."))}]
    assert len(known) >= 0.75 * len(texts)


def test_each_tier_speaks_for_itself() -> None:
    prompt = MetaPrompt.of(
        "Be brief. Be formal.", "Be brief. I keep bees.", team_info="Be playful."
    )
    assert [(p.tier, p.dimension, p.value) for p in extract(prompt)] == [
        (SYSTEM_INFO, "length", "short"),
        (SYSTEM_INFO, "tone", "formal"),
        ("team_info", "tone", "playful"),
        (USER_INFO, "length", "short"),
        (USER_INFO, "background", "I keep bees"),
    ]


def test_only_the_person_has_a_background() -> None:
    text = "I run a farm shop."
    assert asked(text, SYSTEM_INFO) == set()
    (found,) = extract(MetaPrompt.of(user_info=text))
    assert found == Preference(
        USER_INFO, "background", "I run a farm shop", text, explicit=False, span=(0, 18)
    )


def test_what_follows_from_a_person_is_one_background() -> None:
    (found,) = extract(MetaPrompt.of(user_info="I am a nurse. My cat is old. I live in Leeds."))
    assert found.value == "I am a nurse; I live in Leeds"
    assert not found.explicit


def test_the_wording_is_the_sentence_or_the_clause_of_it() -> None:
    text = "Hello there. Please be brief!  Be friendly, and sign off as Tim."
    found = {p.dimension: p.wording for p in extract(MetaPrompt.of(user_info=text))}
    assert found == {
        "length": "Please be brief!",
        "tone": "Be friendly",
        "sign_off": "sign off as Tim.",
    }


def test_a_quotation_is_not_read() -> None:
    assert asked('Start with "Be brief. Use bullets!" and be formal.') == {
        ("opening", "Be brief. Use bullets!"),
        ("tone", "formal"),
    }


def test_an_abbreviation_does_not_end_a_sentence() -> None:
    (found,) = extract(MetaPrompt.of(user_info="Be brief, e.g. like Mr. Bean."))
    assert found.wording == "Be brief, e.g. like Mr. Bean."


def test_curly_quotes_are_read_and_spans_stay_in_place() -> None:
    text = "Don’t be formal. Include the word “moss”."
    (found,) = extract(MetaPrompt.of(user_info=text))
    assert (found.dimension, found.value) == ("include", "moss")
    assert found.wording == "Include the word “moss”."


def test_asking_twice_in_one_sentence_is_asking_once() -> None:
    found = extract(MetaPrompt.of(user_info="Be brief, really brief, and keep it short."))
    assert [(p.dimension, p.value) for p in found] == [("length", "short")]


FRAGMENTS = [text for text, _ in SENTENCES + AMBIGUOUS] + [
    '"',
    "'",
    "\n",
    "- ",
    "…",
    "é",
    "  ",
    "not",
    "İ",
    "“",
]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=12)), max_size=8))
def test_any_text_is_read_into_what_the_matrix_knows(parts: list[str]) -> None:
    text = " ".join(parts)
    prompt = MetaPrompt.of(text, text)
    found = extract(prompt)
    resolve(found, "benign", load_matrix())  # raises if a dimension or a value is unknown
    for preference in found:
        assert preference.span is not None
        start, end = preference.span
        assert text[start:end] == preference.wording
        assert preference.wording


def test_long_hostile_text_is_read_in_linear_time() -> None:
    for piece in ("not ", "a ", '"', "I am ", "use the word ", "keep it very ", "- ", ".", "so, "):
        started = time.perf_counter()
        extract(MetaPrompt.of(user_info=piece * 2000))
        assert time.perf_counter() - started < 5, piece


@pytest.mark.parametrize("processes", [1, 2])
def test_many_texts_are_read_in_their_order_by_any_number_of_processes(processes: int) -> None:
    texts = [(f"Keep it short. I am {n} years old.", USER_INFO) for n in range(600)]
    texts[300] = ("Be formal.", SYSTEM_INFO)
    assert list(read_texts(iter(texts), processes)) == [read_text(*text) for text in texts]
