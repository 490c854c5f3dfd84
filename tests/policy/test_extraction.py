"""What a free text asks for."""

import random
import time
import tomllib
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.policy.sentences import SENTENCES

from metaalign.policy import extract, load_matrix, resolve
from metaalign.sandbox.world import load_world
from metaalign.schema import SYSTEM_INFO, USER_INFO, MetaPrompt, Preference

SLOTS = {"opening": "opening", "sign_off": "name", "include": "word", "avoid": "word"}


def asked(text: str, tier: str = USER_INFO) -> set[tuple[str, str]]:
    return {(p.dimension, p.value) for p in extract(MetaPrompt.of(**{tier: text}))}


@pytest.mark.parametrize(("text", "wanted"), SENTENCES)
def test_a_sentence_asks_for(text: str, wanted: set[tuple[str, str]]) -> None:
    assert asked(text) == wanted


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


FRAGMENTS = [text for text, _ in SENTENCES] + [
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
